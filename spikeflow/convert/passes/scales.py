"""fold_scales: constant factors into weights, where they belong: the input axis of the next linear node.

A factor travels with a value through pools and moves until a Linear, Conv2d or Sparse takes it into its
weights: float64, rounded once. Where it meets a port that holds no weights (an activation, a population, the
output), or branches of different factors meet, a Scale node stands there, unless the linear node that made
the value can take it into its output axis. Biases are never multiplied by a source's factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt

from spikeflow.convert.capture.affine import per_channel
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Move, Node, Pool, Scale, Shape, Synaptic
from spikeflow.ir.synapses import by_part, times_columns, times_rows
from spikeflow.typing import Array


@dataclass(frozen=True)
class _Term:
    """A node whose value, times `factor`, is meant; `label` names the Scale should one be needed."""

    src: str
    factor: Array
    label: str


def fold_scales(graph: Graph, given: Mapping[str, npt.ArrayLike] | None = None) -> Graph:
    """The graph with every Scale, and every given factor, folded into weights as far as that is exact.

    Parameters
    ----------
    given : for some nodes, a factor by which their readers must multiply what they hand on; it broadcasts to
        their shape. This is how a spike of 1 comes to stand for its threshold.
    """
    return _fold_backwards(_Forwards(graph, given or {}).run())


def one(shape: Shape) -> Array:
    """The factor 1, ready to broadcast."""
    return np.ones((1,) * len(shape))


def narrow(factor: Array, shape: Shape) -> Array:
    """The smallest array that broadcasts to the same factor: one number, one a channel, or all."""
    full = np.broadcast_to(factor, shape)
    if (full == full.flat[0]).all():
        return full.flat[0] * one(shape)
    channel = per_channel(full, shape)
    return np.array(full) if channel is None else channel.reshape(-1, *(1,) * (len(shape) - 1))


class _Forwards:
    """One sweep in the order of the graph."""

    def __init__(self, graph: Graph, given: Mapping[str, npt.ArrayLike]) -> None:
        self.graph, self.given = graph, given
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.terms: dict[str, tuple[_Term, ...]] = {}
        self.made: dict[tuple[str, bytes], str] = {}

    def run(self) -> Graph:
        for name in self.graph.order:
            node = self.graph.nodes[name]
            if isinstance(node, Scale):
                self.terms[name] = self._scaled(name, node)
            else:
                self._keep(name, node)
        # the order of the user's network, with what is new behind what it reads
        rank = {name: i for i, name in enumerate(self.graph.nodes)}
        order = sorted(self.nodes, key=lambda n: rank.get(n, rank.get(self._source(n), 0) + 0.5))
        return Graph({name: self.nodes[name] for name in order}, tuple(self.edges), self.graph.dt)

    def _source(self, name: str) -> str:
        return next((e.src for e in self.edges if e.dst == name), "")

    def _scaled(self, name: str, node: Scale) -> tuple[_Term, ...]:
        shape = self.graph.shapes[name]
        factor = weight_values(node.factor).astype(np.float64)
        # of a chain of Scales the first names what stays
        return tuple(
            _Term(t.src, narrow(t.factor * factor, shape), t.label if t.label in self.terms else name)
            for t in self._arriving(name, "in")
        )

    def _arriving(self, name: str, port: str) -> tuple[_Term, ...]:
        """What a port adds up; a source that comes by two ways comes once, with the sum of its factors."""
        found: dict[str, _Term] = {}
        for edge in self.graph.inputs_of(name, port):
            for term in self.terms[edge.src]:
                old = found.get(term.src)
                found[term.src] = term if old is None else replace(old, factor=old.factor + term.factor)
        return tuple(found.values())

    def _keep(self, name: str, node: Node) -> None:
        shape = self.graph.shapes[name]
        common = tuple(self._connect(name, node, port) for port in node.ports)
        factor = one(shape)
        if isinstance(node, Synaptic):
            node = into_sources(node, common[0], self.graph.port_shape(name, "in"))
        elif isinstance(node, Pool | Move):
            factor = narrow(
                _moved(
                    node,
                    [
                        np.broadcast_to(f, self.graph.port_shape(name, p))
                        for f, p in zip(common, node.ports, strict=True)
                    ],
                    shape,
                ),
                shape,
            )
        if name in self.given:
            factor = narrow(factor * np.asarray(self.given[name], np.float64), shape)
        self.nodes[name] = node
        self.terms[name] = (_Term(name, factor, f"{name}.scale"),)

    def _connect(self, name: str, node: Node, port: str) -> Array:
        """Connect a port; the factor that all its terms have in common and that the node must take itself."""
        shape = self.graph.port_shape(name, port)
        terms = self._arriving(name, port)
        first = terms[0].factor if terms else one(shape)
        takes = bool(terms) and _takes(node, first, shape)
        equal = all(
            np.array_equal(np.broadcast_to(t.factor, shape), np.broadcast_to(first, shape)) for t in terms
        )
        for term in terms:
            src = term.src if takes and equal else self._explicit(term, shape)
            self.edges.append(Edge(src, name, port))
        return first if takes and equal else one(shape)

    def _explicit(self, term: _Term, shape: Shape) -> str:
        """The term's source where its factor is 1, else a Scale behind it, shared by all who need it."""
        if (term.factor == 1).all():
            return term.src
        rounded = narrow(term.factor, shape).astype(np.float32)
        key = (term.src, rounded.tobytes())
        if key not in self.made:
            name, count = term.label, 1
            while name in self.nodes or (
                name in self.graph.nodes and not isinstance(self.graph.nodes[name], Scale)
            ):
                count += 1
                name = f"{term.label}_{count}"
            self.made[key], self.nodes[name] = name, Scale(rounded)
            self.edges.append(Edge(term.src, name))
        return self.made[key]


def _takes(node: Node, factor: Array, shape: Shape) -> bool:
    """Whether a node can take a factor of its input into its weights, or hand it on, exactly."""
    if isinstance(node, Pool) and not node.carries(factor):
        return False
    if isinstance(node, Synaptic | Pool):
        columns = node.columns if isinstance(node, Synaptic) else shape[0]
        return by_part(np.broadcast_to(factor, shape), columns) is not None
    return isinstance(node, Move)


def into_sources(node: Node, factor: Array, shape: Shape) -> Node:
    """A linear node that reads x and gives what it gave for factor x."""
    if (factor == 1).all():
        return node
    assert isinstance(node, Synaptic)
    columns = by_part(np.broadcast_to(factor, shape), node.columns)
    assert columns is not None
    return times_columns(node, columns)


def into_targets(node: Node, factor: Array, shift: Array, shape: Shape) -> Node:
    """A linear node that gives factor y + shift for its y; both broadcast to the output's `shape`."""
    assert isinstance(node, Synaptic)
    a, b = (
        np.broadcast_to(np.asarray(x, np.float64), shape).reshape(node.rows, -1)[:, 0]
        for x in (factor, shift)
    )
    return times_rows(node, a, b)


def _moved(node: Node, factors: Sequence[Array], shape: Shape) -> Array:
    """The factors of a node's output from those of its inputs, at full shape."""
    x = factors[0]
    if isinstance(node, Pool):
        return x[:, *(slice(1),) * (x.ndim - 1)]
    assert isinstance(node, Move)
    # zeros have any factor; the neighbour's keeps one number for each channel
    return node.moved(factors, None)


def _fold_backwards(graph: Graph) -> Graph:
    """Scales that stayed, taken by the linear nodes that made the value, where nobody else reads them."""
    for name in graph.of_kind(Scale):
        node = graph.nodes[name]
        assert isinstance(node, Scale)
        factor = weight_values(node.factor).astype(np.float64)
        makers = _makers(graph, name, factor)
        if makers:
            changed = {
                m: into_targets(
                    graph.nodes[m],
                    narrow(factor, graph.shapes[name])
                    if graph.shapes[m] == graph.shapes[name]
                    else _channelwise(factor, graph, name, m),
                    np.zeros(()),
                    graph.shapes[m],
                )
                for m in makers
            }
            graph = without(graph.with_nodes(changed), name)
    return graph


def _channelwise(factor: Array, graph: Graph, name: str, maker: str) -> Array:
    channel = per_channel(factor, graph.shapes[name])
    assert channel is not None
    return channel.reshape(-1, *(1,) * (len(graph.shapes[maker]) - 1))


def _makers(graph: Graph, name: str, factor: Array) -> tuple[str, ...]:
    """The linear nodes behind a Scale that can take its factor into their outputs; none unless all can."""
    channel = per_channel(factor, graph.shapes[name]) is not None
    found: list[str] = []
    todo = [edge.src for edge in graph.inputs_of(name)]
    while todo:
        source = todo.pop()
        node = graph.nodes[source]
        if len(graph.outputs_of(source)) != 1:
            return ()
        if channel and isinstance(node, Pool) and node.carries(factor):
            todo += [edge.src for edge in graph.inputs_of(source)]
        elif isinstance(node, Synaptic) and (channel or node.rows == prod(graph.shapes[source])):
            found.append(source)
        else:
            return ()
    return tuple(found)


def without(graph: Graph, name: str) -> Graph:
    """The graph without a node of one port: its readers read what it read, at the same place."""
    sources = graph.inputs_of(name, "in")
    edges: list[Edge] = []
    for edge in graph.edges:
        if edge.src == name:
            edges += [replace(edge, src=source.src) for source in sources]
        elif edge.dst != name:
            edges.append(edge)
    return Graph({n: node for n, node in graph.nodes.items() if n != name}, tuple(edges), graph.dt)
