"""A small spiking network with samples, and the facts of a report on it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Flatten, Input, Linear, Output
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, Integrator
from spikeflow.report import ReportFacts, ReportOptions, collect
from spikeflow.samples import Samples

HOSTILE = "<script>alert(1)</script>"
FORMULA = r"$\frac{1}{0"
CONVERSION = {
    "ann_accuracy": 0.75,
    "samples": 20,
    "verdicts": [{"module": HOSTILE, "verdict": "spiking", "channels": 4}],
}


def small_network(kind: str = "current", reset: str = "subtract", **record: object) -> Network:
    """A convolution, IF neurons with a threshold a channel, a read-out; names as a stranger would write them."""
    draw = np.random.default_rng(0)
    nodes = {
        "image": Input((1, 6, 6), kind),
        "conv": Conv2d(draw.normal(0.2, 0.4, (4, 1, 3, 3)).astype(np.float32)),
        HOSTILE: IF(threshold=np.array([0.5, 1, 2, 4], np.float32).reshape(4, 1, 1), reset=reset).node(
            (4, 4, 4)
        ),
        FORMULA: Flatten(),
        "fc": Linear(draw.normal(0, 0.3, (3, 64)).astype(np.float32)),
        "readout": Integrator().node((3,)),
        "out": Output(),
    }
    edges = tuple(Edge(a, b) for a, b in zip(list(nodes), list(nodes)[1:], strict=False))
    notes = {"source": "made by hand", "conversion": json.dumps(CONVERSION)}
    settings = {"readout": "readout", "input_shape": (1, 6, 6), "labels": ("a", "b", "c"), "notes": notes}
    return Network(Graph(nodes, edges), RunRecord(16, **{**settings, **record}))  # type: ignore[arg-type]


def small_samples(count: int = 10) -> Samples:
    """Random pictures with random classes."""
    draw = np.random.default_rng(1)
    return Samples(draw.random((count, 1, 6, 6), np.float32), draw.integers(0, 3, count))


@pytest.fixture(scope="session")
def facts() -> ReportFacts:
    """The facts of a network without a mapping."""
    options = ReportOptions("reference", sources={"network": "net.h5"}, date="2026-01-02 03:04 UTC")
    return collect(small_network(), small_samples(), options=options)
