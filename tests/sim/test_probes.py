"""Law: a probe gives what a record of everything gives of its neurons and steps, in engine and reference, whole, cut and live,
alone and shared by threads.

On random graphs of every kind in floats and integers (as `test_cut` draws them) and on networks of populations of 1 to 1,700 neurons
(as `test_sharing` does; 1 to 4 shares, meeting at every step and once in several): 1 to 6 probes of 1 to all neurons, in any order and
repeated, a slice or none, every 1 to 9 steps.
"""

from __future__ import annotations

import warnings
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given

from spikeflow import read_records
from spikeflow.errors import DataError, SimulationError, SpikeflowWarning
from spikeflow.events import Spikes
from spikeflow.ir.graph import Graph
from spikeflow.sim import Probe, State, engine, prepare, process, reference, run
from spikeflow.sim.records import from_text, recordable
from spikeflow.sim.result import Result
from spikeflow.sim.stream import stream
from tests.files.rule_network import rule_network
from tests.sim.test_cut import (
    FIXED,
    RARELY,
    SEEDS,
    assert_equal,
    drawn,
    everything,
    from_states,
    joined,
    stretch,
)
from tests.sim.test_sharing import a_network, entering


def some_probes(rng: np.random.Generator, graph: Graph) -> list[Probe]:
    known = [n for n in everything(graph) if n in recordable(graph)]
    chosen = [known[i] for i in rng.integers(0, len(known), int(rng.integers(1, 7)))]
    return [a_probe(rng, graph, name, f"{i}: {name}") for i, name in enumerate(chosen)]


def a_probe(rng: np.random.Generator, graph: Graph, name: str, label: str) -> Probe:
    trace = recordable(graph)[name]
    size = prod(graph.shapes[name if trace is None else trace.node])
    neurons: Any = None
    if rng.random() < 0.6:
        neurons = rng.integers(0, size, int(rng.integers(1, min(size, 20) + 1)))
    elif rng.random() < 0.6:
        neurons = slice(int(rng.integers(0, size)), None, int(rng.integers(1, 4)))
    return Probe(name, neurons, 1 if trace is None else int(rng.integers(1, 10)), label)


def of_everything(graph: Graph, whole: Result, probes: list[Probe]) -> Result:
    """What the probes should have given, cut from a record of everything."""
    recorded: dict[str, Any] = {}
    for probe in probes:
        values = whole.recorded[probe.name]
        dense = values.dense() if isinstance(values, Spikes) else values
        neurons = probe.of(prod(dense.shape[2:]))
        if neurons.size:
            dense = dense.reshape(*dense.shape[:2], -1)[:, :, neurons]
        dense = dense[:: probe.every]
        fixed = isinstance(values, Spikes) and values.integers
        recorded[probe.key] = Spikes.from_dense(dense, fixed) if isinstance(values, Spikes) else dense
    return Result(whole.steps, whole.samples, whole.outputs, whole.counts, recorded, 0.0, whole.after)


def check(rng: Any, graph: Graph, inputs: Any, at: list[int], fast: Any, samples: int) -> None:
    slow, probes = reference.prepare(graph), some_probes(rng, graph)
    wanted = of_everything(graph, slow(inputs, at[-1], everything(graph)), probes)
    keys = [probe.key for probe in probes]
    for runner in (slow, fast):
        assert_equal(runner(inputs, at[-1], probes), wanted, keys)
        cut = from_states(lambda: (slow, runner)[rng.integers(2)], inputs, at, probes)  # noqa: B023
        assert_equal(cut, wanted, keys)
        live = runner.begin(samples)
        pairs = list(zip(at, at[1:], strict=False))
        assert_equal(
            joined([live.advance(stretch(inputs, a, b), b - a, probes) for a, b in pairs]), wanted, keys
        )


@FIXED
@given(seed=SEEDS)
@RARELY
def test_random_graphs(fixed: bool, seed: int) -> None:
    rng, graph, inputs, samples, at = drawn(seed, fixed)
    check(rng, graph, inputs, at, engine.prepare(graph, threads=int(rng.integers(1, 3))), samples)


@pytest.mark.parametrize("bits", [0, 8])
@pytest.mark.parametrize("seed", range(10))
def test_networks_of_populations(seed: int, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "shares_of", lambda graph, threads: threads)
    rng = np.random.default_rng([seed, bits, 3])
    graph, steps = a_network(rng, bits), 45
    inputs, threads = entering(rng, graph, steps, 1), int(rng.integers(1, 5))
    check(rng, graph, inputs, [0, 13, 31, steps], engine.prepare(graph, threads), 1)


def test_rows_that_keep_other_steps_are_refused_and_those_that_do_not_go_on() -> None:
    graph = rule_network()
    later, new = run(graph, {}, 6).state, State.initial(graph, 1)
    mixed = State.joined([later, new])
    for name in ("cpp", "reference"):
        with pytest.raises(DataError, match=r"rows with \[0, 6\] steps behind them"):
            run(graph, {}, 5, state=mixed, engine=name, record=[Probe("n.v", every=4)])
    found = run(graph, {}, 5, state=mixed, record=[Probe("n.v", [2], every=3)]).recorded["n.v"]
    assert found.shape == (2, 2, 1)
    np.testing.assert_array_equal(
        found,
        run(graph, {}, 5, state=mixed, engine="reference", record=[Probe("n.v", [2], 3)]).recorded["n.v"],
    )


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        (lambda: Probe("n.v", [60]), "some of 0 to 59"),
        (lambda: Probe("n.v", slice(60, None)), "some of 0 to 59"),
        (lambda: Probe("n.v", [-1]), "whole numbers from 0 on"),
        (lambda: Probe("n.v", []), "whole numbers from 0 on"),
        (lambda: Probe("n.v", [0.5]), "whole numbers from 0 on"),
        (lambda: Probe("n.v", [[1], [2, 3]]), "whole numbers from 0 on"),  # type: ignore[list-item]
        (lambda: Probe("n.v", slice(0, 5, 0)), "or a slice"),
        (lambda: Probe("n.v", slice("a", "b")), "or a slice"),
        (lambda: from_text("n.v[0:5:0]", rule_network()), "or a slice"),
        (lambda: Probe(["n.v"]), "the name"),  # type: ignore[arg-type]
        (lambda: Probe("n.v", every=0), "a whole number above 0"),
        (lambda: Probe("n.v", every=True), "a whole number above 0"),
        (lambda: Probe("n", [1], every=2), "every=1; spikes take little room"),
        (lambda: Probe("m.v"), "nothing that can be recorded"),
        (lambda: 3, "holds a int"),
    ],
)
def test_what_no_probe_can_give(probe: Any, reason: str) -> None:
    for name in ("cpp", "reference"):
        with pytest.raises((DataError, SimulationError), match=reason):
            run(rule_network(), {}, 3, engine=name, record=[probe()])


def test_two_of_one_name_are_refused() -> None:
    for record in (
        ["n.v", Probe("n.v", [1])],
        [Probe("n.v", [1]), "n.v"],
        [Probe("n.v", [1]), Probe("n.v", [2])],
    ):
        with pytest.raises(SimulationError, match="recorded twice"):
            run(rule_network(), {}, 3, record=record)
    with pytest.raises(SimulationError, match="no sequence of names"):
        run(rule_network(), {}, 3, record=Probe("n.v"))  # type: ignore[arg-type]


def test_long_records_go_to_a_file_piece_by_piece(tmp_path: Path) -> None:
    graph = rule_network()
    probes = [Probe("n.v", [5, 3], every=7, label="few"), Probe("n", slice(10)), "n.v", "n.in (port)"]
    pieces = [({}, steps) for steps in (1, 5, 30, 2, 62)]
    stream(tmp_path / "r.h5", prepare(graph).begin(2), pieces, probes)
    wanted, found = prepare(graph).begin(2).advance({}, 100, probes).recorded, read_records(tmp_path / "r.h5")
    assert list(found) == ["few", "n", "n.v", "n.in (port)"]
    for name in ("few", "n.v", "n.in (port)"):
        np.testing.assert_array_equal(found[name], wanted[name])
    np.testing.assert_array_equal(found["n"].dense(), wanted["n"].dense())
    with h5py.File(tmp_path / "r.h5") as file:
        assert dict(file["0"].attrs) == {"name": "few", "every": 7} and list(file["0/neurons"][()]) == [3, 5]


def test_a_file_says_how_many_steps_there_were(tmp_path: Path) -> None:
    """Of every 7th step alone it cannot be told."""
    pieces = [({}, steps) for steps in (3, 2, 15)]
    stream(tmp_path / "r.h5", prepare(rule_network()).begin(), pieces, [Probe("n.v", every=7)])
    with h5py.File(tmp_path / "r.h5") as file:
        assert file.attrs["steps"] == 20 and file["0/values"].shape[0] == 3


def test_a_file_says_which_neurons_a_slice_meant(tmp_path: Path) -> None:
    probe = Probe("n.v", slice(10, None, 3))
    stream(tmp_path / "r.h5", prepare(rule_network()).begin(), [({}, 4)], [probe])
    with h5py.File(tmp_path / "r.h5") as file:
        assert file["0"].attrs["neurons"] == "10::3"


def test_an_order_that_is_not_kept_is_told() -> None:
    for neurons in ([7, 2], [2, 2], np.array([5, 1, 3])):
        with pytest.warns(SpikeflowWarning, match="n.v: its neurons are kept in ascending order, each once"):
            Probe("n.v", neurons)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Probe("n.v", [2, 7])


def test_probes_in_words() -> None:
    graph = rule_network()
    for text, neurons, every in (
        ("n.v[0:4]", [0, 1, 2, 3], 1),
        ("n.v[7,2]@5", [2, 7], 5),
        ("n.v@3", [], 3),
        ("n.v[50:]@2", list(range(50, 60)), 2),
    ):
        probe = from_text(text, graph)
        assert isinstance(probe, Probe) and (probe.name, probe.key, probe.every) == ("n.v", text, every)
        assert probe.of(60).tolist() == neurons
    assert from_text("n.v", graph) == "n.v"
    for wrong in ("n.v[a]", "n.v[]", "n.v[1:2:3:4]", "n.v[1,-2]"):
        with pytest.raises(DataError):
            from_text(wrong, graph)
