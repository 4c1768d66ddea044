"""Sparse: synapses in a list."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.ir.arrays import Array, Quantised, Weight, check_weight, frozen, frozen_weight, weight_values
from spikeflow.ir.fixed import shift
from spikeflow.ir.nodes.base import Shape, check_bias, check_delays, check_shape, set_frozen
from spikeflow.ir.nodes.families import Past, Synapses, Synaptic


@dataclass(frozen=True, eq=False)
class Sparse(Synaptic):
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

    @property
    def rows(self) -> int:
        """Targets."""
        return prod(self.out_shape)

    @property
    def columns(self) -> int:
        """Sources."""
        return prod(self.in_shape)

    @property
    def stored(self) -> int:
        """The synapses; a constant weight is that of all."""
        return len(self.targets)

    def over_rows(self, values: Array) -> Array:
        return values[self.targets]

    def over_columns(self, values: Array) -> Array:
        return np.repeat(values, np.diff(self.indptr))

    @property
    def stored_weights(self) -> Array:
        """The weight of each synapse."""
        return np.broadcast_to(weight_values(self.weight), self.targets.shape)

    def row_sums(self, values: Array) -> Array:
        total = np.zeros(self.rows, values.dtype)
        np.add.at(total, self.targets, values)
        return total

    def fan_out(self, in_shape: Shape, out_shape: Shape) -> Array:
        return np.diff(self.indptr).reshape(in_shape)

    def each_delay(self) -> Array:
        """The delay of each synapse; where sources and synapses are equally many, the numbers are the sources'."""
        if self.delays is None:
            return np.zeros(self.stored, np.int32)
        return self.over_columns(self.delays) if len(self.delays) == self.columns else self.delays

    def synapses(self, in_shape: Shape, out_shape: Shape) -> Synapses:
        weight = self.stored_weights
        source = self.over_columns(np.arange(self.columns, dtype=np.int32))
        kept = np.flatnonzero(weight)
        delay = None if self.delays is None else self.each_delay()[kept]
        return Synapses(source[kept], self.targets[kept], weight[kept], delay)

    def sums(self, past: Past, out_shape: Shape) -> Array:
        """As of any kind with synapses; those of a source are added in stored order."""
        now = past(0)
        weight = self.stored_weights
        source, each = self.over_columns(np.arange(self.columns)), self.each_delay()
        total = self.zeros(now, (self.rows,))
        slots = [0] if self.delays is None else sorted(np.unique(self.delays).tolist(), reverse=True)
        for slot in slots:
            on = np.flatnonzero(each == slot)
            values = past(slot).reshape(len(now), -1)[:, source[on]]
            total = self._slot(total, values, (self.targets[on], weight[on]))
        return self.with_bias(total.reshape(len(now), *out_shape))

    def _slot(self, total: Array, values: Array, synapses: tuple[Array, Array]) -> Array:
        targets, weight = synapses
        fixed = isinstance(self.weight, Quantised)
        slot = np.zeros_like(total) if fixed else total
        for b in range(len(values)):
            hit = np.flatnonzero(values[b])
            # add.at adds one after the other, in order, also where a target comes twice
            np.add.at(slot[b], targets[hit], values[b, hit] * weight[hit].astype(slot.dtype))
        return total + shift(slot, self.exponent) if fixed else slot
