"""Neurons that are awake among many that sleep are gathered: the bits of the reference, whoever lies where.

24,000 neurons, of which a hundredth hears something in a fifth of the steps; in some runs all of them at once in between, so that
they go home and are gathered anew. Any program of floats with spikes, models among them, parameters of each neuron; one thread and two
that share a sample; whole, live and from states; states and currents recorded. A network in the shape of a fly's brain: listed
synapses of codes and of floats, driven at random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spikeflow.sim._engine as _engine
from spikeflow.ir.arrays import Codes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output, Poisson, Sparse
from spikeflow.neurons import CubaLIF
from spikeflow.neurons.models import MODELS
from spikeflow.sim import Dense, Probe, engine, process, reference
from spikeflow.sim.lower import BEST_ISA
from tests.laws.test_loop import network
from tests.sim.test_cut import assert_equal, from_states, joined, stretch

SIZE, STEPS = 24_000, 70


@pytest.fixture(autouse=True, scope="module")
def _share_what_is_small() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "shares_of", lambda graph, threads: threads)
        yield


def cells(rng: np.random.Generator, seed: int) -> Graph:
    """A population of a model, or of a drawn program with parameters of each neuron."""
    if seed % 2:
        return network(rng, (SIZE,))
    node = MODELS[seed // 2 % len(MODELS)]().node((SIZE,))
    nodes: dict[str, Any] = {"cells": node, "out": Output()}
    nodes |= {f"x {p}": Input((SIZE,), "current") for p in node.ports}
    return Graph(nodes, (*(Edge(f"x {p}", "cells", p) for p in node.ports), Edge("cells", "out")))


def entering(rng: np.random.Generator, graph: Graph, seed: int) -> dict[str, Any]:
    """Something for a hundredth of the neurons, and in some runs for all in steps 30 and 31."""
    some = np.flatnonzero(rng.random(SIZE) < 0.01)
    inputs = dict[str, Any]()
    for name in graph.inputs:
        x = np.zeros((STEPS, 1, SIZE), np.float32)
        x[..., some] = rng.exponential(0.8, (STEPS, 1, some.size)) * (rng.random((STEPS, 1, some.size)) < 0.2)
        if seed % 3 == 0:
            x[30:32] = 1.7
        inputs[name] = Dense(x)
    return inputs


@pytest.mark.parametrize("seed", range(24))
def test_any_program(seed: int) -> None:
    rng = np.random.default_rng([seed, 11])
    graph = cells(rng, seed)
    inputs = entering(rng, graph, seed)
    states = [f"cells.{name}" for name in graph.nodes["cells"].program.states]  # type: ignore[attr-defined]
    record: list[Any] = ["cells", Probe(states[0], np.unique(rng.integers(0, SIZE, 50)))]
    wanted = reference.prepare(graph)(inputs, STEPS, record)
    for threads in (1, 2):
        got = engine.prepare(graph, threads)(inputs, STEPS, record)
        assert_equal(got, wanted, list(got.recorded))
        assert got.state == wanted.state
    at = [0, *sorted({int(t) for t in rng.integers(1, STEPS, 3)}), STEPS]
    got = from_states(lambda: engine.prepare(graph, int(rng.integers(1, 3))), inputs, at, ["cells"])
    assert got.state == wanted.state
    live = engine.prepare(graph, 1).begin(1)
    parts = [
        live.advance(stretch(inputs, a, b), b - a, states) for a, b in zip(at, at[1:], strict=False) if a < b
    ]
    assert live.state() == wanted.state
    assert_equal(joined(parts), reference.prepare(graph)(inputs, STEPS, states), states)


def brain(coded: bool) -> Graph:
    """Listed synapses, a delay, few neurons that are driven."""
    rng, n, count = np.random.default_rng(3), SIZE, 200_000
    source = np.sort(rng.integers(0, n, count))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n))])
    weights = rng.integers(-40, 120, count).astype(np.int8)
    held: Any = Codes(weights, 0.001) if coded else weights.astype(np.float32) * np.float32(0.001)
    mean = np.zeros(n)
    mean[rng.choice(n, 15, replace=False)] = 0.05
    nodes: dict[str, Any] = {
        "drive": Poisson((n,), mean, 1, 0, 1.5),
        "synapses": Sparse(indptr, rng.integers(0, n, count).astype(np.int32), held, (n,), (n,)),
        "brain": CubaLIF(0.98, 0.95, 0.5, refractory=5).node((n,)),
    }
    edges = Edge("drive", "brain"), Edge("synapses", "brain"), Edge("brain", "synapses", delay=4)
    return Graph(nodes, edges, 1e-4)


@pytest.mark.parametrize("coded", [False, True], ids=["float32", "codes"])
def test_a_brain_of_which_little_wakes(coded: bool) -> None:
    graph, steps, record = brain(coded), 160, ["brain", "brain.v"]
    wanted = reference.prepare(graph)({}, steps, record)
    skipped = []
    for threads, isa in ((1, 0), (1, BEST_ISA), (2, BEST_ISA)):
        got = engine.prepare(graph, threads, isa)({}, steps, record)
        assert_equal(got, wanted, record)
        assert got.state == wanted.state
        skipped.append(got.counts["brain"].updates_skipped)
    assert wanted.counts["brain"].spikes > 200
    if _engine.isa() == BEST_ISA:  # others run where they lie
        assert min(skipped[1:]) > skipped[0] + steps * SIZE // 16
