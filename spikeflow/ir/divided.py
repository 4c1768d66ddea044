"""Divided: a graph made of parts of layers, beside one that computes the same with the layers whole.

A mapping's tables hold a layer core by core, and so does the graph that is rebuilt from them; an engine runs
the whole layers instead, whose kernels are shared, and counts for each part what is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from spikeflow.ir.arrays import Array
from spikeflow.ir.graph import Graph

NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Part:
    """What a node of the divided graph is a part of.

    Parameters
    ----------
    node : of the whole graph.
    number : among the parts of that node; -1 where it is all of it.
    """

    node: str
    number: int = -1


@dataclass(frozen=True, eq=False)
class Elements:
    """Some elements of a node of the whole graph, by their numbers in C order."""

    node: str
    numbers: Array


@dataclass(frozen=True, eq=False)
class Division:
    """How what a node of the whole graph does is told apart.

    Parameters
    ----------
    parts : how many.
    part : int32; of a population the part of each neuron in C order; of synapses the parts that sources
        reach.
    indptr : of synapses, ``(sources + 1,)``: those of source i are indptr[i] to before indptr[i + 1]; else
        empty.
    count : int32; of synapses, how many of the source's reach that part; else empty.
    """

    parts: int
    part: Array
    indptr: Array
    count: Array


@dataclass(frozen=True, eq=False)
class Divided:
    """The whole graph and the parts.

    Parameters
    ----------
    whole : the same inputs, the same outputs in every bit.
    parts : of each node that counts something and is not in the whole graph under its name.
    divisions : by node of the whole graph.
    neurons : of each population in parts, which of its layer's neurons it has, ascending, in C order.
    heard : of each node in parts that hands on values of a layer, or of an input, whose these are.
    """

    whole: Graph
    parts: Mapping[str, Part]
    divisions: Mapping[str, Division]
    neurons: Mapping[str, Array]
    heard: Mapping[str, Elements]


def in_parts(graph: Graph, find: Callable[[], Divided | None]) -> Graph:
    """The graph, which from now on knows how to find the whole layers that its nodes are parts of.

    It is no field: a changed, copied or stored graph is another one, and does not know.
    """
    object.__setattr__(graph, "_find_divided", find)
    return graph


def divided_of(graph: Graph) -> Divided | None:
    """The whole layers that its nodes are parts of, found when first asked for; None where none are known."""
    find: Callable[[], Divided | None] | None = getattr(graph, "_find_divided", None)
    if find is not None:
        found = find()
        object.__setattr__(graph, "_find_divided", lambda: found)
        return found
    return None
