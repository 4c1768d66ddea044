"""Elementwise kinds: each value by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.frozen import ADDED, Frozen
from spikeflow.ir.activations import FUNCTIONS, RELU, values
from spikeflow.ir.arrays import (
    Array,
    Quantised,
    Weight,
    check_finite,
    check_weight,
    frozen,
    frozen_weight,
    weight_values,
)
from spikeflow.ir.fixed import shift
from spikeflow.ir.nodes.base import Shape, check_broadcast, set_frozen
from spikeflow.ir.nodes.families import LinearKind, Plain, Synapses


@dataclass(frozen=True, eq=False)
class Scale(LinearKind, Plain):
    """y = factor x, elementwise; `factor` broadcasts to the source's shape."""

    factor: Weight
    exponent: int = 0
    ports = ("in",)

    def __post_init__(self) -> None:
        set_frozen(self, "factor", frozen_weight(self.factor))

    def check(self, name: str) -> None:
        check_weight(name, self.factor)

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        check_broadcast(name, "the factor", self.factor.shape, shapes[0])
        return shapes[0]

    def value(self, arriving: Sequence[Array]) -> Array:
        if isinstance(self.factor, Quantised):
            return shift(arriving[0] * self.factor.values.astype(np.int64), self.exponent)
        return arriving[0] * self.factor

    def synapses(self, in_shape: Shape, out_shape: Shape) -> Synapses:
        factor = np.broadcast_to(weight_values(self.factor), in_shape).reshape(-1)
        kept = np.flatnonzero(factor).astype(np.int32)
        return Synapses(kept, kept, factor[kept])


@dataclass(frozen=True, eq=False)
class BatchNorm(Plain):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta for each channel (axis 0). Stage ann only."""

    mean: Array
    variance: Array
    gamma: Array
    beta: Array
    epsilon: float = 1e-5
    ports = ("in",)

    def __post_init__(self) -> None:
        for name in ("mean", "variance", "gamma", "beta"):
            set_frozen(self, name, frozen(getattr(self, name), np.float32))

    def check(self, name: str) -> None:
        for what in ("mean", "variance", "gamma", "beta"):
            array = getattr(self, what)
            if array.ndim != 1 or array.shape != self.mean.shape:
                raise ShapeError(name, f"{what} of shape {array.shape}", self.mean.shape)
            check_finite(name, what, array)
        if self.variance.min(initial=0) < 0 or not 0 < self.epsilon < 1e6:
            raise GraphError(name, "a variance below 0 or an epsilon that is not positive")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if shapes[0][:1] != self.mean.shape:
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"{self.mean.shape[0]} channels")
        return shapes[0]

    def value(self, arriving: Sequence[Array]) -> Array:
        tail = (-1, *(1,) * (arriving[0].ndim - 2))
        spread = np.sqrt(self.variance.astype(np.float64) + self.epsilon)
        factor = (self.gamma / spread).astype(np.float32).reshape(tail)
        return (arriving[0] - self.mean.reshape(tail)) * factor + self.beta.reshape(tail)


@dataclass(frozen=True, eq=False)
class Activation(Plain, Frozen):
    """A non-linearity of stage ann: y = f(x), elementwise.

    Parameters
    ----------
    kind : a name of `ir.activations.FUNCTIONS`.
    parameters : of the function, arrays that broadcast to the source's shape; those not named have their
        usual values.
    levels : of a ``clamp`` from 0 on, in how many equal levels above 0 it hands its value on, rounded to the
        nearest, ties up; 0 where it hands on the value itself.
    """

    kind: str = RELU
    parameters: Mapping[str, Array] = field(default_factory=dict[str, Array], metadata=ADDED)
    levels: int = field(default=0, metadata=ADDED)
    ports = ("in",)

    def __post_init__(self) -> None:
        kept = {name: frozen(np.asarray(x), np.float32) for name, x in self.parameters.items()}
        set_frozen(self, "parameters", MappingProxyType(kept))

    def check(self, name: str) -> None:
        if self.kind not in FUNCTIONS:
            raise GraphError(name, f"activation {self.kind!r}", f"one of {', '.join(FUNCTIONS)}")
        there = FUNCTIONS[self.kind].parameters
        if unknown := self.parameters.keys() - there.keys():
            raise GraphError(
                name, f"{self.kind} has no {', '.join(sorted(unknown))}", ", ".join(there) or "none"
            )
        for what, array in self.parameters.items():
            check_finite(name, what, array)
        if self.levels < 0 or (self.levels and not self._from_0):
            raise GraphError(name, f"{self.levels} levels of what is no clamp from 0 on", "a clamp from 0 on")

    @property
    def _from_0(self) -> bool:
        low, high = (self.parameters.get(key, np.ones(())) for key in ("low", "high"))
        return self.kind == "clamp" and not np.any(low) and bool((high > 0).all())

    def in_levels(self, clipped: Any, high: Any, floor: Any) -> Any:
        """A clipped value rounded to the levels, of any kind of array."""
        return floor(clipped * (self.levels / high) + 0.5) * (high / self.levels)

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        for what, array in self.parameters.items():
            check_broadcast(name, what, array.shape, shapes[0])
        return shapes[0]

    def value(self, arriving: Sequence[Array]) -> Array:
        x = arriving[0]
        if self.kind == RELU:
            return np.maximum(x, np.float32(0))
        found = values(self.kind, self.parameters, x)
        if self.levels:
            found = self.in_levels(found, self.parameters["high"].astype(np.float64), np.floor)
        return found.astype(x.dtype)
