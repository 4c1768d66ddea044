"""Graphs: what is refused, the order of a step, shapes."""

from __future__ import annotations

import time
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.errors import GraphError, ShapeError
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Delay, Flatten, Input, Linear, Node, Output, Population, SumPool
from spikeflow.ir.program import Instruction, Program

ADD = Program(
    ("a", "b"),
    (),
    (),
    (Instruction("input", name="a"), Instruction("input", name="b"), Instruction("add", (0, 1))),
    2,
    (),
)


def cells(size: int = 2) -> Population:
    return Population("add", ADD, {}, (size,))


def small(**nodes: Node) -> dict[str, Node]:
    return {"in": Input((2,)), **nodes, "out": Output()}


def test_what_a_graph_tells(snn: Graph) -> None:
    assert snn.inputs == ("image",) and snn.outputs == ("out",)
    assert snn.of_kind(Population) == ("hidden", "readout")
    assert [e.src for e in snn.inputs_of("readout")] == ["fc", "loop"]
    assert [e.src for e in snn.inputs_of("both", "in1")] == ["cut"]
    assert [e.dst for e in snn.outputs_of("readout")] == ["out", "loop"]
    assert snn.shapes["both"] == (2, 4, 3) and snn.port_shape("fc", "in") == (24,)


def test_a_delay_counts_on_its_edges_and_closes_a_loop() -> None:
    nodes = small(n=cells(), later=Delay(3))
    edges = (Edge("in", "n", "a"), Edge("n", "later", delay=2), Edge("later", "n", "b"), Edge("n", "out"))
    graph = Graph(nodes, edges)
    assert [graph.lag(e) for e in graph.edges] == [0, 5, 0, 0]
    assert graph.order.index("later") < graph.order.index("n")


def test_steps_of_numpy_are_those_of_python() -> None:
    """Delays out of an array were refused, though they are whole numbers."""
    late, *_ = np.array([2, 5])
    nodes = small(n=replace(cells(), start=late), later=Delay(late))
    edges = (Edge("in", "n", "a"), Edge("n", "later", delay=late), Edge("later", "out"))
    plain = (*edges[:1], Edge("n", "later", delay=2), *edges[2:])
    same = Graph(small(n=replace(cells(), start=2), later=Delay(2)), plain)
    assert Graph(nodes, edges).digest == same.digest
    odd: tuple[Any, ...] = (True, 2.0, "2")
    for steps in odd:
        with pytest.raises(GraphError, match="delay of"):
            Graph(small(later=Delay(steps)), (Edge("in", "later"), Edge("later", "out")))
        with pytest.raises(GraphError, match="start .*whole number of steps"):
            Graph(small(n=replace(cells(), start=steps)), (Edge("in", "n", "a"), Edge("n", "out")))


def test_an_unconnected_port_of_a_population_has_its_shape() -> None:
    graph = Graph(small(n=cells()), (Edge("in", "n", "a"), Edge("n", "out")))
    assert graph.port_shape("n", "b") == (2,) and graph.inputs_of("n", "b") == ()


@pytest.mark.parametrize(
    "edges",
    [
        [Edge("in", "missing")],
        [Edge("missing", "out")],
        [Edge("in", "n", "in")],
        [Edge("in", "n", "c")],
        [Edge("in", "n", "a", src_port="spikes")],
        [Edge("in", "n", "a", -1)],
        [Edge("in", "n", "a", 2**20)],
        [Edge("n", "in")],
        [Edge("out", "n", "a")],
    ],
)
def test_wrong_edges(edges: list[Edge]) -> None:
    with pytest.raises(GraphError):
        Graph(small(n=cells()), (Edge("n", "out"), *edges))


def test_an_unconnected_port_is_refused() -> None:
    with pytest.raises(GraphError, match="fc: nothing is connected to port 'in'"):
        Graph({"in": Input((2,)), "fc": Linear(np.ones((2, 2))), "out": Output()}, (Edge("in", "out"),))


@pytest.mark.parametrize("name", ["", "x" * 301, "a\nb", "\x1b[2J", "\ud800"])
def test_wrong_names(name: str) -> None:
    with pytest.raises(GraphError):
        Graph({name: Input((2,))}, ())


@pytest.mark.parametrize("dt", [0.0, -1.0, float("nan"), float("inf")])
def test_wrong_dt(dt: float) -> None:
    with pytest.raises(GraphError):
        Graph({"in": Input((2,))}, (), dt)


def test_a_cycle_without_delay_is_named() -> None:
    edges = (Edge("in", "n", "a"), Edge("n", "m", "a"), Edge("m", "n", "b"), Edge("m", "out"))
    with pytest.raises(GraphError, match="n: lies on or behind a cycle without delay"):
        Graph(small(n=cells(), m=cells()), edges)
    Graph(small(n=cells(), m=cells()), (*edges[:2], replace(edges[2], delay=1), edges[3]))


def test_a_loop_on_itself_needs_a_delay() -> None:
    edges = (Edge("in", "n", "a"), Edge("n", "n", "b"), Edge("n", "out"))
    with pytest.raises(GraphError, match="cycle without delay"):
        Graph(small(n=cells()), edges)


def test_a_cycle_without_a_population_has_no_shape() -> None:
    nodes = small(a=Linear(np.ones((2, 2))), b=Flatten())
    with pytest.raises(GraphError, match="cycle without a population"):
        Graph(nodes, (Edge("in", "a"), Edge("a", "b"), Edge("b", "a", delay=1), Edge("b", "out")))


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ShapeError):
        Graph(small(n=cells(3)), (Edge("in", "n", "a"), Edge("n", "out")))
    with pytest.raises(ShapeError, match="edges add up"):
        Graph(small(fc=Linear(np.ones((3, 2)))), (Edge("in", "fc"), Edge("in", "out"), Edge("fc", "out")))


def test_a_huge_result_is_refused() -> None:
    nodes: dict[str, Node] = {"in": Input((1, 1, 1)), "pool": SumPool((1, 1), (1, 1)), "out": Output()}
    Graph(nodes, (Edge("in", "pool"), Edge("pool", "out")))
    nodes["in"] = Input((2**16, 2**15, 1))
    with pytest.raises(ShapeError):
        Graph(nodes, (Edge("in", "pool"), Edge("pool", "out")))


def test_nothing_can_be_changed(snn: Graph) -> None:
    with pytest.raises(TypeError):
        snn.nodes["x"] = Output()  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        snn.dt = 1.0  # type: ignore[misc]
    fc = snn.nodes["fc"]
    assert isinstance(fc, Linear) and isinstance(fc.weight, np.ndarray)
    with pytest.raises(ValueError, match="read-only"):
        fc.weight[0, 0] = 1


def test_what_was_given_is_copied() -> None:
    weight = np.ones((2, 2), np.float32)
    nodes = small(fc=Linear(weight))
    graph = Graph(nodes, (Edge("in", "fc"), Edge("fc", "out")))
    before = graph.digest
    weight[:] = 7
    nodes["more"] = Output()
    assert Graph(graph.nodes, graph.edges).digest == before and "more" not in graph.nodes


def test_with_nodes_keeps_order(snn: Graph) -> None:
    changed = snn.with_nodes({"flat": Flatten()})
    assert list(changed.nodes) == list(snn.nodes) and changed.digest == snn.digest


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.data())
def test_order_puts_sources_first_and_keeps_ties(count: int, data: st.DataObject) -> None:
    pairs = data.draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=30))
    names = data.draw(st.permutations([f"n{i}" for i in range(count)]))
    rank = data.draw(st.permutations(range(count)))
    edges = tuple(Edge(names[a], names[b], "a", 0 if rank[a] < rank[b] else 1) for a, b in pairs)
    graph = Graph({n: cells() for n in names}, edges)
    assert list(graph.order) == slow_order(graph)


def slow_order(graph: Graph) -> list[str]:
    """The first node, as listed, whose sources of this step are all done; and again."""
    done: list[str] = []
    while len(done) < len(graph.nodes):
        ready = [
            n
            for n in graph.nodes
            if n not in done and all(e.src in done for e in graph.edges if e.dst == n and e.delay == 0)
        ]
        done.append(ready[0])
    return done


def test_large_graphs_are_quick() -> None:
    count = 20_000
    nodes: dict[str, Node] = {"n0": Input((2, 3)), **{f"n{i}": Flatten() for i in range(1, count)}}
    begun = time.process_time()
    graph = Graph(nodes, tuple(Edge(f"n{i}", f"n{i + 1}") for i in range(count - 1)))
    assert graph.shapes[f"n{count - 1}"] == (6,) and time.process_time() - begun < 5
