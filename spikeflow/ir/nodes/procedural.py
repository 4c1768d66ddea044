"""Procedural: synapses by rule, drawn where they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spikeflow.errors import GraphError
from spikeflow.ir.arrays import Array, Codes, Weight, check_weight, frozen
from spikeflow.ir.nodes.base import Shape, check_bias, check_shape, set_frozen
from spikeflow.ir.nodes.families import Joining, Past, Synapses
from spikeflow.ir.nodes.sparse import Sparse
from spikeflow.ir.projections import FixedInDegree, FixedTotal, Normal, Probability, Projection, drawn

MOST_LISTED = 2**27  # synapses that are written out where somebody needs each of them


@dataclass(frozen=True, eq=False)
class Procedural(Joining):
    """A Sparse whose synapses are drawn by rules and stored nowhere; `listed` writes them out.

    The order of its sums is that of the list: oldest emission first, then source, then order of drawing
    (projection, then number at the target). The engine draws into its own arrays.

    Parameters
    ----------
    projections : each from a range of the sources, in the order in which they are drawn.
    in_shape, out_shape : shapes of source and target.
    bits : 0 for weights in float32, 8 or 16 for codes: a weight is rounded to the nearest code, ties to even,
        and clipped to -2**(bits - 1) and 2**(bits - 1) - 1.
    scale : what a code is multiplied by.
    """

    projections: tuple[Projection, ...]
    in_shape: Shape
    out_shape: Shape
    bias: Array | None = None
    bits: int = 0
    scale: float = 1.0
    ports = ("in",)
    exponent = 0
    delays = None

    def __post_init__(self) -> None:
        set_frozen(self, "projections", tuple(self.projections))
        set_frozen(self, "scale", float(np.float32(self.scale)))
        set_frozen(self, "bias", None if self.bias is None else frozen(self.bias, np.float32))

    def check(self, name: str) -> None:
        check_shape(name, self.in_shape)
        check_shape(name, self.out_shape)
        if not self.projections:
            raise GraphError(name, "no projections", "one or more")
        for projection in self.projections:
            projection.check(name, self.columns, self.rows)
        if self.bits not in (0, 8, 16):
            raise GraphError(name, f"codes of {self.bits} bits", "8, 16, or 0 for float32")
        check_weight(name, Codes(np.zeros(1, np.int8), self.scale))
        check_bias(name, self.bias, self.rows)

    @property
    def expected(self) -> int:
        """How many synapses there are; those of a chance as many as are expected."""
        return sum(projection.expected(self.rows) for projection in self.projections)

    @property
    def reach(self) -> int:
        return max(projection.longest for projection in self.projections)

    def reach_of_sources(self) -> Array:
        return self.listed.reach_of_sources()

    @property
    def largest_row(self) -> int:
        """At least the largest sum of the magnitudes of codes onto one target."""
        return sum(_most_at_a_target(p) * self._largest_code(p) for p in self.projections)

    def _largest_code(self, projection: Projection) -> int:
        if isinstance(projection.weight, Normal):
            return 1 << (self.bits - 1)
        return abs(int(self.codes(np.array([projection.weight]))[0]))

    def codes(self, weight: Array) -> Array:
        """The nearest code of each weight, int64."""
        half = float(1 << (self.bits - 1))
        nearest = np.rint(weight.astype(np.float32) / np.float32(self.scale))
        return np.clip(nearest, -half, half - 1.0).astype(np.int64)

    def expect_listable(self, name: str) -> None:
        """Raise GraphError where the synapses are too many to be written out."""
        if self.expected > MOST_LISTED:
            reason = f"{self.expected:,} synapses by rule cannot be listed; at most {MOST_LISTED:,}"
            raise GraphError(name, reason, "the engine, which draws them")

    @cached_property
    def listed(self) -> Sparse:
        """The same node with its synapses written out; GraphError where they are too many for that."""
        self.expect_listable("rule")
        parts = [drawn(projection, self.rows) for projection in self.projections]
        target, source, weight, delay = (
            np.concatenate([getattr(part, column) for part in parts])
            for column in ("target", "source", "weight", "delay")
        )
        order = np.argsort(source, kind="stable")
        indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=self.columns))])
        weight = weight[order]
        return Sparse(
            indptr,
            target[order],
            Codes(self.codes(weight), self.scale) if self.bits else weight.astype(np.float32),
            self.in_shape,
            self.out_shape,
            self.bias,
            delay[order] if self.reach else None,
            delay_scope="synapse",
        )

    @property
    def stored(self) -> int:
        """None is stored."""
        return 0

    @property
    def weight(self) -> Weight:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One for each synapse of the list."""
        return self.listed.weight

    @property
    def stored_weights(self) -> Array:
        return self.listed.stored_weights

    def connections(self, in_shape: Shape, out_shape: Shape) -> int:
        """As many as are expected."""
        return self.expected

    def over_rows(self, values: Array) -> Array:
        return self.listed.over_rows(values)

    def over_columns(self, values: Array) -> Array:
        return self.listed.over_columns(values)

    def packed(self, values: Array) -> Array:
        return self.listed.packed(values)

    def with_weights(self, weight: Weight, **changed: Any) -> Sparse:
        """The list: other weights follow no rule."""
        return self.listed.with_weights(weight, **changed)

    def row_sums(self, values: Array) -> Array:
        return self.listed.row_sums(values)

    def fan_out(self, in_shape: Shape, out_shape: Shape) -> Array:
        return self.listed.fan_out(in_shape, out_shape)

    def synapses(self, in_shape: Shape, out_shape: Shape) -> Synapses:
        return self.listed.synapses(in_shape, out_shape)

    def sums(self, past: Past, out_shape: Shape) -> Array:
        return self.listed.sums(past, out_shape)


def _most_at_a_target(projection: Projection) -> int:
    match projection.rule:
        case FixedInDegree(count) | FixedTotal(count):
            return count
        case Probability():
            return projection.sources
        case _:
            return 1


def numbers(projections: Sequence[Projection]) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Projections as the engine takes them: kind, first, sources, count, autapses, seed, number; skip,
    weight, delay.
    """
    return [
        (
            (
                _kind(p),
                p.first,
                p.sources,
                getattr(p.rule, "count", 0),
                int(p.rule.autapses),
                p.seed,
                p.number,
            ),
            (p.skip, *_spread(p.weight), *_spread(p.delay)),
        )
        for p in projections
    ]


def _kind(projection: Projection) -> int:
    match projection.rule:
        case FixedInDegree(_, _, multapses):
            return 0 if multapses else 1
        case FixedTotal():
            return 2
        case Probability():
            return 3
        case _:
            return 4


def _spread(what: float | Normal) -> tuple[float, float, float, float]:
    """Mean, deviation, lowest and highest."""
    if not isinstance(what, Normal):
        return float(what), 0.0, float(what), float(what)
    low = -np.inf if what.low is None else what.low
    return what.mean, what.deviation, low, np.inf if what.high is None else what.high
