"""Which nodes by rule the engine keeps in one set of rows: those that share sources, with weights as codes.

A spike that reaches eight populations through eight nodes is looked up in eight sets of rows, each an eighth
as long; in one set it is looked up once, and what is due together lies together. Sums of codes have no order,
so no bit depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

import spikeflow.sim._engine as _engine
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Concat, Procedural
from spikeflow.ir.nodes.procedural import numbers
from spikeflow.sim import coded
from spikeflow.sim.kept_rows import KeptRows

MOST_SYNAPSES = 2**30  # of a bundle, whose rows are numbered in 31 bits
Origin = tuple[str, int]  # a node, and how many steps later it is read


@dataclass(eq=False)
class Bundle:
    """Nodes in order, and of each one's sources the numbers among those of all."""

    bits: int
    numbers: dict[str, npt.NDArray[np.int32]] = field(default_factory=dict[str, npt.NDArray[np.int32]])
    first: dict[Origin, int] = field(default_factory=dict[Origin, int])
    sources: int = 0
    synapses: int = 0

    def takes(self, node: Procedural, origins: Mapping[Origin, int]) -> bool:
        """Whether a node of these origins, with the size of each, belongs here."""
        room = self.synapses + node.expected <= MOST_SYNAPSES
        return room and node.bits == self.bits and not self.first.keys().isdisjoint(origins)

    def add(self, name: str, node: Procedural, origins: Mapping[Origin, int]) -> None:
        """A further node."""
        for origin, size in origins.items():
            if origin not in self.first:
                self.first[origin] = self.sources
                self.sources += size
        parts = [np.arange(size) + self.first[origin] for origin, size in origins.items()]
        self.numbers[name] = np.concatenate(parts).astype(np.int32)
        self.synapses += node.expected


class Bundler:
    """Adds the nodes of bundles to a network of the engine one by one; with the first of a bundle all are
    made.
    """

    def __init__(
        self, graph: Graph, exact: Mapping[str, int], held: Mapping[str, KeptRows] = MappingProxyType({})
    ) -> None:
        self._graph, self._exact, self._held = graph, exact, held
        self._of = {name: bundle for bundle in bundles(graph, exact) for name in bundle.numbers}
        self._made: dict[Bundle, _engine.Bundled] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._of

    def add(self, network: _engine.FloatNetwork, name: str) -> int:
        """The node's number in the network."""
        bundle = self._of[name]
        if bundle not in self._made:
            nodes = [self._arrays(member, sources) for member, sources in bundle.numbers.items()]
            first = next(iter(bundle.numbers))  # with which the rows of all are kept
            held = self._held[first].parts if first in self._held else None
            self._made[bundle] = network.bundle(nodes, bundle.bits, held)
        return network.bundled(self._made[bundle], list(bundle.numbers).index(name))

    def _arrays(self, name: str, sources: npt.NDArray[np.int32]) -> tuple[Any, ...]:
        node, size = self._graph.nodes[name], self._exact[name]
        assert isinstance(node, Procedural)
        drawn, sums = numbers(node.projections), (node.scale, size, coded.largest(node, size))
        return name, node.in_shape, node.out_shape, drawn, sources, sums, node.bias


def bundles(graph: Graph, exact: Mapping[str, int]) -> list[Bundle]:
    """The bundles, some of one node alone; `exact` says what may arrive at those whose codes are summed in
    integers.
    """
    found: list[Bundle] = []
    for name in graph.order:
        node = graph.nodes[name]
        if name not in exact or not isinstance(node, Procedural) or not _fits(node, exact[name]):
            continue
        origins = _origins(graph, name)
        if origins is None:
            continue
        bundle = next((b for b in found if b.takes(node, origins)), None)
        if bundle is None:
            found.append(bundle := Bundle(node.bits))
        bundle.add(name, node, origins)
    return found


def _fits(node: Procedural, size: int) -> bool:
    """Delays of one step at least, so that no node waits for another one; no channels."""
    flat = len(node.out_shape) < 2 or prod(node.out_shape) in (node.out_shape[0], prod(node.out_shape[1:]))
    bounded = coded.largest(node, size) < 2**63 and node.expected <= MOST_SYNAPSES
    return flat and bounded and all(p.shortest >= 1 for p in node.projections)


def _origins(graph: Graph, name: str) -> dict[Origin, int] | None:
    """Which nodes a node reads and when, with their sizes, in the order of its sources; None where it reads
    a sum.
    """
    edges = graph.inputs_of(name)
    if len(edges) != 1:
        return None
    joined = graph.nodes[edges[0].src]
    if isinstance(joined, Concat) and joined.axis == 0 and graph.lag(edges[0]) == 0:
        parts = [graph.inputs_of(edges[0].src, port) for port in joined.ports]
        apart = {(p[0].src, graph.lag(p[0])) for p in parts if len(p) == 1}
        if len(apart) == len(parts):
            edges = tuple(p[0] for p in parts)
    return {(edge.src, graph.lag(edge)): prod(graph.shapes[edge.src]) for edge in edges}
