"""retime: every spike train is the original, shifted by its level; what cannot be is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.errors import GraphError, HardwareError
from spikeflow.events import Spikes
from spikeflow.hw.chips.chip import NAMES, Chip, load
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.retime import output_level, retime
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Node, Output
from spikeflow.neurons import IF, LIF
from spikeflow.sim import run
from tests.hw import nets


def random_graph(seed: int) -> Graph:
    """Up to six populations with connections of any direction and delay, node delays, biases, two inputs' worth."""
    r = np.random.default_rng(seed)
    count, size = int(r.integers(2, 7)), 3
    names = [f"p{i}" for i in range(count)]
    nodes: dict[str, Node] = {"x": Input((size,)), "out": Output()}
    nodes |= {n: (LIF(0.75, 2.0) if r.integers(2) else IF(2.0)).node((size,)) for n in names}
    edges = []
    for index in range(int(r.integers(count, 3 * count))):
        a, b = int(r.integers(-1, count)), int(r.integers(count))
        source = "x" if a < 0 or index == 0 else names[a]
        low = 0 if source == "x" or a < b else 1
        delays = r.integers(0, 3, size).astype(np.int32) if r.integers(4) == 0 else None
        bias = nets.whole(seed + index, size) if r.integers(2) else None
        nodes[w := f"w{index}"] = Linear(nets.whole(seed + 50 + index, size, size), bias, delays)
        edges += [Edge(source, w, delay=low + int(r.integers(0, 4))), Edge(w, names[b])]
    return Graph(nodes, (*edges, Edge(names[-1], "out"), Edge(names[0], "out", delay=int(r.integers(3)))))


def shifted(graph: Graph, chip: Chip, steps: int = 14) -> bool:
    """Whether the graph could be retimed; its spike trains are then compared, shifted."""
    try:
        moved = retime(graph, chip)
    except HardwareError as error:
        assert error.violations and all(v.node in graph.nodes for v in error.violations)
        return False
    names = tuple(nets.levels(graph))
    longest = max(nets.levels(moved).values())
    quiet = np.zeros((longest, 2, 3))
    x = np.concatenate([np.random.default_rng(0).random((steps, 2, 3)) < 0.4, quiet])
    a = run(graph, Spikes.from_dense(x[:steps]), steps, engine="reference", record=names)
    b = run(moved, Spikes.from_dense(x), steps + longest, engine="reference", record=names)
    for name, level in nets.levels(moved).items():
        np.testing.assert_array_equal(
            a.recorded[name].dense(), b.recorded[name].dense()[level : level + steps]
        )
    level = output_level(moved, "out")
    np.testing.assert_array_equal(a.output[:steps], b.output[level : level + steps])
    _within(moved, chip)
    return True


def _within(graph: Graph, chip: Chip) -> None:
    for edge in graph.edges:
        node = graph.nodes[edge.dst]
        if isinstance(node, Linear):
            own = np.zeros(1, int) if node.delays is None else node.delays
            low = chip.delays.from_input if edge.src == "x" else chip.delays.minimum
            assert edge.delay + own.min() >= low.value and edge.delay + own.max() <= chip.delays.maximum.value


def test_random_graphs_with_loops() -> None:
    chips = [load(n) for n in NAMES]
    done = [shifted(random_graph(seed), chips[seed % 3]) for seed in range(90)]
    assert sum(done) > 60


@given(st.integers(10**3, 10**6))
@settings(max_examples=15)
def test_more_random_graphs(seed: int) -> None:
    shifted(random_graph(seed), load(NAMES[seed % 3]))


def test_levels_are_the_smallest() -> None:
    moved = retime(compose(nets.residual()), load("loihi2"))
    assert nets.levels(moved) == {"p1": 1, "p2": 2, "readout": 3}
    assert {(e.src, e.dst): e.delay for e in moved.edges if e.delay} == {
        ("x", "c1"): 1,
        ("p1", "c2"): 1,
        ("p1", "pad"): 1,
        ("p2", "fc"): 1,
    }
    assert nets.levels(retime(compose(nets.residual()), load("loihi1"))) == {"p1": 2, "p2": 3, "readout": 4}


def loop(delay: int) -> Graph:
    """a -> b -> a, with a delay on the way back."""
    nodes: dict[str, Node] = {"x": Input((2,)), "a": IF().node((2,)), "b": IF().node((2,)), "out": Output()}
    nodes |= {n: Linear(nets.whole(i, 2, 2)) for i, n in enumerate(("wx", "wab", "wba"))}
    return Graph(
        nodes,
        (
            Edge("x", "wx"),
            Edge("wx", "a"),
            Edge("a", "wab"),
            Edge("wab", "b"),
            Edge("b", "wba", delay=delay),
            Edge("wba", "a"),
            Edge("b", "out"),
        ),
    )


def test_a_loop_too_short_is_refused_by_name() -> None:
    with pytest.raises(HardwareError, match=r"a loop through .*1 step.*at least 2 steps") as error:
        retime(loop(1), load("loihi2"))
    assert error.value.violations[0].node in ("a", "b")
    assert nets.levels(retime(loop(2), load("loihi2"))) == {"a": 1, "b": 2}


def test_a_delay_too_long_is_refused_by_name() -> None:
    with pytest.raises(HardwareError, match=r"wba: needs a delay of .* from b to a.*available: 8 steps"):
        retime(loop(40), load("loihi1"))
    assert retime(loop(40), load("loihi2")).edges[4].delay == 39


def test_an_input_cannot_be_held_back() -> None:
    graph = loop(2)
    edges = (Edge("x", "wx", delay=30), *graph.edges[1:])
    with pytest.raises(HardwareError, match="wx"):
        retime(replace(graph, edges=edges), load("spinnaker2"))


def test_only_composed_graphs() -> None:
    with pytest.raises(GraphError, match="not composed"):
        retime(nets.residual(), load("loihi2"))
