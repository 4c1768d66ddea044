"""Rows that 16 bits do not hold: more synapses of one source and delay than 65,535, and delays beyond as many steps.

What arrives when is added up here by itself: the one source emits 1 in step 0, and every synapse adds its weight once, in whole numbers, which
floats hold exactly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.ir.arrays import Codes, Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output, Sparse
from spikeflow.sim import Dense, keep_lowered, prepare, reference

TARGETS = 30


def network(targets: np.ndarray, weights: np.ndarray, delays: np.ndarray | None, kind: str) -> Graph:
    held: Any = {
        "floats": lambda: weights.astype(np.float32),
        "codes": lambda: Codes(weights.astype(np.int8), 1.0),
        "integers": lambda: Quantised(weights.astype(np.int32), Fixed(8)),
        "one weight": lambda: np.array([3], np.float32),
    }[kind]()
    node = Sparse(np.array([0, 0, targets.size]), targets, held, (2,), (TARGETS,), delays=delays)
    x = Input((2,), format=Fixed(8)) if kind == "integers" else Input((2,))
    return Graph({"x": x, "w": node, "out": Output()}, (Edge("x", "w"), Edge("w", "out")))


def expected(
    targets: np.ndarray, weights: np.ndarray, delays: np.ndarray, steps: int, kind: str
) -> np.ndarray:
    sums = np.zeros((steps, 1, TARGETS))
    np.add.at(sums[:, 0], (delays, targets), 3 if kind == "one weight" else weights)
    return sums


def emitted(steps: int, kind: str) -> Dense:
    x = np.zeros((steps, 1, 2), np.int64 if kind == "integers" else np.float32)
    x[0, 0, 1] = 1
    return Dense(x)


@pytest.mark.parametrize("kind", ["floats", "codes", "integers", "one weight"])
@pytest.mark.parametrize("same", [False, True], ids=["delays", "one delay"])
def test_rows_of_many_synapses(kind: str, same: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    targets, weights = rng.integers(0, TARGETS, 200_000), rng.integers(-100, 101, 200_000)
    delays = np.full(200_000, 4) if same else rng.choice([1, 4, 9], 200_000, p=[0.2, 0.75, 0.05])
    graph, x = network(targets, weights, delays, kind), emitted(12, kind)
    wanted = expected(targets, weights, delays, 12, kind)
    assert np.array_equal(reference.prepare(graph)(x, 12).outputs["out"], wanted)
    keep_lowered(graph, tmp_path / "net.lowered", 1)
    held = prepare(graph, threads=1, lowered=tmp_path / "net.lowered")
    for runner in (prepare(graph), held):
        found = runner(x, 12)
        assert np.array_equal(found.outputs["out"], wanted)
        assert found.counts["w"].synaptic_operations == 200_000


@pytest.mark.parametrize("kind", ["floats", "codes", "integers"])
def test_long_delays(kind: str, tmp_path: Path) -> None:
    """Up to 140,000 steps, with nothing for 65,535 and for twice as many steps before."""
    delays = np.array([0, 65_535, 65_536, 140_000, 140_000])
    targets, weights = np.array([3, 4, 3, 29, 3]), np.array([5, -7, 2, 9, 4])
    graph, steps = network(targets, weights, delays, kind), 140_002
    keep_lowered(graph, tmp_path / "net.lowered", 1)
    wanted = expected(targets, weights, delays, steps, kind)
    for runner in (prepare(graph), prepare(graph, threads=1, lowered=tmp_path / "net.lowered")):
        assert np.array_equal(runner(emitted(steps, kind), steps, keep_state=False).outputs["out"], wanted)
