"""The engine equals the reference bit for bit: values, spikes and counts, on random graphs of every kind."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Input, Linear, Output, Scale, Sparse
from spikeflow.sim import engine, reference
from spikeflow.sim.inputs import Dense
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


@pytest.mark.parametrize("kind", ["linear", "late", "sparse", "conv", "scale"])
@pytest.mark.parametrize("exponent", [-62, -40, -33, -32, -31, -1, 20, 31, 32, 40])
def test_exponents_beyond_a_word_shift_every_bit_out(kind: str, exponent: int) -> None:
    """Sums that fit 32 bits may be shifted by up to 62; the processor counts such a shift modulo 32."""
    rng = np.random.default_rng(abs(exponent))
    most = 1 if exponent == 20 else 0 if exponent > 0 else 100
    shape = (2, 3, 7) if kind == "conv" else (37,)

    def weight(*of: int) -> Quantised:
        return Quantised(rng.integers(-most, most + 1, of), Fixed(32))

    nodes: dict[str, Any] = {
        "linear": lambda: Linear(weight(41, 37), None, None, exponent),
        "late": lambda: Linear(weight(41, 37), None, rng.integers(0, 3, 37), exponent),
        "sparse": lambda: Sparse(np.arange(0, 149, 4), rng.integers(0, 41, 148), weight(148), (37,), (41,), None, rng.integers(0, 3, 148), exponent),
        "conv": lambda: Conv2d(weight(3, 2, 3, 3), None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1, exponent),
        "scale": lambda: Scale(weight(37), exponent),
    }  # fmt: skip
    graph = Graph(
        {"x": Input(shape), "node": nodes[kind](), "y": Output()}, (Edge("x", "node"), Edge("node", "y"))
    )
    x = {"x": Dense((rng.random((4, 2, *shape)) < 0.5).astype(np.int64))}
    wanted = reference.simulate(graph, x, 4)
    for isa in range(3):
        assert_equal(engine.prepare(graph, 1, isa)(x, 4), wanted)
