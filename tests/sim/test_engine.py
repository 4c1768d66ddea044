"""The engine equals the reference bit for bit: values, spikes and counts, on random graphs of every kind."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikeflow.ir.graph import Graph
from spikeflow.sim import engine, reference
from spikeflow.sim.result import Result
from tests.sim import random_graphs

EXAMPLES = int(os.environ.get("SPIKEFLOW_EXAMPLES", "60"))
SEEDS = st.integers(0, 2**32 - 1)
RARELY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def assert_equal(got: Result, wanted: Result) -> None:
    for name, values in wanted.outputs.items():
        assert got.outputs[name].dtype == values.dtype, name
        np.testing.assert_array_equal(got.outputs[name], values, err_msg=name)
    for name, spikes in wanted.recorded.items():
        for field in ("sample", "step", "neuron", "value"):
            np.testing.assert_array_equal(
                getattr(got.recorded[name], field), getattr(spikes, field), f"{name} {field}"
            )
    for name, counts in wanted.counts.items():
        assert got.counts[name].semantic() == counts.semantic(), name


def inner(graph: Graph) -> list[str]:
    return [name for name in graph.order if name not in graph.outputs]


@pytest.mark.parametrize("fixed", [False, True], ids=["float", "integer"])
@given(seed=SEEDS)
@RARELY
def test_random_graphs(fixed: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graphs.graph(rng, fixed)
    steps, samples = int(rng.integers(1, 9)), int(rng.integers(1, 4))
    given = random_graphs.inputs(rng, graph, steps, samples, fixed)
    wanted = reference.simulate(graph, given, steps, inner(graph))
    run = engine.prepare(graph, threads=int(rng.integers(1, 3)), isa=int(rng.integers(0, 3)))
    for _ in range(2):  # the second run meets used workers
        assert_equal(run(given, steps, inner(graph)), wanted)
