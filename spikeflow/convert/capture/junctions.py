"""Junctions: places where edges meet while a graph is put together; at the end they are taken out.

What leads into a junction leads on to all that reads it, in the same order, delays added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from spikeflow.errors import GraphError
from spikeflow.ir.graph import Edge

_MARK = "\0"  # no name of a node holds one


def junction(*words: str) -> str:
    """The name of a junction; the first word is what errors call it."""
    return _MARK.join((*words, ""))


def without_junctions(edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    """The edges between nodes, in the order of those that enter a node.

    Raises
    ------
    GraphError
        For values that go around without ever meeting a node.
    """
    ways: dict[str, list[Edge]] = {}
    for edge in edges:
        ways.setdefault(edge.dst, []).append(edge)
    return tuple(
        replace(edge, src=src, delay=delay)
        for edge in edges
        if _MARK not in edge.dst
        for src, delay in _sources(edge, ways, ())
    )


def _sources(edge: Edge, ways: Mapping[str, list[Edge]], seen: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """The nodes whose values an edge brings, and how late."""
    if _MARK not in edge.src:
        yield edge.src, edge.delay
        return
    if edge.src in seen:
        name = edge.src.partition(_MARK)[0]
        raise GraphError(name, "lies on a cycle without neurons", "a layer of neurons on it")
    for way in ways[edge.src]:
        for src, delay in _sources(way, ways, (*seen, edge.src)):
            yield src, delay + edge.delay
