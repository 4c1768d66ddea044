"""Lowering: which network, which arrays, and the proof that 32 bits are enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.errors import GraphError, StageError
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed, narrow, shift
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Concat, Flatten, Input, Linear, Output, Pad, Population, Slice
from spikeflow.ir.ops import Recorder
from spikeflow.sim import _engine, lower, ranges
from spikeflow.sim.interpreter import Step
from spikeflow.sim.intervals import INT32, Interval, Intervals
from tests.sim import random_programs

SEEDS = st.integers(0, 2**32 - 1)


def integer_graph(weight: int, narrowed: bool = True, exponent: int = 0) -> Graph:
    r = Recorder(("in",), ("v",), ())
    v = r.s.v + r.x[0]
    cells = Population(
        "t",
        r.program(r.ops.spike(v - 5), [r.ops.narrow(v, 24, "saturate", "v") if narrowed else v]),
        {},
        (4,),
        formats={"v": Fixed(24)},
    )
    linear = Linear(Quantised(np.full((4, 3), weight), Fixed(32)), exponent=exponent)
    return Graph(
        {"x": Input((3,)), "w": linear, "p": cells, "y": Output()},
        (Edge("x", "w"), Edge("w", "p", "in"), Edge("p", "y")),
    )


@pytest.mark.parametrize(
    ("graph", "largest", "kind"),
    [
        (integer_graph(127), 1, _engine.Int32Network),
        (integer_graph(2**29), 1, _engine.Int32Network),
        (integer_graph(2**30), 1, _engine.Int64Network),
        (integer_graph(127), 2**24, _engine.Int64Network),
        (integer_graph(127, exponent=25), 1, _engine.Int64Network),
        (integer_graph(2**30, exponent=-8), 1, _engine.Int64Network),
    ],
)
def test_the_width_follows_from_the_bound_of_the_sums(graph: Graph, largest: int, kind: type) -> None:
    assert isinstance(lower.lower(graph, largest).network, kind)


def test_a_state_that_nothing_narrows_gets_64_bits() -> None:
    free, kept = integer_graph(3, narrowed=False), integer_graph(3)
    for graph, fits in ((free, False), (kept, True)):
        found = ranges.node_ranges(graph, 1)
        ports = {"in": ranges.port_range(graph, found, "p", "in")}
        node: Any = graph.nodes["p"]
        assert all(r.within(INT32) for r in ranges.program_ranges(node, ports)) == fits


@given(SEEDS)
def test_registers_stay_within_their_ranges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    node = random_programs.population(rng, (6,), True, 2)
    found = ranges.program_ranges(node, dict.fromkeys(node.ports, Interval(-300, 200)))
    seen: list[Any] = []
    step = Step(node.program, node.params, True)
    state = [
        np.broadcast_to(node.initial.get(s, np.zeros(1)), (1, 6)).astype(np.int64)
        for s in node.program.states
    ]
    for _ in range(6):
        x = [rng.integers(-300, 201, (1, 6)) for _ in node.ports]
        seen += enumerate(step.registers(state, x))
        _, state = step(state, x)
    for register, value in seen:
        assert found[register].low <= int(value.min()) and int(value.max()) <= found[register].high


@given(st.integers(-(2**40), 2**40), st.integers(0, 2**40), st.integers(2, 40), st.integers(-30, 10), SEEDS)
def test_intervals_hold_what_narrow_and_shift_make(
    low: int, width: int, bits: int, amount: int, seed: int
) -> None:
    x = np.random.default_rng(seed).integers(low, low + width, 50, endpoint=True)
    given_, domain = Interval(low, low + width), Intervals({})
    for mode in ("saturate", "symmetric", "wrap", "fold"):
        inside = domain.narrow(given_, bits, mode, "")
        got = narrow(x, bits, mode)
        assert inside.low <= got.min() and got.max() <= inside.high, mode
    for mode in ("floor", "nearest", "zero"):
        inside, got = domain.shift(given_, amount, mode), shift(x, amount, mode)
        assert inside.low <= got.min() and got.max() <= inside.high, mode


@pytest.mark.parametrize(
    ("given_shape", "size"), [((), 1), ((1, 1, 1), 1), ((3, 1, 1), 3), ((3, 4, 5), 60), ((4, 1), 60)]
)
def test_operands_are_as_short_as_they_can_be(given_shape: tuple[int, ...], size: int) -> None:
    x = np.arange(1, np.prod(given_shape, dtype=int) + 1).reshape(given_shape)
    got = lower.operand(x, (3, 4, 5), np.float32)
    assert got.shape == (size,) and got.dtype == np.float32
    if size == 60:
        np.testing.assert_array_equal(got.reshape(3, 4, 5), np.broadcast_to(x, (3, 4, 5)))


@pytest.mark.parametrize(
    ("node", "shapes", "expected"),
    [
        (Flatten(), [(2, 2)], [0, 1, 2, 3]),
        (Slice((0, 1), (2, 3), (1, 1)), [(2, 3)], [1, 2, 4, 5]),
        (Pad((0, 1), (1, 0)), [(1, 2)], [-1, 0, 1, -1, -1, -1]),
        (Concat(1, 2), [(2, 1), (2, 2)], [0, 2, 3, 1, 4, 5]),
    ],
)
def test_where_moved_elements_come_from(node: Any, shapes: list[Any], expected: list[int]) -> None:
    assert node.index_map(shapes).tolist() == expected


def test_stage_ann_is_refused_by_name() -> None:
    graph = Graph(
        {"x": Input((3,)), "relu": Activation(), "y": Output()}, (Edge("x", "relu"), Edge("relu", "y"))
    )
    with pytest.raises(StageError, match="relu"):
        lower.lower(graph)


def test_an_exponent_out_of_range_is_refused_by_name() -> None:
    with pytest.raises(GraphError, match="w: an exponent beyond 62"):
        lower.lower(integer_graph(0, exponent=63))
