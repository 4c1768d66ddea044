"""The synapses of a fixed graph, one population at a time: who listens to what, computed when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.errors import GraphError
from spikeflow.hw.tables.records import Projection
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Output, Population, Synapses, Synaptic
from spikeflow.ir.synapses import synapses_of
from spikeflow.typing import Array

_COMPOSE = "compose, so that one synapse node stands between two populations"


@dataclass(frozen=True, eq=False)
class FanIn:
    """All synapses that reach one population, by target.

    An axon is a distinct (projection, source neuron, delay).

    Parameters
    ----------
    projection, source, delay : int32, ``(axons,)``.
    indptr : int64, ``(neurons + 1,)``; neuron i has the synapses indptr[i] to indptr[i + 1].
    axon, weight : int32 and int16 or int32, ``(synapses,)``, ascending by axon within a neuron.
    group : int32, ``(neurons,)``: neurons of one number listen to the same sources, by the network's
        structure.
    """

    projection: Array
    source: Array
    delay: Array
    indptr: Array
    axon: Array
    weight: Array
    group: Array

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return len(self.indptr) - 1

    @property
    def axons(self) -> int:
        """Number of axons."""
        return len(self.source)

    def rows(self, neurons: Array) -> tuple[Array, Array]:
        """(position in `neurons`, synapse) of all synapses of some neurons, in order."""
        begin, length = self.indptr[neurons], self.indptr[neurons + 1] - self.indptr[neurons]
        owner = np.repeat(np.arange(len(neurons)), length)
        offset = np.arange(len(owner)) - np.repeat(np.cumsum(length) - length, length)
        return owner, np.repeat(begin, length) + offset

    def axons_of(self, neurons: Array) -> tuple[Array, Array]:
        """Distinct axons of some neurons, ascending, and the number of synapses on each."""
        axons = self.axon[self.rows(neurons)[1]]
        if len(axons) < 4096:
            return np.unique(axons, return_counts=True)
        counts = np.bincount(axons, minlength=self.axons)
        distinct = np.flatnonzero(counts)
        return distinct, counts[distinct]


def projections(graph: Graph) -> tuple[Projection, ...]:
    """The edges of a composed fixed graph, in the order of its synapse nodes.

    Raises
    ------
    GraphError
        Where anything else than one synapse node stands between a source and a population.
    """
    for name, node in graph.nodes.items():
        if not isinstance(node, Input | Output | Population | Synaptic):
            raise GraphError(name, f"a {type(node).__name__} cannot be mapped", _COMPOSE)
    _check_ends(graph)
    return tuple(_projection(graph, name) for name in graph.of_kind(Synaptic))


def _check_ends(graph: Graph) -> None:
    for edge in graph.edges:
        source, target = graph.nodes[edge.src], graph.nodes[edge.dst]
        if isinstance(target, Population) and not isinstance(source, Synaptic):
            raise GraphError(edge.dst, f"reads {edge.src} without synapses", _COMPOSE)
        if isinstance(target, Output) and not isinstance(source, Population):
            raise GraphError(edge.dst, f"reads {edge.src}, which is no population", "a population there")


def _projection(graph: Graph, name: str) -> Projection:
    node, into, out = graph.nodes[name], graph.inputs_of(name), graph.outputs_of(name)
    assert isinstance(node, Synaptic)
    ends = [graph.nodes[e.src] for e in into] + [graph.nodes[e.dst] for e in out]
    if (
        len(into) != 1
        or len(out) != 1
        or not isinstance(ends[0], Input | Population)
        or not isinstance(ends[1], Population)
    ):
        raise GraphError(name, "does not join exactly one source to one population", _COMPOSE)
    if not isinstance(node.weight, Quantised) or node.bias is not None:
        raise GraphError(name, "is not at stage fixed", "quantise first")
    # a delay behind the sum is a delay before it: the sum has no memory
    return Projection(
        name,
        into[0].src,
        out[0].dst,
        out[0].port,
        into[0].delay + out[0].delay,
        node.exponent,
        node.weight.format,
        node.delays is not None,
    )


def fan_in(graph: Graph, population: str, edges: tuple[Projection, ...]) -> FanIn:
    """The synapses that reach one population; `edges` are all projections of the graph."""
    mine = [(i, p) for i, p in enumerate(edges) if p.target == population]
    parts = [(i, p, synapses_of(graph, p.name)) for i, p in mine]
    keys, columns, first = [], [], 0
    for index, edge, synapses in parts:
        key, column = _axons(graph, index, edge, synapses)
        keys.append(key)
        columns.append(column + first)
        first += len(key)
    axons = np.concatenate([np.zeros((0, 3), np.int32), *keys])
    found = [(column, synapses) for column, (_, _, synapses) in zip(columns, parts, strict=True)]
    return _by_target(graph, population, axons, found, mine)


def _axons(graph: Graph, index: int, edge: Projection, synapses: Synapses) -> tuple[Array, Array]:
    """Axons of a projection, ``(axons, 3)``: projection, source, delay; and the axon of each synapse."""
    delay = np.zeros(1, np.int64) if synapses.delay is None else synapses.delay.astype(np.int64)
    span = int(delay.max(initial=0)) + 1
    key = synapses.source.astype(np.int64) * span + delay
    present = np.zeros(prod(graph.shapes[edge.source]) * span, bool)
    present[key] = True
    column = np.cumsum(present, dtype=np.int32) - 1
    kept = np.flatnonzero(present)
    table = np.stack([np.full(len(kept), index), kept // span, kept % span + edge.delay], axis=1)
    return table.astype(np.int32), column[key]


def _by_target(
    graph: Graph,
    population: str,
    axons: Array,
    found: list[tuple[Array, Synapses]],
    mine: list[tuple[int, Projection]],
) -> FanIn:
    size = prod(graph.shapes[population])
    none = np.zeros(0, np.int32)
    target = np.concatenate([none, *(s.target for _, s in found)])
    axon = np.concatenate([none, *(c for c, _ in found)])
    weight = np.concatenate([none, *(s.weight for _, s in found)])
    order = np.argsort(target.astype(np.int64) * (len(axons) + 1) + axon, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(target, minlength=size))])
    small = weight.size == 0 or -(2**15) <= weight.min() <= weight.max() < 2**15
    axon = axon[order]
    group = np.zeros(size, np.int32)
    if mine:
        count = np.bincount(axons[axon, 0], minlength=max(i for i, _ in mine) + 1)
        index, edge = max(mine, key=lambda item: (int(count[item[0]]), -item[0]))
        group = _group(graph, edge, indptr, np.where(axons[axon, 0] == index, axon, -1))
    return FanIn(
        axons[:, 0],
        axons[:, 1],
        axons[:, 2],
        indptr,
        axon,
        weight[order].astype(np.int16 if small else np.int32),
        group,
    )


def _group(graph: Graph, edge: Projection, indptr: Array, axon: Array) -> Array:
    """Which neurons share their sources, by the structure of one projection; `axon` is -1 for the others."""
    node = graph.nodes[edge.name]
    assert isinstance(node, Synaptic)
    alike = node.alike(graph.shapes[edge.name])
    return _group_by_sources(indptr, axon) if alike is None else alike


def _group_by_sources(indptr: Array, axon: Array) -> Array:
    # equal sets have equal sums of random numbers; a chance meeting only makes a group less alike
    token = np.random.default_rng(1).integers(1, 2**62, int(axon.max(initial=0)) + 2).astype(np.uint64)
    token[-1] = 0
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(token[axon], dtype=np.uint64)])
    total = running[indptr[1:]] - running[indptr[:-1]]
    first, inverse = np.unique(total, return_index=True, return_inverse=True)[1:]
    return np.argsort(np.argsort(first)).astype(np.int32)[inverse]
