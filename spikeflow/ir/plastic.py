"""Plastic: that the synapses of a node learn, by which rule, and whose spikes they see."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

from spikeflow.errors import GraphError, ShapeError, SpikeflowWarning
from spikeflow.frozen import Frozen
from spikeflow.ir.arrays import Codes
from spikeflow.ir.plasticity import Plasticity


@dataclass(frozen=True)
class Plastic(Frozen):
    """What makes the weights of a node learn.

    What arrives at the node are the spikes before a synapse; those behind it are the spikes of `post`, of the
    same step, target by target. Both are read when all nodes have run.

    Parameters
    ----------
    rule : what happens to a synapse.
    post : the node whose spikes are those of the targets, in C order; mostly the population that it feeds.
    modulator : the node whose value is the modulator: one number for all, or one for each target.
    bits : of codes that learn, 8 or 16: a weight is rounded to the nearest code, ties to even, within what so
        many bits hold. 0 for weights in floats.
    """

    rule: Plasticity
    post: str
    modulator: str = ""
    bits: int = 0

    def check(self, name: str, weight: object) -> None:
        """Raise GraphError for programs that are not legal, and for bits that do not fit the weights."""
        for which, program in self.rule.programs.items():
            program.check(f"{name}, {which}")
        if (self.rule.at_modulator is None) != (not self.modulator):
            said = f"the modulator {self.modulator!r}" if self.modulator else "no modulator"
            raise GraphError(name, f"has {said}", "one where its rule has a program for it, else none")
        if self.bits not in ((8, 16) if isinstance(weight, Codes) else (0,)):
            reason = f"learns in {self.bits} bits"
            raise GraphError(name, reason, "bits 8 or 16 for weights that are codes, 0 for floats")
        if isinstance(weight, Codes) and self.bits < 8 * weight.values.itemsize:
            raise GraphError(name, f"codes beyond the {self.bits} bits that they learn in", "16 bits")

    @property
    def codes(self) -> tuple[int, int]:
        """The lowest and the highest code."""
        return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1


class _Wired(Protocol):
    @property
    def nodes(self) -> Mapping[str, Any]: ...


def plastic_nodes(graph: _Wired) -> Iterator[tuple[str, Any, Plastic]]:
    """The nodes that learn: name, node and what makes it."""
    for name, node in graph.nodes.items():
        plastic = getattr(node, "plastic", None)
        if plastic is not None:
            yield name, node, plastic


def check_plastic(graph: _Wired, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise GraphError, ShapeError unless each finds the spikes and the modulator that it names."""
    for name, node, plastic in plastic_nodes(graph):
        for what, other in (("spikes", plastic.post), ("modulator", plastic.modulator)):
            if not other and what == "modulator":
                continue
            if other not in graph.nodes or type(graph.nodes[other]).__name__ == "Output":
                raise GraphError(name, f"learns by the {what} of {other!r}, which is no node that emits")
            size = prod(shapes[other])
            if size != node.rows and not (what == "modulator" and size == 1):
                wanted = f"{node.rows} or 1" if what == "modulator" else f"{node.rows}"
                raise ShapeError(name, f"learns by the {what} of {other}, of {size} values", wanted)


def tell_beyond_bounds(graph: _Wired) -> None:
    """Warn of weights outside of the bounds of their rule, which cuts them when it first touches them:
    inhibition that learns within 0 and 1 would become nothing.
    """
    for name, node, plastic in plastic_nodes(graph):
        if plastic.rule.bounds is None:
            continue
        low, high = map(np.float32, plastic.rule.bounds)
        weights = node.stored_weights
        beyond = int(np.count_nonzero((weights < low) | (weights > high)))
        if beyond:
            found = f"{beyond} of {weights.size} weights, {weights.min():g} to {weights.max():g}"
            text = (
                f"{name}: {found}, lie outside of {low:g} to {high:g}, within which its rule holds them from "
            )
            text += "their first change on. Try: other bounds of the rule (low=, high=)"
            warnings.warn(text, SpikeflowWarning, stacklevel=4)


def expect_static(graph: _Wired, who: str) -> None:
    """Refuse a graph with synapses that learn; raises GraphError that says who does not take it."""
    for name, _, _ in plastic_nodes(graph):
        hint = "sim.with_weights(graph, state, learns=False), the network with what was learned"
        raise GraphError(name, f"learns while it runs, which {who} does not do", hint)
