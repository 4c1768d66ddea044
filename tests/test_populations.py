"""Populations: what is said becomes one node for each target and port, in steps, and is refused by name."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import GraphError, HardwareError, SpikeflowError, SpikeflowWarning
from spikeflow.hw.pipeline import map_network
from spikeflow.ir.graph import Graph
from spikeflow.ir.listed import listed
from spikeflow.ir.nodes import Concat, Input, Poisson, Population, Procedural, Sparse
from spikeflow.ir.projections import (
    FixedInDegree,
    FixedTotal,
    Normal,
    OneToOne,
    Probability,
    Projection,
    drawn,
)
from spikeflow.neurons import IF, LIF, CubaLIF
from spikeflow.populations import Populations, Synapses, Uniform, ms, mV, pA
from spikeflow.sim import engine, reference, run
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
        (lambda net: net.project("a", "a", FixedInDegree(2), [1.0, 2.0], 1e-3), r"a weight of \[1.0, 2.0\].*connect"),
        (lambda net: net.project("a", "a", FixedInDegree(2.5), 1.0, 1e-3), "2.5 synapses.*a whole number"),
        (lambda net: net.project("a", "a", FixedTotal("9"), 1.0, 1e-3), "'9' synapses.*a whole number"),
        (lambda net: net.current("a", "much"), "a current of 'much'"),
        (lambda net: net.project("a", "a", FixedInDegree(2), 1.0, "long"), "a delay of 'long'"),
        (lambda net: net.graph("a"), "the text 'a'.*\\['a'\\]"),
        (lambda net: Populations(0), "steps of 0 s"),
        (lambda net: Populations("1 ms"), "steps of '1 ms' s"),
        (lambda net: Populations(1e-3, seed=1.5), "a seed of 1.5"),
        (lambda net: net.project("a", "a", FixedInDegree(2), np.ones(5), 1e-3), "a weight of array"),
        (lambda net: net.project("a", "a", FixedInDegree(2), 1.0, np.nan), "a delay of nan"),
        (lambda net: net.project("a", "a", FixedInDegree(2), 1.0, np.array([1e-3, 2e-3])), "a delay of array"),
        (lambda net: net.project("a", "a", FixedInDegree(2.5), 1.0, 1e-3), "2.5 synapses"),  # type: ignore[arg-type]
        (lambda net: net.add("z", LIF(0.9), 3, {"v": Uniform(2, 1)}), r"z: an initial v of Uniform\(low=2, high=1\)"),
        (lambda net: net.add("z", LIF(0.9), 3, {"v": Normal(0, 1, 2, -2)}), "low <= high"),
        (lambda net: net.add("z", LIF(0.9), 3, {"v": Normal(0, -1)}), "a deviation from 0 on"),
    ],
)
def test_things_of_another_kind_are_named(wrong: Any, said: str) -> None:
    net = Populations(1e-3)
    net.add("a", LIF(0.9), 5)
    with pytest.raises(SpikeflowError, match=said):
        wrong(net)
    net.graph(["a"])  # nothing of it stays


def driven(seed: int = 3) -> Populations:
    """Random drive, random sources, constant currents and drawn initial states, in two dimensions and one."""
    net = Populations(1e-4, seed)
    cell = CubaLIF(0.8, 0.99, 20.0, refractory=20)
    net.add("E", cell, (4, 50), {"v": Normal(10.0, 4.0, 0.0, 19.0), "u": 0.5})
    net.add("I", LIF(0.99, 20.0), 100, {"v": Uniform(-5.0, 15.0)})
    net.enter("x", 30, rate_hz=900.0)
    net.drive("noise E", "E", 12_000.0, 0.3)
    net.drive("noise I", "I", np.linspace(0, 20_000, 100), 0.2)
    net.current("E", 0.01)
    net.current("E", np.linspace(0, 0.02, 200).reshape(4, 50))
    net.current("I", 0.1)
    net.project("x", "E", FixedInDegree(5), Normal(0.2, 0.05, 0.0), Normal(ms(1.5), ms(0.75), ms(0.1), ms(5)))
    net.project("E", "E", FixedInDegree(10), 0.1, ms(1))
    return net


def test_drive_currents_and_initial_states_run_alike() -> None:
    graph = driven().graph(["E", "I"])
    expected, got = reference.simulate(graph, {}, 60), engine.simulate(graph, {}, 60)
    for name, values in expected.outputs.items():
        assert values.any()
        np.testing.assert_array_equal(got.outputs[name], values)
    assert got.state == expected.state
    assert driven(4).graph(["E", "I"]).digest != graph.digest == driven().graph(["E", "I"]).digest


def test_what_drive_currents_and_initial_states_become() -> None:
    graph = driven().graph(["E", "I"])
    e, i, x, noise, some = (graph.nodes[n] for n in ("E", "I", "x", "noise E", "noise I"))
    assert isinstance(e, Population) and isinstance(i, Population)
    assert isinstance(x, Poisson) and isinstance(noise, Poisson) and isinstance(some, Poisson)
    assert (
        x.mean == pytest.approx(0.09)
        and noise.mean == pytest.approx(1.2)
        and some.mean.max() == pytest.approx(2.0)
    )
    assert len({x.number, noise.number, some.number}) == 3 and noise.weight == np.float32(0.3)
    assert [edge.src for edge in graph.inputs_of("E", "in")] == ["noise E", "E.in"]
    currents, alone = graph.nodes["E.in"], graph.nodes["I.in"]  # nothing projects to I
    assert isinstance(currents, Procedural) and isinstance(alone, Procedural)
    np.testing.assert_allclose(currents.bias, 0.01 + np.linspace(0, 0.02, 200), rtol=1e-6)
    np.testing.assert_allclose(alone.bias, np.full(100, 0.1), rtol=1e-6)
    v, w = e.initial["v"], i.initial["v"]
    assert v.shape == (4, 50) and v.min() >= 0 and v.max() <= 19 and len(np.unique(v)) > 180
    assert abs(v.mean() - 10) < 5 * 4 / np.sqrt(200) and abs(v.std() - 4) < 1
    assert w.min() >= -5 and w.max() < 15 and abs(w.mean() - 5) < 5 * 20 / np.sqrt(12 * 100)
    assert (e.initial["u"] == 0.5).all()


def test_currents_and_drive_that_do_not_fit() -> None:
    net = driven()
    with pytest.raises(GraphError, match="a current of shape"):
        net.current("E", np.zeros(7))
    with pytest.raises(GraphError, match="no population"):
        net.drive("more", "x", 10.0, 1.0)
    with pytest.raises(GraphError, match="added twice"):
        net.drive("noise E", "E", 10.0, 1.0)
    with pytest.raises(GraphError, match="one number"):
        net.drive("each", "E", 10.0, np.ones(400))  # type: ignore[arg-type]
    net.drive("too much", "I", 2e7, 1.0)
    with pytest.raises(GraphError, match="too much"):
        net.graph()


@pytest.mark.parametrize("bits", [0, 8])
def test_listed_synapses_are_those_of_a_rule_written_out(bits: int) -> None:
    """The synapses that a rule draws, handed over as a list, run alike; two lists into one port are one node."""
    drawn_by = Populations(1e-3, seed=4, bits=bits, scale=0.01 if bits else 1.0)
    by_list = Populations(1e-3, seed=4, bits=bits, scale=0.01 if bits else 1.0)
    for net in (drawn_by, by_list):
        net.enter("x", (4, 5), rate_hz=200.0)
        net.add("a", LIF(0.9, 0.5), 30)
    for number, (pre, rule) in enumerate({"x": FixedInDegree(6), "a": FixedInDegree(3)}.items()):
        size, delay = (20, 30)[number], Normal(3e-3, 1e-3, 1e-3, 6e-3)
        drawn_by.project(pre, "a", rule, Normal(0.3, 0.1), delay)
        steps = Normal(2, 1, 0, 5)
        one = drawn(Projection(0, size, rule, Normal(0.3, 0.1), steps, 4, number), 30)
        columns = one.source, one.target, one.weight, (one.delay + 1) * 1e-3
        by_list.connect(pre, "a", Synapses(*columns))
    wanted, found = drawn_by.graph(["a"]), by_list.graph(["a"])
    assert {n for n in found.nodes if "listed" in n} == {"a.in listed", "a.in listed sources"}
    for which in ("cpp", "reference"):
        values = [run(graph, {}, 60, engine=which).output for graph in (found, wanted)]
        np.testing.assert_array_equal(values[0], values[1])
    assert run(wanted, {}, 60).counts["a"].spikes > 10


@pytest.mark.parametrize(
    ("synapses", "reason"),
    [
        (Synapses([0], [30], 1.0, 1e-3), "from 0 to 29"),
        (Synapses([-1], [0], 1.0, 1e-3), "from 0 to 29"),
        (Synapses([0.5], [0], 1.0, 1e-3), "whole numbers"),
        (Synapses([0, 1], [0], 1.0, 1e-3), "2 sources, 1 targets"),
        (Synapses([0, 1], [0, 1], [1.0, 1.0, 1.0], 1e-3), "3 weights"),
        (Synapses([0], [0], np.nan, 1e-3), "no number"),
        (Synapses([0], [0], 1.0, 0.0), "outside 1 to"),
        (Synapses([0], [0], 1.0, 1e6), "outside 1 to"),
    ],
)
def test_lists_that_cannot_be(synapses: Synapses, reason: str) -> None:
    net = Populations(1e-3)
    net.add("a", LIF(0.9, 0.5), 30)
    with pytest.raises(GraphError, match=reason):
        net.connect("a", "a", synapses)
    with pytest.raises(GraphError, match="was not added"):
        net.connect("b", "a", Synapses([0], [0], 1.0, 1e-3))
    net.connect("a", "a", Synapses(np.zeros(0, int), np.zeros(0, int), 1.0, 1e-3))  # none is no fault
    assert net.graph(["a"]).nodes["a.in listed"].stored == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("taken", ["E.in", "E.in sources", "E.in listed", "p to E", "x flat", "E out"])
def test_no_node_takes_the_place_of_another(taken: str) -> None:
    """A population that was called as a node of the graph was replaced by it, without a word."""
    net = Populations(1e-3)
    net.enter("x", (2, 2))
    net.add("E", LIF(0.9), 5)
    net.project("x", "E", FixedInDegree(2), 1.0, 1e-3)
    net.connect("x", "E", Synapses([0], [1], 1.0, 1e-3))
    net.inject("p", "E", [1])
    assert set(net.graph(["E"]).nodes) > {"E.in", "E.in sources", "E.in listed", "p to E", "x flat", "E out"}
    net.add(taken, LIF(0.9), 3)
    with pytest.raises(GraphError, match=f"{taken}: is the name of two nodes"):
        net.graph(["E"])


def test_an_output_is_recorded_once() -> None:
    """Named twice, every spike was counted twice."""
    net = two()
    with pytest.raises(GraphError, match="a out: is the name of two nodes"):
        net.graph(["a", "a"])


def test_no_autapses_belong_to_one_population() -> None:
    """Between two populations of one size, each target missed the source of its own number."""
    net = Populations(1e-3)
    net.add("a", LIF(0.9), 5)
    net.add("b", LIF(0.9), 5)
    with pytest.raises(GraphError, match="a to b: no autapses between two populations"):
        net.project("a", "b", FixedInDegree(2, autapses=False), 1.0, 1e-3)


@pytest.mark.parametrize("kind", ["rule", "list"])
def test_weights_that_codes_do_not_hold_are_told(kind: str) -> None:
    def joined(weight: float) -> None:
        net = Populations(1e-3, 1, 8, 0.01)
        net.enter("x", 4)
        net.add("a", LIF(0.9), 5)
        if kind == "rule":
            net.project("x", "a", FixedInDegree(2), weight, 1e-3)
        else:
            net.connect("x", "a", Synapses([0, 1], [1, 2], [weight, 0.5], 1e-3))
        net.graph()

    for weight in (1.28, -5.0):
        with pytest.warns(SpikeflowWarning, match=r"x to a: codes of 8 bits times 0.01 hold .* 1 of "):
            joined(weight)
    for weight in (0.004, -1e-6):
        with pytest.warns(SpikeflowWarning, match=r"x to a: 1 of \d weights become 0 in codes of 8 bits times 0.01"):
            joined(weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        joined(1.27)
        joined(-1.28)
        joined(0.0)
        joined(0.006)
    with pytest.raises(GraphError, match="x to a"):
        joined(1e300)


def test_delays_between_steps_are_told() -> None:
    net = Populations(1e-3)
    net.add("a", LIF(0.9), 5)
    with pytest.warns(SpikeflowWarning, match="a to a: 2 of 3 delays lie between steps of 0.001 s.* up to 0.0005 s"):
        net.connect("a", "a", Synapses([0, 1, 2], [1, 2, 3], 1.0, [1e-3, 2.2e-3, 3.5e-3]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.connect("a", "a", Synapses([0, 1], [1, 2], 1.0, [0.1 * 0.03, 7e-3]))


def test_means_outside_of_their_bounds_and_flags_that_are_none() -> None:
    """Units that were mixed up drew one bound for all; text that says no was true."""
    net = Populations(1e-3)
    net.add("E", IF(1.0), 4)
    for weight, delay in ((0.5, Normal(1.5, 1e-4, 1e-3, 5e-3)), (Normal(0.5, 0.1, 2, 3), 1e-3)):
        with pytest.warns(SpikeflowWarning, match=r"E to E: (delays|weights) of mean .* most become a bound.*one unit"):
            net.project("E", "E", FixedInDegree(2), weight, delay)
    for rule in (FixedInDegree(2, multapses="no"), Probability(0.5, autapses="no")):  # type: ignore[arg-type]
        with pytest.raises(GraphError, match="(multapses|autapses)='no'. Try: True or False"):
            net.project("E", "E", rule, 0.5, 1e-3)
    for seed in (-1, True, 2**63):
        with pytest.raises(GraphError, match="a seed of"):
            Populations(1e-3, seed)
