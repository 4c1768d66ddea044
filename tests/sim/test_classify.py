"""classify: codings, batches, levels, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeflow.errors import DataError, SimulationError
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Population
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, Integrator
from spikeflow.sim.classify import RunOptions, classify
from spikeflow.sim.summary import summarise

X = np.random.default_rng(0).random((7, 4)).astype(np.float32)


def network(coding: str = "direct", level: int = 0) -> Network:
    """Four inputs, six IF neurons, three classes; the read-out wakes at `level`."""
    draw = np.random.default_rng(1)
    inputs = 8 if coding == "onoff" else 4
    readout = Integrator().node((3,))
    graph = Graph(
        {
            "x": Input((inputs,), "current" if coding == "direct" else "spikes"),
            "w": Linear(draw.normal(size=(6, inputs))),
            "cell": IF().node((6,)),
            "v": Linear(draw.normal(size=(3, 6))),
            "read": replace(readout, start=level),
            "out": Output(),
        },
        (
            Edge("x", "w"),
            Edge("w", "cell"),
            Edge("cell", "v", delay=level),
            Edge("v", "read"),
            Edge("read", "out"),
        ),
    )
    return Network(graph, RunRecord(20, coding, readout="read", input_shape=(4,)))


@pytest.mark.parametrize("coding", ["direct", "rate", "onoff"])
@pytest.mark.parametrize("engine", ["cpp", "reference"])
def test_batches_and_engines_change_nothing(coding: str, engine: str) -> None:
    whole = classify(network(coding), X)
    parts = classify(network(coding), X, RunOptions(engine=engine, batch=3, threads=1))
    np.testing.assert_array_equal(whole.logits, parts.logits)
    assert {n: c.semantic() for n, c in whole.counts.items()} == {
        n: c.semantic() for n, c in parts.counts.items()
    }
    assert whole.logits.shape == (20, 7, 3) and whole.logits.any()


def test_a_read_out_at_a_level_reads_the_same_later() -> None:
    now, later = classify(network(), X), classify(network(level=3), X)
    np.testing.assert_array_equal(now.logits, later.logits)


def test_seed_matters_and_is_recorded() -> None:
    a, b = classify(network("rate"), X), classify(network("rate").with_seed(1), X)
    assert (a.logits != b.logits).any()


def test_accuracy_and_ties() -> None:
    found = classify(network(), X, RunOptions(steps=5))
    assert found.steps == 5 and found.accuracy(found.predictions()) == 1.0
    flat = replace(found, outputs={"out": np.zeros((5, 7, 3))})
    assert flat.predictions().tolist() == [0] * 7


def test_sequences() -> None:
    base = network("rate")
    sequence = Network(base.graph, replace(base.record, coding="spikes", steps=5))
    x = (np.random.default_rng(2).random((7, 5, 4)) < 0.5).astype(np.float32)
    assert classify(sequence, x).logits.shape == (5, 7, 3)
    with pytest.raises(DataError, match="--steps 4"):
        classify(sequence, x[:, :4])


@pytest.mark.parametrize(
    "x, word",
    [
        (np.ones((2, 5)), "shape"),
        (np.ones((0, 4)), "at least one"),
        (np.full((1, 4), np.inf), "infinite"),
    ],
)
def test_refused(x: np.ndarray, word: str) -> None:
    with pytest.raises(DataError, match=word):
        classify(network(), x)


def test_without_a_read_out() -> None:
    base = network()
    with pytest.raises(SimulationError):
        classify(Network(base.graph, replace(base.record, readout="")), X)


def test_summary_counts_per_sample() -> None:
    net = network()
    found = classify(net, X)
    facts = summarise(net, found, found.predictions())
    assert (
        facts.accuracy == 1.0
        and facts.accuracy_over_steps[20] == 1.0
        and set(facts.accuracy_over_steps) == {1, 2, 4, 8, 16, 20}
    )
    cell = next(n for n in facts.nodes if n.node == "cell")
    assert cell.rate == pytest.approx(found.counts["cell"].spikes / (7 * 20 * 6))
    assert isinstance(net.graph.nodes["cell"], Population) and "accuracy: 100.00 %" in facts.to_text()
    assert facts.synaptic_operations == pytest.approx(found.synaptic_operations / 7)
    assert facts.computed_operations < facts.synaptic_operations  # the constant input is computed once
