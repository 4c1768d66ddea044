"""Random graphs with random inputs: every kind of node, delays, recurrence, late starts, float or integer.

The same seed gives the same graph on every machine. Sizes are small: what is sought is a rare combination.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from random_neurons import fixed_population, float_population

from spikeflow.events import Spikes
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    Concat,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Node,
    Output,
    Pad,
    Population,
    Scale,
    Shape,
    Slice,
    Sparse,
    SumPool,
)
from spikeflow.sim.inputs import Constant, Dense, RunInput

MAX_ELEMENTS = 400
WEIGHT = Fixed(8)
CURRENT = Fixed(8)


@dataclass(frozen=True, eq=False)
class Case:
    """A graph and what it is run on."""

    graph: Graph
    inputs: dict[str, RunInput]
    steps: int


class Growth:
    """A graph that grows node by node behind what is there."""

    def __init__(self, seed: int) -> None:
        self.r = np.random.default_rng(seed)
        self.fixed = bool(self.r.random() < 0.4)
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.shapes: dict[str, Shape] = {}

    def case(self) -> Case:
        """The finished graph with an input."""
        for i in range(int(self.r.integers(1, 3))):
            self._add_input(f"input{i}")
        for _ in range(int(self.r.integers(3, 14))):
            self._grow()
        self._population(self._pick())
        for _ in range(int(self.r.integers(0, 3))):
            self._recurrence()
        for i, source in enumerate(
            self.r.choice(list(self.shapes), int(self.r.integers(1, 3)), replace=False)
        ):
            self.nodes[f"output{i}"] = Output()
            self.edges.append(Edge(str(source), f"output{i}", delay=self._delay()))
        steps, batch = int(self.r.integers(1, 20)), int(self.r.integers(1, 5))
        graph = Graph(self.nodes, tuple(self.edges))
        return Case(
            graph, {name: self._input(graph.nodes[name], steps, batch) for name in graph.inputs}, steps
        )

    def _add_input(self, name: str) -> None:
        shape = self._any_shape()
        current = self.r.random() < 0.4
        self.nodes[name] = Input(
            shape, "current" if current else "spikes", CURRENT if current and self.fixed else None
        )
        self.shapes[name] = shape

    def _any_shape(self) -> Shape:
        if self.r.random() < 0.5:
            return (int(self.r.integers(1, 600 if self.r.random() < 0.1 else 80)),)
        return tuple(int(n) for n in self.r.integers((1, 1, 1), (5, 9, 9)))

    def _pick(self) -> str:
        return str(self.r.choice(list(self.shapes)))

    def _delay(self) -> int:
        return int(self.r.integers(1, 5)) if self.r.random() < 0.25 else 0

    def _connect(self, source: str, name: str, port: str = "in") -> None:
        """An edge from the source, sometimes more from others of its shape: a port adds them up."""
        alike = [n for n, s in self.shapes.items() if s == self.shapes[source]]
        chosen = [source, *(alike if self.r.random() < 0.2 else [])][:3]
        self.edges += [Edge(s, name, port, self._delay()) for s in chosen]

    def _add(self, node: Node, source: str) -> str:
        name = f"n{len(self.nodes)}"
        shape = node.output_shape(name, (self.shapes[source],))
        self._connect(source, name)
        self.nodes[name], self.shapes[name] = node, shape
        return name

    def _grow(self) -> None:
        source = self._pick()
        shape = self.shapes[source]
        makers: list[Any] = [
            self._linear,
            self._sparse,
            self._scale,
            self._cut,
            self._padded,
            self._population,
            self._population,
        ]
        if len(shape) == 3:
            makers += [self._conv2d, self._conv2d, self._conv2d, self._pool, self._flat]
        if sum(s[1:] == shape[1:] for s in self.shapes.values()) > 1:
            makers.append(self._concat)
        makers[int(self.r.integers(len(makers)))](source)

    def _weight(self, shape: Shape) -> Any:
        """Weights, some of them 0; on a coarse grid now and then, which makes equal sums likely."""
        if self.fixed:
            return Quantised(
                self.r.integers(WEIGHT.low, WEIGHT.high + 1, shape) * (self.r.random(shape) < 0.8), WEIGHT
            )
        w = self.r.normal(0.25, 0.8, shape) * (self.r.random(shape) < 0.8)
        return (np.round(w * 8) / 8 if self.r.random() < 0.3 else w).astype(np.float32)

    def _bias(self, count: int) -> Any:
        return (
            None if self.fixed or self.r.random() < 0.5 else self.r.normal(0, 0.2, count).astype(np.float32)
        )

    def _exponent(self) -> int:
        return int(self.r.integers(-4, 5)) if self.fixed and self.r.random() < 0.5 else 0

    def _delays(self, *shapes: Shape) -> Any:
        if self.r.random() < 0.6:
            return None
        return self.r.integers(0, 7, shapes[int(self.r.integers(len(shapes)))])

    def _linear(self, source: str) -> None:
        size, out = prod(self.shapes[source]), int(self.r.integers(1, 70))
        delays = self._delays((size,), (out, size))
        self._add(Linear(self._weight((out, size)), self._bias(out), delays, self._exponent()), source)

    def _sparse(self, source: str) -> None:
        in_shape, out_shape = self.shapes[source], self._any_shape()
        size, out = prod(in_shape), prod(out_shape)
        counts = self.r.integers(0, min(out, 9) + 1, size)
        indptr = np.concatenate([[0], np.cumsum(counts)])
        targets = np.concatenate(
            [self.r.choice(out, n, replace=bool(self.r.random() < 0.1)) for n in counts] or [[]]
        )
        weight = self._weight((1,) if self.r.random() < 0.2 else (len(targets),))
        self._add(
            Sparse(
                indptr,
                targets.astype(np.int64),
                weight,
                in_shape,
                out_shape,
                self._bias(out),
                self._delays((size,), (len(targets),)),
                self._exponent(),
            ),
            source,
        )

    def _conv2d(self, source: str) -> None:
        channels, high, wide = self.shapes[source]
        groups = int(self.r.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        out = groups * int(self.r.integers(1, 4))
        padding = tuple((int(a), int(b)) for a, b in self.r.integers(0, 3, (2, 2)))
        dilation = tuple(int(n) for n in self.r.integers(1, 3, 2))
        kernel = [
            int(self.r.integers(1, max(1, min(4, (n + sum(p) - 1) // d + 1)) + 1))
            for n, p, d in zip((high, wide), padding, dilation, strict=True)
        ]
        stride = tuple(int(n) for n in self.r.integers(1, 3, 2))
        weight = self._weight((out, channels // groups, *kernel))
        self._add(
            Conv2d(weight, self._bias(out), stride, padding, dilation, groups, self._exponent()), source
        )

    def _pool(self, source: str) -> None:
        kernel = tuple(int(self.r.integers(1, n + 1)) for n in self.shapes[source][1:])
        self._add(SumPool(kernel, tuple(int(n) for n in self.r.integers(1, 4, 2))), source)

    def _flat(self, source: str) -> None:
        self._add(Flatten(), source)

    def _scale(self, source: str) -> None:
        shape = self.shapes[source]
        factor = tuple(n if self.r.random() < 0.5 else 1 for n in shape)
        self._add(Scale(self._weight(factor), self._exponent()), source)

    def _cut(self, source: str) -> None:
        start = tuple(int(self.r.integers(0, n)) for n in self.shapes[source])
        stop = tuple(int(self.r.integers(a, n)) + 1 for a, n in zip(start, self.shapes[source], strict=True))
        self._add(Slice(start, stop, tuple(int(n) for n in self.r.integers(1, 4, len(start)))), source)

    def _padded(self, source: str) -> None:
        shape = self.shapes[source]
        if prod(n + 2 for n in shape) <= MAX_ELEMENTS:
            before, after = (tuple(int(n) for n in self.r.integers(0, 2, len(shape))) for _ in range(2))
            self._add(Pad(before, after), source)

    def _concat(self, source: str) -> None:
        shape = self.shapes[source]
        others = [n for n, s in self.shapes.items() if s[1:] == shape[1:] and prod(s) < MAX_ELEMENTS]
        chosen = [source, str(self.r.choice(others or [source]))]
        node, name = Concat(0, 2), f"n{len(self.nodes)}"
        for port, part in zip(node.ports, chosen, strict=True):
            self.edges.append(Edge(part, name, port, self._delay()))
        self.nodes[name] = node
        self.shapes[name] = node.output_shape(name, tuple(self.shapes[c] for c in chosen))

    def _population(self, source: str) -> None:
        make = fixed_population if self.fixed else float_population
        node = make(self.r, self.shapes[source])
        name = f"n{len(self.nodes)}"
        for i, port in enumerate(node.ports):
            if i == 0 or self.r.random() < 0.7:
                self._connect(source, name, port)
        self.nodes[name], self.shapes[name] = node, node.shape

    def _recurrence(self) -> None:
        """From a population through weights back to a population, a step or more later."""
        cells = [n for n, node in self.nodes.items() if isinstance(node, Population)]
        source, target = (str(n) for n in self.r.choice(cells, 2))
        node = self.nodes[target]
        assert isinstance(node, Population)
        if len(node.shape) == 1:
            name = self._add(Linear(self._weight((node.shape[0], prod(self.shapes[source])))), source)
            del self.shapes[name]  # nothing else reads it: its own edges may come without delay
            self.edges.append(Edge(name, target, str(self.r.choice(node.ports)), int(self.r.integers(1, 4))))

    def _input(self, node: Node, steps: int, batch: int) -> RunInput:
        assert isinstance(node, Input)
        shape = (steps, batch, *node.shape)
        spikes = self.r.random(shape) < self.r.choice([0.0, 0.05, 0.3, 1.0])
        if node.kind == "spikes":
            values = spikes.astype(np.float32)
            return Spikes.from_dense(values) if self.r.random() < 0.6 else Dense(values)
        values = (
            self.r.integers(-128, 128, shape) if self.fixed else self.r.normal(0, 1, shape).astype(np.float32)
        )
        values = values * spikes
        return Constant(values[0]) if self.r.random() < 0.5 else Dense(values)


def random_case(seed: int) -> Case:
    """The case of a seed."""
    return Growth(seed).case()
