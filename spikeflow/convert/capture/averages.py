"""Averages and sums over windows and over axes: sums of neighbours times constant factors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from spikeflow.convert.capture.arguments import argument, axes_of, each
from spikeflow.convert.capture.builder import MAX_POOL, Builder
from spikeflow.convert.capture.contracted import LETTERS, Product, contracted, reshaped
from spikeflow.convert.capture.convolutions import samples_of
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.separable import separable
from spikeflow.convert.trace.atengraph import AtenNode, base_name
from spikeflow.ir.nodes import MaxPool, Pad, Shape, SumPool
from spikeflow.typing import Array

POOLED = 3  # axes of a channel that a pool takes


def avg_pool(b: Builder, node: AtenNode) -> Value:
    """Sums over windows times 1 / divisor; padding, ceil_mode and divisors as torch defines them."""
    axes = axes_of(node.op)
    x, kernel = samples_of(b, node, axes, "pooling"), each(node.args[1], axes)
    stride = each(argument(node, 2, "stride") or kernel, axes)
    padding = each(argument(node, 3, "padding", 0), axes)
    inside, override = (
        bool(argument(node, 5, "count_include_pad", True)),
        argument(node, 6, "divisor_override"),
    )
    windows = [
        _windows((size, out), *line)
        for size, out, *line in zip(x.shape[1:], node.shape[2:], kernel, stride, padding, strict=True)
    ]
    after = tuple(max(0, w.end - n) for w, n in zip(windows, x.shape[1:], strict=True))
    if any(padding) or any(after):
        x = b.chain(f"{b.title(node)}.pad", Pad((0, *padding), (0, *after)), x)
    divisor = reduce(np.multiply.outer, [w.clipped if inside else w.true for w in windows])
    return _average(
        b, node, x, SumPool(kernel, stride), divisor if override is None else np.float64(override)
    )


@dataclass(frozen=True, eq=False)
class _Windows:
    """Windows along one axis: elements counted with padding and without, and where the last one ends."""

    clipped: npt.NDArray[np.int64]
    true: npt.NDArray[np.int64]
    end: int


def _windows(sizes: tuple[int, int], kernel: int, stride: int, padding: int) -> _Windows:
    size, out = sizes
    start = np.arange(out) * stride - padding
    end = np.minimum(start + kernel, size + padding)
    return _Windows(end - start, np.minimum(end, size) - np.maximum(start, 0), int(start[-1]) + kernel)


def _average(b: Builder, node: AtenNode, x: Value, pool: SumPool, divisor: npt.ArrayLike) -> Value:
    value = b.chain(b.title(node), pool, x)
    b.decide(node, "sum over windows; its factor is folded into weights", value)
    return _divided(b, node, value, divisor)


def _divided(b: Builder, node: AtenNode, value: Value, divisor: npt.ArrayLike) -> Value:
    factor = 1.0 / np.asarray(divisor, np.float64)
    if (factor == factor.flat[0]).all():
        factor = factor.flat[0]
    return value if np.all(factor == 1.0) else b.scale(f"{b.title(node)}.factor", value, factor)


def adaptive_avg_pool(b: Builder, node: AtenNode) -> Value:
    """Averages over windows from floor(i size / out) to ceil((i + 1) size / out), as torch cuts them."""
    x, out = samples_of(b, node, axes_of(node.op), "pooling"), tuple(node.shape[2:])
    if all(n % o == 0 for n, o in zip(x.shape[1:], out, strict=True)):
        kernel = tuple(n // o for n, o in zip(x.shape[1:], out, strict=True))
        return _average(b, node, x, SumPool(kernel, kernel), float(np.prod(kernel)))
    lines = [adaptive(n, o) for n, o in zip(x.shape[1:], out, strict=True)]
    return separable(b, node, x, [_means(line, n) for line, n in zip(lines, x.shape[1:], strict=True)])


def adaptive(size: int, count: int) -> tuple[Array, Array]:
    """Where each window of an adaptive pooling begins, and behind which value it ends."""
    at = np.arange(count)
    return at * size // count, -(-(at + 1) * size // count)


def _means(line: tuple[Array, Array], size: int) -> Array:
    start, stop = line
    inside = (np.arange(size) >= start[:, None]) & (np.arange(size) < stop[:, None])
    return inside / (stop - start)[:, None]


def over_axes(b: Builder, node: AtenNode) -> Value:
    """mean and sum over any axes of a sample."""
    x = b.value(node, node.args[0])
    axes = _axes(b, node, x)
    count = np.prod([x.shape[axis] for axis in axes]) if base_name(node.op) == "mean" else 1
    if 0 not in axes and 2 <= len(x.shape) <= POOLED + 1:
        kernel = tuple(n if axis in axes else 1 for axis, n in enumerate(x.shape))[1:]
        value = _average(b, node, x, SumPool(kernel, kernel), float(count))
    else:
        letters = LETTERS[: len(x.shape)]
        summed = "".join(letters[axis] for axis in axes)
        weight = np.full([x.shape[axis] for axis in axes], 1.0 / count)
        result = "".join(c for c in letters if c not in summed)
        value = contracted(b, b.title(node), x, (weight, None), Product(letters, summed, result))
        b.decide(node, "synapses: a sum over axes", value)
    return reshaped(b, f"{b.title(node)}.shape", value, tuple(node.shape[1:]) or (1,))


def amax(b: Builder, node: AtenNode) -> Value:
    """The largest value over some axes of a channel: one window."""
    x = b.value(node, node.args[0])
    axes = _axes(b, node, x)
    if 0 in axes:  # spikes of two channels stand for different values
        raise b.refuse(node, "the largest value of several channels", "torch.maximum of two values at a time")
    kernel = tuple(n if axis in axes else 1 for axis, n in enumerate(x.shape))[1:]
    rank = len(kernel)
    value = b.chain(b.title(node), MaxPool(kernel, kernel, ((0, 0),) * rank, (1,) * rank), x)
    b.decide(node, MAX_POOL, value)
    return reshaped(b, f"{b.title(node)}.shape", value, tuple(node.shape[1:]) or (1,))


def _axes(b: Builder, node: AtenNode, x: Value) -> Shape:
    """The axes of a sample that an operation is over, in order."""
    dim = argument(node, 1, "dim")
    rank = len(x.shape) + 1
    said = (dim,) if isinstance(dim, int) else tuple(dim or range(rank))
    found = sorted({int(axis) % rank for axis in said})
    word = base_name(node.op)
    if not found or found[0] == 0 or node.shape[:1] != (b.batch,):
        raise b.refuse(node, f"a {word} over the samples", f"a {word} over axes of a sample")
    return tuple(axis - 1 for axis in found)
