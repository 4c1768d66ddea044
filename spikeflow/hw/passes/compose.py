"""Pass: what lies between two populations becomes one set of synapses.

A path leads from an Input or a population through linear nodes to a port. Its nodes are multiplied in float64
and rounded once. A path that stays a convolution becomes a Conv2d, one that ends in a Linear a Linear, any
other a Sparse. Biases meet in one array on the first node of the port.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from spikeflow.errors import GraphError
from spikeflow.hw.passes import operators
from spikeflow.hw.passes.convolve import Affine, as_conv
from spikeflow.hw.passes.operators import Operator
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    Concat,
    Delay,
    Input,
    Linear,
    Move,
    Node,
    Output,
    Poisson,
    Population,
    Shape,
    Sparse,
    Synapses,
    Synaptic,
    SynapticNode,
)
from spikeflow.ir.outputs import reads_states
from spikeflow.ir.synapses import by_part, listed
from spikeflow.typing import Float

ENDS = (Input, Population)
MAX_PATHS = 4096
DENSE = 0.5  # a share of non-zero weights from which a matrix is kept as a Linear


@dataclass(frozen=True)
class Hop:
    """One linear node of a path: its name, and the port at which the path enters it."""

    name: str
    port: str


@dataclass(frozen=True)
class Path:
    """A source, the linear nodes after it in order, and the sum of the delays of the edges."""

    source: str
    hops: tuple[Hop, ...]
    delay: int


def compose(graph: Graph) -> Graph:
    """The graph with one node of synapses on each path between an Input or a population and a port.

    Names are kept: the node takes the name of the last Linear, Conv2d or Sparse of its path. A connection of
    a population with an Output stays an edge. Delays of edges add up; delays of nodes are kept.

    Raises
    ------
    GraphError
        Where a bias passes a delay (it would begin late), a path is too large to be written out, an edge
        reads a state, or a source draws its spikes itself.
    """
    for edge in reads_states(graph):
        raise GraphError(edge.src, f"hands on its state {edge.src_port} to {edge.dst}, which no chip does")
    for name in graph.of_kind(Poisson):
        raise GraphError(name, "draws its spikes itself, which no chip does")
    builder = _Builder(graph)
    for name, node in graph.nodes.items():
        for port in node.ports if isinstance(node, Population | Output) else ():
            builder.port(name, port)
    return replace(graph, nodes=builder.nodes, edges=tuple(builder.edges))


class _Builder:
    """The nodes and edges made so far."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.constants = graph, Constants(graph)
        self.nodes: dict[str, Node] = {
            n: node for n, node in graph.nodes.items() if isinstance(node, (*ENDS, Output))
        }
        self.edges: list[Edge] = []

    def port(self, target: str, port: str) -> None:
        """Make the synapses of one port."""
        paths = list(_paths(self.graph, target, port))
        plain = isinstance(self.graph.nodes[target], Output) and all(not p.hops for p in paths)
        if plain:
            self.edges += [Edge(p.source, target, port, p.delay) for p in paths]
            return
        shape = self.graph.port_shape(target, port)
        bias = self.constants.at(target, port)
        made = [_synapses(self.graph, path, shape) for path in paths]
        for path, node in zip(paths, self._with_bias(paths, made, bias, shape), strict=True):
            self._connect(path, node, target, port)

    def _with_bias(
        self, paths: Sequence[Path], made: list[SynapticNode], bias: Float | None, shape: Shape
    ) -> list[SynapticNode]:
        """The nodes of a port with all of its biases on the first that can hold them."""
        if bias is None:
            return made
        index = next((i for i, node in enumerate(made) if _bias_for(node, bias) is not None), None)
        if index is None:
            # a convolution has one bias a channel; these differ within one, so its kernel is written out
            index, made[0] = 0, _written_out(self.graph, paths[0], shape)
        flat = _bias_for(made[index], bias)
        assert flat is not None
        made[index] = replace(made[index], bias=flat.astype(np.float32))
        return made

    def _connect(self, path: Path, node: SynapticNode, target: str, port: str) -> None:
        name = self._name(path, target, port)
        self.nodes[name] = node
        self.edges += [Edge(path.source, name, delay=path.delay), Edge(name, target, port)]

    def _name(self, path: Path, target: str, port: str) -> str:
        kinds = [h.name for h in path.hops if isinstance(self.graph.nodes[h.name], Synaptic)]
        own = kinds or [h.name for h in path.hops]
        name = own[-1] if own else f"{path.source}->{target}" + ("" if port == "in" else f".{port}")
        if name in self.nodes:
            name = f"{name}<-{path.source}"
        first, count = name, 2
        while name in self.nodes:
            name, count = f"{first}:{count}", count + 1
        return name


def _paths(graph: Graph, target: str, port: str) -> Iterator[Path]:
    """The paths into a port, in the order of the edges."""
    count = 0
    waiting = [Path(e.src, (), graph.lag(e)) for e in reversed(graph.inputs_of(target, port))]
    while waiting:
        path = waiting.pop()
        if isinstance(graph.nodes[path.source], ENDS):
            count += 1
            if count > MAX_PATHS:
                raise GraphError(target, f"more than {MAX_PATHS} paths lead to port {port!r}")
            yield path
            continue
        node = graph.nodes[path.source]
        for e in reversed(graph.inputs_of(path.source)):
            # a Delay is the steps of its edges
            hops = path.hops if isinstance(node, Delay) else (Hop(path.source, e.port), *path.hops)
            waiting.append(Path(e.src, hops, path.delay + graph.lag(e)))


class Constants:
    """What each linear node hands on when nothing spikes, in float64: biases, carried through what
    follows.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        ends = (*ENDS, Output)
        linear = {
            n: [e.src for e in graph.inputs_of(n)]
            for n, node in graph.nodes.items()
            if not isinstance(node, ends)
        }
        self.known: dict[str, Float | None] = dict.fromkeys(graph.nodes)
        for name in TopologicalSorter(linear).static_order():
            if name in linear:
                self.known[name] = self._constant(name)

    def at(self, name: str, port: str) -> Float | None:
        """What arrives at a port when nothing spikes; None where no bias leads there."""
        total: Float | None = None
        for edge in self.graph.inputs_of(name, port):
            part = self.known[edge.src]
            if part is None:
                continue
            if self.graph.lag(edge):
                raise GraphError(
                    edge.src,
                    f"its bias reaches {name} only {self.graph.lag(edge)} step(s) late",
                    "a delay on the edge into the layer, not on the one out of it",
                )
            total = part if total is None else total + part
        return total

    def _constant(self, name: str) -> Float | None:
        node, shape = self.graph.nodes[name], self.graph.shapes[name]
        parts = [self._carried(name, port, shape) for port in node.ports]
        if isinstance(node, Synaptic) and node.bias is not None:
            parts.append(node.with_bias(np.zeros((1, *shape)))[0])
        found = [p for p in parts if p is not None]
        return sum(found[1:], found[0]) if found else None

    def _carried(self, name: str, port: str, shape: Shape) -> Float | None:
        part = self.at(name, port)
        if part is None:
            return None
        slots = operators.operator(self.graph, name, port)
        if max(slots, default=0) > 0:
            raise GraphError(name, "a bias passes its delays and would begin late", "a bias after the delays")
        return np.asarray((sum(slots.values()) @ part.reshape(-1)).reshape(shape))


def _keeps_order(graph: Graph, name: str) -> bool:
    """Whether a node only puts what arrives under another shape; one that joins several ports does more."""
    node = graph.nodes[name]
    return (
        len(node.ports) == 1
        and isinstance(node, Move)
        and node.keeps_order([graph.port_shape(name, p) for p in node.ports])
    )


def _synapses(graph: Graph, path: Path, shape: Shape) -> SynapticNode:
    nodes = [graph.nodes[h.name] for h in path.hops]
    in_shape = graph.shapes[path.source]
    real = [graph.nodes[h.name] for h in path.hops if not _keeps_order(graph, h.name)]
    if (
        len(real) == 1
        and isinstance(real[0], Linear)
        and real[0].weight.shape[0] == prod(shape)
        and len(shape) == 1
    ):
        return replace(real[0], bias=None)
    if len(nodes) == 1 and isinstance(nodes[0], Sparse):
        return replace(nodes[0], bias=None)
    conv = as_conv([_affine(graph, h) for h in path.hops], in_shape)
    if conv is not None and conv.output_shape("", (in_shape,)) == shape:
        return conv
    return _written_out(graph, path, shape)


def _affine(graph: Graph, hop: Hop) -> Affine:
    node = graph.nodes[hop.name]
    start = 0
    if isinstance(node, Concat):  # where the port's values begin along the axis
        before = node.ports[: node.ports.index(hop.port)]
        start = sum(graph.port_shape(hop.name, p)[node.axis] for p in before)
    return Affine(node, graph.port_shape(hop.name, hop.port), graph.shapes[hop.name], start)


def _written_out(graph: Graph, path: Path, shape: Shape) -> SynapticNode:
    """The product of the path's matrices, as a Linear where it ends in one and is mostly full, else as a
    Sparse.
    """
    size = prod(graph.shapes[path.source])
    product: Operator = {0: operators.selection(np.arange(size), size)}
    for hop in path.hops:
        product = operators.multiply(operators.operator(graph, hop.name, hop.port), product)
    synapses = [(d, *_entries(m)) for d, m in sorted(product.items())]
    count = sum(len(weights) for _, weights, _, _ in synapses)
    linear = any(isinstance(graph.nodes[h.name], Linear) for h in path.hops)
    if linear and len(shape) == 1 and set(product) == {0} and count > DENSE * prod(shape) * size:
        return Linear(product[0].toarray())
    weight, target, source = (np.concatenate(parts) for parts in list(zip(*synapses, strict=True))[1:])
    delays = np.concatenate([np.full(len(w), d) for d, w, _, _ in synapses])
    return listed(Synapses(source, target, weight, delays), graph.shapes[path.source], shape)


def _entries(matrix: operators.Matrix) -> tuple[Float, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Weights, targets and sources, ordered by source, then target; zeros left out."""
    by_source: Any = sparse.csc_array(matrix)
    by_source.eliminate_zeros()
    by_source.sort_indices()
    sources = np.repeat(np.arange(by_source.shape[1]), np.diff(by_source.indptr))
    return by_source.data, by_source.indices.astype(np.int64), sources


def _bias_for(node: SynapticNode, bias: Float) -> Float | None:
    return by_part(bias, node.rows)


def is_composed(graph: Graph) -> bool:
    """Whether every linear node stands alone between an Input or population and a port."""
    for name in graph.of_kind(Synaptic):
        sources = [graph.nodes[e.src] for e in graph.inputs_of(name)]
        targets = graph.outputs_of(name)
        if len(sources) != 1 or not isinstance(sources[0], ENDS) or len(targets) != 1 or targets[0].delay:
            return False
    others = (*ENDS, Output, Synaptic)
    return all(isinstance(n, others) for n in graph.nodes.values()) and not any(
        isinstance(graph.nodes[e.dst], Population) and isinstance(graph.nodes[e.src], ENDS)
        for e in graph.edges
    )
