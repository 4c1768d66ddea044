"""Sparse: synapses in a list."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.frozen import Frozen
from spikeflow.ir.arrays import Array, Weight, check_weight, frozen, frozen_weight
from spikeflow.ir.nodes.base import Shape, check_bias, check_delays, check_shape, set_frozen


@dataclass(frozen=True, eq=False)
class Sparse(Frozen):
    """y[j] = sum over the rows of the sources: synapses listed by source, in stored order.

    Parameters
    ----------
    indptr : ``(sources + 1,)``; row i is the synapses indptr[i] to indptr[i + 1].
    targets : ``(synapses,)``, C-order index of the target.
    weight : ``(synapses,)``, or ``(1,)`` for one constant.
    in_shape, out_shape : shapes of source and target.
    delays : steps, one per source or one per synapse.
    """

    indptr: Array
    targets: Array
    weight: Weight
    in_shape: Shape
    out_shape: Shape
    bias: Array | None = None
    delays: Array | None = None
    exponent: int = 0
    ports = ("in",)

    def __post_init__(self) -> None:
        set_frozen(self, "indptr", frozen(self.indptr, np.int64))
        set_frozen(self, "targets", frozen(self.targets, np.int32))
        set_frozen(self, "weight", frozen_weight(self.weight))
        set_frozen(self, "bias", None if self.bias is None else frozen(self.bias, np.float32))
        set_frozen(self, "delays", None if self.delays is None else frozen(self.delays, np.int32))

    def check(self, name: str) -> None:
        check_shape(name, self.in_shape)
        check_shape(name, self.out_shape)
        sources, out = prod(self.in_shape), prod(self.out_shape)
        if self.indptr.shape != (sources + 1,) or self.indptr[0] != 0 or (np.diff(self.indptr) < 0).any():
            raise GraphError(name, f"row pointers are not {sources + 1} growing numbers from 0")
        count = int(self.indptr[-1])
        if self.targets.shape != (count,) or self.weight.shape not in ((count,), (1,)):
            raise ShapeError(name, f"{self.targets.shape} targets, weights {self.weight.shape}", (count,))
        if count and (self.targets.min() < 0 or self.targets.max() >= out):
            raise GraphError(name, f"a target lies outside 0 to {out - 1}")
        check_weight(name, self.weight)
        check_bias(name, self.bias, out)
        check_delays(name, self.delays, ((sources,), (count,)))

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if shapes[0] != self.in_shape:
            raise ShapeError(name, f"an input of shape {shapes[0]}", self.in_shape)
        return self.out_shape
