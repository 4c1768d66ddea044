"""Sparse: synapses in a list."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Self

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.frozen import ADDED, added
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
from spikeflow.ir.nodes.base import Shape, check_bias, check_shape, set_frozen
from spikeflow.ir.nodes.families import Joining, Past, Synapses
from spikeflow.ir.plastic import Plastic

SCOPES = ("one", "source", "synapse")


@dataclass(frozen=True, eq=False)
class Sparse(Joining):
    """y[j] = sum over the rows of the sources: synapses listed by source, in stored order.

    Whole numbers are held in the narrowest type that fits.

    Parameters
    ----------
    indptr : ``(sources + 1,)``; row i is the synapses indptr[i] to indptr[i + 1].
    targets : ``(synapses,)``, C-order index of the target.
    weight : as many as its scope says.
    in_shape, out_shape : shapes of source and target.
    delays : steps, as many as their scope says; None is no delay.
    weight_scope, delay_scope : what a number is for: ``one`` for all synapses, each ``source``, or each
        ``synapse``. Left empty it is what the length fits, as in files of the first version: for weights
        synapse, else one; for delays source, else synapse.
    plastic : what makes the weights learn.
    """

    indptr: Array = field(metadata=stored_as(np.int64))
    targets: Array = field(metadata=stored_as(np.int32))
    weight: Weight
    in_shape: Shape
    out_shape: Shape
    bias: Array | None = None
    delays: Array | None = field(default=None, metadata=stored_as(np.int32))
    exponent: int = 0
    weight_scope: str = field(default="", metadata=ADDED)
    delay_scope: str = field(default="", metadata=ADDED)
    plastic: Plastic | None = field(default=None, metadata=added(3))
    ports = ("in",)

    def __post_init__(self) -> None:
        set_frozen(self, "indptr", narrowest(self.indptr, np.int64))
        set_frozen(self, "targets", narrowest(self.targets))
        set_frozen(self, "weight", frozen_weight(self.weight))
        set_frozen(self, "bias", None if self.bias is None else frozen(self.bias, np.float32))
        set_frozen(self, "delays", None if self.delays is None else narrowest(self.delays))
        # one text for equal nodes: a scope is written only where the length means another
        if self.weight_scope == self._scope("weight", ""):
            set_frozen(self, "weight_scope", "")
        if self.delays is None or self.delay_scope == self._scope("delay", ""):
            set_frozen(self, "delay_scope", "")

    def _scope(self, what: str, given: str) -> str:
        """The scope as given, else the one that the length fits; empty where none does."""
        if given:
            return given
        weight = what == "weight"
        array = self.weight if weight or self.delays is None else self.delays
        order = ("synapse", "one") if weight else ("source", "synapse")
        return next((scope for scope in order if array.shape == (self.length(scope),)), "")

    def length(self, scope: str) -> int:
        """How many numbers there are where they stand for such a scope."""
        return {"one": 1, "source": prod(self.in_shape), "synapse": self.targets.size}.get(scope, -1)

    @property
    def scopes(self) -> tuple[str, str]:
        """For what a weight and a delay hold, each one of `SCOPES`; without delays that is one for all."""
        delay = "one" if self.delays is None else self._scope("delay", self.delay_scope)
        return self._scope("weight", self.weight_scope), delay

    def check(self, name: str) -> None:
        check_shape(name, self.in_shape)
        check_shape(name, self.out_shape)
        sources, out = prod(self.in_shape), prod(self.out_shape)
        pointers = self.indptr
        if pointers.shape != (sources + 1,) or pointers[0] != 0 or (pointers[1:] < pointers[:-1]).any():
            raise GraphError(name, f"row pointers are not {sources + 1} growing numbers from 0")
        count = int(self.indptr[-1])
        if self.targets.shape != (count,):
            raise ShapeError(name, f"{self.targets.shape} targets", (count,))
        if count and (self.targets.min() < 0 or self.targets.max() >= out):
            raise GraphError(name, f"a target lies outside 0 to {out - 1}")
        check_weight(name, self.weight)
        check_bias(name, self.bias, out)
        if self.plastic is not None:
            self.plastic.check(name, self.weight)
        _check_scope(self, name, "weights", self.weight.shape, self.scopes[0])
        if self.delays is not None:
            _check_scope(self, name, "delays", self.delays.shape, self.scopes[1])
            if self.delays.min(initial=0) < 0:
                raise ShapeError(name, f"a delay of {self.delays.min()}", "whole steps >= 0")

    @property
    def stored(self) -> int:
        """The synapses; a constant weight is that of all."""
        return len(self.targets)

    def reach_of_sources(self) -> Array:
        assert self.delays is not None
        fan_out, longest = np.diff(self.indptr), np.zeros(self.columns, np.int32)
        if self.scopes[1] != "synapse":
            return np.where(fan_out > 0, self.delays, 0)
        some = fan_out > 0
        if some.any():  # rows lie one behind the other
            longest[some] = np.maximum.reduceat(self.delays, self.indptr[:-1][some])
        return longest

    def over_rows(self, values: Array) -> Array:
        return values[self.targets]

    def over_columns(self, values: Array) -> Array:
        return np.repeat(values, np.diff(self.indptr))

    @property
    def stored_weights(self) -> Array:
        """The weight of each synapse: float32, or the mantissas."""
        return self._each(weight_values(self.weight), self.scopes[0])

    def packed(self, values: Array) -> Array:
        """One number where all are the same."""
        return values[:1] if len(values) and (values == values[0]).all() else values

    def with_weights(self, weight: Weight, **changed: Any) -> Self:
        return replace(self, weight=weight, weight_scope="", **changed)

    def row_sums(self, values: Array) -> Array:
        total = np.zeros(self.rows, values.dtype)
        np.add.at(total, self.targets, values)
        return total

    def fan_out(self, in_shape: Shape, out_shape: Shape) -> Array:
        return np.diff(self.indptr.astype(np.int64)).reshape(in_shape)

    def each_delay(self) -> Array:
        """The delay of each synapse, int32; 0 without delays."""
        delays = np.zeros(1, np.int32) if self.delays is None else self.delays.astype(np.int32)
        return self._each(delays, self.scopes[1])

    def _each(self, x: Array, scope: str) -> Array:
        return self.over_columns(x) if scope == "source" else np.broadcast_to(x, self.targets.shape)

    def synapses(self, in_shape: Shape, out_shape: Shape) -> Synapses:
        weight = self.stored_weights
        source = self.over_columns(np.arange(self.columns, dtype=np.int32))
        kept = np.flatnonzero(weight)
        delay = None if self.delays is None else self.each_delay()[kept]
        return Synapses(source[kept], self.targets[kept].astype(np.int32), weight[kept], delay)

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


def _check_scope(node: Sparse, name: str, what: str, shape: Shape, scope: str) -> None:
    if scope not in SCOPES or shape != (node.length(scope),):
        lengths = ", ".join(f"{node.length(s)} for each {s}" for s in SCOPES[1:])
        raise ShapeError(name, f"{what} of shape {shape} and scope {scope!r}", f"1 for all, {lengths}")
