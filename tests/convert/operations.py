"""Linear operations of torch with arguments drawn at random: a module, and the shape of a sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.convert.networks import Calls

Shape = tuple[int, ...]
Drawn = tuple[nn.Module, Shape]
CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORMS = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MOST = {1: 12, 2: 8, 3: 5}


class Draw:
    """Numbers of one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one(self, *choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def sizes(self, low: int, high: int, count: int) -> Shape:
        return tuple(int(n) for n in self.rng.integers(low, high + 1, count))

    def number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))


def _held(function: Any, **arrays: np.ndarray) -> nn.Module:
    made = Calls(function)
    for name, array in arrays.items():
        made.register_buffer(name, torch.from_numpy(array.astype(np.float32)))
    return made


def dense(d: Draw) -> Drawn:
    """Linear on the last axis of samples of one to four axes."""
    shape = d.sizes(1, 5, d.number(1, 4))
    return nn.Linear(shape[-1], d.number(1, 6), bias=d.one(True, False)), shape


def product(d: Draw) -> Drawn:
    """Products with a constant, as a user writes them."""
    s, k, f, g = d.number(2, 4), d.number(2, 5), d.number(1, 6), d.number(2, 3)
    normal = d.rng.normal
    made: Mapping[str, Callable[[], Drawn]] = {
        "x w": lambda: (_held(lambda m, x: x @ m.w, w=normal(size=(k, f))), (s, k)),
        "w x": lambda: (_held(lambda m, x: m.w @ x, w=normal(size=(f, k))), (k, s)),
        "x v": lambda: (_held(lambda m, x: x @ m.w, w=normal(size=k)), (s, k)),
        "v x": lambda: (_held(lambda m, x: m.w @ x, w=normal(size=k)), (g, k, s)),
        "flat": lambda: (_held(lambda m, x: torch.mm(x, m.w), w=normal(size=(k, f))), (k,)),
        "stacked": lambda: (_held(lambda m, x: x @ m.w, w=normal(size=(g, k, f))), (g, s, k)),
        "stacked left": lambda: (_held(lambda m, x: m.w @ x, w=normal(size=(g, f, k))), (g, k, s)),
        "spread": lambda: (_held(lambda m, x: x @ m.w, w=normal(size=(g, k, f))), (1, s, k)),
        "one stack": lambda: (_held(lambda m, x: x @ m.w, w=normal(size=(1, k, f))), (g, s, k)),
        "bmm": lambda: (
            _held(lambda m, x: torch.bmm(x, m.w.expand(len(x), k, f)), w=normal(size=(k, f))),
            (s, k),
        ),
        "addmm": lambda: (
            _held(
                lambda m, x: torch.addmm(m.b, x, m.w, beta=0.5, alpha=2),
                w=normal(size=(k, f)),
                b=normal(size=f),
            ),
            (k,),
        ),
        "baddbmm": lambda: (
            _held(
                lambda m, x: torch.baddbmm(m.b.expand(len(x), s, f), x, m.w.expand(len(x), k, f), alpha=0.5),
                w=normal(size=(k, f)),
                b=normal(size=(s, f)),
            ),
            (s, k),
        ),
    }
    return made[d.one(*made)]()


EQUATIONS: Mapping[str, tuple[str, str]] = {
    # equation -> axes of the sample, of the constant
    "bsk,kf->bsf": ("sk", "kf"),
    "fk,bks->bfs": ("ks", "fk"),
    "bgsk,gkf->bgsf": ("gsk", "gkf"),
    "bgk,gkf->bgf": ("gk", "gkf"),
    "bks,kf->bfs": ("ks", "kf"),
    "bsgk,fgk->bsf": ("sgk", "fgk"),
    "bsk,s->bk": ("sk", "s"),
    "...k,kf->...f": ("gsk", "kf"),
    "bsk,skf->bf": ("sk", "skf"),
    "bsk,gf->bksgf": ("sk", "gf"),
    "bsk,sk->bsk": ("sk", "sk"),
    "bsk,gk->bg": ("sk", "gk"),
    "bsk->bks": ("sk", ""),
    "bgsk->bs": ("gsk", ""),
}


def einsum(d: Draw) -> Drawn:
    """einsum of a value and a constant, or of the value alone."""
    equation = d.one(*EQUATIONS)
    sizes = dict(zip("gskf", d.sizes(1, 4, 4), strict=True))
    sample, constant = (tuple(sizes[c] for c in part) for part in EQUATIONS[equation])
    if not constant:
        return Calls(lambda m, x: torch.einsum(equation, x)), sample
    turned = equation.startswith("fk,")

    def run(m: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum(equation, *((m.w, x) if turned else (x, m.w)))

    return _held(run, w=d.rng.normal(size=constant)), sample


def convolution(d: Draw) -> Drawn:
    """Along one to three axes, with every padding mode."""
    axes = d.number(1, 3)
    groups = d.one(1, 1, 2, 4)
    kernel, dilation = d.sizes(1, 3, axes), d.sizes(1, 2, axes)
    reach = [a * (k - 1) + 1 for a, k in zip(dilation, kernel, strict=True)]
    size = tuple(d.number(max(r, 4), MOST[axes] + 1) for r in reach)
    padding: Any = d.one("numbers", "same", "valid")
    stride = (1,) * axes if padding == "same" else d.sizes(1, 3, axes)
    if padding == "numbers":
        padding = d.sizes(0, 2, axes)
    mode = d.one("zeros", "zeros", "reflect", "replicate", "circular")
    layer = CONVOLUTIONS[axes](
        4,
        groups * d.number(1, 3),
        kernel,
        stride,
        padding,
        dilation,
        groups,
        bias=d.one(True, False),
        padding_mode=mode,
    )
    return layer, (4, *size)


def transposed(d: Draw) -> Drawn:
    """Along one to three axes."""
    axes = d.number(1, 3)
    groups, kernel, stride, dilation = (
        d.one(1, 2, 4),
        d.sizes(1, 4, axes),
        d.sizes(1, 3, axes),
        d.sizes(1, 2, axes),
    )
    more = tuple(d.number(0, max(s, a) - 1) for s, a in zip(stride, dilation, strict=True))
    size = d.sizes(3, MOST[axes] - 1, axes)
    whole = [(n - 1) * s + a * (k - 1) for n, s, a, k in zip(size, stride, dilation, kernel, strict=True)]
    padding = tuple(d.number(0, min(2, n // 2)) for n in whole)
    layer = TRANSPOSED[axes](
        4, groups * d.number(1, 3), kernel, stride, padding, more, groups, d.one(True, False), dilation
    )
    return layer, (4, *size)


def average(d: Draw) -> Drawn:
    """Windows of one to three axes; adaptive ones, uneven too."""
    axes = d.number(1, 3)
    size = d.sizes(4, MOST[axes], axes)
    if d.one(True, False):
        kinds = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
        return kinds[axes](d.sizes(1, 4, axes)), (3, *size)
    kernel = d.sizes(1, 3, axes)
    padding = tuple(d.number(0, k // 2) for k in kernel)
    kinds = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
    rest = {} if axes == 1 else {"divisor_override": d.one(None, None, 5)}
    stride = d.one(None, d.sizes(1, 3, axes))
    layer = kinds[axes](kernel, stride, padding, d.one(True, False), d.one(True, False), **rest)
    return layer, (3, *size)


def largest(d: Draw) -> Drawn:
    """Max pooling of one to three axes; adaptive, uneven, and over whole axes."""
    axes = d.number(1, 3)
    size = d.sizes(4, MOST[axes], axes)
    form = d.one("plain", "adaptive", "amax")
    if form == "amax":
        over = tuple(sorted(d.rng.choice(np.arange(2, axes + 2), d.number(1, axes), replace=False).tolist()))
        kept = d.one(True, False)
        return Calls(lambda m, x: torch.amax(x, over, keepdim=kept)), (3, *size)
    if form == "adaptive":
        kinds = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}
        return kinds[axes](d.sizes(1, 4, axes)), (3, *size)
    kernel, dilation = d.sizes(1, 3, axes), d.sizes(1, 2, axes)
    kernel = tuple(1 if a * (k - 1) >= n else k for k, a, n in zip(kernel, dilation, size, strict=True))
    padding = tuple(d.number(0, k // 2) for k in kernel)
    kinds = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
    return kinds[axes](
        kernel, d.one(None, d.sizes(1, 3, axes)), padding, dilation, ceil_mode=d.one(True, False)
    ), (
        3,
        *size,
    )


def over_axes(d: Draw) -> Drawn:
    """mean and sum over any axes."""
    rank = d.number(1, 5)
    over = d.rng.choice(np.arange(1, rank + 1), d.number(1, rank), replace=False)
    axes = tuple(int(a) - (rank + 1) * d.number(0, 1) for a in over)
    kept, mean = d.one(True, False), d.one(True, False)

    def run(m: Any, x: torch.Tensor) -> torch.Tensor:
        return x.mean(axes, keepdim=kept) if mean else x.sum(axes, keepdim=kept)

    return Calls(run), d.sizes(1, 4, rank)


def interpolation(d: Draw) -> Drawn:
    """linear, bilinear, trilinear, bicubic; to a size and by a factor; with anti-aliasing."""
    axes = d.number(1, 3)
    size = d.sizes(1, MOST[axes], axes)
    mode = {1: "linear", 2: d.one("bilinear", "bicubic"), 3: "trilinear"}[axes]
    kwargs: dict[str, Any] = {"mode": mode, "align_corners": d.one(None, True, False)}
    if d.one(True, False):
        kwargs["size"] = d.sizes(1, 2 * MOST[axes], axes)
    else:
        whole = d.one(2, 3, 4, 1) if d.one(True, False) else None
        kwargs["scale_factor"] = float(whole) if whole else tuple(d.one(1.3, 2.0, 2.5, 1.0) for _ in size)
        kwargs["recompute_scale_factor"] = d.one(None, True, False)
    if axes == 2 and not kwargs["align_corners"] and d.one(True, False, False):
        kwargs["antialias"] = True
    return Calls(lambda m, x: F.interpolate(x, **kwargs)), (2, *size)


def norm(d: Draw) -> Drawn:
    """Batch norm alone, behind a layer, before a padded one, shared by two, behind an addition."""
    axes = d.number(0, 3)
    size, affine = d.sizes(3, 5, axes), d.one(True, False)
    own = NORMS[axes](4, affine=affine)
    if axes == 0:
        return d.one(own, nn.Sequential(nn.Linear(4, 4), own)), (4,)
    make = CONVOLUTIONS[axes]
    a, b = make(4, 4, 3, padding=1), make(4, 4, 1)
    made = d.one(
        own,
        nn.Sequential(a, own),
        nn.Sequential(own, a),
        Calls(lambda m, x: m.a(y := m.n(x)) + m.b(y), a=a, b=b, n=own),
        Calls(lambda m, x: m.n(m.a(x) + m.b(x)), a=a, b=b, n=own),
        Calls(lambda m, x: m.n(m.a(x)) + m.n(m.b(x)), a=a, b=b, n=own),
    )
    return made, (4, *size)


DRAWN: Mapping[str, Callable[[Draw], Drawn]] = {
    f.__name__: f
    for f in (
        dense,
        product,
        einsum,
        convolution,
        transposed,
        average,
        largest,
        over_axes,
        interpolation,
        norm,
    )
}
