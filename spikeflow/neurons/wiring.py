"""Wiring: which node of a network of torch modules reads which, and in what order they run.

Parts without a cycle can run over a whole stretch of time at once; the nodes of a cycle run step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from spikeflow.errors import GraphError
from spikeflow.ir.graph import MAX_NAME, Edge
from spikeflow.ir.limits import LONGEST_DELAY

FIRST = ""  # the first port of a node, whatever its name
Incoming = Mapping[str, Mapping[str, tuple[Edge, ...]]]


class Part(NamedTuple):
    """Nodes in the order in which they run; `cyclic` where their values lead back to them in a later step."""

    names: tuple[str, ...]
    cyclic: bool = False


@dataclass(frozen=True)
class Wiring:
    """Names of nodes, the edges between them, and what follows.

    Parameters
    ----------
    parts : the nodes in an order in which each comes after all that it reads, cycles as one part.
    incoming : for each node and output its ports in the order of the edges, and the edges of each port.
    depth : for each value that is read with a delay, the longest one.
    """

    names: tuple[str, ...]
    edges: tuple[Edge, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parts: tuple[Part, ...]
    incoming: Incoming
    depth: Mapping[str, int]


def wire(
    names: Sequence[str],
    edges: Sequence[Edge],
    inputs: Sequence[str] = ("input",),
    outputs: Sequence[str] = ("output",),
) -> Wiring:
    """Nodes, inputs and outputs connected by edges.

    Raises
    ------
    GraphError
        For names that are none, are used twice or do not exist, delays that are no whole steps, nodes that
        read nothing, inputs that nothing reads, and cycles without delay.
    """
    _check_names((*inputs, *names, *outputs))
    for edge in edges:
        _check_edge(edge, (*inputs, *names), (*names, *outputs))
    incoming: dict[str, dict[str, tuple[Edge, ...]]] = {n: {} for n in (*names, *outputs)}
    depth: dict[str, int] = {}
    for edge in edges:
        ports = incoming[edge.dst]
        ports[edge.port] = (*ports.get(edge.port, ()), edge)
        if edge.delay:
            depth[source_of(edge)] = max(edge.delay, depth.get(source_of(edge), 0))
    _check_connected(incoming, inputs, {edge.src for edge in edges})
    parts = _parts(names, edges)
    return Wiring(tuple(names), tuple(edges), tuple(inputs), tuple(outputs), parts, incoming, depth)


def chain(names: tuple[str, ...]) -> Wiring:
    """Nodes one after the other. It is made in every call of a row of layers, so nothing is searched for."""
    line = ("input", *names, "output")
    edges = tuple(Edge(a, b, FIRST) for a, b in zip(line, line[1:], strict=False))
    incoming = {edge.dst: {FIRST: (edge,)} for edge in edges}
    return Wiring(names, edges, ("input",), ("output",), tuple(Part((n,)) for n in names), incoming, {})


def source_of(edge: Edge) -> str:
    """The value that an edge carries: a node's, or one of its outputs."""
    return edge.src if edge.src_port == "out" else f"{edge.src}.{edge.src_port}"


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not isinstance(name, str) or not name or len(name) > MAX_NAME or not name.isprintable():
            raise GraphError(repr(name)[:80], f"a node's name is 1 to {MAX_NAME} printable characters")
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise GraphError(twice[0], "names two of the nodes, inputs and outputs", "another name for one")


def _check_edge(edge: Edge, sources: Sequence[str], readers: Sequence[str]) -> None:
    if not isinstance(edge, Edge):
        raise GraphError("Net", f"{edge!r:.80} is no edge", "Edge('a', 'b'), of spikeflow.ir.graph")
    for end, known, what in ((edge.src, sources, "source"), (edge.dst, readers, "reader")):
        if end not in known:
            reason = f"the edge {edge.src} -> {edge.dst} names a {what} that does not exist"
            raise GraphError(str(end), reason, f"one of {', '.join(known)}")
    if type(edge.delay) is not int or not 0 <= edge.delay <= LONGEST_DELAY:
        reason = f"a delay of {edge.delay!r:.20} from {edge.src}"
        raise GraphError(edge.dst, reason, f"whole steps, 0 to {LONGEST_DELAY}")


def _check_connected(incoming: Incoming, inputs: Sequence[str], read: set[str]) -> None:
    for name, ports in incoming.items():
        if not ports:
            raise GraphError(name, "reads nothing", f"an edge to it, Edge({[*inputs][0]!r}, {name!r})")
    for name in inputs:
        if name not in read:
            raise GraphError(name, "is an input that nothing reads", "an edge from it, or leave it out")


def _parts(names: Sequence[str], edges: Sequence[Edge]) -> tuple[Part, ...]:
    order, at = _order(names, edges), {name: i for i, name in enumerate(names)}
    inner = [(at[e.src], at[e.dst]) for e in edges if e.src in at and e.dst in at]
    label = _cycles(len(names), inner)
    before: dict[int, set[int]] = {label[at[name]]: set() for name in order}
    for src, dst in inner:
        if label[src] != label[dst]:
            before[label[dst]].add(label[src])
    members = {part: tuple(n for n in order if label[at[n]] == part) for part in before}
    back = {label[src] for src, dst in inner if label[src] == label[dst]}
    return tuple(Part(members[part], part in back) for part in TopologicalSorter(before).static_order())


def _cycles(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """For each node the number of its part: nodes that lead back to each other share one."""
    rows, columns = ([edge[i] for edge in edges] for i in (0, 1))
    links = csr_array((np.ones(len(edges)), (rows, columns)), shape=(count, count))
    return [int(part) for part in connected_components(links, connection="strong")[1]] if count else []


def _order(names: Sequence[str], edges: Sequence[Edge]) -> tuple[str, ...]:
    """The nodes so that each comes after those that it reads within the step."""
    known = set(names)
    before: dict[str, list[str]] = {name: [] for name in names}
    for edge in edges:
        if edge.delay == 0 and edge.src in known and edge.dst in known:
            before[edge.dst].append(edge.src)
    try:
        return tuple(TopologicalSorter(before).static_order())
    except CycleError as error:
        cycle = error.args[1]
        reason = f"lies on a cycle without delay: {' -> '.join(cycle)}"
        raise GraphError(cycle[0], reason, "Edge(..., delay=1) on the edge that leads back") from None
