"""Floats that leave float32 are told: which state, how many values, first in which sample and step; reference and engine alike.

Drawn: random graphs of every kind, and layers of every model, inputs of 1e30 to 3e38, 5 to 29 steps, 1 to 4 samples, 1 to 4 threads, any cut.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import SpikeflowWarning
from spikeflow.events import Spikes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, MaxPool, Output, Population
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, LIF, CubaLIF, Integrator
from spikeflow.sim import Constant, Dense, Probe, engine, prepare, reference, run
from spikeflow.sim.classify import RunOptions, classify
from spikeflow.sim.inputs import RunInput, between
from spikeflow.sim.stream import stream
from tests.sim import random_graphs

F32 = np.float32


def large(rng: np.random.Generator, x: RunInput) -> RunInput:
    """The same input, its values so large that sums of them leave float32."""
    size = F32(10 ** rng.uniform(30, 38.4))
    if isinstance(x, Spikes):
        return replace(x, value=(np.sign(x.value) * size).astype(F32))
    return type(x)(np.sign(x.values) * size)


def weights(rng: np.random.Generator, targets: int, sources: int) -> Linear:
    return Linear((rng.normal(0, 1, (targets, sources)) * 10 ** rng.uniform(-1, 1)).astype(F32))


def layers(rng: np.random.Generator) -> Graph:
    """1 to 3 layers of any model but one that is set to 0, with weights of up to 10 and edges back with delays."""
    size = int(rng.integers(1, 40))
    nodes: dict[str, Any] = {"in": Input((size,), "current")}
    edges, last = [], "in"
    for i in range(rng.integers(1, 4)):
        models = (IF(), LIF(0.99), CubaLIF(0.9, 0.99), Integrator(), LIF(1.0, threshold=1e38))
        model, width = models[rng.integers(len(models))], int(rng.integers(1, 40))
        nodes |= {f"w{i}": weights(rng, width, size), f"cells{i}": model.node((width,))}
        edges += [Edge(last, f"w{i}"), Edge(f"w{i}", f"cells{i}", "in", int(rng.integers(0, 3)))]
        if rng.random() < 0.3:
            edges.append(Edge(f"cells{i}", f"cells{i}", "in", int(rng.integers(1, 3))))
        last, size = f"cells{i}", width
    return Graph({**nodes, "out": Output()}, (*edges, Edge(last, "out")))


def drawn(seed: int) -> tuple[Graph, dict[str, RunInput], int, int]:
    """Two in three are layers of models: the programs of the others are bounded, so that states overflow seldom."""
    rng = np.random.default_rng(seed)
    graph = random_graphs.graph(rng, False) if seed % 3 == 0 else layers(rng)
    while any(isinstance(node, MaxPool) and node.counts for node in graph.nodes.values()):
        graph = random_graphs.graph(rng, False)  # what counts refuses numbers of that size
    steps, samples = int(rng.integers(5, 30)), int(rng.integers(1, 5))
    given = random_graphs.inputs(rng, graph, steps, samples, False)
    return graph, {name: large(rng, x) for name, x in given.items()}, steps, samples


def states(graph: Graph) -> tuple[str, ...]:
    return tuple(
        f"{name}.{s}"
        for name, node in graph.nodes.items()
        if isinstance(node, Population)
        for s in node.program.states
    )


def plain(graph: Graph, given: Any, steps: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run(graph, given, steps, record=states(graph), engine="reference")


FOUND = dict[int, int]()


@pytest.mark.parametrize("seed", range(40))
def test_states_beyond_float32_are_found_with_their_first_step(seed: int) -> None:
    graph, given, steps, _ = drawn(seed)
    wanted, traces = {}, plain(graph, given, steps).recorded
    for name in states(graph):
        bad = ~np.isfinite(traces[name].reshape(*traces[name].shape[:2], -1))
        if bad[-1].any():
            sample = int(bad[-1].any(axis=1).argmax())
            wanted[name] = (int(bad[-1].sum()), sample, int(bad[:, sample].any(axis=1).argmax()))
    for found in (engine.prepare(graph, 1 + seed % 4)(given, steps), reference.simulate(graph, given, steps)):
        assert {u.name: (u.count, u.sample, u.step) for u in found.unbounded} == wanted
        beyond = any(not np.isfinite(x).all() for x in found.outputs.values())
        assert bool(found.warnings) == bool(wanted or beyond)
        for name, (count, sample, step) in list(wanted.items())[:1]:
            told = found.warnings[0]
            assert f"{name}: {count:,}, first in sample {sample}, step {step}" in told or "more)" in told
    FOUND[seed] = len(wanted)


def test_enough_of_them_are_found() -> None:
    """The law above is one of runs with and without overflow."""
    assert sum(map(bool, FOUND.values())) >= 8 and 0 in FOUND.values()


@pytest.mark.parametrize("seed", range(15))
def test_a_run_that_goes_on_and_its_pieces_tell_the_same(seed: int) -> None:
    graph, given, steps, samples = drawn(seed)
    cut = 1 + seed % (steps - 1)
    for name in ("cpp", "reference"):
        runner = prepare(graph, name, 2)
        whole = runner(given, steps)
        first = runner({n: between(x, 0, cut) for n, x in given.items()}, cut)
        rest = {n: between(x, cut, steps) for n, x in given.items()}
        second = runner(rest, steps - cut, state=first.state)
        again = reference.prepare(graph)(rest, steps - cut, state=first.state)
        assert again.unbounded == second.unbounded
        both = {u.name: u for u in first.followed_by(second).unbounded}
        for u in whole.unbounded:
            assert both[u.name].count == u.count and both[u.name].step == u.step
        live = runner.begin(samples)
        pieces = live.advance({n: between(x, 0, cut) for n, x in given.items()}, cut)
        pieces = pieces.followed_by(live.advance(rest, steps - cut))
        ended = {u.name: u.count for u in pieces.unbounded}
        for u in whole.unbounded:  # of pieces the step is known to a piece
            assert ended[u.name] == u.count
            assert u.step <= next(p.step for p in pieces.unbounded if p.name == u.name) < steps


LASTING = IF(threshold=1e30)


def summing(weight: float, model: Any = LASTING) -> Graph:
    nodes = {
        "in": Input((2,), "current"),
        "w": Linear(np.full((3, 2), weight, F32)),
        "cells": model.node((3,)),
        "out": Output(),
    }
    return Graph(nodes, (Edge("in", "w"), Edge("w", "cells"), Edge("cells", "out")))


def test_a_run_warns_once_and_names_population_step_sample_and_count() -> None:
    x = np.zeros((5, 2), F32)
    x[3] = 1
    with pytest.warns(SpikeflowWarning) as caught:
        found = run(summing(1e38), Constant(x), 9)
    assert [str(w.message) for w in caught] == list(found.warnings)
    assert "cells.v: 3, first in sample 3, step 1" in found.warnings[0]  # 2e38, then 4e38
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not run(summing(1e36), Constant(x), 9).warnings


def test_a_state_that_was_set_back_is_not_found_but_its_record_is() -> None:
    """As `spikeflow.sim.unbounded` says: a state is looked at when the run ends."""
    x = np.zeros((4, 1, 2), F32)
    x[0] = 3
    graph = summing(3e38, IF(reset="zero"))
    assert not run(graph, Dense(x), 4).unbounded
    with pytest.warns(SpikeflowWarning, match=r"cells\.in: 3, first in sample 0, step 0"):
        run(graph, Dense(x), 4, record=("cells.in",))


def test_outputs_alone_are_looked_at_in_every_step() -> None:
    nodes = {"in": Input((2,), "current"), "w": Linear(np.full((1, 2), 2e38, F32)), "out": Output()}
    graph = Graph(nodes, (Edge("in", "w"), Edge("w", "out")))
    x = np.zeros((6, 3, 2), F32)
    x[4, 2] = 1
    with pytest.warns(SpikeflowWarning, match=r"out: 1, first in sample 2, step 4"):
        run(graph, Dense(x), 6)


@pytest.mark.parametrize("engine", ["cpp", "reference"])
def test_probes_tell_the_step_however_seldom_they_look(engine: str, tmp_path: Path) -> None:
    """Of the first 55 steps nothing, then 1e38 more in each: the fourth is too much, and is seen in the 60th."""
    x = np.zeros((100, 1, 2), F32)
    x[55:] = 1
    runner, probe = prepare(summing(1e38), engine), [Probe("cells.v", [1], 10)]
    whole = runner(Dense(x), 100, probe)
    begun = runner(Dense(x[:7]), 7, probe)
    cut = begun.followed_by(runner(Dense(x[7:]), 93, probe, state=begun.state))
    for found in (whole, cut):
        assert "cells.v: 4, first in sample 0, step 60" in found.warnings[0]
    live = runner.begin(1)
    live.advance(Dense(x[:57]), 57, probe)
    assert "cells.v: 4, first in sample 0, step 3" in live.advance(Dense(x[57:]), 43, probe).warnings[0]
    pieces = [(Dense(x[i : i + 9]), len(x[i : i + 9])) for i in range(0, 100, 9)]
    with pytest.warns(SpikeflowWarning, match=r"cells\.v: 4, first in sample 0, step 60"):
        stream(tmp_path / "r.h5", runner.begin(1), pieces, probe)


def test_streams_tell_it_too(tmp_path: Path) -> None:
    pieces = [(Constant(np.ones((2, 2), F32)), 1) for _ in range(4)]
    with pytest.warns(SpikeflowWarning, match=r"cells\.v: 6, first in sample 0, step 1"):
        stream(tmp_path / "r.h5", prepare(summing(1e38)).begin(2), pieces, ["cells"])


def read_out(weight: float) -> Network:
    graph = summing(weight, Integrator())
    return Network(graph, RunRecord(steps=6, readout="cells", input_shape=(2,)))


def test_classify_counts_over_all_batches() -> None:
    x = np.zeros((7, 2), F32)
    x[4:] = 1
    with pytest.warns(
        SpikeflowWarning, match=r"cells\.v: 9, first in sample 4, step 1; out: .* sample 4, step 1"
    ):
        found = classify(read_out(1e38), x, RunOptions(batch=2))
    assert any("cells.v: 9" in t for t in found.warnings)
    with pytest.warns(SpikeflowWarning, match="out: 9, first in sample 4, step 5"):
        classify(read_out(1e38), x, RunOptions(batch=2, kept=(6,)))
