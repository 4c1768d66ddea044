"""Edges that read a state: the value is the state as it is recorded, whoever reads it and however late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import ConversionError, GraphError, HardwareError
from spikeflow.hw import map_network
from spikeflow.hw.passes.compose import compose
from spikeflow.ir.codec import decode_record, encoded
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, MaxPool, Output, Population
from spikeflow.ir.outputs import expanded, outputs_of
from spikeflow.ir.show import show
from spikeflow.neurons import LIF, CubaLIF
from spikeflow.sim import Dense, prepare, run
from tests.sim import random_programs

STEPS, SAMPLES, N = 30, 3, 6


def drive(seed: int, fixed: bool = False) -> Dense:
    rng = np.random.default_rng(seed)
    if fixed:
        return Dense(rng.integers(-40, 60, (STEPS, SAMPLES, N)))
    x = rng.normal(0.3, 0.6, (STEPS, SAMPLES, N)).astype(np.float32)
    x[10:14] = 0
    return Dense(x)


def reading(node: Population, state: str, delay: int = 0) -> Graph:
    """Input -> cells; an Output of the cells, one of their state."""
    format = Fixed(8) if node.fixed else None
    nodes = {"x": Input((N,), "current", format), "cells": node, "spikes": Output(), "seen": Output()}
    into = [Edge("x", "cells", port) for port in node.ports]
    return Graph(nodes, (*into, Edge("cells", "spikes"), Edge("cells", "seen", delay=delay, src_port=state)))


@pytest.mark.parametrize("engine", ["reference", "cpp"])
@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("seed", range(25))
def test_what_is_read_is_what_is_recorded(seed: int, delay: int, engine: str) -> None:
    """Random float programs of two states, exchanged, clipped, NaN-free at the end of a step, with small values."""
    rng = np.random.default_rng(seed)
    node = replace(random_programs.population(rng, (N,), False, 1), start=0)
    graph = reading(node, "uv"[seed % 2], delay)
    state = f"cells.{'uv'[seed % 2]}"
    result = run(graph, {"x": drive(seed)}, STEPS, engine=engine, record=[state])
    wanted = np.zeros_like(result.recorded[state])
    wanted[delay:] = np.asarray(result.recorded[state])[: STEPS - delay]
    np.testing.assert_array_equal(result.outputs["seen"], wanted)


@pytest.mark.parametrize("engine", ["reference", "cpp"])
def test_integer_states_are_read_exactly(engine: str) -> None:
    for seed in range(20):
        node = replace(random_programs.population(np.random.default_rng(seed), (N,), True, 1), start=0)
        result = run(reading(node, "v"), {"x": drive(seed, True)}, STEPS, engine=engine, record=["cells.v"])
        np.testing.assert_array_equal(result.outputs["seen"], result.recorded["cells.v"])


def two_layers() -> Graph:
    """A layer whose membrane drives a second one, and comes back to itself a step later, beside its spikes."""
    weight = np.random.default_rng(0).normal(0.2, 0.3, (N, N)).astype(np.float32)
    nodes = {
        "x": Input((N,), "current"),
        "a": CubaLIF().node((N,)),
        "w": Linear(weight),
        "back": Linear(weight * np.float32(-0.5)),
        "b": replace(LIF().node((N,)), start=2),
        "y": Output(),
        "u": Output(),
    }
    edges = (
        Edge("x", "a"),
        Edge("a", "w"),
        Edge("a", "w", delay=2, src_port="v"),
        Edge("a", "back", delay=1, src_port="v"),
        Edge("back", "a"),
        Edge("w", "b"),
        Edge("b", "y"),
        Edge("b", "u", src_port="v"),
    )
    return Graph(nodes, edges)


def same(a: Any, b: Any) -> None:
    for name, values in a.outputs.items():
        np.testing.assert_array_equal(values, b.outputs[name], name)
    assert a.counts.keys() == b.counts.keys()
    for name, counts in a.counts.items():
        assert counts.semantic() == b.counts[name].semantic(), name


def test_engine_and_reference_agree_and_a_cut_run_goes_on() -> None:
    graph, x = two_layers(), drive(5)
    whole = run(graph, {"x": x}, STEPS, engine="reference")
    assert whole.outputs["y"].any() and whole.outputs["u"][2:].any() and not whole.outputs["u"][:2].any()
    same(whole, run(graph, {"x": x}, STEPS))
    assert set(whole.counts) == set(graph.nodes), "what reads a state is no neuron of the network"
    for engine in ("reference", "cpp"):
        first = run(graph, {"x": Dense(x.values[:11])}, 11, engine=engine)
        second = run(graph, {"x": Dense(x.values[11:])}, STEPS - 11, engine=engine, state=first.state)
        for name in graph.outputs:
            joined = np.concatenate([first.outputs[name], second.outputs[name]])
            np.testing.assert_array_equal(joined, whole.outputs[name], name)
        live = prepare(graph, engine).begin(SAMPLES)
        pieces = [live.advance({"x": Dense(x.values[a:b])}, b - a) for a, b in ((0, 7), (7, STEPS))]
        joined = np.concatenate([piece.outputs["y"] for piece in pieces])
        np.testing.assert_array_equal(joined, whole.outputs["y"])


def test_names_that_are_taken_are_no_trouble() -> None:
    graph = reading(LIF().node((N,)), "v")
    nodes = {**graph.nodes, "cells:v": LIF(0.1).node((N,)), "z": Output()}
    more = Graph(nodes, (*graph.edges, Edge("x", "cells:v"), Edge("cells:v", "z")))
    a, b = (run(g, {"x": drive(1)}, STEPS) for g in (graph, more))
    np.testing.assert_array_equal(a.outputs["seen"], b.outputs["seen"])


def test_it_is_written_read_shown_and_digested() -> None:
    graph = two_layers()
    assert "a.v -> w, delay 2" in show(graph) and "a -> w\n" in show(graph)
    again = decode_record(Graph, *encoded(graph))
    assert again.digest == graph.digest and again.edges == graph.edges
    assert graph.digest != replace(graph, edges=tuple(replace(e, src_port="out") for e in graph.edges)).digest


def test_a_graph_without_source_ports_is_itself() -> None:
    graph = reading(LIF().node((N,)), "out")
    assert expanded(graph) is graph and outputs_of(graph.nodes["cells"]) == ("out", "v")
    assert outputs_of(graph.nodes["x"]) == ("out",)


def test_an_output_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(GraphError, match="cells: has no output 'w' for seen. Try: one of out, v"):
        reading(LIF().node((N,)), "w")
    with pytest.raises(GraphError, match="x: has no output 'v'"):
        Graph({"x": Input((N,)), "y": Output()}, (Edge("x", "y", src_port="v"),))


def test_a_state_is_no_count_of_spikes() -> None:
    pool = MaxPool((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1), "running")
    nodes = {"x": Input((1, 4, 4)), "p": LIF().node((1, 4, 4)), "m": pool}
    Graph({**nodes, "y": Output()}, (Edge("x", "p"), Edge("p", "m"), Edge("m", "y")))
    with pytest.raises(GraphError, match="whole numbers"):
        Graph({**nodes, "y": Output()}, (Edge("x", "p"), Edge("p", "m", src_port="v"), Edge("m", "y")))


def test_chips_refuse_it_by_name() -> None:
    with pytest.raises(HardwareError, match="cells: needs to hand on its state v to seen"):
        map_network(reading(LIF().node((N,)), "v"), "loihi2", drive(0).values[0])
    with pytest.raises(GraphError, match="cells: hands on its state v to seen"):
        compose(reading(LIF().node((N,)), "v"))


def test_torch_layers_are_not_compared_with_it() -> None:
    import torch

    from spikeflow.convert.trained import capture_trained
    from spikeflow.convert.verify.ties import compare_layers
    from spikeflow.neurons import Neuron, Sequential

    net = Sequential(torch.nn.Linear(N, N), Neuron(LIF()))
    network = capture_trained(net, (N,), dt=1e-3, steps=STEPS)
    name = network.graph.of_kind(Population)[0]
    edges = tuple(replace(e, src_port="v") if e.src == name else e for e in network.graph.edges)
    with pytest.raises(ConversionError, match="hands on its state v"):
        compare_layers(net, replace(network, graph=replace(network.graph, edges=edges)), drive(0).values)
