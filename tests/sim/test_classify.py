"""classify: codings, batches, levels, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeflow.errors import DataError, SimulationError, SpikeflowWarning
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Population
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, Integrator
from spikeflow.sim import Result
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


@pytest.mark.parametrize("steps", [0, -1, 21, 10**9, 1.0, True, "3"])
def test_only_steps_that_were_run_are_read(steps: object) -> None:
    """Not the last step for 0 or -1, nor whatever else numpy would make of it."""
    found = classify(network(), X)
    y = found.predictions()
    for ask in (found.predictions, found.tied, found.values, lambda at: found.accuracy(y, at)):
        with pytest.raises(DataError, match="1 to 20"):
            ask(steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [0, -1, 2**20 + 1, 1.5, True])
def test_only_so_many_steps_are_run(steps: object) -> None:
    with pytest.raises(DataError, match="steps"):
        classify(network(), X, RunOptions(steps=steps))  # type: ignore[arg-type]


def test_an_output_of_spikes_is_answered_by_their_number() -> None:
    """Not by what spiked in the last step."""
    base = network()
    nodes = {n: node for n, node in base.graph.nodes.items() if n not in ("v", "read")}
    edges = (*(e for e in base.graph.edges if e.dst in ("w", "cell")), Edge("cell", "out"))
    found = classify(Network(Graph(nodes, edges), replace(base.record, readout="cell")), X)
    for steps in (1, 7, 20):
        assert np.array_equal(
            found.predictions(steps), found.outputs["out"][:steps].sum(axis=0).argmax(axis=1)
        )


def test_samples_longer_than_a_run_are_told_of() -> None:
    base = network("rate")
    sequence = Network(base.graph, replace(base.record, coding="spikes", steps=5))
    x = (np.random.default_rng(2).random((7, 9, 4)) < 0.5).astype(np.float32)
    with pytest.warns(SpikeflowWarning, match="--steps 9"):
        found = classify(sequence, x)
    assert len(found.warnings) == 1


def test_what_a_bare_run_gives_is_answered_alike() -> None:
    """One accumulator by its sign, a map place by place, steps that were run only."""
    rng = np.random.default_rng(3)
    for shape in ((1,), (4,), (1, 2, 2), (3, 2, 2)):
        values = rng.integers(-2, 3, (5, 6, *shape))
        found = Result(5, 6, {"out": values}, {}, {}, 0.0)
        for step in (-5, -1, 0, 4):
            want = (values[step][:, 0] > 0) if shape[0] == 1 else values[step].argmax(axis=1)
            assert np.array_equal(found.predictions(step), want)
        for step in (5, -6, True):
            with pytest.raises(DataError, match="step"):
                found.predictions(step)
    with pytest.raises(DataError, match="outputs"):
        Result(5, 6, {"a": np.zeros((5, 6, 2)), "b": np.zeros((5, 6, 2))}, {}, {}, 0.0).predictions()
