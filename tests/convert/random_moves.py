"""Moves and arithmetic of torch with random arguments, as functions of a batch; each keeps the samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Function = Callable[[torch.Tensor], torch.Tensor]
Shape = tuple[int, ...]
Random = np.random.Generator


def shape_of(rng: Random, low: int = 1, high: int = 4) -> Shape:
    """A sample's shape of 1 to 4 axes of 1 to 6."""
    return tuple(int(n) for n in rng.integers(1, 7, int(rng.integers(low, high + 1))))


def _axis(rng: Random, shape: Shape) -> int:
    """One of a sample's axes, of a batch; from the front or the back."""
    axis = int(rng.integers(1, len(shape) + 1))
    return axis if rng.random() < 0.5 else axis - len(shape) - 1


def _split(rng: Random, n: int) -> Shape:
    """n as a product of one to three factors."""
    first = int(rng.choice([k for k in range(1, n + 1) if n % k == 0]))
    rest = n // first
    second = int(rng.choice([k for k in range(1, rest + 1) if rest % k == 0]))
    return (first, second, rest // second)[: 3 if rest // second > 1 else 2]


def _constant(rng: Random, shape: Shape) -> torch.Tensor:
    """A constant that broadcasts to samples of a shape: some axes of size 1, some left out, or one number."""
    own = tuple(n if rng.random() < 0.6 else 1 for n in shape)
    own = own[int(rng.integers(0, len(shape) + 1)) :]
    own = (1, *own) if len(own) == len(shape) and rng.random() < 0.5 else own
    return torch.from_numpy(rng.normal(size=own).astype(np.float32))


def _reshape(rng: Random, shape: Shape) -> Function:
    target = _split(rng, prod(shape))
    return lambda x: x.reshape(len(x), *target)


def _flatten(rng: Random, shape: Shape) -> Function:
    first = int(rng.integers(1, len(shape) + 1))
    last = int(rng.integers(first, len(shape) + 1))
    return lambda x: x.flatten(first, last)


def _unflatten(rng: Random, shape: Shape) -> Function:
    axis = _axis(rng, shape)
    sizes = _split(rng, shape[axis % (len(shape) + 1) - 1])
    return lambda x: x.unflatten(axis, sizes)


def _squeeze(rng: Random, shape: Shape) -> Function:
    at = int(rng.integers(1, len(shape) + 2))
    return lambda x: x.unsqueeze(at).unsqueeze(-1).squeeze(at).unsqueeze(1)


def _permute(rng: Random, shape: Shape) -> Function:
    axes = (0, *(1 + int(k) for k in rng.permutation(len(shape))))
    return lambda x: x.permute(axes)


def _transpose(rng: Random, shape: Shape) -> Function:
    a, b = _axis(rng, shape), _axis(rng, shape)
    return [lambda x: x.transpose(a, b), lambda x: x.swapaxes(a, b), lambda x: torch.movedim(x, a, b)][
        int(rng.integers(3))
    ]


def _select(rng: Random, shape: Shape) -> Function:
    axis = _axis(rng, shape)
    n = shape[axis % (len(shape) + 1) - 1]
    at = int(rng.integers(-n, n))
    return lambda x: x.select(axis, at)


def _slice(rng: Random, shape: Shape) -> Function:
    cuts: list[Any] = [slice(None)]
    for n in shape:
        start = int(rng.integers(0, n))
        cuts.append(slice(start, int(rng.integers(start + 1, n + 1)), int(rng.integers(1, 4))))
    return lambda x: x[tuple(cuts)]


def _narrow(rng: Random, shape: Shape) -> Function:
    axis = _axis(rng, shape)
    start = int(rng.integers(0, shape[axis % (len(shape) + 1) - 1]))
    return lambda x: x.narrow(axis, start, x.shape[axis] - start)


def _index(rng: Random, shape: Shape) -> Function:
    axis = _axis(rng, shape)
    n = shape[axis % (len(shape) + 1) - 1]
    index = torch.from_numpy(rng.integers(0, n, int(rng.integers(1, 6))))
    return [
        lambda x: x.index_select(axis, index),
        lambda x: x.movedim(axis, 1)[:, index],
        lambda x: torch.take_along_dim(x, _along(index, axis, x.ndim), axis),
    ][int(rng.integers(3))]


def _along(index: torch.Tensor, axis: int, rank: int) -> torch.Tensor:
    return index.reshape([-1 if i == axis % rank else 1 for i in range(rank)])


def _gather(rng: Random, shape: Shape) -> Function:
    index = torch.from_numpy(rng.integers(0, shape[0], (1, int(rng.integers(1, 5)), *shape[1:])))
    return lambda x: x.gather(1, index.expand(len(x), *index.shape[1:]))


def _parts(rng: Random, shape: Shape) -> Function:
    axis, count = _axis(rng, shape), int(rng.integers(1, 4))
    return [
        lambda x: x.chunk(count, axis)[-1] * 1.0,
        lambda x: x.split(count, axis)[0],
        lambda x: x.unbind(axis)[-1],
        lambda x: torch.tensor_split(x, count, axis)[0],
        lambda x: torch.cat(list(reversed(x.chunk(count, axis))), axis),
    ][int(rng.integers(5))]


def _flip(rng: Random, shape: Shape) -> Function:
    axes = [1 + int(k) for k in np.flatnonzero(rng.random(len(shape)) < 0.6)] or [1]
    return lambda x: torch.flip(x, axes)


def _roll(rng: Random, shape: Shape) -> Function:
    axis, shift = _axis(rng, shape), int(rng.integers(-4, 5))
    return lambda x: torch.roll(x, (shift, 1), (axis, 1))


def _shuffle(rng: Random, shape: Shape) -> Function:
    factor, groups = int(rng.integers(1, 4)), int(rng.choice([2, 3]))
    return [
        lambda x: F.pixel_shuffle(x.repeat(1, factor * factor, 1, 1), factor),
        lambda x: F.pixel_unshuffle(x.repeat(1, 1, factor, factor), factor),
        lambda x: F.channel_shuffle(x.repeat(1, groups, 1, 1), groups),
        lambda x: x.repeat(1, 6, 1, 1).view(len(x), groups, -1, *shape[1:]).transpose(1, 2).flatten(1, 2),
    ][int(rng.integers(4))]


def _upsample(rng: Random, shape: Shape) -> Function:
    mode = str(rng.choice(["nearest", "nearest-exact"]))
    rank = len(shape) - 1
    if rng.random() < 0.5:
        size = tuple(int(n) for n in rng.integers(1, 12, rank))
        return lambda x: F.interpolate(x, size=size, mode=mode)
    scales = tuple(float(rng.choice([1.0, 1.3, 1.5, 2.0, 2.1, 3.0])) for _ in range(rank))
    return lambda x: F.interpolate(x, scale_factor=scales, mode=mode)


def _crop(rng: Random, shape: Shape) -> Function:
    widths = [int(k) for n in reversed(shape) for k in (rng.integers(-((n - 1) // 2), 3) for _ in range(2))]
    return lambda x: F.pad(x, widths)


def _pad_by(rng: Random, shape: Shape) -> Function:
    value = float(rng.choice([0.0, 1.5, -0.5]))
    widths = [int(k) for k in rng.integers(0, 3, 2 * int(rng.integers(1, len(shape) + 1)))]
    return lambda x: F.pad(x, widths, value=value)


def _mirror(rng: Random, shape: Shape) -> Function:
    mode = str(rng.choice(["reflect", "replicate", "circular"]))
    widths = [int(rng.integers(0, n)) for n in reversed(shape[1:]) for _ in range(2)]
    return lambda x: F.pad(x, widths, mode=mode)


def _repeat(rng: Random, shape: Shape) -> Function:
    times, axis = tuple(int(k) for k in rng.integers(1, 4, len(shape))), _axis(rng, shape)
    return [
        lambda x: x.repeat(1, *times),
        lambda x: x.tile(times),
        lambda x: x.repeat_interleave(times[0], axis),
        lambda x: x.unsqueeze(2).expand(-1, -1, times[0], *shape[1:]),
        lambda x: x[:, :1].expand_as(x),
    ][int(rng.integers(5))]


def _concat(rng: Random, shape: Shape) -> Function:
    axis = _axis(rng, shape)
    filling = torch.from_numpy(rng.normal(size=(1, *shape)).astype(np.float32))
    return [
        lambda x: torch.cat([x, -x, x], axis),
        lambda x: torch.stack([x, 2 * x], axis),
        lambda x: torch.cat([torch.zeros_like(x), x], axis),
        lambda x: torch.cat([x, filling.expand_as(x), x + 1], axis),
        lambda x: torch.hstack([x, x]),
        lambda x: torch.dstack([x, x.flip(1)]),
    ][int(rng.integers(6))]


def _window(rng: Random, shape: Shape) -> Function:
    size = int(rng.integers(1, min(shape[1:]) + 1))
    return [
        lambda x: x.unfold(2, size, 2),
        lambda x: F.unfold(x, size, padding=1),
        lambda x: x.diagonal(0, 2, 3),
        lambda x: torch.rot90(x, 1, (2, 3)),
        lambda x: x.tril(0),
    ][int(rng.integers(5))]


def _plus(rng: Random, shape: Shape) -> Function:
    c, alpha = _constant(rng, shape), float(rng.choice([1.0, 2.0, -0.5]))
    return [
        lambda x: torch.add(x, c, alpha=alpha),
        lambda x: torch.sub(c, x, alpha=alpha),
        lambda x: torch.sub(x, x.flip(1), alpha=alpha),
        lambda x: 1.5 - x,
        lambda x: sum([x, x + c, -x * 0.3, x]),  # type: ignore[arg-type, return-value]
        lambda x: x + torch.ones_like(x),
    ][int(rng.integers(6))]


def _times(rng: Random, shape: Shape) -> Function:
    c = _constant(rng, shape)
    return [
        lambda x: x * c,
        lambda x: c * x + x,
        lambda x: x / (c.abs() + 0.5),
        lambda x: torch.lerp(x, c.expand_as(x), 0.3),
        lambda x: torch.lerp(x, x.flip(1), c),
        lambda x: torch.addcmul(x, x, c, value=0.5),
        lambda x: torch.where(c > 0, x, c),
        lambda x: x.masked_fill(c > 0, 0.5),
    ][int(rng.integers(8))]


def _broadcast(rng: Random, shape: Shape) -> Function:
    axis = _axis(rng, shape)
    return [
        lambda x: x + x.narrow(axis, 0, 1),
        lambda x: x.narrow(axis, 0, 1) - x,
        lambda x: x[:, :1] + torch.ones(shape),
    ][int(rng.integers(3))]


def _rectified(rng: Random, shape: Shape) -> Function:
    c = _constant(rng, shape)
    low, high = sorted(float(v) for v in rng.normal(size=2))
    return [
        lambda x: torch.maximum(x, x.flip(1)),
        lambda x: torch.minimum(x, 2 * x.flip(1)),
        lambda x: torch.max(x, c),
        lambda x: torch.min(c, x),
        lambda x: x.abs(),
        lambda x: x.clamp(low, high),
        lambda x: x.clamp(max=high),
        lambda x: x.clamp_min(low),
        lambda x: torch.clamp(x, min=c),
        lambda x: 2 * x - F.relu(x),
        lambda x: F.threshold(x, low, low),
        lambda x: F.hardtanh(x),
    ][int(rng.integers(12))]


Maker = Callable[[Random, Shape], Function]
MOVES: Mapping[str, tuple[Maker, int, int]] = {  # with the axes of a sample, least and most
    "reshape": (_reshape, 1, 4),
    "flatten": (_flatten, 1, 4),
    "unflatten": (_unflatten, 1, 3),
    "squeeze": (_squeeze, 1, 4),
    "permute": (_permute, 1, 4),
    "transpose": (_transpose, 1, 4),
    "select": (_select, 1, 4),
    "slice": (_slice, 1, 4),
    "narrow": (_narrow, 1, 4),
    "index": (_index, 1, 4),
    "gather": (_gather, 1, 3),
    "parts": (_parts, 1, 4),
    "flip": (_flip, 1, 4),
    "roll": (_roll, 1, 4),
    "shuffle": (_shuffle, 3, 3),
    "upsample": (_upsample, 2, 4),
    "crop": (_crop, 1, 4),
    "mirror": (_mirror, 2, 4),
    "repeat": (_repeat, 1, 4),
    "window": (_window, 3, 3),
}
AFFINE: Mapping[str, tuple[Maker, int, int]] = {
    **MOVES,
    "pad": (_pad_by, 1, 4),
    "concat": (_concat, 1, 4),
    "plus": (_plus, 1, 4),
    "times": (_times, 1, 4),
    "broadcast": (_broadcast, 1, 4),
}
ALL: Mapping[str, tuple[Maker, int, int]] = {**AFFINE, "rectified": (_rectified, 1, 4)}


def drawn(name: str, seed: int) -> tuple[Function, Shape]:
    """An operation of that name with random arguments, and the shape of the samples that it takes."""
    maker, low, high = ALL[name]
    rng = np.random.default_rng([seed, *name.encode()])
    shape = shape_of(rng, low, high)
    return maker(rng, shape), shape
