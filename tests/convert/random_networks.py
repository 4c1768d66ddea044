"""Random trained-like networks over every operation that needs no option, as torch modules; all from a seed.

Samples of one, two or three spatial axes, or of none; depth to 6; branches, residuals, concatenations, pools, moves,
reused modules. Weights are those of torch's own start, so that values keep their size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

Array = np.ndarray[Any, Any]
DEPTH = 6
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
LARGEST = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
ADAPTIVE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
SIZES = {0: 1, 1: 20, 2: 9, 3: 5}
PADDINGS = ("zeros", "zeros", "reflect", "replicate", "circular")
ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU, nn.ReLU, nn.ReLU, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.Hardswish,
    nn.ELU,
)  # fmt: skip

Step = Callable[[torch.Tensor], torch.Tensor]


class Drawn(nn.Module):
    """Steps one after the other; what they hold is registered, so that it is part of the network."""

    def __init__(self, steps: list[Step], parts: list[nn.Module], words: list[str]) -> None:
        super().__init__()
        self.steps, self.parts, self.words = steps, nn.ModuleList(parts), words

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for step in self.steps:
            x = step(x)
        return x


@dataclass
class _Draft:
    """A network while it is drawn: what was made, and the shape of a sample behind it."""

    rng: np.random.Generator
    shape: tuple[int, ...]
    kinds: tuple[Callable[[], nn.Module], ...] = ACTIVATIONS
    parts: list[nn.Module] = field(default_factory=list[nn.Module])
    steps: list[Step] = field(default_factory=list[Step])
    words: list[str] = field(default_factory=list[str])

    @property
    def rank(self) -> int:
        """Spatial axes."""
        return len(self.shape) - 1

    def pick(self, *choices: Any) -> Any:
        """One of the choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def part(self, module: nn.Module) -> nn.Module:
        """A module that belongs to the network, evaluated; batch norms get statistics of their own."""
        self.parts.append(module.eval())
        return module

    def step(self, word: str, function: Step) -> None:
        """One more step; the shape behind it is what the step gives."""
        with torch.no_grad():
            made = function(torch.zeros(2, *self.shape))
        self.shape = tuple(made.shape[1:])
        self.steps.append(function)
        self.words.append(word)

    def activation(self) -> nn.Module:
        """A function that needs no option, most often a rectifier."""
        return self.part(self.pick(*self.kinds)())

    def convolution(self, out: int, stride: int = 1) -> nn.Module:
        """A convolution that keeps sizes, but for its stride; without spatial axes a Linear."""
        channels = self.shape[0]
        if self.rank == 0:
            return self.part(nn.Linear(channels, out, bias=bool(self.rng.random() < 0.8)))
        kernel = int(self.pick(1, 3, 3, 5)) if min(self.shape[1:]) > 2 else 1
        groups = int(self.pick(1, 1, 1, channels if out % channels == 0 else 1))
        dilation = int(self.pick(1, 1, 2)) if kernel == 3 and min(self.shape[1:]) > 4 else 1
        mode = self.pick(*PADDINGS) if kernel // 2 * dilation < min(self.shape[1:]) else "zeros"
        made = CONV[self.rank](
            channels,
            out,
            kernel,
            stride,
            kernel // 2 * dilation,
            dilation,
            groups,
            bool(self.rng.random() < 0.7),
            mode,
        )
        return self.part(made)

    def norm(self, channels: int) -> nn.Module:
        """Batch norm with statistics and factors as training leaves them."""
        made = self.part(NORM[self.rank](channels))
        with torch.no_grad():
            for tensor, low, high in (
                (made.running_mean, -0.3, 0.3),
                (made.running_var, 0.5, 1.5),
                (made.weight, 0.5, 1.5),
                (made.bias, -0.3, 0.3),
            ):
                tensor.copy_(torch.from_numpy(self.rng.uniform(low, high, channels)))  # type: ignore[union-attr]
        return made


# --- blocks: each adds one or a few steps ---


def plain(d: _Draft) -> None:
    """Convolution, batch norm or none, activation."""
    out = int(d.pick(4, 6, 8))
    stride = int(d.pick(1, 1, 2)) if d.rank and min(d.shape[1:]) > 4 else 1
    conv = d.convolution(out, stride)
    norm = d.norm(out) if d.rng.random() < 0.5 else nn.Identity()
    act = d.activation()
    d.step("conv", lambda x: act(norm(conv(x))))


def residual(d: _Draft) -> None:
    """relu(x + f(x)), or the sum without a rectifier behind it."""
    channels, first = d.shape[0], d.convolution(d.shape[0])
    second, norm, act = d.convolution(channels), d.norm(channels), d.activation()
    d.step("residual", lambda x: act(norm(second(act(first(x))) + x)))


def skip(d: _Draft) -> None:
    """x + relu(f(x)): what is analog stays so."""
    first, act = d.convolution(d.shape[0]), d.activation()
    d.step("skip", lambda x: x + act(first(x)) * 0.5)


def dense(d: _Draft) -> None:
    """The input beside what was made of it, as in DenseNet."""
    first, act = d.convolution(4), d.activation()
    if d.shape[0] <= 16:
        d.step("dense", lambda x: torch.cat([x, act(first(x))], 1))


def branches(d: _Draft) -> None:
    """Two branches that are joined."""
    a, b = d.convolution(6), d.convolution(6)
    act, other = d.activation(), d.activation()
    how = d.pick(
        lambda p, q: torch.cat([p, q], 1),
        lambda p, q: p - 0.5 * q,
        torch.maximum,
        torch.minimum,
        lambda p, q: torch.stack([p, q], 1).flatten(1, 2),
    )
    d.step("branches", lambda x: how(act(a(x)), other(b(x))))


def reused(d: _Draft) -> None:
    """One convolution, and one activation, called twice."""
    conv, act = d.convolution(d.shape[0]), d.activation()
    d.step("reused", lambda x: act(conv(act(conv(x)))))


def pooled(d: _Draft) -> None:
    """A pool of 2 along every spatial axis."""
    if not d.rank or min(d.shape[1:]) < 4:
        return
    kind = d.pick(AVERAGE, LARGEST, AVERAGE)
    pool = d.part(d.pick(kind[d.rank](2), kind[d.rank](3, 2, 1)))
    d.step(type(pool).__name__, pool)


def adaptive(d: _Draft) -> None:
    """Averages of uneven windows."""
    if d.rank and min(d.shape[1:]) > 3:
        d.step("adaptive", d.part(ADAPTIVE[d.rank](int(d.pick(2, 3)))))


def upsampled(d: _Draft) -> None:
    """Nearest, linear, or a transposed convolution."""
    if not d.rank or max(d.shape[1:]) > 10:
        return
    linear = {1: "linear", 2: "bilinear"}.get(d.rank, "nearest")
    act = d.activation()
    transposed = d.part(TRANSPOSED[d.rank](d.shape[0], 6, 2, 2))
    d.step(
        "upsampled",
        d.pick(
            lambda x: F.interpolate(x, scale_factor=2, mode="nearest"),
            lambda x: F.interpolate(x, scale_factor=1.5, mode="nearest-exact"),
            lambda x: F.interpolate(x, scale_factor=2, mode=linear),
            lambda x: act(transposed(x)),
        ),
    )


def moved(d: _Draft) -> None:
    """Values at other places."""
    channels, last, widths = d.shape[0], -1, (1, 0) * d.rank
    choices: list[Step] = [
        lambda x: x.flip(last),
        lambda x: x.roll(1, 1),
        lambda x: torch.cat(list(reversed(x.chunk(2, 1))), 1),
        lambda x: x[:, :: 2 if channels > 5 else 1],
        lambda x: x.index_select(1, torch.arange(channels - 1, -1, -1)),
    ]
    if d.rank:
        choices += [
            lambda x: x.transpose(1, -1).contiguous().flip(1).transpose(1, -1),
            lambda x: F.pad(x, (1, 1)),
            lambda x: F.pad(x, (1, 0), value=0.3),
            lambda x: F.pad(x, widths, mode="reflect"),
            lambda x: x.narrow(-1, 0, x.shape[-1] - 1) if x.shape[-1] > 3 else x,
        ]
    if d.rank == 2 and channels % 4 == 0 and max(d.shape[1:]) < 9:
        choices.append(lambda x: F.pixel_shuffle(x, 2))
    if channels % 2 == 0:
        choices.append(
            lambda x: x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2),
        )
    d.step("moved", d.pick(*choices))


def constants(d: _Draft) -> None:
    """Constants of every shape."""
    shape = d.pick((d.shape[0], *(1,) * d.rank), d.shape, (1,))
    c = torch.from_numpy(d.rng.uniform(0.5, 1.5, shape).astype(np.float32))
    d.step(
        "constants",
        d.pick(
            lambda x: x * c, lambda x: x + 0.3 * c, lambda x: 1.2 * x - 0.1, lambda x: -x, lambda x: x / c
        ),
    )


def rectified(d: _Draft) -> None:
    """Functions that are sums of rectifiers."""
    d.step(
        "rectified",
        d.pick(
            lambda x: x.abs(),
            lambda x: x.clamp(-0.8, 0.9),
            lambda x: torch.maximum(x, x.flip(1)),
            lambda x: torch.clamp(x, max=0.7),
            lambda x: 2 * x - F.relu(x),
        ),
    )


def dropped(d: _Draft) -> None:
    """Layers that do nothing in evaluation."""
    d.step("dropout", d.part(nn.Dropout(0.3)))


BLOCKS: tuple[Callable[[_Draft], None], ...] = (
    plain, plain, plain, residual, residual, skip, dense, branches, reused, pooled, pooled, adaptive, upsampled,
    moved, moved, constants, rectified, dropped,
)  # fmt: skip


def network(
    seed: int, kinds: tuple[Callable[[], nn.Module], ...] = ACTIVATIONS
) -> tuple[Drawn, tuple[int, ...]]:
    """A network of these activations, and the shape of its samples."""
    rng = np.random.default_rng([seed, 60])
    rank = int(rng.choice([0, 1, 2, 2, 2, 3]))
    channels = int(rng.choice([6, 10])) if rank == 0 else int(rng.choice([1, 2, 3]))
    shape = (channels, *(SIZES[rank],) * rank)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        d = _Draft(rng, shape, kinds)
        plain(d)
        for _ in range(int(rng.integers(1, DEPTH))):
            d.pick(*BLOCKS)(d)
        _head(d)
    return Drawn(d.steps, d.parts, d.words).eval(), shape


def _head(d: _Draft) -> None:
    """Average, flatten or mean, and one or two Linear layers."""
    if d.rank:
        axes = tuple(range(2, d.rank + 2))
        d.step("head", d.pick(lambda x: x.flatten(1), lambda x: x.mean(axes), lambda x: x.flatten(1)))
    count = d.shape[0]
    if d.rng.random() < 0.5:
        first, act = d.part(nn.Linear(count, 12)), d.activation()
        d.step("hidden", lambda x: act(first(x)))
        count = 12
    d.step("out", d.part(nn.Linear(count, int(d.pick(3, 5)))))


def samples(seed: int, shape: tuple[int, ...], count: int) -> Array:
    """Normal samples."""
    return np.random.default_rng([seed, 61]).normal(size=(count, *shape)).astype(np.float32)
