"""Graph: a network as one immutable value."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

from spikeflow.errors import GraphError, ShapeError
from spikeflow.frozen import ADDED, Frozen
from spikeflow.ir.codec import encoded
from spikeflow.ir.integers import Integers
from spikeflow.ir.limits import LONGEST_DELAY
from spikeflow.ir.nodes import Delay, Input, Node, Output, Poisson, Population, Shape, check_shape
from spikeflow.ir.nodes.base import as_int, set_frozen
from spikeflow.ir.outputs import check_source, expanded
from spikeflow.ir.plastic import check_plastic
from spikeflow.ir.whole import check_counting

MAX_NAME = 300  # characters
SHOWN = 12  # names in a short text


@dataclass(frozen=True)
class Edge:
    """A connection: the value of `src` arrives at a port of `dst`, `delay` steps later.

    `src_port` is what is read: ``out``, what the node hands on, or a state of a population by its name, as it
    stands behind the step (0 before the population's start).

    Delay 0 means within the same step. Edges into one port add up, in the order of the graph's edges.
    """

    src: str
    dst: str
    port: str = "in"
    delay: int = 0
    src_port: str = "out"

    def __post_init__(self) -> None:
        set_frozen(self, "delay", as_int(self.delay))


@dataclass(frozen=True, eq=False)
class Graph(Frozen):
    """Nodes by name, the edges between them, and the length of a step.

    Parameters
    ----------
    nodes : read-only; names are the user's module names.
    edges : in the order in which they are added up.
    dt : seconds per step, used only at the edges of the system.
    integers : stage fixed: the chip that its numbers were made for, and the network they were made from.

    Raises
    ------
    GraphError, ShapeError
        For unknown names and ports, unconnected ports, cycles without delay, shapes and values that do not
        fit.
    """

    WRITTEN: ClassVar = ("dt", "nodes", "edges", "integers")  # the order in files and digests

    nodes: Mapping[str, Node] = field(metadata={"ordered": True})
    edges: tuple[Edge, ...]
    dt: float = 1e-3
    integers: Integers | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        _check_kinds(self.nodes, self.edges)
        object.__setattr__(self, "nodes", MappingProxyType(dict(self.nodes)))
        object.__setattr__(self, "edges", tuple(self.edges))
        for name, node in self.nodes.items():
            _check_name(name)
            node.check(name)
        ports = {name: frozenset(node.ports) for name, node in self.nodes.items()}
        for edge in self.edges:
            _check_edge(self, edge, ports)
        _check_ports(self)
        if not 0 < self.dt < 1e6:
            raise GraphError("graph", f"dt {self.dt} is not a positive number of seconds", "dt=1e-3")
        check_plastic(self, self.shapes)  # which derives, and so checks, every shape
        check_counting(expanded(self))

    def __repr__(self) -> str:
        names = ", ".join([*self.nodes][:SHOWN]) + (", ..." if len(self.nodes) > SHOWN else "")
        return f"Graph({len(self.nodes)} nodes: {names}; {len(self.edges)} edges; dt {self.dt:g} s)"

    @cached_property
    def _incoming(self) -> Mapping[str, tuple[Edge, ...]]:
        found: dict[str, list[Edge]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            found[edge.dst].append(edge)
        return {name: tuple(edges) for name, edges in found.items()}

    @cached_property
    def _at_port(self) -> Mapping[tuple[str, str], tuple[Edge, ...]]:
        found: dict[tuple[str, str], list[Edge]] = {}
        for edge in self.edges:
            found.setdefault((edge.dst, edge.port), []).append(edge)
        return {at: tuple(edges) for at, edges in found.items()}

    @cached_property
    def _outgoing(self) -> Mapping[str, tuple[Edge, ...]]:
        found: dict[str, list[Edge]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            found[edge.src].append(edge)
        return {name: tuple(edges) for name, edges in found.items()}

    def inputs_of(self, name: str, port: str | None = None) -> tuple[Edge, ...]:
        """The edges into a node, or into one of its ports, in order."""
        return self._incoming[name] if port is None else self._at_port.get((name, port), ())

    def outputs_of(self, name: str) -> tuple[Edge, ...]:
        """The edges out of a node, in order."""
        return self._outgoing[name]

    def lag(self, edge: Edge) -> int:
        """How many steps after its source an edge is read: its delay, and that of the Delay it leads to."""
        node = self.nodes[edge.dst]
        return edge.delay + (node.steps if isinstance(node, Delay) else 0)

    def of_kind(self, *kinds: type) -> tuple[str, ...]:
        """Names of the nodes of these kinds, in order."""
        return tuple(name for name, node in self.nodes.items() if isinstance(node, kinds))

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the Input nodes, in order."""
        return self.of_kind(Input)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the Output nodes, in order."""
        return self.of_kind(Output)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The nodes so that each comes after those it reads within the step; ties in the order of `nodes`."""
        waiting = {name: sum(self.lag(e) == 0 for e in self._incoming[name]) for name in self.nodes}
        names = tuple(self.nodes)
        rank = {name: i for i, name in enumerate(names)}
        ready = [rank[n] for n, count in waiting.items() if count == 0]  # ascending, hence already a heap
        done: list[str] = []
        while ready:
            name = names[heapq.heappop(ready)]
            done.append(name)
            for edge in self._outgoing[name]:
                if self.lag(edge) == 0:
                    waiting[edge.dst] -= 1
                    if waiting[edge.dst] == 0:
                        heapq.heappush(ready, rank[edge.dst])
        if len(done) < len(self.nodes):
            stuck = next(n for n in self.nodes if n not in set(done))
            hint = "a delay of 1 step on a recurrent edge"
            raise GraphError(stuck, "lies on or behind a cycle without delay", hint)
        return tuple(done)

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of what each node hands on, derived by the rule of its kind."""
        found: dict[str, Shape] = {
            n: p.shape for n, p in self.nodes.items() if isinstance(p, Input | Poisson | Population)
        }
        pending = [n for n in self.order if n not in found]
        while pending:
            later: list[str] = []
            for name in pending:
                if all(e.src in found for e in self._incoming[name]):
                    found[name] = _shape(self, name, found)
                else:
                    later.append(name)
            if len(later) == len(pending):
                raise GraphError(later[0], "lies on a cycle without a population", "neurons on the cycle")
            pending = later
        for name in self.of_kind(Population):
            _shape(self, name, found)
        return MappingProxyType(found)

    def port_shape(self, name: str, port: str) -> Shape:
        """The shape of what arrives at a port."""
        edges = self.inputs_of(name, port)
        return self.shapes[edges[0].src] if edges else self.shapes[name]

    def with_nodes(self, changed: Mapping[str, Node]) -> Graph:
        """The same graph with some nodes replaced."""
        return replace(self, nodes={n: changed.get(n, node) for n, node in self.nodes.items()})

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in the graph: equal for equal networks, whatever made them."""
        manifest, arrays = encoded(self)
        state = hashlib.sha256(json.dumps(manifest, sort_keys=False).encode())
        for array in arrays:
            state.update(f"{array.dtype.str}{array.shape}".encode())
            state.update(array.tobytes())
        return state.hexdigest()


def _check_edge(graph: Graph, edge: Edge, ports: Mapping[str, frozenset[str]]) -> None:
    for end in (edge.src, edge.dst):
        if end not in graph.nodes:
            reason = f"the edge {edge.src} -> {edge.dst} names a node that does not exist"
            raise GraphError(end, reason, f"one of {', '.join([*graph.nodes][:SHOWN])}")
    if edge.port not in ports[edge.dst]:
        raise GraphError(
            edge.dst, f"has no port {edge.port!r} for {edge.src}", f"one of {graph.nodes[edge.dst].ports}"
        )
    if isinstance(graph.nodes[edge.src], Output):
        raise GraphError(edge.src, "an Output feeds nothing")
    check_source(graph.nodes[edge.src], edge)
    if type(edge.delay) is not int or not 0 <= edge.delay <= LONGEST_DELAY:
        hint = f"a whole number, 0 to {LONGEST_DELAY}"
        raise GraphError(edge.dst, f"a delay of {edge.delay!r} steps from {edge.src}", hint)


def _check_kinds(nodes: object, edges: object) -> None:
    if not isinstance(nodes, Mapping):
        raise GraphError("graph", f"its nodes are a {type(nodes).__name__}", "a dict, {name: node}")
    for name, node in nodes.items():
        if not isinstance(node, Node):
            raise GraphError(repr(name), f"is a {type(node).__name__}", "a node of spikeflow.ir.nodes")
    for edge in edges if isinstance(edges, Iterable) else (edges,):
        if not isinstance(edge, Edge):
            raise GraphError("graph", f"{edge!r} is no edge", "Edge(source, target)")


def _check_ports(graph: Graph) -> None:
    for name, node in graph.nodes.items():
        for port in () if isinstance(node, Population) else node.ports:
            if not graph.inputs_of(name, port):
                hint = f"Edge(source, {name!r}, {port!r})"
                raise GraphError(name, f"nothing is connected to port {port!r}", hint)


def _shape(graph: Graph, name: str, found: Mapping[str, Shape]) -> Shape:
    arriving: list[Shape] = []
    for port in graph.nodes[name].ports:
        shapes = [found[e.src] for e in graph.inputs_of(name, port)]
        if any(s != shapes[0] for s in shapes):
            raise ShapeError(name, f"shapes {shapes} at port {port!r}", "equal shapes, since edges add up")
        arriving += shapes[:1]
    shape = graph.nodes[name].output_shape(name, tuple(arriving))
    check_shape(name, shape)
    return shape


def _check_name(name: str) -> None:
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise GraphError(repr(name), f"a node's name is 1 to {MAX_NAME} printable characters")
