"""The reference against numbers worked out by hand: it defines the meaning, so nothing else can check it."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.errors import DataError, SimulationError
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Concat, Conv2d, Input, Linear, Node, Output, Pad, Scale, Slice, Sparse, SumPool
from spikeflow.neurons import IF, LIF, CubaLIF, TwoPointLIF
from spikeflow.sim import Constant, Dense, Result, run

F = np.float32


def chain(shape: tuple[int, ...], node: Node, kind: str = "current", delay: int = 0) -> Graph:
    """Input, one node, Output."""
    return Graph(
        {"x": Input(shape, kind), "node": node, "out": Output()},
        (Edge("x", "node", delay=delay), Edge("node", "out")),
    )


def values(graph: Graph, x: np.ndarray, steps: int) -> Result:
    """A run of given currents ``(T, B, *shape)``."""
    return run(graph, Dense(x.astype(F)), steps, engine="reference")


def test_lif_by_hand() -> None:
    x = np.array([0.5, 0.75, 0.25, 1.0, 0.0]).reshape(5, 1, 1)
    subtract = values(chain((1,), LIF(decay=0.5, reset="subtract").node((1,))), x, 5)
    # v: 0.5, 1.0 -> 0, 0.25, 1.125 -> 0.125, 0.0625
    assert subtract.output.ravel().tolist() == [0, 1, 0, 1, 0]
    x[:, 0, 0] = [1.5, 0.5, 0.75, 0, 1]
    kept = values(chain((1,), LIF(decay=0.5, reset="subtract").node((1,))), x, 5)
    lost = values(chain((1,), LIF(decay=0.5, reset="zero").node((1,))), x, 5)
    # subtract: 1.5 -> 0.5, 0.75, 1.125 -> 0.125, ...; zero: 1.5 -> 0, 0.5, 1.0 -> 0, 0, 1
    assert kept.output.ravel().tolist() == [1, 0, 1, 0, 1]
    assert lost.output.ravel().tolist() == [1, 0, 1, 0, 1]


def test_a_spike_at_equality_and_one_each_step() -> None:
    result = run(chain((1,), IF().node((1,))), Constant(np.full((1, 1), 2.5, F)), 4, engine="reference")
    assert result.output.ravel().tolist() == [1, 1, 1, 1]  # the rest above the threshold stays
    exact = run(chain((1,), IF().node((1,))), Constant(np.full((1, 1), 0.5, F)), 4, engine="reference")
    assert exact.output.ravel().tolist() == [0, 1, 0, 1]


def test_cuba_lif_sees_the_new_current() -> None:
    x = np.array([1.0, 0, 0]).reshape(3, 1, 1)
    result = values(chain((1,), CubaLIF(decay_current=0.5, decay=1.0, threshold=1.5).node((1,))), x, 3)
    assert result.output.ravel().tolist() == [0, 1, 0]  # v: 1, 1.5 -> 0, 0.25


def test_delay_and_start() -> None:
    x = np.arange(1, 7).reshape(6, 1, 1)
    late = values(chain((1,), Scale(np.ones(1)), delay=2), x, 6)
    assert late.output.ravel().tolist() == [0, 0, 1, 2, 3, 4]
    cells = IF(threshold=1.0).node((1,), initial={"v": np.full(1, 0.5)})
    asleep = type(cells)(cells.model, cells.program, cells.params, cells.shape, 3, cells.initial)
    result = run(chain((1,), asleep), Constant(np.full((1, 1), 0.5, F)), 6, engine="reference")
    assert result.output.ravel().tolist() == [0, 0, 0, 1, 0, 1]  # 0.5 kept until step 3
    assert result.counts["node"].neuron_updates == 3


def test_recurrence_comes_one_step_later_and_its_bias_at_once() -> None:
    nodes: dict[str, Node] = {
        "x": Input((1,), "current"),
        "cell": IF(reset="zero").node((1,)),
        "back": Linear(np.full((1, 1), 1.0), np.full(1, 0.25)),
        "out": Output(),
    }
    graph = Graph(
        nodes, (Edge("x", "cell"), Edge("cell", "back", delay=1), Edge("back", "cell"), Edge("cell", "out"))
    )
    x = np.array([0.5, 0.25, 0, 0, 0]).reshape(5, 1, 1)
    # v: 0.75, 0.75 + 0.5 = 1.25 -> 0, 0.25 + 1 -> 0 and so on: its own spike keeps it going
    assert values(graph, x, 5).output.ravel().tolist() == [0, 1, 1, 1, 1]


def test_sums_follow_the_order_of_sources() -> None:
    big = np.float32(2.0**24)
    weight = np.array([[big, 1.0, -big, 1.0]], F)
    result = values(chain((4,), Linear(weight)), np.ones((1, 1, 4)), 1)
    assert result.output.item() == 1.0  # ((2^24 + 1) - 2^24) + 1: the first 1 is lost, the last stays
    other = values(chain((4,), Linear(weight[:, ::-1])), np.ones((1, 1, 4)), 1)
    assert other.output.item() == 2.0  # ((1 - 2^24) + 1) + 2^24: below 2^24 every integer is exact


def test_own_delays_take_the_oldest_first() -> None:
    weight, delays = np.array([[1.0, 10.0]]), np.array([2, 0])
    x = np.array([[1, 1], [2, 2], [3, 3], [0, 0]]).reshape(4, 1, 2)
    result = values(chain((2,), Linear(weight, delays=delays)), x, 4)
    assert result.output.ravel().tolist() == [10, 20, 31, 2]
    sparse = Sparse([0, 1, 2], [0, 0], weight[0], (2,), (1,), delays=delays)
    assert (values(chain((2,), sparse), x, 4).output.ravel() == result.output.ravel()).all()


def test_convolution_by_hand_and_its_operations() -> None:
    x = np.zeros((1, 1, 1, 3, 3))
    x[0, 0, 0, 0, 0] = x[0, 0, 0, 1, 1] = 1
    kernel = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    node = Conv2d(kernel, padding=((1, 1), (1, 1)))
    result = values(chain((1, 3, 3), node, kind="spikes"), x, 1)
    expected = [[5 + 9, 4 + 8, 7], [2 + 6, 1 + 5, 4], [3, 2, 1]]
    assert result.output[0, 0, 0].tolist() == expected
    assert result.counts["node"].accumulates == 4 + 9  # a corner reaches 4 targets, the middle 9


def test_a_current_is_multiplied_and_a_count_too() -> None:
    x = np.array([1.0, 2.0]).reshape(1, 1, 2)
    spikes = values(chain((2,), Linear(np.ones((3, 2))), kind="spikes"), x, 1).counts["node"]
    current = values(chain((2,), Linear(np.ones((3, 2)))), x, 1).counts["node"]
    assert (spikes.accumulates, spikes.multiply_accumulates) == (3, 3)
    assert (current.accumulates, current.multiply_accumulates) == (0, 6)


def test_moves() -> None:
    x = np.arange(1.0, 9).reshape(1, 1, 2, 2, 2)
    assert values(chain((2, 2, 2), SumPool((2, 2), (2, 2))), x, 1).output.ravel().tolist() == [10, 26]
    assert values(chain((2, 2, 2), Slice((0, 0, 1), (2, 2, 2), (1, 2, 1))), x, 1).output.ravel().tolist() == [
        2,
        6,
    ]
    padded = values(chain((2, 2, 2), Pad((1, 0, 0), (0, 0, 0))), x, 1).output
    assert padded.shape == (1, 1, 3, 2, 2) and padded.sum() == 36 and not padded[0, 0, 0].any()
    two = Graph(
        {"x": Input((2,), "current"), "both": Concat(0, 2), "out": Output()},
        (Edge("x", "both", "in1"), Edge("x", "both", "in0", delay=1), Edge("both", "out")),
    )
    moved = values(two, np.array([[[1, 2]], [[3, 4]]]), 2).output
    assert moved[:, 0].tolist() == [[0, 0, 1, 2], [1, 2, 3, 4]]


def test_two_point_gate_by_hand() -> None:
    cell = TwoPointLIF(decay=1.0, decay_apical=0.0, gain=100.0, threshold=2.0)
    graph = Graph(
        {"b": Input((1,), "current"), "a": Input((1,), "current"), "cell": cell.node((1,)), "out": Output()},
        (Edge("b", "cell", "basal"), Edge("a", "cell", "apical"), Edge("cell", "out")),
    )
    basal = Dense(np.array([1.0, 1, 1, 1]).reshape(4, 1, 1).astype(F))
    apical = Dense(np.array([1.0, -1, 0, 0]).reshape(4, 1, 1).astype(F))
    # gates 2, 0, 1, 1: u is 2 -> spike, 0, 1, 2 -> spike
    result = run(graph, {"b": basal, "a": apical}, 4, engine="reference")
    assert result.output.ravel().tolist() == [1, 0, 0, 1]


def test_integers_are_shifted_once_for_the_whole_sum() -> None:
    weight = Quantised(np.array([[3, 3, -5]]), Fixed(8))
    for exponent, expected in ((0, 1), (2, 4), (-1, 0), (-2, 0)):
        graph = chain((3,), Linear(weight, exponent=exponent), kind="spikes")
        fixed = Graph(
            {**graph.nodes, "cell": _integer_cell(), "sink": Output()},
            (*graph.edges, Edge("x", "cell"), Edge("cell", "sink")),
        )
        result = run(fixed, Dense(np.ones((1, 1, 3))), 1, engine="reference")
        assert result.outputs["out"].item() == expected
    negative = Linear(Quantised(np.array([[-1, 0, 0]]), Fixed(8)), exponent=-1)
    graph = chain((3,), negative, kind="spikes")
    fixed = Graph(
        {**graph.nodes, "cell": _integer_cell(), "sink": Output()},
        (*graph.edges, Edge("x", "cell"), Edge("cell", "sink")),
    )
    assert run(fixed, Dense(np.ones((1, 1, 3))), 1, engine="reference").outputs["out"].item() == -1  # floor


def _integer_cell() -> Node:
    node = IF().node((3,))
    return type(node)(
        node.model, node.program, {"threshold": np.array(5)}, node.shape, formats={"v": Fixed(24)}
    )


@pytest.mark.parametrize("engine", ["reference", "cpp"])
def test_what_is_refused(engine: str) -> None:
    graph = chain((2,), IF().node((2,)))
    with pytest.raises(SimulationError, match="at least one step"):
        run(graph, Constant(np.ones((1, 2), F)), 0, engine=engine)
    for wrong in (np.ones((1, 3)), np.ones((0, 2)), np.full((1, 2), np.nan)):
        with pytest.raises(DataError):
            run(graph, Constant(wrong.astype(F)), 3, engine=engine)
    with pytest.raises(DataError):
        run(graph, Dense(np.ones((2, 1, 2), F)), 3, engine=engine)
    with pytest.raises(SimulationError, match="unknown engine"):
        run(graph, Constant(np.ones((1, 2), F)), 3, engine="none")
