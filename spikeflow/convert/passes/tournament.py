"""Pass: max pooling of any values, where no rectifier can stand before it.

Of values that are not below 0 anyway (sums of rectified values, or moved across channels) a rectifier before
the pooling changes nothing. Of others the largest of a window is found in rounds,
max(x, y) = x + relu(y - x): as exact, and with one layer of neurons a round.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Gather, Input, MaxPool, Move, Node, Pool, Scale, Shape
from spikeflow.typing import Array

RELU = "relu"


def rectified_or_in_rounds(graph: Graph, pool: str) -> Graph:
    """The graph of stage ann with a rectifier before a pooling, or with rounds in its place."""
    return rectified(graph, pool) if _positive(graph, pool) else in_rounds(graph, pool)


def countable(graph: Graph, pool: str) -> bool:
    """Whether spikes that stand for one threshold a channel still do so where they are pooled."""
    labels = _labels(graph, pool)
    rows = labels.reshape(len(labels), -1)
    return bool((rows == rows[:, :1]).all()) and not ((rows == _ANALOG).any() and (rows != _ANALOG).any())


def rectified(graph: Graph, pool: str) -> Graph:
    """The graph with a rectifier before a pooling."""
    name = _free(graph, f"{pool}.relu")
    nodes: dict[str, Node] = {}
    for key, node in graph.nodes.items():
        if key == pool:
            nodes[name] = Activation(RELU)
        nodes[key] = node
    edges = tuple(replace(e, dst=name) if e.dst == pool else e for e in graph.edges)
    return Graph(nodes, (*edges, Edge(name, pool)), graph.dt)


def in_rounds(graph: Graph, pool: str) -> Graph:
    """The graph with a tournament in place of a pooling; its readers add up what the rounds hand on."""
    node, shape = graph.nodes[pool], graph.port_shape(pool, "in")
    assert isinstance(node, MaxPool)
    made = _Rounds(graph, pool)
    values = [made.place(index, shape) for index in _places(node, shape)]
    while len(values) > 1:
        pairs = [made.larger(a, b) for a, b in zip(values[::2], values[1::2], strict=False)]
        values = [*pairs, *values[2 * len(pairs) :]]
    nodes: dict[str, Node] = {}
    for key, old in graph.nodes.items():
        nodes.update(made.nodes if key == pool else {key: old})
    edges: list[Edge] = []
    for edge in graph.edges:
        if edge.src == pool:
            edges += [replace(edge, src=term) for term in values[0]]
        elif edge.dst != pool:
            edges.append(edge)
    return Graph(nodes, (*edges, *made.edges), graph.dt)


_ANALOG = -1


def _labels(graph: Graph, name: str) -> Array:
    """For each value that arrives at a node which source and channel it comes from; -1 is an Input."""
    known: dict[str, Array] = {}
    numbers: dict[str, int] = {}

    def label(at: str) -> Array:
        if at not in known:
            known[at] = _label(at)
        return known[at]

    def _label(at: str) -> Array:
        node, shape = graph.nodes[at], graph.shapes[at]
        if isinstance(node, Input):
            return np.full(shape, _ANALOG)
        if isinstance(node, Move | Pool | Scale):
            ports = [label(graph.inputs_of(at, port)[0].src) for port in node.ports]
            if isinstance(node, Move):
                return node.moved(ports, None)
            return _by_channel(ports[0], shape) if isinstance(node, Pool) else ports[0]
        first = numbers.setdefault(at, 2**20 * len(numbers))
        return np.broadcast_to((first + np.arange(shape[0])).reshape(-1, *(1,) * (len(shape) - 1)), shape)

    return label(graph.inputs_of(name)[0].src)


def _by_channel(labels: Array, shape: Shape) -> Array:
    """What a pool makes of labels that are one a channel."""
    return np.broadcast_to(labels[:, *(slice(0, 1),) * (labels.ndim - 1)], shape)


def _positive(graph: Graph, name: str) -> bool:
    """Whether nothing that arrives at a node is ever below 0."""
    return all(_not_below(graph, edge.src) for edge in graph.inputs_of(name))


def _not_below(graph: Graph, name: str) -> bool:
    node = graph.nodes[name]
    if isinstance(node, Activation):
        return node.kind == RELU
    if isinstance(node, Scale) and weight_values(node.factor).min() < 0:
        return False
    return isinstance(node, Move | Pool | Scale) and _positive(graph, name)


def _places(node: MaxPool, shape: Shape) -> list[Array]:
    """For each place of a window the values there, an index map of all windows of all channels; where it
    lies in the padding another value of the window.
    """
    windows = node.windows(shape)
    first = np.take_along_axis(windows, np.argmax(windows >= 0, axis=1)[:, None], 1)
    windows = np.where(windows >= 0, windows, first)
    channel = np.arange(shape[0])[:, None] * prod(shape[1:])
    return [(channel + line).reshape(-1) for line in windows.T]


@dataclass
class _Rounds:
    """Nodes and edges of a tournament; a value is the names whose sum it is."""

    graph: Graph
    pool: str
    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    edges: list[Edge] = field(default_factory=list[Edge])

    def place(self, index: Array, shape: Shape) -> tuple[str, ...]:
        """The values of one place of every window."""
        node = Gather(index, shape, self.graph.shapes[self.pool])
        sources = tuple(edge.src for edge in self.graph.inputs_of(self.pool))
        return (self._add("place", node, sources),)

    def larger(self, a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
        """a + relu(b - a)."""
        less = self._add("less", Scale(np.full(1, -1, np.float32)), a)
        return (*a, self._add(RELU, Activation(RELU), (*b, less)))

    def _add(self, word: str, node: Node, sources: tuple[str, ...]) -> str:
        name = _free(self.graph, f"{self.pool}.{word}", self.nodes)
        self.nodes[name] = node
        self.edges += [Edge(source, name) for source in sources]
        return name


def _free(graph: Graph, name: str, more: dict[str, Node] | None = None) -> str:
    found, count = name, 1
    while found in graph.nodes or found in (more or {}):
        count += 1
        found = f"{name}_{count}"
    return found
