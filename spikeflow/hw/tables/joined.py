"""What lies between two layers of a rebuilt graph, joined from all cores."""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.ir.arrays import Quantised
from spikeflow.ir.divided import Division
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Concat, Input, Population, Sparse, Synapses
from spikeflow.typing import Array


class Apart(Exception):
    """The graph is none whose parts make layers."""


@dataclass(frozen=True, eq=False)
class Slices:
    """What is known of a rebuilt graph's nodes: which part of which they are.

    Parameters
    ----------
    part_of : the population or projection of each.
    neurons : of each population in parts, its neurons' numbers in C order.
    """

    part_of: abc.Mapping[str, str]
    neurons: abc.Mapping[str, Array]


class Heard:
    """Whose values each node of a rebuilt graph hands on."""

    def __init__(self, graph: Graph, slices: Slices) -> None:
        self.graph, self.slices = graph, slices
        self._known: dict[str, tuple[str, Array]] = {}

    def read(self, name: str) -> tuple[str, Array]:
        """The layer or input whose values a node hands on, and the number of each."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def _find(self, name: str) -> tuple[str, Array]:
        node = self.graph.nodes[name]
        if isinstance(node, Input):
            return name, np.arange(prod(node.shape), dtype=np.int32)
        if isinstance(node, Population):
            return self.slices.part_of[name], self.slices.neurons[name]
        if not isinstance(node, Concat):
            raise Apart
        edges = [self.graph.inputs_of(name, port) for port in node.ports]
        if any(len(at) != 1 or at[0].delay for at in edges):
            raise Apart
        parts = [self.read(at[0].src) for at in edges]
        if len({layer for layer, _ in parts}) != 1:
            raise Apart
        return parts[0][0], np.concatenate([numbers for _, numbers in parts])


@dataclass(frozen=True, eq=False)
class Joined:
    """All synapses between two layers; `parts` are the nodes that held them."""

    name: str
    source: str
    target: str
    port: str
    delay: int
    parts: tuple[str, ...]
    synapses: Synapses
    like: Sparse
    weight: Quantised


def joined(heard: Heard, name: str, parts: abc.Sequence[str]) -> Joined:
    """The synapses of a projection, from all cores."""
    columns: list[Synapses] = []
    ends: set[tuple[str, str, str, int, int]] = set()
    like = heard.graph.nodes[parts[0]]
    assert isinstance(like, Sparse)
    weight = like.weight
    if not isinstance(weight, Quantised):
        raise Apart
    for part in parts:
        node, into, out = (
            heard.graph.nodes[part],
            heard.graph.inputs_of(part)[0],
            heard.graph.outputs_of(part)[0],
        )
        assert isinstance(node, Sparse)
        source, numbers = heard.read(into.src)
        ends.add((source, heard.slices.part_of[out.dst], out.port, into.delay, node.exponent))
        columns.append(_numbered(node, numbers, heard.slices.neurons[out.dst]))
    if len(ends) != 1:
        raise Apart
    source, target, port, delay, _ = ends.pop()
    if len({c.delay is None for c in columns}) != 1:
        raise Apart
    delays = [c.delay for c in columns if c.delay is not None]
    synapses = Synapses(
        np.concatenate([c.source for c in columns]),
        np.concatenate([c.target for c in columns]),
        np.concatenate([c.weight for c in columns]),
        np.concatenate(delays) if delays else None,
    )
    return Joined(name, source, target, port, delay, tuple(parts), synapses, like, weight)


def fans(heard: Heard, one: Joined, size: int) -> Division:
    """For each source the parts in which it has synapses, and how many."""
    sources, part, count = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for number, name in enumerate(one.parts):
        node = heard.graph.nodes[name]
        assert isinstance(node, Sparse)
        fan = np.diff(node.indptr.astype(np.int64))
        some = np.flatnonzero(fan)
        sources.append(heard.read(heard.graph.inputs_of(name)[0].src)[1][some].astype(np.int64))
        part.append(np.full(len(some), number, np.int32))
        count.append(fan[some].astype(np.int32))
    at = np.concatenate(sources)
    order = np.argsort(at, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=size))])
    return Division(len(one.parts), np.concatenate(part)[order], indptr, np.concatenate(count)[order])


def _numbered(node: Sparse, sources: Array, targets: Array) -> Synapses:
    """The synapses of one node by the numbers of its neurons in their layers; without delays those of weight
    0 are left out, with them they say how long what arrives is kept.
    """
    weight = node.stored_weights
    source = sources[np.repeat(np.arange(len(sources)), np.diff(node.indptr.astype(np.int64)))]
    kept = np.flatnonzero(weight) if node.delays is None else np.arange(len(weight))
    delay = None if node.delays is None else node.each_delay()[kept]
    return Synapses(
        source[kept].astype(np.int32), targets[node.targets][kept].astype(np.int32), weight[kept], delay
    )
