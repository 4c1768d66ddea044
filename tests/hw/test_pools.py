"""Max pooling on a chip: neurons that hand on the same spikes, bit for bit, a step later for each level."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import ceil, log2
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.errors import HardwareError, SpikeflowError
from spikeflow.hw import map_network
from spikeflow.hw.chips.chip import load
from spikeflow.hw.integer.quantise import quantise
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.pools import RunningMaximum, without_pools
from spikeflow.hw.passes.retime import output_level, retime
from spikeflow.ir import stages
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Concat, Conv2d, Input, Linear, MaxPool, Output, Pad, Population, SumPool
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, Integrator, SignedIF
from spikeflow.sim import engine, reference
from spikeflow.sim.inputs import Dense
from tests.hw.fixed_nets import mapped, tiny_chip
from tests.sim.test_max_pool import drawn

STEPS = 12
PLAIN = MaxPool((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1), "running")


def spikes(rng: np.random.Generator, *shape: int) -> Any:
    return (rng.random(shape) < rng.choice([0.05, 0.3, 0.8])).astype(np.float32)


def behind_an_input(node: MaxPool, shape: tuple[int, ...], delay: int = 0) -> Graph:
    nodes = {"x": Input(shape), "pool": node, "out": Output()}
    return Graph(nodes, (Edge("x", "pool", delay=delay), Edge("pool", "out")))


@pytest.mark.parametrize("mode", ["any", "running"])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rank=st.integers(1, 3))
def test_the_neurons_are_the_pool(mode: str, seed: int, rank: int) -> None:
    """Random pools of 1 to 3 dimensions, kernels to 4, delays to 2, densities of 0.05 to 0.8; all in one step yet."""
    rng = np.random.default_rng(seed)
    node, shape = drawn(rng, rank, mode)
    graph = behind_an_input(node, shape, int(rng.integers(0, 3)))
    made = without_pools(graph, load("loihi2"))
    assert not made.of_kind(MaxPool) and made.shapes["pool"] == graph.shapes["pool"]
    x = Dense(spikes(rng, STEPS, 2, *shape))
    expected = reference.simulate(graph, x, STEPS).outputs["out"]
    np.testing.assert_array_equal(reference.simulate(made, x, STEPS).outputs["out"], expected)
    np.testing.assert_array_equal(engine.simulate(made, x, STEPS).outputs["out"], expected)


def in_integers(graph: Graph, chip: str, x: Any) -> Graph:
    target = load(chip)
    timed = retime(adapt(compose(without_pools(graph, target)), target), target)
    return quantise(Network(timed, RunRecord(STEPS, "spikes", readout="pool")), target, x).network.graph


@pytest.mark.parametrize(
    ("chip", "mode"),
    [
        ("loihi2", "any"),
        ("loihi2", "running"),
        ("spinnaker2", "any"),
        ("spinnaker2", "running"),
        ("loihi1", "any"),
    ],
)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_integers_and_tables_hand_on_the_same_spikes(chip: str, mode: str, seed: int) -> None:
    """Calibrated on other samples, silent ones too; cut onto cores of 12 neurons and rebuilt from the tables."""
    rng = np.random.default_rng(seed)
    node, shape = drawn(rng, 2, mode)
    graph = behind_an_input(node, shape, int(rng.integers(0, 3)))
    seen = spikes(rng, 3, STEPS, *shape) * rng.integers(0, 2)
    fixed = in_integers(graph, chip, seen)
    stages.check(fixed, "fixed")
    level = output_level(fixed, "out")
    x = spikes(rng, STEPS + level, 2, *shape)
    got = reference.simulate(fixed, Dense(x), STEPS + level).outputs["out"]
    expected = reference.simulate(graph, Dense(x), STEPS).outputs["out"]
    np.testing.assert_array_equal(got[level:], expected)
    assert not got[:level].any()
    np.testing.assert_array_equal(engine.simulate(fixed, Dense(x), STEPS + level).outputs["out"], got)
    rebuilt = mapped(fixed, tiny_chip(tiles=(8, 8, 4))).as_graph()
    np.testing.assert_array_equal(engine.simulate(rebuilt, Dense(x), STEPS + level).outputs["out"], got)


@pytest.mark.parametrize("kernel", [(1, 1), (1, 2), (2, 2), (3, 3), (5, 2), (4, 7)])
def test_a_level_for_each_doubling_of_a_side(kernel: tuple[int, int]) -> None:
    node = MaxPool(kernel, kernel, ((0, 0), (0, 0)), (1, 1), "running")
    fixed = in_integers(behind_an_input(node, (1, 8, 8)), "loihi2", np.zeros((1, STEPS, 1, 8, 8), np.float32))
    assert output_level(fixed, "out") == max(1, sum(ceil(log2(k)) for k in kernel))


def test_what_windows_share_is_computed_once() -> None:
    """3 by 3 with stride 1: of each pixel's pairs one along x and one along y, not four for each window."""
    node = MaxPool((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), "running")
    made = without_pools(behind_an_input(node, (1, 8, 8)), load("loihi2"))
    neurons = sum(int(np.prod(made.shapes[n])) for n in made.of_kind(Population))
    assert neurons <= 4 * 64 and len(made.of_kind(Population)) == 4


def network(node: MaxPool, kind: str = "spikes") -> Network:
    rng, shape = np.random.default_rng(5), (2, 6, 6)
    out = node.output_shape("pool", (shape,))
    nodes: dict[str, Any] = {
        "x": Input(shape, kind),
        "pool": node,
        "fc": Linear(rng.normal(0, 0.3, (4, int(np.prod(out)))).astype(np.float32)),
        "readout": Integrator().node((4,)),
        "out": Output(),
    }
    chain = list(nodes)
    graph = Graph(nodes, tuple(Edge(a, b) for a, b in zip(chain, chain[1:], strict=False)))
    return Network(graph, RunRecord(STEPS, "spikes", readout="readout", input_shape=shape))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
@pytest.mark.parametrize("mode", ["any", "running"])
def test_mapped_answers_cost_and_report(chip: str, mode: str) -> None:
    given, rng = network(replace(PLAIN, mode=mode)), np.random.default_rng(0)
    x = (rng.random((40, STEPS, 2, 6, 6)) < 0.3).astype(np.float32)
    mapping = map_network(given, chip, x)
    assert mapping.loss is not None and mapping.loss.fidelity.worst is not None
    assert mapping.loss.fidelity.worst.agreement == 1
    held = {part.population for core in mapping.cores for part in core.slices}
    assert held >= ({"pool", "pool.level 1"} if mode == "running" else {"pool"})
    assert "pool" in mapping.loss.to_text()


def refused(graph: Graph, chip: str = "loihi2") -> str:
    with pytest.raises(HardwareError) as error:
        without_pools(graph, load(chip))
    return str(error.value)


def with_source(*nodes: Any, kind: str = "spikes", node: MaxPool = PLAIN) -> Graph:
    named = {
        "x": Input((2, 6, 6), kind),
        **{f"n{i}": n for i, n in enumerate(nodes)},
        "pool": node,
        "out": Output(),
    }
    names = list(named)
    return Graph(named, tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False)))


def test_refused_by_name() -> None:
    plain = replace(PLAIN, mode="any")
    assert "values of x" in refused(with_source(kind="current", node=plain))
    assert "values of n0" in refused(with_source(SumPool((2, 2), (2, 2))))
    assert "values of n0" in refused(with_source(Integrator().node((2, 6, 6)), node=plain))
    two = Graph(
        {"x": Input((2, 6, 6)), "n": IF(1.0).node((2, 6, 6)), "pool": PLAIN, "out": Output()},
        (Edge("x", "n"), Edge("x", "pool"), Edge("n", "pool"), Edge("pool", "out")),
    )
    assert "sum of 2 sources" in refused(two)
    assert "two inputs" in refused(with_source(), "loihi1")
    without_pools(with_source(node=plain), load("loihi1"))
    without_pools(with_source(Pad((0, 1, 1), (0, 1, 1))), load("loihi2"))


def test_a_concat_of_sums_is_refused_and_one_of_spikes_is_not() -> None:
    shape = (2, 6, 6)
    nodes = {"x": Input(shape), "n": IF(1.0).node(shape), "c": Concat(0, 2), "pool": PLAIN, "out": Output()}
    edges = [
        Edge("x", "n"),
        Edge("x", "c", "in0"),
        Edge("n", "c", "in1"),
        Edge("c", "pool"),
        Edge("pool", "out"),
    ]
    without_pools(Graph(nodes, tuple(edges)), load("loihi2"))
    assert "values of c" in refused(Graph(nodes, (*edges, Edge("x", "c", "in1"))))


def test_graded_spikes_that_enter_are_refused() -> None:
    x = np.random.default_rng(0).integers(0, 3, (8, STEPS, 2, 6, 6)).astype(np.float32)
    with pytest.raises(HardwareError, match=r"x: needs max pooling of spikes of 0 to 2.*before they enter"):
        map_network(network(PLAIN), "loihi2", x)


def test_a_pool_of_integers_is_refused_by_name() -> None:
    shape = (1, 2, 2)
    whole = Population(
        "IF",
        IF(1.0).program(),
        {"threshold": np.ones(1)},
        (1, 1, 1),
        formats={"v": Fixed(8), "threshold": Fixed(8)},
    )
    nodes: dict[str, Any] = {"x": Input(shape), "pool": PLAIN, "n": whole, "out": Output()}
    graph = Graph(nodes, (Edge("x", "pool"), Edge("pool", "n"), Edge("n", "out")))
    with pytest.raises(SpikeflowError, match="pool"):
        map_network(graph, "loihi2")


def test_the_running_maximum_of_two_trains() -> None:
    """All trains of 6 steps: binary, and the larger count in every step."""
    trains = np.array([[k >> i & 1 for i in range(6)] for k in range(64)], np.float32)
    a, b = (x.reshape(-1, 6).T[..., None] for x in np.broadcast_arrays(trains[:, None], trains[None]))
    nodes = {"a": Input((1,)), "b": Input((1,)), "n": RunningMaximum().node((1,)), "out": Output()}
    graph = Graph(nodes, (Edge("a", "n", "a"), Edge("b", "n", "b"), Edge("n", "out")))
    out = reference.simulate(graph, {"a": Dense(a), "b": Dense(b)}, 6).outputs["out"]
    np.testing.assert_array_equal(out.cumsum(axis=0), np.maximum(a.cumsum(axis=0), b.cumsum(axis=0)))


def test_pooling_of_signed_spikes_is_refused_by_what_would_help() -> None:
    """Spikes of -1 have no running maximum of counts: the neurons are there, of another alphabet."""
    graph = Graph(
        {
            "in": Input((1, 4, 4), "spikes"),
            "w": Conv2d(np.ones((1, 1, 1, 1), np.float32)),
            "cells": SignedIF(1.0).node((1, 4, 4)),
            "pool": MaxPool((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
            "readout": Integrator().node((1, 2, 2)),
            "out": Output(),
        },
        tuple(Edge(a, b) for a, b in pairwise(("in", "w", "cells", "pool", "readout", "out"))),
    )
    x = np.ones((24, 4, 1, 4, 4))
    with pytest.raises(HardwareError, match="binary alphabet before it, not SignedIF"):
        map_network(Network(graph, RunRecord(4, "spikes", readout="readout")), "loihi2", x)
