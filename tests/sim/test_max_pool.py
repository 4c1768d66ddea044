"""Max pooling: the window's maximum, and running sums that spikes make; reference against brute force, engine against it."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spikeflow.errors import DataError, GraphError, ModelError, ShapeError, SimulationError
from spikeflow.events import Spikes
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    Concat,
    Input,
    MaxPool,
    Output,
    Pad,
    Population,
    Scale,
    SumPool,
)
from spikeflow.neurons import IF, Integrator
from spikeflow.sim import engine, reference
from spikeflow.sim.inputs import Constant, Dense
from tests.sim.test_engine import RARELY, SEEDS, assert_equal

PLAIN = MaxPool((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1), "running")


def window(node: MaxPool, shape: tuple[int, ...], at: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The places of one window that are not padding, one by one."""
    found = []
    for place in product(*map(range, node.kernel)):
        lines = zip(at, node.stride, place, node.dilation, node.padding, strict=True)
        where = tuple(a * s + p * d - before for a, s, p, d, (before, _) in lines)
        if all(0 <= w < n for w, n in zip(where, shape, strict=True)):
            found.append(where)
    return found


def drawn(rng: np.random.Generator, rank: int, mode: str) -> tuple[MaxPool, tuple[int, ...]]:
    """A pool with kernels of 1 to 4, strides and dilations of 1 to 3, padding of 0 to 2, and a source it fits."""
    while True:
        shape = (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(1, 10, rank)))
        kernel = tuple(int(k) for k in rng.integers(1, 5, rank))
        stride, dilation = (tuple(int(k) for k in rng.integers(1, 4, rank)) for _ in range(2))
        padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (rank, 2)))
        node = MaxPool(kernel, stride, padding, dilation, mode)
        try:
            node.output_shape("pool", (shape,))
        except ModelError:
            continue
        return node, shape


@pytest.mark.parametrize("rank", [1, 2, 3])
@given(seed=SEEDS)
@RARELY
def test_every_window_against_brute_force(rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    node, shape = drawn(rng, rank, "any")
    x = rng.integers(-3, 4, (2, *shape)).astype(np.float32)
    got, windows = node.largest(x), node.windows(shape)
    places = list(np.ndindex(got.shape[2:]))
    assert windows.shape == (len(places), prod(node.kernel))
    for row, at in zip(windows, places, strict=True):
        inside = window(node, shape[1:], at)
        assert sorted(row[row >= 0]) == sorted(np.ravel_multi_index(w, shape[1:]) for w in inside)
        np.testing.assert_array_equal(got[:, :, *at], np.max([x[:, :, *w] for w in inside], axis=0))


@given(st.data())
def test_windows_in_the_padding_alone_are_refused(data: st.DataObject) -> None:
    size, kernel, stride, dilation, before, after = (data.draw(st.integers(1, 8)) for _ in range(6))
    node = MaxPool((kernel,), (stride,), ((before, after),), (dilation,))
    free = size + before + after - dilation * (kernel - 1) - 1
    assume(free >= 0)
    empty = [i for i in range(free // stride + 1) if not window(node, (size,), (i,))]
    if empty:
        with pytest.raises(GraphError, match="padding alone"):
            node.output_shape("pool", ((1, size),))
    else:
        assert node.output_shape("pool", ((1, size),)) == (1, free // stride + 1)


def pooled(node: MaxPool, shape: tuple[int, ...], source: Any, delay: int = 0) -> Graph:
    """Input, neurons, the pool behind an edge that may have a delay, and two outputs: before and behind it."""
    out = node.output_shape("pool", (shape,))
    nodes: dict[str, Any] = {
        "x": Input(shape),
        "first": source,
        "pool": node,
        "spikes": Output(),
        "out": Output(),
    }
    nodes |= {"sum": Integrator().node(out), "total": Output()}
    edges = [("x", "first"), ("first", "spikes"), ("pool", "out"), ("pool", "sum"), ("sum", "total")]
    return Graph(nodes, (*(Edge(*e) for e in edges), Edge("first", "pool", delay=delay)))


@pytest.mark.parametrize("rank", [1, 2])
@given(seed=SEEDS)
@RARELY
def test_running_is_binary_and_exact_in_the_count(rank: int, seed: int) -> None:
    """Over binary spikes of any density (0.02 to 0.9), 1 to 20 steps, delays of 0 to 3."""
    rng = np.random.default_rng(seed)
    node, shape = drawn(rng, rank, "running")
    steps, samples, delay = int(rng.integers(1, 21)), int(rng.integers(1, 4)), int(rng.integers(0, 4))
    graph = pooled(node, shape, IF(1.0).node(shape), delay)
    x = (rng.random((steps, samples, *shape)) < rng.choice([0.02, 0.3, 0.9])).astype(np.float32)
    given = Spikes.from_dense(x) if rng.random() < 0.5 else Dense(x)
    wanted = reference.simulate(graph, given, steps, ("pool",))
    assert_equal(engine.prepare(graph, threads=int(rng.integers(1, 3)))(given, steps, ("pool",)), wanted)
    out = wanted.outputs["out"]
    assert set(np.unique(out)) <= {0, 1}
    seen = wanted.outputs["spikes"][: max(steps - delay, 0)].sum(axis=0)
    np.testing.assert_array_equal(out.sum(axis=0), node.largest(seen))
    np.testing.assert_array_equal(wanted.outputs["total"][-1], node.largest(seen))


@pytest.mark.parametrize("mode", ["any", "running"])
@given(seed=SEEDS)
@RARELY
def test_graded_and_negative_values(mode: str, seed: int) -> None:
    """Whole numbers of -3 to 5, also none above 0: outputs stay between the least and the largest, 0 for no spike."""
    rng = np.random.default_rng(seed)
    node, shape = drawn(rng, 2, mode)
    low, high = int(rng.integers(-3, 1)), int(rng.integers(0, 6))
    x = rng.integers(low, high + 1, (12, 2, *shape)) * (rng.random((12, 2, *shape)) < rng.choice([0.1, 1.0]))
    graph = Graph(
        {"x": Input(shape), "pool": node, "out": Output()}, (Edge("x", "pool"), Edge("pool", "out"))
    )
    wanted = reference.simulate(graph, Dense(x.astype(np.float32)), 12)
    assert_equal(engine.simulate(graph, Dense(x.astype(np.float32)), 12), wanted)
    out = wanted.outputs["out"]
    assert min(low, 0) <= out.min() and out.max() <= max(high, 0)
    total = x.astype(np.float32).cumsum(axis=0) if mode == "running" else x.astype(np.float32)
    summed = out.cumsum(axis=0) if mode == "running" else out
    np.testing.assert_array_equal(summed, [node.largest(t) for t in total])


def test_one_step_of_running_is_any() -> None:
    x = np.random.default_rng(0).integers(-4, 5, (1, 3, 2, 6, 6)).astype(np.float32)
    first, _ = PLAIN.value([x[0]], {"sums": np.zeros_like(x[0])})
    np.testing.assert_array_equal(first, PLAIN.largest(x[0]))


def chain(*nodes: Any, kind: str = "spikes") -> Graph:
    named = {"x": Input((2, 4, 4), kind), **{f"n{i}": node for i, node in enumerate(nodes)}, "out": Output()}
    names = list(named)
    return Graph(named, tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False)))


def test_running_refuses_what_may_be_no_whole_number() -> None:
    leaky = Integrator().node((2, 4, 4))
    for made in (
        lambda: chain(PLAIN, kind="current"),
        lambda: chain(leaky, PLAIN),
        lambda: chain(Scale(0.5), PLAIN),
    ):
        with pytest.raises(GraphError, match=r"adds up the values of (x|n0) .* no whole numbers.*'any'"):
            made()
    chain(IF(1.0).node((2, 4, 4)), Pad((0, 1, 1), (0, 1, 1)), SumPool((2, 2), (1, 1)), PLAIN, PLAIN)
    chain(Scale(0.5), MaxPool((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)))


def test_running_refuses_fractions_that_enter() -> None:
    graph = chain(PLAIN)
    for run in (reference.simulate, engine.simulate):
        with pytest.raises(DataError, match="x: .*fractions.*whole numbers"):
            run(graph, Constant(np.full((1, 2, 4, 4), 0.5, np.float32)), 2)
        run(graph, Constant(np.full((1, 2, 4, 4), 2, np.float32)), 2)


def test_counts_that_float_cannot_hold_end_the_run() -> None:
    graph = chain(PLAIN)
    for value in (2.0**23, -(2.0**23)):
        x = Constant(np.full((1, 2, 4, 4), value, np.float32))
        for run in (reference.simulate, engine.simulate):
            run(graph, x, 2)
            with pytest.raises(SimulationError, match="2\\*\\*24"):
                run(graph, x, 3)


def test_integers_are_counted_beyond_32_bits() -> None:
    """64-bit sums in a network whose values fit 32."""
    shape, formats = (1, 2, 2), {"v": Fixed(32), "threshold": Fixed(8)}
    neuron = IF(1.0)
    whole = Population("IF", neuron.program(), {"threshold": np.ones(1)}, (1, 1, 1), formats=formats)
    nodes: dict[str, Any] = {"x": Input(shape, "spikes"), "pool": PLAIN, "n": whole, "out": Output()}
    graph = Graph(nodes, (Edge("x", "pool"), Edge("pool", "out"), Edge("pool", "n")))
    x = Constant(np.full((1, *shape), 2**30, np.int64))
    wanted = reference.simulate(graph, x, 9)
    assert_equal(engine.simulate(graph, x, 9), wanted)
    assert wanted.outputs["out"].sum() == 9 * 2**30


def test_what_a_pool_refuses() -> None:
    for node in (
        MaxPool((2,), (2, 2), ((0, 0),), (1,)),
        MaxPool((0,), (1,), ((0, 0),), (1,)),
        MaxPool((2,), (1,), ((-1, 0),), (1,)),
        MaxPool((), (), (), ()),
        MaxPool((2,), (1,), ((0, 0),), (1,), "sometimes"),
    ):
        with pytest.raises(GraphError):
            node.check("pool")
    with pytest.raises(ShapeError):
        PLAIN.output_shape("pool", ((2, 1, 4),))
    with pytest.raises(ShapeError):
        PLAIN.output_shape("pool", ((4, 4),))
    with pytest.raises(GraphError, match="at most"):
        MaxPool((2**16,), (1,), ((0, 0),), (1,)).output_shape("pool", ((1, 2**30),))


def test_two_pools_in_a_row_and_pools_of_several_sources() -> None:
    shape, rng = (2, 4, 4), np.random.default_rng(3)
    nodes: dict[str, Any] = {
        "x": Input(shape),
        "a": IF(1.0).node(shape),
        "b": IF(1.0).node(shape),
        "both": Concat(0, 2),
        "first": MaxPool((2, 2), (1, 1), ((1, 0), (0, 1)), (1, 1), "running"),
        "second": PLAIN,
        "out": Output(),
    }
    edges = [("x", "a"), ("x", "b"), ("both", "first"), ("first", "second"), ("second", "out")]
    into = Edge("a", "both", "in0"), Edge("b", "both", "in1", 2)
    graph = Graph(nodes, (*(Edge(*e) for e in edges), *into))
    x = Dense((rng.random((9, 2, *shape)) < 0.3).astype(np.float32))
    assert_equal(engine.simulate(graph, x, 9), reference.simulate(graph, x, 9))
