"""Pools: windows made one value each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.ir.arrays import Array
from spikeflow.ir.nodes.base import Shape, cut, positions
from spikeflow.ir.nodes.families import LinearKind, Plain, Pool, Synapses


@dataclass(frozen=True, eq=False)
class SumPool(LinearKind, Plain, Pool):
    """Sum over windows of ``(C, L)``, ``(C, H, W)``, ...; an average is this times 1 / (its values), folded
    into the next weights.
    """

    kernel: Shape
    stride: Shape
    ports = ("in",)

    @property
    def growth(self) -> int:
        return prod(self.kernel)

    def carries(self, factor: Array) -> bool:
        return True

    def check(self, name: str) -> None:
        if len(self.kernel) != len(self.stride) or not self.kernel:
            raise GraphError(name, "kernel and stride differ in length")
        if min(self.kernel + self.stride) < 1:
            raise GraphError(name, "kernel and stride are at least 1")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        shape, rank = shapes[0], len(self.kernel)
        if len(shape) != rank + 1 or any(n < k for n, k in zip(shape[1:], self.kernel, strict=True)):
            wanted = f"channels and {rank} dimensions more of at least {self.kernel}"
            raise ShapeError(name, f"an input of shape {shape}", wanted)
        lines = zip(shape[1:], self.kernel, self.stride, strict=True)
        return (shape[0], *((n - kernel) // stride + 1 for n, kernel, stride in lines))

    def _positions(self, out_shape: Shape) -> list[Array]:
        """Where each place of a window lies, axis by axis."""
        lines = zip(out_shape[1:], self.stride, self.kernel, strict=True)
        return [positions(count, stride, kernel, 1, 0) for count, stride, kernel in lines]

    def value(self, arriving: Sequence[Array]) -> Array:
        x = arriving[0]
        out = self.output_shape("pool", (x.shape[1:],))
        at = self._positions(out)
        total = np.zeros((len(x), *out), x.dtype)
        for place in np.ndindex(*self.kernel):
            cuts = (cut(a, k, s) for a, k, s in zip(at, place, self.stride, strict=True))
            total = total + x[:, :, *cuts]
        return total

    def synapses(self, in_shape: Shape, out_shape: Shape) -> Synapses:
        at, channels = self._positions(out_shape), np.arange(in_shape[0])
        places = np.arange(prod(in_shape), dtype=np.int32).reshape(in_shape)
        source = np.concatenate(
            [
                places[np.ix_(channels, *(a[:, k] for a, k in zip(at, place, strict=True)))].ravel()
                for place in np.ndindex(*self.kernel)
            ]
        )
        target = np.tile(np.arange(prod(out_shape), dtype=np.int32), prod(self.kernel))
        return Synapses(source, target, np.ones(len(source), np.float32))
