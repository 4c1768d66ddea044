"""Pools: windows made one value each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.ir.arrays import Array
from spikeflow.ir.nodes.base import Pair, Shape, cut, positions
from spikeflow.ir.nodes.families import LinearKind, Plain, Pool, Synapses


@dataclass(frozen=True, eq=False)
class SumPool(LinearKind, Plain, Pool):
    """Sum over windows of ``(C, H, W)``; an average is this times 1 / (ky kx), folded into the next
    weights.
    """

    kernel: Pair
    stride: Pair
    ports = ("in",)

    @property
    def growth(self) -> int:
        return prod(self.kernel)

    def carries(self, factor: Array) -> bool:
        return True

    def check(self, name: str) -> None:
        if min(self.kernel + self.stride) < 1:
            raise GraphError(name, "kernel and stride are at least 1")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        shape = shapes[0]
        if len(shape) != 3 or shape[1] < self.kernel[0] or shape[2] < self.kernel[1]:
            raise ShapeError(
                name, f"an input of shape {shape}", f"(channels, height, width) of at least {self.kernel}"
            )
        return (
            shape[0],
            (shape[1] - self.kernel[0]) // self.stride[0] + 1,
            (shape[2] - self.kernel[1]) // self.stride[1] + 1,
        )

    def _positions(self, axis: int, count: int) -> Array:
        return positions(count, self.stride[axis], self.kernel[axis], 1, 0)

    def value(self, arriving: Sequence[Array]) -> Array:
        x = arriving[0]
        out = self.output_shape("pool", (x.shape[1:],))
        at = [self._positions(axis, out[1 + axis]) for axis in (0, 1)]
        total = np.zeros((len(x), *out), x.dtype)
        for y, z in np.ndindex(*self.kernel):
            total = total + x[:, :, cut(at[0], y, self.stride[0]), cut(at[1], z, self.stride[1])]
        return total

    def synapses(self, in_shape: Shape, out_shape: Shape) -> Synapses:
        at = [self._positions(axis, out_shape[1 + axis]) for axis in (0, 1)]
        places = np.arange(prod(in_shape), dtype=np.int32).reshape(in_shape)
        source = np.concatenate(
            [places[:, at[0][:, y]][:, :, at[1][:, z]].ravel() for y, z in np.ndindex(*self.kernel)]
        )
        target = np.tile(np.arange(prod(out_shape), dtype=np.int32), prod(self.kernel))
        return Synapses(source, target, np.ones(len(source), np.float32))
