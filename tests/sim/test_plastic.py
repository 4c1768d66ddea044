"""Synapses that learn, in graphs: equal to the plain reference, cut anywhere, in rows, in files; what is refused.

Drawn (`random_rules`): known rules and rules of random programs, delays 0 to 6, bounds, modulators for all or one a
target, scaling every 1 to 8 steps, 2 samples of 30 steps.
"""

from __future__ import annotations

import os
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import DataError, GraphError, HardwareError, ShapeError, SpikeflowWarning
from spikeflow.events import Spikes
from spikeflow.hw import map_network
from spikeflow.ir import file, stages
from spikeflow.ir.arrays import Codes
from spikeflow.ir.difference import difference
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Sparse
from spikeflow.ir.plastic import Plastic
from spikeflow.ir.record import Network, RunRecord
from spikeflow.ir.show import show
from spikeflow.neurons import IF, GraphNet
from spikeflow.neurons.stdp import PairSTDP, RewardSTDP, homeostatic
from spikeflow.sim import Constant, Dense, engine, prepare, reference, sharing, with_weights
from spikeflow.sim.learning import Synapses, learn
from spikeflow.sim.plastic import ends
from spikeflow.sim.state import State
from tests.sim import random_rules

SEEDS = pytest.mark.parametrize("seed", range(int(os.environ.get("SPIKEFLOW_EXAMPLES", "12"))))
STEPS = 30


def dense(
    values: dict[str, np.ndarray], first: int = 0, last: int | None = None, rows: Any = slice(None)
) -> Any:
    return {name: Dense(x[first:last][:, rows]) for name, x in values.items()}


@SEEDS
def test_a_graph_learns_as_the_plain_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_rules.taught(rng)
    x = random_rules.inputs(rng, graph, STEPS, 2)
    node: Any = graph.nodes["node"]
    found = reference.simulate(graph, dense(x), STEPS).state
    late = graph.inputs_of("node")[0].delay
    source, target, delay = ends(node)
    listed = Synapses(source, target, delay.astype(np.int64), node.stored_weights.reshape(-1))
    for b in range(2):
        pre = np.concatenate([np.zeros((late, *x["x"].shape[2:])), x["x"][: STEPS - late, b]])
        signal = x["signal"][:, b].reshape(STEPS, -1) if "signal" in x else None
        if signal is not None and signal.shape[1] == 1:
            signal = signal[:, 0]
        plain = learn(node.plastic.rule, listed, pre, x["teacher"][:, b].reshape(STEPS, -1), signal)
        held = found.memory["node"]
        assert np.array_equal(held["synapse.w"][b].reshape(-1), plain.weights[-1], equal_nan=True)
        for name, value in plain.eligibility.items():
            assert np.array_equal(held[f"synapse.{name}"][b].reshape(-1), value, equal_nan=True)


@SEEDS
@pytest.mark.parametrize("bits", [0, 8])
def test_a_run_cut_anywhere_in_rows_taken_apart_is_the_whole(seed: int, bits: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    graph = random_rules.recurrent(rng, bits)
    x = random_rules.inputs(rng, graph, STEPS, 3)
    whole = reference.simulate(graph, dense(x), STEPS)
    cut = int(rng.integers(1, STEPS))
    run = reference.prepare(graph)
    first = run(dense(x, 0, cut), cut)
    first.state.save(tmp_path / "state")
    assert State.load(tmp_path / "state") == first.state
    parts = [run(dense(x, cut, None, [b]), STEPS - cut, state=first.state[b]) for b in range(3)]
    assert State.joined([part.state for part in parts]) == whole.state
    assert np.array_equal(
        np.concatenate([p.output for p in parts], axis=1), whole.output[cut:], equal_nan=True
    )
    assert whole.state.weights["into"].shape == (3, *graph.nodes["into"].stored_weights.shape)  # type: ignore[union-attr]


# --- values, files, readers ---

RULE = homeostatic(PairSTDP(0.1, 0.05).plasticity(), 2.0, 5)
REWARD = RewardSTDP(0.1, 0.05, decay=0.9).plasticity()


def small(plastic: Plastic | None, sparse: bool = True, **more: Any) -> Graph:
    weight = np.full((3, 4), 0.5, np.float32)
    listed = Sparse(
        np.arange(5) * 3, np.tile(np.arange(3), 4), [0.5], (4,), (3,), weight_scope="one", plastic=plastic
    )
    node: Any = listed if sparse else Linear(weight, plastic=plastic)
    nodes = {
        "x": Input((4,), "spikes"),
        "node": replace(node, **more),
        "cells": IF(1.0).node((3,)),
        "out": Output(),
    }
    edges = [Edge("x", "node"), Edge("node", "cells"), Edge("cells", "out")]
    return Graph(
        nodes | ({"reward": Input((1,), "current")} if plastic and plastic.modulator else {}), tuple(edges)
    )


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize(
    "plastic", [Plastic(RULE, "cells"), Plastic(REWARD, "cells", "reward")], ids=["pair", "reward"]
)
def test_files_and_text_hold_the_rule(plastic: Plastic, sparse: bool, tmp_path: Path) -> None:
    graph = small(plastic, sparse)
    file.write(tmp_path / "net.h5", Network(graph, RunRecord(9, "spikes")))
    again = file.read(tmp_path / "net.h5").graph
    assert again.digest == graph.digest != small(None, sparse).digest
    assert again.nodes["node"].plastic == plastic and pickle.loads(pickle.dumps(graph)).digest == graph.digest
    assert stages.stage_of(graph) == "snn" and "plastic by the spikes of cells" in show(graph)
    changed = small(replace(plastic, rule=replace(plastic.rule, bounds=(0.0, 0.75))), sparse)
    assert changed.digest != graph.digest
    told = [str(change) for change in difference(graph, changed)]
    assert len(told) == 1 and "bounds" in told[0]


def test_digests_of_what_does_not_learn_are_as_they_were() -> None:
    """Written down before a node could learn."""
    assert (
        small(None).digest[:16] == "64d7be2bd6a5af2c" and small(None, False).digest[:16] == "f6f543aa91a312a6"
    )


def test_the_network_with_what_was_learned() -> None:
    graph = small(Plastic(RULE, "cells"))
    x = (np.random.default_rng(0).random((40, 2, 4)) < 0.5).astype(np.float32)
    state = reference.simulate(graph, Dense(x), 40).state
    learned, still = (with_weights(graph, state, 1, learns=learns) for learns in (True, False))
    assert np.array_equal(learned.nodes["node"].stored_weights, state.weights["node"][1])  # type: ignore[union-attr]
    assert len(np.unique(learned.nodes["node"].stored_weights)) > 1  # type: ignore[union-attr]
    again = reference.simulate(still, Dense(x), 40).state
    assert not again.weights and learned.nodes["node"].plastic == graph.nodes["node"].plastic  # type: ignore[union-attr]
    with pytest.raises(DataError, match="2 rows"):
        with_weights(graph, state)
    with pytest.raises(DataError, match="row"):
        with_weights(graph, state, 2)
    with pytest.raises(DataError, match="graph"):
        with_weights(learned, state, 0)


def test_codes_stay_codes() -> None:
    weight = Codes(np.array([[100, -3, 127, 0]] * 3), 0.01)
    graph = small(
        Plastic(PairSTDP(0.5, 0.5, low=-9, high=9).plasticity(), "cells", bits=8), False, weight=weight
    )
    x = (np.random.default_rng(0).random((40, 1, 4)) < 0.5).astype(np.float32)
    state = reference.simulate(graph, Dense(x), 40).state
    w = state.weights["node"]
    codes = w / np.float32(0.01)
    assert np.abs(codes - np.rint(codes)).max() < 1e-4 and codes.min() >= -128.001 and codes.max() <= 127.001
    held: Any = with_weights(graph, state).nodes["node"]
    assert isinstance(held.weight, Codes) and np.array_equal(held.weight.floats, w[0])


def test_who_cannot_learn_refuses_by_name() -> None:
    graph = small(Plastic(RULE, "cells"))
    network = Network(graph, RunRecord(9, "spikes", readout="cells"))
    for chip in ("loihi1", "loihi2", "spinnaker2"):
        with pytest.raises(HardwareError, match="node.*learn"):
            map_network(network, chip, np.zeros((30, 9, 4), np.float32))
    with pytest.raises(GraphError, match="node: learns while it runs"):
        GraphNet(graph)
    weight = Codes(np.ones((3, 4)), 0.5)
    current = replace(small(Plastic(RULE, "cells", bits=8), False, weight=weight))
    current = current.with_nodes({"x": Input((4,), "current")})
    with pytest.raises(GraphError, match="node: has codes that learn"):
        reference.prepare(current)(Dense(np.zeros((3, 1, 4), np.float32)), 3)


ILL: dict[str, Any] = {
    "no such node": (lambda: small(Plastic(RULE, "nobody")), GraphError, "'nobody'"),
    "an output": (lambda: small(Plastic(RULE, "out")), GraphError, "'out'"),
    "other size": (lambda: small(Plastic(RULE, "x")), ShapeError, "4 values"),
    "no modulator": (lambda: small(Plastic(REWARD, "cells")), GraphError, "no modulator"),
    "a modulator too many": (lambda: small(Plastic(RULE, "cells", "reward")), GraphError, "modulator 'reward'"),
    "bits of floats": (lambda: small(Plastic(RULE, "cells", bits=8)), GraphError, "8 bits"),
    "no bits of codes": (lambda: small(Plastic(RULE, "cells"), False, weight=Codes(np.ones((3, 4)), 1.0)), GraphError, "0 bits"),
    "too few bits": (
        lambda: small(Plastic(RULE, "cells", bits=8), False, weight=Codes(np.full((3, 4), 999), 1.0)), GraphError, "beyond the 8"
    ),
    "bounds": (lambda: replace(RULE, bounds=(1.0, 0.0)), GraphError, "bounds"),
    "scaling without steps": (lambda: replace(RULE, every=0), GraphError, "every 0"),
    "steps without scaling": (lambda: replace(RULE, scaling=None), GraphError, "every 5"),
}  # fmt: skip


@pytest.mark.parametrize("what", ILL)
def test_what_does_not_fit_is_refused(what: str) -> None:
    make, error, match = ILL[what]
    with pytest.raises(error, match=match):
        make()


def test_infinite_weights_are_told() -> None:
    rule = replace(PairSTDP(3e38, 0).plasticity(), bounds=None)
    x = np.ones((9, 1, 4), np.float32)
    found = reference.simulate(small(Plastic(rule, "cells")), Dense(x), 9)
    assert any("node.synapse.w" in text for text in found.warnings)


# --- the engine ---


def engines(graph: Graph, rng: np.random.Generator) -> list[Any]:
    isa = int(rng.integers(0, 3))
    return [engine.prepare(graph, threads, isa) for threads in (1, 2)]


@SEEDS
@pytest.mark.parametrize("make", [random_rules.taught, random_rules.recurrent])
@pytest.mark.parametrize("bits", [0, 8, 16])
def test_the_engine_learns_bit_for_bit_as_the_reference(seed: int, make: Any, bits: int) -> None:
    """Any number of threads, any set of kernels; cut anywhere, live, and either from the other's state."""
    rng = np.random.default_rng(1000 + seed)
    graph = make(rng, bits)
    x = random_rules.inputs(rng, graph, STEPS, 3)
    wanted = reference.simulate(graph, dense(x), STEPS)
    cut = int(rng.integers(1, STEPS))
    half = reference.simulate(graph, dense(x, 0, cut), cut).state
    for made in engines(graph, rng):
        found = made(dense(x), STEPS)
        same(found, wanted)
        first = made(dense(x, 0, cut), cut)
        assert first.state == half
        assert made(dense(x, cut), STEPS - cut, state=half).state == wanted.state
        live = made.begin(3)
        live.advance(dense(x, 0, cut), cut)
        live.advance(dense(x, cut), STEPS - cut)
        assert live.state() == wanted.state


def same(found: Any, wanted: Any) -> None:
    assert np.array_equal(found.output, wanted.output, equal_nan=True)
    assert found.state == wanted.state
    assert {n: c.semantic() for n, c in found.counts.items()} == {
        n: c.semantic() for n, c in wanted.counts.items()
    }


def test_wide_networks_learn_in_pieces_as_the_reference() -> None:
    """More sources and targets than a block of 512 holds, dense and listed, with delays and without."""
    rng = np.random.default_rng(0)
    rule = homeostatic(replace(REWARD, bounds=(-1.0, 1.0)), 9.0, 7)
    for delays in (None, rng.integers(0, 4, 700), rng.integers(0, 4, (600, 700))):
        node = Linear(
            rng.normal(0, 0.1, (600, 700)).astype(np.float32),
            delays=delays,
            plastic=Plastic(rule, "teacher", "signal"),
        )
        graph = Graph(
            {"x": Input((700,), "spikes"), "teacher": Input((600,), "spikes"), "signal": Input((1,), "current"), "node": node, "out": Output()},
            (Edge("x", "node"), Edge("node", "out")),
        )  # fmt: skip
        x = random_rules.inputs(rng, graph, 12, 1)
        same(engine.simulate(graph, dense(x), 12), reference.simulate(graph, dense(x), 12))


def test_the_clock_of_an_eligibility_is_set_back() -> None:
    """The engine counts steps in 32 bits, from 0 again after 1.5 * 2^20: what goes on then is what begins from the state before."""
    graph = small(Plastic(replace(REWARD, eligibility={"e": 0.999}), "cells", "reward"))
    turn, late = 3 << 19, 400
    made, rng = engine.prepare(graph, 1), np.random.default_rng(0)
    x = (rng.random((2 * late, 1, 4)) < 0.3).astype(np.float32)
    reward = np.where(rng.random((2 * late, 1, 1)) < 0.1, 0.1, 0).astype(np.float32)
    live = made.begin()
    silent = {
        "x": Spikes.from_dense(np.zeros((1, 1, 4), np.float32)),
        "reward": Constant(np.zeros((1, 1), np.float32)),
    }
    live.advance({"x": Dense(x), "reward": Dense(reward)}, late)
    live.advance({"x": replace(silent["x"], steps=turn - 900), "reward": silent["reward"]}, turn - 900)
    live.advance({"x": Dense(x[:late]), "reward": Dense(reward[:late])}, late)
    before = live.state()
    live.advance({"x": Dense(x[late:]), "reward": Dense(reward[late:])}, late)
    assert (
        made({"x": Dense(x[late:]), "reward": Dense(reward[late:])}, late, state=before).state == live.state()
    )
    assert (
        int(before.steps[0]) < turn < int(live.state().steps[0])
        and (live.state().memory["node"]["synapse.e"] != 0).any()
    )


def test_a_state_with_steps_that_are_none_is_refused() -> None:
    graph = small(Plastic(REWARD, "cells", "reward"))
    state = State.initial(graph, 1)
    for bad in (-1, 0.5, 1e6, np.nan):
        held = {**state.memory["node"], "synapse.e.since": np.full((1, 12), bad, np.float32)}
        with pytest.raises(DataError, match="synapse.e.since"):
            replace(state, memory={**state.memory, "node": held}).check(graph)


def test_threads_do_not_share_neurons_that_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LEAST_SYNAPSES", 1)
    monkeypatch.setattr(sharing, "LEAST_NEURONS", 1)
    still, learns = small(None), small(Plastic(RULE, "cells"))
    assert sharing.shares_of(still, 3) == 3 and sharing.shares_of(learns, 3) == 1
    x = (np.random.default_rng(0).random((40, 1, 4)) < 0.5).astype(np.float32)
    same(engine.simulate(learns, Dense(x), 40, threads=3), reference.simulate(learns, Dense(x), 40))


@pytest.mark.parametrize("engine", ["cpp", "reference"])
def test_weights_that_their_bounds_will_cut_are_told(engine: str) -> None:
    def net(weight: float, rule: PairSTDP) -> Graph:
        plastic = Plastic(rule.plasticity(), "cells")
        nodes = {
            "x": Input((4,), "spikes"), "s": Linear(np.full((3, 4), weight), plastic=plastic), "cells": IF(1.0).node((3,)), "out": Output(),
        }  # fmt: skip
        return Graph(nodes, (Edge("x", "s"), Edge("s", "cells"), Edge("cells", "out")))

    with pytest.warns(SpikeflowWarning, match="s: 12 of 12 weights, -0.5 to -0.5, lie outside of 0 to 1"):
        prepare(net(-0.5, PairSTDP()), engine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare(net(-0.5, PairSTDP(low=-1.0)), engine)
        prepare(net(0.1, PairSTDP(low=0.1, high=0.1)), engine)  # bounds and weights are the same float32
