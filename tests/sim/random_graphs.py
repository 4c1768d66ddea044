"""Random graphs and inputs: every kind of node, delays, recurrence, several edges into one port."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.events import Spikes
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    Concat,
    Conv2d,
    Delay,
    Flatten,
    Gather,
    Input,
    Joint,
    Linear,
    MaxPool,
    Move,
    Output,
    Pad,
    Permute,
    Population,
    Reshape,
    Scale,
    Shape,
    Slice,
    Sparse,
    SumPool,
    Upsample,
)
from spikeflow.ir.whole import counted_inputs, hands_on_whole
from spikeflow.sim.inputs import Constant, Dense, RunInput
from tests.sim.random_programs import population

BYTE = Fixed(8)


class Draft:
    """A graph while it grows."""

    def __init__(self, rng: np.random.Generator, fixed: bool) -> None:
        self.rng, self.fixed = rng, fixed
        self.nodes: dict[str, Any] = {}
        self.edges: list[Edge] = []
        self.shapes: dict[str, Shape] = {}

    def add(self, node: Any, shape: Shape, *sources: tuple[str, str]) -> str:
        """A node and the edges into its ports, now and then with a delay."""
        name = f"{type(node).__name__}{len(self.nodes)}"
        self.nodes[name], self.shapes[name] = node, shape
        for source, port in sources:
            delay = 0 if self.rng.random() < 0.7 else int(self.rng.integers(1, 4))
            self.edges.append(Edge(source, name, port, delay))
        return name

    def pick(self, rank: int | None = None) -> str | None:
        """A node to read from, the late ones more often."""
        names = [n for n, s in self.shapes.items() if rank is None or len(s) == rank]
        return names[-1 - int(len(names) * self.rng.random() ** 2)] if names else None

    def whole(self, name: str) -> bool:
        """Whether a node hands on whole numbers, as far as the graph tells."""
        if not isinstance(self.nodes[name], Move | SumPool | Joint):
            return hands_on_whole(self.nodes[name])
        return all(self.whole(e.src) for e in self.edges if e.dst == name)

    def same_shape(self, name: str, count: int) -> list[str]:
        """`name` and up to count - 1 others of its shape."""
        others = [n for n, s in self.shapes.items() if s == self.shapes[name]]
        return [name] + [
            others[i] for i in self.rng.integers(0, len(others), int(self.rng.integers(0, count)))
        ]

    def weight(self, shape: Shape) -> Any:
        if self.fixed:
            top = int(self.rng.choice([3, 127, 127, 2000, 100_000]))
            return Quantised(self.rng.integers(-top, top + 1, shape), Fixed(32))
        w = self.rng.normal(0.05, 0.5, shape).astype(np.float32)
        return w * (self.rng.random(shape) < 0.8)

    def bias(self, n: int) -> Any:
        return (
            None if self.fixed or self.rng.random() < 0.5 else self.rng.normal(0, 0.2, n).astype(np.float32)
        )

    def exponent(self) -> int:
        return int(self.rng.integers(-8, 3)) if self.fixed else 0

    def delays(self, *shapes: Shape) -> Any:
        choice = self.rng.integers(0, 2 + len(shapes))
        return None if choice < 2 else self.rng.integers(0, 4, shapes[choice - 2])


def _linear(d: Draft) -> None:
    source = d.pick()
    n, out = prod(d.shapes[source]), int(d.rng.choice([1, 5, 10, 40, 129]))
    node = Linear(d.weight((out, n)), d.bias(out), d.delays((n,), (out, n)), d.exponent())
    d.add(node, (out,), *((s, "in") for s in d.same_shape(source, 2)))


def _conv(d: Draft) -> None:
    """Along one to three axes."""
    source = d.pick([3, 3, 2, 4][d.rng.integers(4)])
    if source is None:
        return
    channels, *size = d.shapes[source]
    groups = int(d.rng.choice([g for g in (1, 1, 2, channels) if channels % g == 0]))
    out = groups * int(d.rng.integers(1, 9))
    kernel, stride, dilation = (tuple(int(k) for k in d.rng.integers(1, 4, len(size))) for _ in range(3))
    node = Conv2d(
        d.weight((out, channels // groups, *kernel)),
        d.bias(out),
        stride,
        tuple((int(a), int(b)) for a, b in d.rng.integers(0, 3, (len(size), 2))),
        dilation,
        groups,
        d.exponent(),
    )
    try:
        shape = node.output_shape("conv", (d.shapes[source],))
    except ShapeError:
        return
    d.add(node, shape, *((s, "in") for s in d.same_shape(source, 2)))


def _sparse(d: Draft) -> None:
    source = d.pick()
    n, out = prod(d.shapes[source]), [(7,), (3, 2, 4), (33,)][d.rng.integers(3)]
    indptr = np.concatenate([[0], np.cumsum(d.rng.integers(0, 5, n))])
    count = int(indptr[-1])
    weight = d.weight((1,) if d.rng.random() < 0.3 or count == 0 else (count,))
    node = Sparse(
        indptr,
        d.rng.integers(0, prod(out), count),
        weight,
        d.shapes[source],
        out,
        d.bias(prod(out)),
        d.delays((n,), (count,)),
        d.exponent(),
    )
    d.add(node, out, (source, "in"))


def _placed(shape: Shape) -> Flatten | Reshape | Gather:
    """All that arrives in one row, under another shape, or turned round with zeros and copies between."""
    count = prod(shape)
    index = np.arange(count)[::-1] * 3 % (count + 1) - 1
    return (Flatten(), Reshape((*shape[::-1], 1)), Gather(index, shape, shape))[sum(shape) % 3]


def _move(d: Draft) -> None:
    source = d.pick([3, 3, 4][d.rng.integers(3)]) or d.pick()
    shape, rng = d.shapes[source], d.rng
    kind = rng.integers(7)
    if kind == 0:
        node: Any = _placed(shape)
    elif kind == 1:
        start = tuple(int(rng.integers(0, n)) for n in shape)
        stop = tuple(int(rng.integers(a + 1, n + 1)) for a, n in zip(start, shape, strict=True))
        node = Slice(start, stop, tuple(int(k) for k in rng.integers(1, 3, len(shape))))
    elif kind == 2:
        node = Pad(*(tuple(int(k) for k in rng.integers(0, 3, len(shape))) for _ in range(2)))
    elif kind == 3:
        node = Permute(tuple(int(k) for k in rng.permutation(len(shape))))
    elif kind == 4 and prod(shape) < 1000:
        node = Upsample(tuple(int(k) for k in rng.integers(1, 4, len(shape))))
    elif kind == 5:
        node = Delay(int(rng.integers(1, 5)))
    elif len(shape) > 1 and min(shape[1:]) >= 2:
        axes = len(shape) - 1
        node = SumPool(*(tuple(int(k) for k in rng.integers(1, most, axes)) for most in (3, 4)))
    else:
        return
    d.add(node, node.output_shape("move", (shape,)), *((s, "in") for s in d.same_shape(source, 2)))


def _max_pool(d: Draft) -> None:
    """Windows of 1 to 3 a side, of any stride, dilation and padding that leave none of them empty."""
    source, rng = d.pick([3, 3, 2, 4][d.rng.integers(4)]), d.rng
    if source is None:
        return
    shape = d.shapes[source]
    rank = len(shape) - 1
    kernel, stride, dilation = (tuple(int(k) for k in rng.integers(1, 4, rank)) for _ in range(3))
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (rank, 2)))
    sources = d.same_shape(source, 2)
    mode = "running" if rng.random() < 0.7 and all(map(d.whole, sources)) else "any"
    node = MaxPool(kernel, stride, padding, dilation, mode)
    try:
        out = node.output_shape("pool", (shape,))
    except (GraphError, ShapeError):
        return
    d.add(node, out, *((s, "in") for s in sources))


def _concat(d: Draft) -> None:
    sources = d.same_shape(d.pick(), 3)
    shape = d.shapes[sources[0]]
    node = Concat(int(d.rng.integers(len(shape))), len(sources))
    d.add(
        node,
        node.output_shape("concat", (shape,) * len(sources)),
        *((s, f"in{i}") for i, s in enumerate(sources)),
    )


def _scale(d: Draft) -> None:
    source = d.pick()
    shape = d.shapes[source]
    d.add(Scale(d.weight([(1,), shape][d.rng.integers(2)]), d.exponent()), shape, (source, "in"))


def _population(d: Draft) -> None:
    source, ports = d.pick(), int(d.rng.integers(1, 3))
    sources = d.same_shape(source, 4)
    node = population(d.rng, d.shapes[source], d.fixed, ports)
    d.add(node, d.shapes[source], *((s, f"in{d.rng.integers(ports)}") for s in sources))


_MAKERS = (
    _linear,
    _conv,
    _conv,
    _sparse,
    _move,
    _move,
    _max_pool,
    _max_pool,
    _concat,
    _scale,
    _population,
    _population,
    _population,
)


def _recurrence(d: Draft) -> None:
    """Edges back in time into populations."""
    names = [n for n in d.nodes if isinstance(d.nodes[n], Population)]
    for name in names:
        later = [n for n in d.nodes if d.shapes[n] == d.shapes[name] and not isinstance(d.nodes[n], Input)]
        if later and d.rng.random() < 0.4:
            source, delay = later[d.rng.integers(len(later))], int(d.rng.integers(0, 4))
            if delay == 0:  # the loop's steps are those of a node
                source = d.add(Delay(int(d.rng.integers(1, 4))), d.shapes[source], (source, "in"))
            d.edges.append(Edge(source, name, "in0", delay))


def graph(rng: np.random.Generator, fixed: bool) -> Graph:
    """A random graph; drawn again where a cycle has no population or integers would grow without end."""
    while True:
        d = Draft(rng, fixed)
        for _ in range(rng.integers(1, 3)):
            shape = [(3, 5, 6), (2, 7, 4), (12,), (2, 24, 20), (4, 9), (2, 3, 5, 4)][rng.integers(6)]
            kind = ["spikes", "current"][rng.integers(2)]
            d.add(
                Input(shape, kind, BYTE if fixed and (kind == "current" or rng.random() < 0.5) else None),
                shape,
            )
        for _ in range(rng.integers(3, 12)):
            _MAKERS[rng.integers(len(_MAKERS))](d)
        _population(d)
        last = list(d.nodes)[-1]
        _recurrence(d)
        d.add(Output(), d.shapes[last], *((s, "in") for s in d.same_shape(last, 2)))
        other = d.pick()
        d.add(Output(), d.shapes[other], (other, "in")) if not isinstance(d.nodes[other], Output) else None
        try:
            return Graph(d.nodes, tuple(d.edges))
        except GraphError:
            continue


def inputs(rng: np.random.Generator, g: Graph, steps: int, samples: int, fixed: bool) -> dict[str, RunInput]:
    """A random input for each Input: spikes, graded spikes, values or constants."""
    whole = {name: fixed or name in counted_inputs(g) for name in g.inputs}
    return {name: _input(rng, g.nodes[name], (steps, samples), (fixed, whole[name])) for name in g.inputs}


def _input(
    rng: np.random.Generator, node: Any, size: tuple[int, int], numbers: tuple[bool, bool]
) -> RunInput:
    """`size` is steps and samples; `numbers` whether the stage is fixed, and whether only whole numbers will do."""
    (steps, samples), (fixed, whole) = size, numbers
    on = rng.random((steps, samples, *node.shape)) < rng.choice([0.02, 0.1, 0.4])
    if rng.random() < 0.5:
        values = on.astype(np.float32)
    elif whole:
        values = on * rng.integers(-100, 100, on.shape)
    else:
        values = (on * rng.normal(0, 1, on.shape)).astype(np.float32)  # holds -0 too
    if node.kind == "spikes" and (rng.random() < 0.6 or (fixed and node.format is None)):
        return Spikes.from_dense(values)
    dtype = np.int64 if fixed else np.float32
    return Constant(values[0].astype(dtype)) if rng.random() < 0.5 else Dense(values.astype(dtype))
