"""Which nodes hand on whole numbers, as far as the graph alone tells: what may be added up exactly.

A population does whose program ends in a spike, or that computes in integers; an Input of spikes is taken at
its word, which every run checks; moves, sums of windows and joint kinds hand on what they read. A weight of
float32 may be any number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from spikeflow.errors import GraphError
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.nodes import Input, Joint, Node, Passing, Poisson, Population, Procedural, Scale, Synaptic


class Wire(Protocol):
    """What is read of an edge."""

    @property
    def src(self) -> str: ...


class Wired(Protocol):
    """What is read of a graph, which calls this module when it is made."""

    @property
    def nodes(self) -> Mapping[str, Node]: ...

    def inputs_of(self, name: str) -> Sequence[Wire]: ...


def check_counting(graph: Wired) -> None:
    """Raise GraphError where a node adds up over the steps what may be no whole number."""
    for name in counting(graph):
        for source in sources(graph, name):
            if not hands_on_whole(graph.nodes[source]):
                kind = type(graph.nodes[source]).__name__
                reason = f"adds up the values of {source} ({kind}), which may be no whole numbers"
                raise GraphError(name, reason, "a population of spiking neurons before it, or mode 'any'")


def counting(graph: Wired) -> Iterator[str]:
    """The nodes that add up what arrives at them over the steps."""
    return (name for name, node in graph.nodes.items() if isinstance(node, Joint) and node.counts)


def counted_inputs(graph: Wired) -> frozenset[str]:
    """The Inputs whose values are added up, so that they have to be whole numbers."""
    found = {source for name in counting(graph) for source in sources(graph, name)}
    return frozenset(name for name in found if isinstance(graph.nodes[name], Input))


def sources(graph: Wired, name: str) -> frozenset[str]:
    """The nodes whose values arrive at a node, as they are or summed: moves, pools and delays are looked
    through.
    """
    found: set[str] = set()
    seen = {name}
    todo = [name]
    while todo:
        for edge in graph.inputs_of(todo.pop()):
            if not isinstance(graph.nodes[edge.src], Passing):
                found.add(edge.src)
            elif edge.src not in seen:
                seen.add(edge.src)
                todo.append(edge.src)
    return frozenset(found)


def hands_on_whole(node: Node) -> bool:
    """Whether all values that a node makes are whole numbers, by what it is."""
    if isinstance(node, Population):
        return node.fixed or node.spikes
    if isinstance(node, Input):
        return node.kind == "spikes" or node.format is not None
    if isinstance(node, Poisson):
        return node.whole
    if isinstance(node, Synaptic | Scale) and not isinstance(node, Procedural):
        return isinstance(node.weight if isinstance(node, Synaptic) else node.factor, Quantised)
    return False
