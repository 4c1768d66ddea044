"""The law of the engine for every neuron model: the reference's bits and counts, alone and in a recurrent layer."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Node, Output
from spikeflow.neurons import NeuronModel
from spikeflow.neurons.differences import DifferenceEncoder
from spikeflow.sim import Dense, Result, run
from tests.laws.models import CASES, SIZE, currents, label, lone_graph

each = pytest.mark.parametrize("model", CASES, ids=label)
STEPS, SAMPLES = 150, 5


def _same(a: Result, b: Result) -> None:
    for name, values in a.outputs.items():
        np.testing.assert_array_equal(values, b.outputs[name])
    assert {n: c.semantic() for n, c in a.counts.items()} == {n: c.semantic() for n, c in b.counts.items()}


@each
@pytest.mark.parametrize("threads", [1, 2])
def test_engine_equals_reference(model: NeuronModel, threads: int) -> None:
    inputs = {port: Dense(x) for port, x in currents(model, STEPS, SAMPLES).items()}
    reference = run(lone_graph(model), inputs, STEPS, engine="reference")
    assert reference.output.any()
    _same(run(lone_graph(model), inputs, STEPS, engine="cpp", threads=threads), reference)


def _recurrent(model: NeuronModel) -> Graph:
    """Spikes through dense synapses; the cells' own output comes back to their last port after 1 and 3 steps."""
    draw = np.random.default_rng(3)
    nodes: dict[str, Node] = {"x": Input((4,)), "cells": model.node((SIZE,)), "out": Output()}
    edges = [Edge("cells", "out")]
    for port in model.inputs:
        nodes[f"to {port}"] = Linear(draw.normal(0.3, 0.5, (SIZE, 4)), draw.normal(0, 0.05, SIZE))
        edges += [Edge("x", f"to {port}"), Edge(f"to {port}", "cells", port)]
    # of a modest size, so that an integrator's own feedback does not run away, nor that of an encoder, which grows with the steps
    size = 0.02 / STEPS if isinstance(model, DifferenceEncoder) else 0.02
    nodes["back"] = Linear(draw.normal(0, size, (SIZE, SIZE)), delays=np.tile([0, 2], SIZE)[:SIZE])
    edges += [Edge("cells", "back", delay=1), Edge("back", "cells", model.inputs[-1])]
    return Graph(nodes, tuple(edges))


@each
def test_recurrent_engine_equals_reference(model: NeuronModel) -> None:
    spikes = (np.random.default_rng(4).random((STEPS, SAMPLES, 4)) < 0.3).astype(np.float32)
    spikes[60:100] = 0
    reference = run(_recurrent(model), Dense(spikes), STEPS, engine="reference")
    assert reference.output.any() and np.isfinite(reference.output).all()
    _same(run(_recurrent(model), Dense(spikes), STEPS, engine="cpp"), reference)
