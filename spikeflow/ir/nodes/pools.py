"""Pools: windows made one value each."""

from __future__ import annotations

from dataclasses import dataclass

from spikeflow.errors import GraphError, ShapeError
from spikeflow.frozen import Frozen
from spikeflow.ir.nodes.base import Pair, Shape


@dataclass(frozen=True, eq=False)
class SumPool(Frozen):
    """Sum over windows of ``(C, H, W)``; an average is this times 1 / (ky kx), folded into the next weights."""

    kernel: Pair
    stride: Pair
    ports = ("in",)

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
