"""Draft: a graph while it grows. What a node hands on is a `Value`, a sum of nodes: an addition makes no
node.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Concat, Node, Output, Scale, Shape


@dataclass(frozen=True)
class Value:
    """The sum of what these nodes hand on; `shape` is without batch."""

    terms: tuple[str, ...]
    shape: Shape


class Draft:
    """Nodes under free names, their shapes, and the edges between them."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.shapes: dict[str, Shape] = {}
        self.edges: list[Edge] = []

    def place(self, name: str, node: Node, **ports: Value) -> Value:
        """Add a graph node under a free name and connect its ports; the value that it hands on."""
        free, count = name, 1
        while free in self.nodes:
            count += 1
            free = f"{name}_{count}"
        node.check(free)
        self.shapes[free] = node.output_shape(free, tuple(value.shape for value in ports.values()))
        self.nodes[free] = node
        for port, value in ports.items():
            self.edges += [Edge(term, free, "in" if port == "into" else port) for term in value.terms]
        return Value((free,), self.shapes[free])

    def chain(self, name: str, node: Node, value: Value) -> Value:
        """Add a graph node with one port."""
        return self.place(name, node, into=value)

    def concat(self, name: str, values: tuple[Value, ...], axis: int) -> Value:
        """Add a Concat of several values."""
        return self.place(name, Concat(axis, len(values)), **{f"in{i}": v for i, v in enumerate(values)})

    def scale(self, name: str, value: Value, factor: npt.ArrayLike) -> Value:
        """The value times a factor that broadcasts to it."""
        return self.chain(name, Scale(np.asarray(factor, np.float32)), value)

    def sum(self, name: str, left: Value, right: Value) -> Value:
        """The sum of two values; a branch that is in both gets a node of its own: edges are distinct."""
        if set(left.terms) & set(right.terms):
            right = self.scale(f"{name}.again", right, 1.0)
        return Value(left.terms + right.terms, left.shape)

    def sources(self, name: str) -> Value:
        """What arrives at the only port of a node."""
        terms = tuple(edge.src for edge in self.edges if edge.dst == name)
        return Value(terms, self.shapes[terms[0]])

    def graph(self) -> Graph:
        """The nodes that lead from an Input to an Output."""
        needed: set[str] = set()
        todo = [name for name, node in self.nodes.items() if isinstance(node, Output) or not node.ports]
        while todo:
            name = todo.pop()
            needed.add(name)
            todo += [e.src for e in self.edges if e.dst == name and e.src not in needed]
        return Graph(
            {name: node for name, node in self.nodes.items() if name in needed},
            tuple(e for e in self.edges if e.src in needed and e.dst in needed),
        )
