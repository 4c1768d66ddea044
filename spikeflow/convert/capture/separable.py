"""Linear maps along the axes of each channel, a matrix for each axis: interpolation and uneven windows.

Where every place is made of its neighbours in the same way, as interpolation by a whole factor is, the map is
one kernel for all places and channels; else its synapses are listed, and refused where there is no room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod

import numpy as np
import torch

from spikeflow.convert.capture.arguments import argument
from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.convolutions import moved_lines, samples_of
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.trace.atengraph import AtenNode, base_name
from spikeflow.files import memory
from spikeflow.ir.nodes import Synapses, convolution
from spikeflow.ir.synapses import listed
from spikeflow.typing import Array

SYNAPSE = 64  # bytes for each listed synapse while it is made, written and run
_LONG = 16  # values of a line in whose middle no place is near an end
_CLOSE = 1e-6

Line = Callable[[torch.Tensor, int], torch.Tensor]  # lines (B, size) and the new size


def interpolate(b: Builder, node: AtenNode) -> Value:
    """Linear, bilinear, trilinear and bicubic interpolation, to any size, also with anti-aliasing."""
    axes = next(n for n in (1, 2, 3) if f"{n}d" in node.op)
    x, word = samples_of(b, node, axes, "interpolation"), base_name(node.op)
    vector = node.op.endswith(".vec")
    corners = bool(argument(node, 2, "align_corners", False))
    factors = (argument(node, 3, "scale_factors") or ()) if vector else node.args[3 : 3 + axes]
    scales = tuple(None if s is None else float(s) for s in factors) or (None,) * axes
    matrices, kernels = [], []
    for size, out, scale in zip(x.shape[1:], node.shape[2:], scales, strict=True):
        line = _line(word, corners, scale)
        matrices.append(_matrix(line, size, out))
        kernels.append(_kernel(line, matrices[-1], corners))
    if matrices and all(np.array_equal(m, np.eye(len(m))) for m in matrices):
        b.decide(node, "erased: identity", x)
        return x
    found = [kernel for kernel in kernels if kernel is not None]
    if len(found) < len(kernels):
        return separable(b, node, x, matrices)
    value = moved_lines(b, f"{b.title(node)}.apart", x, [line for _, line in found])
    kernel = reduce(np.multiply.outer, [taps for taps, _ in found])
    weight = np.broadcast_to(kernel, (x.shape[0], 1, *kernel.shape)).astype(np.float32)
    value = b.chain(b.title(node), convolution(weight, groups=x.shape[0]), value)
    b.decide(node, "synapses: one kernel between neighbours", value)
    return value


def _line(word: str, corners: bool, scale: float | None) -> Line:
    """What an interpolation does along one axis, by torch's own function for it."""

    def one(lines: torch.Tensor, out: int) -> torch.Tensor:
        if "linear" in word and "aa" not in word:
            return torch.ops.aten.upsample_linear1d(lines[:, None], [out], corners, scale)[:, 0]
        function = getattr(torch.ops.aten, word)
        return function(lines[:, None, None], [1, out], corners, None, scale)[:, 0, 0]

    return one


def _matrix(line: Line, size: int, out: int) -> Array:
    """The matrix ``(out, size)`` of a map of lines."""
    return line(torch.eye(size, dtype=torch.float32), out).numpy().T.astype(np.float64)


def _kernel(line: Line, matrix: Array, corners: bool) -> tuple[Array, Array] | None:
    """Taps, and which values of the line they slide over, -1 for a zero; None where there are none.

    A line is continued by its last value, its values stand a whole factor apart: what one of them becomes in
    the middle of a long line are the taps.
    """
    out, size = matrix.shape
    factor = out // size
    if corners or factor * size != out:
        return None
    long = _matrix(line, _LONG, _LONG * factor)
    reached = np.flatnonzero(long[:, _LONG // 2])
    taps = long[reached[0] : reached[-1] + 1, _LONG // 2][::-1].copy()
    first = _LONG // 2 * factor - int(reached[-1])
    places = np.arange(out + len(taps) - 1) + first
    values = np.where(places % factor == 0, np.clip(places // factor, 0, size - 1), -1)
    made = np.zeros_like(matrix)
    for k, tap in enumerate(taps):
        at = values[k : k + out]
        np.add.at(made, (np.flatnonzero(at >= 0), at[at >= 0]), tap)
    return (taps, values) if np.abs(made - matrix).max() < _CLOSE else None


def separable(b: Builder, node: AtenNode, x: Value, matrices: Sequence[Array]) -> Value:
    """A matrix ``(out, size)`` for each axis of a channel, as listed synapses.

    Raises
    ------
    UnsupportedLayer
        Where there is no room for them, with the figure.
    """
    entries = [np.nonzero(m) for m in matrices]
    count = x.shape[0] * prod(len(target) for target, _ in entries)
    if count * SYNAPSE > max(memory.room(), memory.SMALL):
        needed, there = (n / 2**30 for n in (count * SYNAPSE, memory.room()))
        kind = (
            f"{base_name(node.op)} from {x.shape} to {tuple(node.shape[1:])}: {count:,} synapses, listed one "
            f"by one, take {needed:.1f} GB, and {there:.1f} GB are free for it"
        )
        raise b.refuse(node, kind, "a whole factor or windows of one size, whose kernel is stored once")
    out = (x.shape[0], *(len(m) for m in matrices))
    target = _numbered([t for t, _ in entries], out)
    source = _numbered([s for _, s in entries], x.shape)
    weight = reduce(np.multiply.outer, [m[at] for m, at in zip(matrices, entries, strict=True)]).ravel()
    synapses = Synapses(source, target, np.tile(weight.astype(np.float32), x.shape[0]))
    value = b.chain(b.title(node), listed(synapses, x.shape, out), x)
    b.decide(node, f"synapses: {count:,}, listed one by one", value)
    return value


def _numbered(places: list[Array], shape: tuple[int, ...]) -> Array:
    """C-order numbers of all combinations of places along the axes, in each channel."""
    number = np.arange(shape[0])
    for at, size in zip(places, shape[1:], strict=True):
        number = np.add.outer(number * size, at)
    return number.ravel()
