"""Populations: what is said becomes one node for each target and port, in steps, and is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.errors import GraphError, HardwareError, SpikeflowError
from spikeflow.hw.pipeline import map_network
from spikeflow.ir.graph import Graph
from spikeflow.ir.listed import listed
from spikeflow.ir.nodes import Concat, Input, Procedural, Sparse
from spikeflow.ir.projections import FixedInDegree, Normal, OneToOne, Probability
from spikeflow.neurons import IF, LIF, CubaLIF
from spikeflow.populations import Populations, ms, mV, pA
from spikeflow.sim import engine, reference
from spikeflow.sim.inputs import Dense

DT_S = 1e-3


def small(bits: int = 0) -> Graph:
    net = Populations(DT_S, seed=3, bits=bits, scale=0.25 if bits else 1.0)
    net.enter("x", (2, 3))
    net.add("E", IF(2.0), (4, 5))
    net.add("I", IF(1.5), 6)
    net.project("x", "E", FixedInDegree(3), 1.0, ms(1))
    net.project("E", "E", FixedInDegree(4, autapses=False), 0.5, Normal(0.003, 0.001, ms(1), ms(5)))
    net.project("I", "E", Probability(0.4), -0.75, ms(2))
    net.project("E", "I", FixedInDegree(5), Normal(0.5, 0.1, 0.25, 1.0), ms(2))
    return net.graph(record=["E", "I"])


def test_one_node_for_each_target_and_port() -> None:
    graph = small()
    assert graph.of_kind(Procedural) == ("E.in", "I.in") and graph.of_kind(Concat) == (
        "E.in sources",
        "I.in sources",
    )
    node = graph.nodes["E.in"]
    assert isinstance(node, Procedural) and node.in_shape == (32,) and node.out_shape == (4, 5)
    assert [(p.first, p.sources, p.number) for p in node.projections] == [(0, 6, 0), (6, 20, 1), (26, 6, 2)]
    assert node.projections[2].delay == 1 and node.projections[1].delay == Normal(2.0, 1.0, 0, 4)
    assert {e.delay for e in graph.edges if e.dst == "E.in sources"} == {1} and graph.dt == DT_S


@pytest.mark.parametrize("bits", [0, 8])
def test_reference_engine_and_list_run_it_alike(bits: int) -> None:
    graph = small(bits)
    x = Dense((np.random.default_rng(0).random((40, 2, 2, 3)) < 0.3).astype(np.float32))
    expected = reference.simulate(graph, x, 40)
    got = engine.simulate(graph, x, 40)
    assert expected.outputs["E out"].sum() > 50 and expected.outputs["I out"].any()
    for name, values in expected.outputs.items():
        np.testing.assert_array_equal(got.outputs[name], values)
        np.testing.assert_array_equal(engine.simulate(listed(graph), x, 40).outputs[name], values)
    assert not listed(graph).of_kind(Procedural) and len(listed(graph).of_kind(Sparse)) == 2


@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
@pytest.mark.parametrize("bits", [0, 8])
def test_a_small_network_by_rule_is_mapped(chip: str, bits: int) -> None:
    graph = small(bits)
    x = (np.random.default_rng(1).random((64, 32, 2, 3)) < 0.3).astype(np.float32)
    try:
        mapping = map_network(graph, chip, np.ascontiguousarray(x.transpose(1, 0, 2, 3)), accept_loss=True)
    except HardwareError as error:
        pytest.fail(str(error))
    assert sum(len(core.axons.weight) for core in mapping.cores) > 100


def test_a_feed_enters_as_it_is_before_the_synapses() -> None:
    net = Populations(1e-4, seed=1)
    net.add("n", LIF.from_tau(ms(20), 1e-4, threshold=mV(20)), 3)
    net.feed("drive", "n")
    net.project("n", "n", OneToOne(), mV(-1), ms(0.3))
    graph = net.graph(["n"])
    assert [e.src for e in graph.inputs_of("n", "in")] == ["drive", "n.in"]
    node = graph.nodes["drive"]
    assert isinstance(node, Input) and node.kind == "current"
    assert (mV(20), pA(250), ms(1.5)) == (0.02, 2.5e-10, 0.0015)


def two() -> Populations:
    net = Populations(DT_S)
    net.add("a", LIF(), 4)
    net.add("b", CubaLIF(), 5)
    net.enter("x", 4)
    return net


BAD = {
    "unknown source": lambda n: n.project("c", "a", OneToOne(), 1.0, ms(1)),
    "unknown target": lambda n: n.project("a", "c", OneToOne(), 1.0, ms(1)),
    "an input as target": lambda n: n.project("a", "x", OneToOne(), 1.0, ms(1)),
    "unknown port": lambda n: n.project("a", "b", FixedInDegree(1), 1.0, ms(1), port="soma"),
    "no delay": lambda n: n.project("a", "b", FixedInDegree(1), 1.0, 0.0),
    "half a step": lambda n: n.project("a", "b", FixedInDegree(1), 1.0, ms(1.5)),
    "a longest delay of half a step": lambda n: n.project(
        "a", "b", FixedInDegree(1), 1.0, Normal(0.002, 0.001, ms(1), ms(2.5))
    ),
    "a delay that may be none": lambda n: n.project(
        "a", "b", FixedInDegree(1), 1.0, Normal(0.002, 0.001, 0, ms(2))
    ),
    "sizes": lambda n: n.project("a", "b", OneToOne(), 1.0, ms(1)),
    "twice": lambda n: n.add("a", LIF(), 4),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_refused_by_name(what: str) -> None:
    with pytest.raises(GraphError):
        BAD[what](two())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda net: net.add("z", "LIF", 3), "'LIF' is no neuron model"),
        (lambda net: net.add("z", LIF, 3), "is no neuron model.*LIF"),
        (lambda net: net.add("z", LIF(0.9), 2.5), "z: a shape of 2.5"),
        (lambda net: net.add("z", LIF(0.9), "12"), "z: a shape of '12'"),
        (lambda net: net.add("z", LIF(0.9), -3), r"z: got \(-3,\)"),
        (lambda net: net.project("a", "a", 80, 1.0, 1e-3), "80 is no rule"),
        (lambda net: net.project("a", "a", FixedInDegree(2), "heavy", 1e-3), "a weight of 'heavy'"),
        (lambda net: net.project("a", "a", FixedInDegree(2), 1.0, "long"), "a delay of 'long'"),
        (lambda net: net.graph("a"), "the text 'a'.*\\['a'\\]"),
        (lambda net: Populations(0), "steps of 0 s"),
        (lambda net: Populations("1 ms"), "steps of '1 ms' s"),
    ],
)
def test_things_of_another_kind_are_named(wrong: Any, said: str) -> None:
    net = Populations(1e-3)
    net.add("a", LIF(0.9), 5)
    with pytest.raises(SpikeflowError, match=said):
        wrong(net)
    net.graph(["a"])  # nothing of it stays
