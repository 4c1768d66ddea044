"""Linear: every source to every target."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np

from spikeflow.errors import ShapeError
from spikeflow.frozen import ADDED
from spikeflow.ir.arrays import (
    Array,
    Quantised,
    Weight,
    check_weight,
    frozen,
    frozen_weight,
    narrowest,
    stored_as,
    weight_values,
)
from spikeflow.ir.fixed import shift
from spikeflow.ir.nodes.base import Shape, check_bias, check_delays, set_frozen
from spikeflow.ir.nodes.families import Past, Synapses, Synaptic
from spikeflow.ir.plastic import Plastic


@dataclass(frozen=True, eq=False)
class Linear(Synaptic):
    """y = W x + b, x read in C order.

    Parameters
    ----------
    weight : ``(out, in)``.
    bias : ``(out,)``, added last.
    delays : steps, one per source ``(in,)`` or per synapse ``(out, in)``; within the node, after the edge's.
    exponent : stage fixed: the whole sum is shifted by it (left if positive, floor to the right if negative),
        once for each delay slot.
    plastic : what makes the weights learn.
    """

    weight: Weight
    bias: Array | None = None
    delays: Array | None = field(default=None, metadata=stored_as(np.int32))
    exponent: int = 0
    plastic: Plastic | None = field(default=None, metadata=ADDED)
    ports = ("in",)

    def __post_init__(self) -> None:
        set_frozen(self, "weight", frozen_weight(self.weight))
        set_frozen(self, "bias", None if self.bias is None else frozen(self.bias, np.float32))
        set_frozen(self, "delays", None if self.delays is None else narrowest(self.delays))

    def check(self, name: str) -> None:
        if len(self.weight.shape) != 2:
            raise ShapeError(name, f"a weight of shape {self.weight.shape}", "(out, in)")
        check_weight(name, self.weight)
        check_bias(name, self.bias, self.weight.shape[0])
        check_delays(name, self.delays, (self.weight.shape[1:], self.weight.shape))
        if self.plastic is not None:
            self.plastic.check(name, self.weight)

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if prod(shapes[0]) != self.weight.shape[1]:
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"{self.weight.shape[1]} elements")
        return (self.weight.shape[0],)

    @property
    def rows(self) -> int:
        """Targets."""
        return self.weight.shape[0]

    @property
    def columns(self) -> int:
        """Sources."""
        return self.weight.shape[1]

    def over_rows(self, values: Array) -> Array:
        return values[:, None]

    def over_columns(self, values: Array) -> Array:
        return values[None, :]

    def reach_of_sources(self) -> Array:
        assert self.delays is not None
        return self.delays if self.delays.ndim == 1 else self.delays.max(axis=0)

    def alike(self, out_shape: Shape) -> Array | None:
        """All."""
        return np.zeros(self.rows, np.int32)

    def fan_out(self, in_shape: Shape, out_shape: Shape) -> Array:
        return np.full(in_shape, self.rows, np.int64)

    def synapses(self, in_shape: Shape, out_shape: Shape) -> Synapses:
        weight = weight_values(self.weight)
        target, source = np.nonzero(weight)
        delay = (
            None
            if self.delays is None
            else np.broadcast_to(self.delays.astype(np.int32), weight.shape)[target, source]
        )
        return Synapses(source.astype(np.int32), target.astype(np.int32), weight[target, source], delay)

    def sums(self, past: Past, out_shape: Shape) -> Array:
        weight = weight_values(self.weight)
        slots = [0] if self.delays is None else sorted(np.unique(self.delays).tolist(), reverse=True)
        total = self.zeros(past(0), (self.rows,))
        for slot in slots:
            x = past(slot).reshape(len(total), -1)
            on = None if self.delays is None else np.broadcast_to(self.delays == slot, weight.shape)
            total = self._slot(total, x, weight if on is None else np.where(on, weight, weight.dtype.type(0)))
        return self.with_bias(total)

    def _slot(self, total: Array, x: Array, w: Array) -> Array:
        if isinstance(self.weight, Quantised):
            return total + shift(_exact_product(x, w), self.exponent)
        for source in np.flatnonzero((x != 0).any(axis=0)):
            total += x[:, source, None] * w[:, source]
        return total


def _exact_product(x: Array, w: Array) -> Array:
    """x w.T in integers: through float64 where every partial sum is below 2**53, hence exact."""
    bound = np.abs(w).astype(np.float64).sum(axis=1).max(initial=0.0) * np.abs(x).max(initial=0)
    if bound < 2.0**53:
        return (x.astype(np.float64) @ w.astype(np.float64).T).astype(np.int64)
    return x @ w.astype(np.int64).T
