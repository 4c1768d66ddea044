"""Early exit: samples stop in the step in which they are sure, and cost nothing more from then on."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.convert import Conversion, convert
from spikeflow.convert.verify.early import POWERS, calibrated_exit
from spikeflow.errors import ConversionError, DataError, SpikeflowWarning
from spikeflow.hw import map_network
from spikeflow.ir import file
from spikeflow.ir.exit_rule import ExitRule
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.interval import wilson
from spikeflow.ir.nodes import Input, Linear, Output
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, Integrator
from spikeflow.sim.classify import RunOptions, classify, evaluate
from spikeflow.sim.summary import summarise
from tests.convert.networks import samples, settled, small_cnn

STEPS = 24
RULES = [ExitRule(0.1, 0.9, 0.5), ExitRule(0.3, 0.8, 1.0, 7), ExitRule(0.05, 0.6, 0.0), ExitRule(1.0, 1.0)]
X = samples((1, 8, 8), 160)


@pytest.fixture(scope="module")
def made() -> Conversion:
    return convert(settled(small_cnn()), X, steps=STEPS, exit=0.0)


def with_rule(network: Network, rule: ExitRule | None) -> Network:
    return replace(network, record=replace(network.record, exit=rule))


def expected(network: Network, x: Any, rule: ExitRule) -> list[int]:
    """The step in which each sample is sure, from a run of all steps."""
    whole = evaluate(network, x)
    sure = np.stack([rule.confidences(whole.in_units(t), t) > rule.confidence for t in range(1, STEPS + 1)])
    sure[: rule.first - 1] = False
    return [int(column.argmax()) + 1 if column.any() else STEPS for column in sure.T]


def test_confidence_is_the_largest_softmax() -> None:
    rule = ExitRule(2.0, 0.5, 0.5)
    logits = np.array([[1.0, 3.0, 2.0]]) * 9**0.5 / 2
    wanted = np.exp(logits[0]) / np.exp(logits[0]).sum()
    assert rule.confidences(np.array([[1.0, 3.0, 2.0]]), 9) == pytest.approx(wanted.max())
    # of one number the sign is what is sure
    assert rule.confidences(np.array([[4.0], [-4.0]]), 1) == pytest.approx(1 / (1 + np.exp(-2.0)))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("engine, batch", [("cpp", 250), ("cpp", 11), ("reference", 250)])
def test_samples_stop_where_they_are_sure(made: Conversion, rule: ExitRule, engine: str, batch: int) -> None:
    network, x = with_rule(made.network, rule), X[:30]
    ends, whole = expected(network, x, rule), evaluate(network, x)
    found = classify(network, x, RunOptions(engine, batch=batch))
    assert found.stopped is not None and found.stopped.tolist() == ends
    for t in (1, 5, STEPS):
        then = [whole.accumulated(min(t, end))[i] for i, end in enumerate(ends)]
        assert np.array_equal(found.accumulated(t), then)
        mean = [whole.in_units(min(t, end))[i] for i, end in enumerate(ends)]
        assert np.array_equal(found.in_units(t), mean)
    kept = classify(network, x, RunOptions(engine, batch=batch, kept=(1, 5, STEPS)))
    assert np.array_equal(kept.predictions(5), found.predictions(5))


def test_what_stopped_is_not_computed(made: Conversion) -> None:
    rule = RULES[0]
    network = with_rule(made.network, rule)
    early, whole = classify(network, X), classify(network, X, RunOptions(exit=False))
    assert early.stopped is not None and whole.stopped is None and early.stopped.mean() < STEPS / 2
    # a stretch is an eighth of the steps behind it, so no sample runs longer than that beyond its end
    ran = early.counts["2"].neuron_updates / (len(X) * 8 * 64)
    assert early.stopped.mean() <= ran <= 1.125 * early.stopped.mean() + 1
    assert early.synaptic_operations < whole.synaptic_operations / 1.5


@pytest.mark.parametrize("coding", ["rate", "onoff"])
def test_random_spikes_are_those_of_the_whole_run(coding: str) -> None:
    network = convert(settled(small_cnn()), np.abs(X), steps=STEPS, coding=coding).network
    rule = RULES[0]
    found = classify(with_rule(network, rule), np.abs(X[:20]), RunOptions(batch=9))
    whole = evaluate(network, np.abs(X[:20]), RunOptions(batch=9)).accumulated()
    assert found.stopped is not None and found.stopped.min() < STEPS
    late = found.stopped == STEPS
    assert np.array_equal(found.accumulated()[late], whole[late])


def test_on_a_chip_the_integers_stop_too(made: Conversion) -> None:
    mapped = map_network(made.network, "loihi2", X, accept_loss=True).as_network()
    assert mapped.record.exit == made.network.record.exit
    rule = RULES[0]
    mapped = with_rule(mapped, rule)
    found = classify(mapped, X[:25])
    assert found.stopped is not None and found.stopped.tolist() == expected(mapped, X[:25], rule)
    assert 1 < found.stopped.mean() < STEPS


def test_calibration_keeps_the_held_back_answers(made: Conversion) -> None:
    found = made.report.read_out.exit
    assert found is not None and made.network.record.exit == found.rule and found.rule.power in POWERS
    assert found.unchanged == 1.0 and found.mean_steps < STEPS and 0 <= found.to_the_end <= 1
    assert "steps on average" in made.report.to_text()
    steps = [point.mean_steps for point in found.curve]
    alike = [point.agreement for point in found.curve]
    assert len(steps) >= 2 and steps == sorted(steps) and alike == sorted(alike)


def test_more_points_allow_fewer_steps(made: Conversion) -> None:
    ann = {"output": evaluate(made.network, X).in_units()}
    strict, loose = (calibrated_exit(made.network, ann, X, points) for points in (0.0, 10.0))
    assert strict.unchanged == 1.0 and loose.unchanged >= 0.9 and loose.mean_steps < strict.mean_steps


def test_the_interval_is_of_samples_that_the_rule_did_not_see(made: Conversion) -> None:
    """Chosen on one half and measured on the other: what is chosen on its own samples looks better than it is."""
    ann = {"output": evaluate(made.network, X).in_units()}
    found = calibrated_exit(made.network, ann, X, 5.0)
    right = 0
    for mine, other in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        rule = calibrated_exit(made.network, {"output": ann["output"][mine]}, X[mine], 5.0).rule
        stopped = classify(with_rule(made.network, rule), X[other])
        right += int((stopped.predictions() == evaluate(made.network, X[other]).predictions()).sum())
    assert found.apart == right / len(X) and found.low <= found.apart <= found.high
    assert (found.low, found.high) == wilson(found.apart, len(X)) and "by a rule chosen on the other" in str(found)


def test_a_network_that_is_never_sure_runs_to_the_end(made: Conversion) -> None:
    found = classify(with_rule(made.network, ExitRule(1.0, 1.0)), X[:9])
    assert found.stopped is not None and found.stopped.tolist() == [STEPS] * 9
    assert np.array_equal(found.accumulated(), evaluate(made.network, X[:9]).accumulated())


def test_the_summary_says_how_long_samples_ran(made: Conversion) -> None:
    found = classify(made.network, X)
    summary = summarise(made.network, found)
    assert summary.exit is not None and found.stopped is not None
    assert summary.exit.mean_steps == found.stopped.mean()
    assert (found.stopped <= summary.exit.p95).mean() >= 0.95
    assert "stop early" in summary.to_text() and summary.to_json()["exit"]["p95"] == summary.exit.p95
    assert summarise(made.network, classify(made.network, X, RunOptions(exit=False))).exit is None


def test_what_needs_all_steps_runs_them_and_says_so(made: Conversion) -> None:
    with pytest.warns(SpikeflowWarning, match="no sample stops early"):
        found = classify(made.network, X[:4], RunOptions(record=("2",)))
    assert found.stopped is None and found.recorded["2"]


@pytest.mark.parametrize("seed", range(4))
def test_states_beyond_float32_and_values_beyond_a_format_are_told_as_of_a_whole_run(seed: int) -> None:
    """1 to 9 of 20 samples hold values of 3e38, or of 40 to 400 on the chip; the rule never or early lets them stop."""
    draw = np.random.default_rng(seed)
    x = draw.random((20, 4)).astype(np.float32)
    large = draw.choice(20, draw.integers(1, 10), replace=False)
    weight = Linear(np.eye(4, dtype=np.float32) * np.float32(2))
    nodes = {
        "x": Input((4,), "current"),
        "w": weight,
        "n": IF(1.0).node((4,)),
        "v": Linear(np.eye(4, dtype=np.float32)),
    }
    nodes |= {"r": Integrator().node((4,)), "o": Output()}
    graph = Graph(nodes, tuple(Edge(a, b) for a, b in pairwise(nodes)))
    for rule in (ExitRule(1.0, 1.0), ExitRule(0.1, 0.3)):
        network = Network(graph, RunRecord(8, readout="r", input_shape=(4,), exit=rule))
        beyond = x.copy()
        beyond[large] = 3e38
        with pytest.warns(SpikeflowWarning, match=rf"n\.v.*first in sample {large.min()}"):
            classify(network, beyond)
        mapped = map_network(network, "loihi2", x, accept_loss=True).as_network()
        beyond[large] = draw.uniform(40, 400)
        found = evaluate(mapped, beyond, early=True)
        assert found.stopped is not None
        clipped = found.counts["x"].narrowed["format"]
        assert clipped == 4 * found.stopped[large].sum()


def test_the_rule_stands_in_the_file(made: Conversion, tmp_path: Path) -> None:
    file.write(tmp_path / "net.h5", made.network)
    assert file.read(tmp_path / "net.h5").record.exit == made.network.record.exit


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"confidence": 1.5}, {"power": 2.0}, {"first": 0}])
def test_a_rule_that_no_run_can_follow_is_refused(made: Conversion, wrong: Any) -> None:
    with pytest.raises(DataError, match="exit"):
        with_rule(made.network, replace(RULES[0], **wrong))


def test_an_exit_is_refused_where_it_means_nothing() -> None:
    module = settled(small_cnn())
    with pytest.raises(ConversionError, match="values have no confidence"):
        convert(module, X, exit=0.0, answer="value")
    with pytest.raises(ConversionError, match="--read-from"):
        convert(module, X, exit=0.0, read_from=4)
    with pytest.raises(ConversionError, match="held back"):
        convert(module, input_shape=(1, 8, 8), exit=0.0)
    with pytest.raises(ConversionError, match="points"):
        convert(module, X, exit=-1.0)
