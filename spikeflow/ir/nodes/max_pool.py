"""MaxPool: the largest value of each window, or of each window's running sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.errors import GraphError, ShapeError, SimulationError
from spikeflow.ir.arrays import Array
from spikeflow.ir.nodes.base import Pair, Shape, positions
from spikeflow.ir.nodes.families import Joint, Pool

MODES = ("any", "running")
MAX_PLACES = 2**28  # values of all windows of one channel
MOST_COUNTED = 2**24  # up to which float32 holds every whole number
MAX_EARLY = 2**20  # windows that begin in the padding, where the dilation is wider than a channel
SUMS = "sums"


@dataclass(frozen=True, eq=False)
class MaxPool(Joint, Pool):
    """Maximum over windows of ``(C, L)``, ``(C, H, W)``, ...; what lies in the padding does not count.

    ::

        any      y_i(t) = max over the window of x_j(t)
        running  y_i(t) = M_i(t) - M_i(t - 1),  M_i(t) = max over the window of S_j(t),  S_j(t) = x_j(0) + ...
        + x_j(t)

    `running` hands on as many spikes as the window's busiest source has sent so far, whichever that is. It
    lies between the least and the largest of its source's values in every step, since every S_j changes by
    such a value: it is binary where its source is. It takes whole numbers only, which it can add up exactly.

    Parameters
    ----------
    kernel, stride, dilation : one number for each dimension of a channel.
    padding : before and after, for each dimension; a last window that torch's ``ceil_mode`` adds is padding
        too.
    mode : "any" or "running".
    """

    kernel: Shape
    stride: Shape
    padding: tuple[Pair, ...]
    dilation: Shape
    mode: str = "any"
    ports = ("in",)

    def check(self, name: str) -> None:
        if self.mode not in MODES:
            raise GraphError(name, f"max pooling of mode {self.mode!r}", f"one of {', '.join(MODES)}")
        ranks = {len(self.kernel), len(self.stride), len(self.padding), len(self.dilation)}
        if len(ranks) != 1 or not self.kernel:
            raise GraphError(name, "kernel, stride, padding and dilation differ in length")
        ends = [n for pair in self.padding for n in pair]
        if min(self.kernel + self.stride + self.dilation) < 1 or min(ends) < 0:
            raise GraphError(name, "kernel, stride and dilation are at least 1, padding at least 0")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        shape, rank = shapes[0], len(self.kernel)
        if len(shape) != rank + 1:
            raise ShapeError(name, f"an input of shape {shape}", f"channels and {rank} dimensions more")
        sizes = tuple(self._count(name, axis, shape) for axis in range(rank))
        if prod(sizes) * prod(self.kernel) > MAX_PLACES:
            raise GraphError(
                name, f"windows of {prod(sizes) * prod(self.kernel)} values", f"{MAX_PLACES} at most"
            )
        if not all(self._holds(axis, shape[1 + axis], count) for axis, count in enumerate(sizes)):
            raise GraphError(name, "a window that lies in the padding alone", "less padding or dilation")
        return (shape[0], *sizes)

    def _count(self, name: str, axis: int, shape: Shape) -> int:
        free = shape[1 + axis] + sum(self.padding[axis]) - self.dilation[axis] * (self.kernel[axis] - 1) - 1
        if free < 0:
            raise ShapeError(name, f"an input of shape {shape}", f"at least the kernel {self.kernel}")
        return free // self.stride[axis] + 1

    def _holds(self, axis: int, size: int, count: int) -> bool:
        """Whether every window along an axis holds a value that is not padding."""
        before, step, stride = self.padding[axis][0], self.dilation[axis], self.stride[axis]
        if (count - 1) * stride - before >= size or before > (self.kernel[axis] - 1) * step:
            return False
        early = min(count, -(-before // stride))  # windows that begin in the padding
        if step <= size or not early:
            return True
        return early <= MAX_EARLY and bool(((np.arange(early) * stride - before) % step < size).all())

    def windows(self, in_shape: Shape) -> Array:
        """The values of each window of a channel, ``(windows, places)`` in C order; -1 in the padding.

        Windows and values are numbered in C order of a channel's own dimensions.
        """
        counts = self.output_shape("pool", (in_shape,))[1:]
        found = np.zeros((1, 1), np.int64)
        for axis, (count, size) in enumerate(zip(counts, in_shape[1:], strict=True)):
            at = positions(
                count, self.stride[axis], self.kernel[axis], self.dilation[axis], self.padding[axis][0]
            )
            at = np.where((at >= 0) & (at < size), at, -1)[None, :, None, :]
            line = found[:, None, :, None]
            found = np.where((line >= 0) & (at >= 0), line * size + at, -1).reshape(len(found) * count, -1)
        return found.astype(np.int32)

    def largest(self, x: Array) -> Array:
        """The maximum of every window of ``(B, *in_shape)``."""
        sizes = self.output_shape("pool", (x.shape[1:],))[1:]
        lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        padded = np.pad(x, [(0, 0), (0, 0), *self.padding], constant_values=lowest)
        found = np.full((*x.shape[:2], *sizes), lowest, x.dtype)
        for place in np.ndindex(*self.kernel):
            lines = zip(place, self.dilation, self.stride, sizes, strict=True)
            cuts = (slice(p * d, p * d + (n - 1) * s + 1, s) for p, d, s, n in lines)
            found = np.maximum(found, padded[:, :, *cuts])
        return found

    # --- as a joint kind, and a pool ---

    @property
    def growth(self) -> int:
        return 1

    def carries(self, factor: Array) -> bool:
        return bool(factor.min() > 0)

    @property
    def counts(self) -> bool:
        return self.mode == "running"

    def memory(self, shapes: Sequence[Shape]) -> Mapping[str, Shape]:
        return {SUMS: shapes[0]} if self.counts else {}

    def value(self, arriving: Sequence[Array], memory: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        if not self.counts:
            return self.largest(arriving[0]), {}
        sums = memory[SUMS] + arriving[0]
        if sums.dtype.kind == "f" and np.abs(sums[arriving[0] != 0]).max(initial=0) > MOST_COUNTED:
            raise SimulationError("max pooling", "more than 2**24 spikes to count", "a shorter run")
        return self.largest(sums) - self.largest(memory[SUMS]), {SUMS: sums}

    def links(self, shapes: Sequence[Shape]) -> int:
        return prod(self.kernel) * prod(self.output_shape("pool", tuple(shapes))[1:])

    def lowered(self, shapes: Sequence[Shape]) -> tuple[str, tuple[Array, ...], tuple[int, ...]]:
        windows = self.windows(shapes[0])
        inside = windows >= 0
        start = np.concatenate([[0], np.cumsum(inside.sum(axis=1))]).astype(np.int32)
        return "max_pool", (start, windows[inside]), (int(self.counts),)
