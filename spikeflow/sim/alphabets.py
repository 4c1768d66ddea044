"""Which values are proven to be integers, and how large: where weights are codes it decides how they are
summed.

The graph decides, never the values of a run: an Input of spikes is taken to carry integers, a population what
its program can hand on whatever arrives, a current anything. A run that breaks this is an error, not another
sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from spikeflow.ir.arrays import Array
from spikeflow.ir.evaluate import Domain, evaluate
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Passing, Poisson, Population
from spikeflow.ir.operations import FLOAT, Operation

EXACT = 2.0**24  # up to here float32 holds every integer


@dataclass(frozen=True)
class Alphabet:
    """Values from low to high; integers only where `whole`."""

    low: float = -inf
    high: float = inf
    whole: bool = False

    @property
    def size(self) -> float:
        """The largest magnitude."""
        return max(-self.low, self.high)

    def hull(self, other: Alphabet) -> Alphabet:
        """Either of both."""
        return Alphabet(min(self.low, other.low), max(self.high, other.high), self.whole and other.whole)


ANY, BIT = Alphabet(), Alphabet(0, 1, True)


def of_array(x: Array) -> Alphabet:
    """From the smallest to the largest element."""
    if not x.size:
        return Alphabet(0, 0, True)
    return Alphabet(float(x.min()), float(x.max()), bool((x == np.floor(x)).all()))


class Alphabets(Domain[Alphabet]):
    """Operations of float programs on alphabets; a sum or product that float32 might round is no integer."""

    stages = (FLOAT,)

    def const(self, value: float | int) -> Alphabet:
        return of_array(np.asarray([value], np.float32))

    def add(self, a: Alphabet, b: Alphabet) -> Alphabet:
        return _exact(Alphabet(a.low + b.low, a.high + b.high, a.whole and b.whole))

    def sub(self, a: Alphabet, b: Alphabet) -> Alphabet:
        return _exact(Alphabet(a.low - b.high, a.high - b.low, a.whole and b.whole))

    def mul(self, a: Alphabet, b: Alphabet, count: int, mode: str) -> Alphabet:
        if max(a.size, b.size) == inf:
            return ANY
        corners = [p * q for p in (a.low, a.high) for q in (b.low, b.high)]
        return _exact(Alphabet(min(corners), max(corners), a.whole and b.whole))

    def minimum(self, a: Alphabet, b: Alphabet) -> Alphabet:
        return Alphabet(min(a.low, b.low), min(a.high, b.high), a.whole and b.whole)

    def maximum(self, a: Alphabet, b: Alphabet) -> Alphabet:
        return Alphabet(max(a.low, b.low), max(a.high, b.high), a.whole and b.whole)

    def floor(self, x: Alphabet, slot: int) -> Alphabet:
        return Alphabet(x.low - 1, x.high, True)

    def round(self, x: Alphabet, slot: int) -> Alphabet:
        return Alphabet(x.low - 1, x.high + 1, True)

    def abs(self, x: Alphabet) -> Alphabet:
        return Alphabet(0, x.size, x.whole)

    def where(self, condition: Alphabet, a: Alphabet, b: Alphabet) -> Alphabet:
        return a.hull(b)

    def spike(self, x: Alphabet, slot: int) -> Alphabet:
        return BIT

    def stop_gradient(self, x: Alphabet) -> Alphabet:
        return x

    def unlisted(self, operation: Operation, *args: Any) -> Alphabet:
        return ANY


def _exact(found: Alphabet) -> Alphabet:
    return found if found.size <= EXACT else ANY


def handed_on(node: Population) -> Alphabet:
    """What a population can hand on, whatever arrives and in whatever state."""
    program = node.program
    params = {name: of_array(array) for name, array in node.params.items()}
    state, inputs = dict.fromkeys(program.states, ANY), dict.fromkeys(program.inputs, ANY)
    return evaluate(program, Alphabets(), params, state, inputs)[program.output].hull(Alphabet(0, 0, True))


def arriving(graph: Graph, largest_input: int = 1) -> dict[str, int]:
    """For each port ``in`` where only integers arrive, their largest magnitude, by the node's name.

    Parameters
    ----------
    largest_input : the largest magnitude of spikes that enter the graph.
    """
    found: dict[str, Any] = {name: _source(node, largest_input) for name, node in graph.nodes.items()}
    for name in graph.order:
        node = graph.nodes[name]
        if isinstance(node, Passing):
            found[name] = _passed(node, [_port(graph, found, name, port) for port in node.ports])
    ports = {
        name: _port(graph, found, name, "in") for name, node in graph.nodes.items() if "in" in node.ports
    }
    return {name: int(a.size) for name, a in ports.items() if a.whole and a.size <= EXACT}


def carries_spikes(node: object) -> bool:
    """Whether it is an Input whose values are taken to be integers."""
    return isinstance(node, Input) and node.kind == "spikes"


def _source(node: object, largest_input: int) -> Alphabet:
    if carries_spikes(node):
        return Alphabet(-largest_input, largest_input, True)
    if isinstance(node, Poisson):
        return Alphabet(*node.extent, node.whole)
    return handed_on(node) if isinstance(node, Population) else ANY


def _port(graph: Graph, found: Mapping[str, Alphabet], name: str, port: str) -> Alphabet:
    """The sum of a port's edges; before its delay is over an edge brings 0."""
    total = Alphabet(0, 0, True)
    for edge in graph.inputs_of(name, port):
        total = Alphabets().add(total, found[edge.src].hull(Alphabet(0, 0, True)))
    return total


def _passed(node: Passing, ports: Sequence[Alphabet]) -> Alphabet:
    """So many times what arrives, and 0."""
    total = ports[0]
    for other in ports[1:]:
        total = total.hull(other)
    if node.growth == 1:
        return total
    return Alphabets().mul(total, of_array(np.asarray([node.growth], np.float32)), 0, "")
