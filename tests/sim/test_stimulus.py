"""Stimuli: currents into chosen neurons that change with time, and runs that go on from a state with another stimulus."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from spikeflow.errors import DataError, GraphError, SpikeflowWarning
from spikeflow.events import Spikes
from spikeflow.ir.graph import Graph
from spikeflow.ir.projections import OneToOne
from spikeflow.neurons import IF, LIF
from spikeflow.populations import Populations
from spikeflow.sim import Dense, Probe, prepare, run
from tests.files.rule_network import rule_network
from tests.sim.test_cut import assert_equal


@pytest.mark.parametrize("engine", ["cpp", "reference"])
def test_currents_enter_the_chosen_neurons_alone(engine: str) -> None:
    rng, chosen = np.random.default_rng(2), [7, 0, 31]
    given = rng.normal(0, 1, (20, 2, 3)).astype(np.float32)
    whole = np.zeros((20, 2, 40), np.float32)
    whole[:, :, chosen] = given
    found = []
    for some in (True, False):
        net = Populations(1e-3, 3)
        net.add("n", LIF(0.9, 0.5), (5, 8))
        net.drive("noise", "n", 200.0, 0.3)
        if some:
            net.inject("current", "n", chosen)
        else:
            net.feed("current", "n")
        inputs = {"current": Dense(given if some else whole.reshape(20, 2, 5, 8))}
        found.append(run(net.graph(["n"]), inputs, 20, engine=engine, record=["n.v", Probe("n.in", chosen)]))
    np.testing.assert_array_equal(found[0].output, found[1].output)
    np.testing.assert_array_equal(found[0].recorded["n.v"], found[1].recorded["n.v"])
    assert found[0].counts["n"].spikes > 0


@pytest.mark.parametrize("neurons", [[], [40], [-1], [1, 1], [0.5], 3, "x"])
def test_neurons_that_no_current_can_enter(neurons: object) -> None:
    net = Populations(1e-3)
    net.add("n", LIF(0.9, 0.5), 40)
    with pytest.raises(GraphError, match="some of 0 to 39, each once"):
        net.inject("current", "n", neurons)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="no port 'apical'"):
        net.inject("current", "n", [1], "apical")


def test_a_run_goes_on_with_another_rate() -> None:
    """Equal to a reference that does the same, and to one graph all the way where the rate stays."""
    calm, loud = rule_network(rate_hz=100.0), rule_network(rate_hz=900.0)
    before = run(calm, {}, 30).state
    with pytest.raises(DataError, match="state of the graph"):
        run(loud, {}, 30, state=before)
    moved = before.for_graph(loud)
    fast, slow = run(loud, {}, 30, state=moved), run(loud, {}, 30, state=moved, engine="reference")
    assert_equal(fast, slow, ())
    assert fast.state == slow.state and fast.counts["x"].spikes > 3 * run(calm, {}, 30, state=before).counts["x"].spikes
    assert moved.for_graph(calm) == before
    live = prepare(loud).begin(moved)
    assert_equal(live.advance({}, 30), slow, ())


def test_a_graph_that_remembers_something_else_is_refused_by_name() -> None:
    state = run(rule_network(), {}, 30).state
    for other, reason in (
        (rule_network(61), r"shape \(60,\) a row"),
        (replace(rule_network(), edges=rule_network().edges[:-1], nodes=_without_output()), None),
    ):
        if reason is None:
            assert state.for_graph(other).steps.tolist() == [30]  # an Output remembers nothing
            continue
        with pytest.raises(DataError, match=reason):
            state.for_graph(other)
    net = Populations(1e-3)
    net.add("m", LIF(0.9, 0.5), 60)
    with pytest.raises(DataError, match="none"):
        state.for_graph(net.graph(["m"]))


def _without_output() -> dict[str, object]:
    return {name: node for name, node in rule_network().nodes.items() if name != "n out"}


@pytest.mark.parametrize("engine", ("cpp", "reference"))
def test_spikes_behind_the_last_step_are_told(engine: str) -> None:
    net = Populations(1e-3)
    net.add("E", IF(1.0), 2)
    net.enter("x", 2)
    net.project("x", "E", OneToOne(), 1.0, 1e-3)
    late = Spikes([0, 0, 0], [0, 4, 7], [0, 1, 0], [1, 1, 1], 1, 10, (2,))  # type: ignore[arg-type]
    with pytest.warns(SpikeflowWarning, match="x: 1 of 3 spikes come after the 7 steps that are run. Try: steps=10"):
        found = run(net.graph(["E"]), {"x": late}, 7, engine=engine)
    assert found.output.sum() == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(net.graph(["E"]), {"x": late}, 8, engine=engine).output.sum() == 2


def test_values_behind_the_last_step_are_told() -> None:
    net = Populations(1e-3)
    net.add("E", IF(1.0), 2)
    net.feed("x", "E")
    values = np.zeros((5, 1, 2), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(net.graph(["E"]), {"x": Dense(values)}, 3)
    values[4, 0, 1] = 1
    with pytest.warns(SpikeflowWarning, match="x: values that are not 0 come after the 3 steps that are run. Try: steps=5"):
        assert run(net.graph(["E"]), {"x": Dense(values)}, 3).output.shape == (3, 1, 2)


@pytest.mark.parametrize("engine", ("cpp", "reference"))
def test_a_piece_that_is_longer_than_its_steps_is_told(engine: str) -> None:
    """A Live run that is given the whole input each time would take its first steps again and again."""
    net = Populations(1e-3)
    net.add("E", IF(1.0), 2)
    net.enter("x", 2)
    net.project("x", "E", OneToOne(), 1.0, 1e-3)
    values = np.zeros((10, 1, 2), np.float32)
    values[4, 0, 1] = 1
    runner = prepare(net.graph(["E"]), engine)
    for late in (Dense(values), Spikes.from_dense(values)):
        for go in (runner.begin(1).advance, runner):
            with pytest.warns(SpikeflowWarning, match="come after the 4 steps that are run") as heard:
                go({"x": late}, 4)
            assert [w.filename for w in heard] == [__file__]
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert go({"x": late}, 6).output.sum() == 1


@pytest.mark.parametrize("engine", ("cpp", "reference"))
def test_steps_may_be_a_whole_number_of_numpy(engine: str) -> None:
    graph, steps = _without_drive(), np.int64(3)
    assert run(graph, {}, steps, engine=engine).steps == 3  # type: ignore[arg-type]
    assert prepare(graph, engine).begin().advance({}, steps).output.shape[0] == 3  # type: ignore[arg-type]


def _without_drive() -> Graph:
    net = Populations(1e-3)
    net.add("E", IF(1.0), 2)
    return net.graph(["E"])
