"""Linear: every source to every target."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.errors import ShapeError
from spikeflow.frozen import Frozen
from spikeflow.ir.arrays import Array, Weight, check_weight, frozen, frozen_weight
from spikeflow.ir.nodes.base import Shape, check_bias, check_delays, set_frozen


@dataclass(frozen=True, eq=False)
class Linear(Frozen):
    """y = W x + b, x read in C order.

    Parameters
    ----------
    weight : ``(out, in)``.
    bias : ``(out,)``, added last.
    delays : steps, one per source ``(in,)`` or per synapse ``(out, in)``; within the node, after the edge's.
    exponent : stage fixed: the whole sum is shifted by it (left if positive, floor to the right if negative),
        once for each delay slot.
    """

    weight: Weight
    bias: Array | None = None
    delays: Array | None = None
    exponent: int = 0
    ports = ("in",)

    def __post_init__(self) -> None:
        set_frozen(self, "weight", frozen_weight(self.weight))
        set_frozen(self, "bias", None if self.bias is None else frozen(self.bias, np.float32))
        set_frozen(self, "delays", None if self.delays is None else frozen(self.delays, np.int32))

    def check(self, name: str) -> None:
        if len(self.weight.shape) != 2:
            raise ShapeError(name, f"a weight of shape {self.weight.shape}", "(out, in)")
        check_weight(name, self.weight)
        check_bias(name, self.bias, self.weight.shape[0])
        check_delays(name, self.delays, (self.weight.shape[1:], self.weight.shape))

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if prod(shapes[0]) != self.weight.shape[1]:
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"{self.weight.shape[1]} elements")
        return (self.weight.shape[0],)
