"""fold_regions: batch norm and averaging factors folded where neurons and delays cut a spiking network.

Between two populations, and between two delayed edges, the layers form a region that folds like any network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from spikeflow.convert.capture.junctions import junction, without_junctions
from spikeflow.convert.passes.fold import fold
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import BatchNorm, Input, Node, Output, Population, Scale


def fold_regions(graph: Graph, traced: Iterable[str]) -> Graph:
    """The graph with every region folded that holds batch norm or a factor among the nodes `traced`."""
    starts = [n for n in traced if isinstance(graph.nodes[n], BatchNorm | Scale)]
    regions: dict[str, _Region] = {}
    for name in starts:
        if name not in regions:
            region = _region(graph, name)
            regions.update(dict.fromkeys(region.names, region))
    if not regions:
        return graph
    nodes: dict[str, Node] = {}
    for name, node in graph.nodes.items():
        found = regions.get(name)
        nodes.update({name: node} if found is None else found.inner())
    edges = tuple(_edges(graph, regions))
    return replace(graph, nodes=nodes, edges=without_junctions(edges))


@dataclass(frozen=True, eq=False)
class _Region:
    """Names of its nodes; folded, an Input for each source, an Output for each node that is read."""

    names: frozenset[str]
    folded: Graph
    sources: dict[str, tuple[str, int]]
    read: dict[str, str]

    def inner(self) -> dict[str, Node]:
        """The folded nodes."""
        return {n: x for n, x in self.folded.nodes.items() if n not in self.sources and n not in self.read}


def _edges(graph: Graph, regions: dict[str, _Region]) -> Iterator[Edge]:
    """All edges in the order of the graph; those of a region where it is first read."""
    begun: set[int] = set()
    for edge in graph.edges:
        region = regions.get(edge.dst)
        if region is None:
            yield replace(edge, src=_read(edge.src, regions))
        elif id(region) not in begun:
            begun.add(id(region))
            for inner in region.folded.edges:
                src, delay = region.sources.get(inner.src, (inner.src, 0))
                src = _read(src, regions) if inner.src in region.sources else src
                dst = junction(region.read[inner.dst], "out") if inner.dst in region.read else inner.dst
                yield replace(inner, src=src, dst=dst, delay=delay)


def _read(name: str, regions: dict[str, _Region]) -> str:
    return junction(name, "out") if name in regions else name


def _region(graph: Graph, start: str) -> _Region:
    names, todo = {start}, [start]
    while todo:
        name = todo.pop()
        near = [(e.src, e.delay) for e in graph.inputs_of(name)]
        near += [(e.dst, e.delay) for e in graph.outputs_of(name)]
        for other, delay in near:
            if (
                not delay
                and other not in names
                and not isinstance(graph.nodes[other], Input | Output | Population)
            ):
                names.add(other)
                todo.append(other)
    inner = [n for n in graph.nodes if n in names]
    entering = [e for e in graph.edges if e.dst in names and (e.src not in names or e.delay)]
    leaving = [e for e in graph.edges if e.src in names and (e.dst not in names or e.delay)]
    free = (f"end {i}" for i in range(2**31) if f"end {i}" not in names)
    sources = {at: next(free) for at in dict.fromkeys((e.src, e.delay) for e in entering)}
    read = {src: next(free) for src in dict.fromkeys(e.src for e in leaving)}
    nodes: dict[str, Node] = {
        **{end: Input(graph.shapes[src], "current") for (src, _), end in sources.items()},
        **{name: graph.nodes[name] for name in inner},
        **{end: Output() for end in read.values()},
    }
    held = [
        replace(e, src=sources[e.src, e.delay], delay=0) if e.src not in names or e.delay else e
        for e in graph.edges
        if e.dst in names
    ]
    folded = fold(Graph(nodes, (*held, *(Edge(src, end) for src, end in read.items())), graph.dt))
    return _Region(
        frozenset(names),
        folded,
        {end: at for at, end in sources.items()},
        {end: src for src, end in read.items()},
    )
