"""The facts agree with what the run itself says."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.errors import DataError
from spikeflow.report import ReportFacts, ReportOptions, collect
from spikeflow.report.network.layers import curve_points
from spikeflow.report.network.verdict import verdict
from spikeflow.samples import Samples
from spikeflow.sim.classify import RunOptions, classify
from tests.report.conftest import HOSTILE, small_network, small_samples


def test_the_run_is_the_one_that_classify_makes(facts: ReportFacts) -> None:
    samples = small_samples()
    evaluation = classify(small_network(), samples.x, RunOptions("reference"))
    assert facts.run.accuracy == evaluation.accuracy(samples.y)
    assert facts.run.accuracy_over_steps == {t: evaluation.accuracy(samples.y, t) for t in range(1, 17)}
    assert facts.run.synaptic_operations * 10 == evaluation.synaptic_operations


def test_a_layer_tells_its_threshold_rate_and_operations(facts: ReportFacts) -> None:
    layers = {layer.node: layer for layer in facts.layers}
    neurons = layers[HOSTILE]
    assert (neurons.kind, neurons.neurons, neurons.shape) == ("IF", 64, (4, 4, 4))
    assert neurons.threshold is not None
    assert (neurons.threshold.low, neurons.threshold.median, neurons.threshold.high) == (0.5, 1.5, 4.0)
    assert neurons.rate == pytest.approx(neurons.spikes / (64 * 16))
    assert (layers["conv"].synapses, layers["conv"].connections) == (36, 576)
    assert layers["conv"].multiply_accumulates == 576 * 16
    assert layers["fc"].accumulates == pytest.approx(3 * neurons.spikes)
    assert layers["readout"].rate is None


def test_the_raster_holds_spikes_that_happened(facts: ReportFacts) -> None:
    evaluation = classify(small_network(), small_samples().x[:1], RunOptions("reference", record=(HOSTILE,)))
    (raster,) = facts.raster
    dense = evaluation.recorded[HOSTILE][0].dense().reshape(16, 64)
    assert raster.fired == int(dense.any(axis=0).sum())
    assert 0 < len(raster.rows) <= 12
    for row in raster.rows:
        assert row.steps == tuple(np.flatnonzero(dense[:, row.neuron]))


def test_without_labels_no_accuracy_is_told() -> None:
    found = collect(small_network(), Samples(small_samples().x), options=ReportOptions("reference"))
    assert found.run.accuracy is None
    assert found.run.accuracy_over_steps == {}


def test_the_energy_is_the_counts_times_their_constants(facts: ReportFacts) -> None:
    spiking, dense = facts.cost
    accumulates = sum(layer.accumulates for layer in facts.layers)
    products = sum(layer.multiply_accumulates for layer in facts.layers)
    assert spiking.joule == pytest.approx(1e-12 * (0.9 * accumulates + 4.6 * products))
    assert dense.joule == pytest.approx(1e-12 * 4.6 * (576 + 192))
    assert all(line.source for cost in facts.cost for line in cost.lines)


def test_the_accuracy_on_calibration_data_is_not_shown_as_the_ann_s(facts: ReportFacts) -> None:
    assert facts.conversion["ann_accuracy"] == 0.75
    assert facts.ann is None and "75.0" not in verdict(facts)


@pytest.mark.parametrize(
    "note", ["", "not json", "[1, 2]", '{"ann_accuracy": "<b>"}', '{"ann_accuracy": 7}', "[" * 20000]
)
def test_a_note_that_is_no_report_is_left_alone(note: str) -> None:
    found = collect(
        small_network(notes={"conversion": note}), small_samples(2), options=ReportOptions("reference")
    )
    assert found.ann is None


def test_samples_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="expected"):
        collect(
            small_network(), Samples(np.zeros((2, 1, 5, 5), np.float32)), options=ReportOptions("reference")
        )


@pytest.mark.parametrize("steps", [1, 2, 64, 65, 1000, 2**20])
def test_a_curve_ends_at_the_last_step_and_stays_small(steps: int) -> None:
    points = curve_points(steps)
    assert points[-1] == steps and points[0] == 1
    assert list(points) == sorted(set(points)) and len(points) <= 90
