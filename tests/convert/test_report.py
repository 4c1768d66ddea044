"""The report of a conversion and the comparison with the ANN: the numbers, as text and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from torch import nn

from spikeflow.convert import ConversionReport, agreement, convert
from spikeflow.convert.agreement import Agreement
from spikeflow.errors import DataError
from spikeflow.sim.classify import RunOptions
from tests.convert.networks import samples, settled, small_cnn

REFERENCE = RunOptions(engine="reference", steps=128)


@pytest.fixture(scope="module")
def report() -> ConversionReport:
    return convert(settled(small_cnn()), samples((1, 8, 8), 20), np.zeros(20, int), percentile=90).report


@pytest.fixture(scope="module")
def compared() -> Agreement:
    made = convert(settled(small_cnn()), samples((1, 8, 8), 50), percentile=100)
    x = samples((1, 8, 8), 20, 8)
    return agreement(made, x, np.zeros(20, int), REFERENCE)


def test_every_layer_has_its_numbers(report: ConversionReport) -> None:
    first = report.layers[0]
    assert (first.name, first.shape, first.channels) == ("2", (8, 8, 8), 8)
    assert 0 < first.minimum <= first.median <= first.maximum
    assert first.clipped is not None and first.zeros is not None
    assert first.clipped == pytest.approx(0.1 * (1 - first.zeros), abs=0.02)  # a tenth of the values above 0
    assert report.at_floor == sum(x.at_floor for x in report.layers)


def test_every_operation_has_its_verdict(report: ConversionReport) -> None:
    found = {v.module: v.verdict for v in report.verdicts}
    assert found["0"] == "synapses" and found["1"] == "folded into 0" and found["2"] == "spiking"
    assert found["9"].startswith("erased") and len(report.verdicts) == 11


def test_text_says_what_json_says(report: ConversionReport) -> None:
    text, facts = report.to_text(), json.loads(json.dumps(report.to_json()))
    # of the 20 samples 7 are held back
    assert "percentile 90 of 13 calibration samples" in text and "folded into 0" in text
    assert facts["options"]["percentile"] == 90 and facts["samples"] == 13 and not facts["data_free"]
    assert facts["fidelity"]["samples"] == 7 and "on 7 held-back samples" in text
    assert facts["layers"][0]["name"] == "2" and len(facts["verdicts"]) == 11
    assert (
        f"accuracy of the ANN on these: {100 * facts['ann_accuracy']:.2f} % of 13 samples (95 % interval"
        in text
    )


def test_a_norm_that_stays_says_so() -> None:
    module = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3, padding=1), nn.ReLU())
    found = convert(settled(module), samples((1, 4, 4))).report.verdicts
    assert found[0].verdict == "synapses: one factor and bias for each channel" and found[0].node == "0"


def test_rates_follow_the_activations(compared: Agreement) -> None:
    assert [x.name for x in compared.layers] == ["2", "6"]
    assert all(x.correlation is not None and x.correlation > 0.95 for x in compared.layers)
    assert all(0 < x.rate < 1 for x in compared.layers)


def test_answers_over_steps(compared: Agreement) -> None:
    assert list(compared.over_steps) == [1, 2, 4, 8, 16, 32, 64, 128] == list(compared.accuracy_over_steps)
    assert compared.over_steps[128] >= 0.9 and compared.samples == 20
    assert compared.ann_accuracy is not None and "after 128 steps" in compared.to_text()
    assert json.loads(json.dumps(compared.to_json()))["samples"] == 20


def test_labels_must_fit() -> None:
    made = convert(settled(small_cnn()), samples((1, 8, 8)))
    with pytest.raises(DataError, match="labels"):
        agreement(made, samples((1, 8, 8)), np.zeros(3, int), REFERENCE)
