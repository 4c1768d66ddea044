"""Conv2d: one kernel at every place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.frozen import Frozen
from spikeflow.ir.arrays import Array, Weight, check_weight, frozen, frozen_weight
from spikeflow.ir.nodes.base import Pair, Shape, check_bias, set_frozen


@dataclass(frozen=True, eq=False)
class Conv2d(Frozen):
    """Two-dimensional correlation of ``(C, H, W)`` with a kernel, zeros outside, plus bias.

    Parameters
    ----------
    weight : ``(out, in / groups, kernel_y, kernel_x)``.
    padding : ``((top, bottom), (left, right))``.
    """

    weight: Weight
    bias: Array | None = None
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1
    exponent: int = 0
    ports = ("in",)

    def __post_init__(self) -> None:
        set_frozen(self, "weight", frozen_weight(self.weight))
        set_frozen(self, "bias", None if self.bias is None else frozen(self.bias, np.float32))

    def check(self, name: str) -> None:
        if len(self.weight.shape) != 4:
            raise ShapeError(name, f"a weight of shape {self.weight.shape}", "(out, in / groups, y, x)")
        check_weight(name, self.weight)
        check_bias(name, self.bias, self.weight.shape[0])
        bad = min(self.stride + self.dilation) < 1 or min(self.padding[0] + self.padding[1]) < 0
        if bad or self.groups < 1 or self.weight.shape[0] % self.groups:
            raise GraphError(
                name,
                "stride, dilation and groups are at least 1, padding at least 0, and groups divide the channels",
            )

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        shape, (out, per_group, ky, kx) = shapes[0], self.weight.shape
        if len(shape) != 3 or shape[0] != per_group * self.groups:
            raise ShapeError(
                name, f"an input of shape {shape}", f"({per_group * self.groups}, height, width)"
            )
        size = []
        for axis, kernel in enumerate((ky, kx)):
            free = shape[1 + axis] + sum(self.padding[axis]) - self.dilation[axis] * (kernel - 1) - 1
            if free < 0:
                raise ShapeError(name, f"an input of shape {shape}", f"at least the kernel {(ky, kx)}")
            size.append(free // self.stride[axis] + 1)
        return (out, size[0], size[1])
