"""Where a conversion loses: the parts of each layer's error, on layers made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spikeflow.convert import Conversion, convert
from spikeflow.convert.verify.layer_errors import Layer, LayerErrors, advice
from tests.convert.networks import samples, settled, small_cnn

T = 10


def layer(activation: list[float], emitted: list[float], last: list[float], most: int = 1) -> Layer:
    """One sample of neurons with threshold 1 that wake at a half."""
    parts = (np.array([values], float) for values in (activation, emitted))
    count = len(activation)
    return Layer(*parts, np.full(count, 0.5), np.array([last]), np.ones(count), most, T)


def test_a_faithful_layer_has_no_error() -> None:
    found = layer([0.3, 0.7, 0.0], [3, 7, 0], [0.5, 0.5, 0.5]).errors("a", None)
    assert found == LayerErrors("a", pytest.approx(1 / 3), pytest.approx(1 / 3), *[0.0] * 5, None)  # type: ignore[arg-type]


def test_clipping_is_what_lies_above_the_threshold() -> None:
    # an activation of 1.5 is answered with a spike in every step; the rest stays in the membrane
    found = layer([1.5, 0.5], [10, 5], [0.5 + 5, 0.5]).errors("a", None)
    assert found.clipping == found.error == pytest.approx(0.5 / 2)
    assert found.rounding == found.unevenness == found.inherited == 0
    assert found.expected == pytest.approx((1 + 0.5) / 2)


def test_of_an_alphabet_a_step_can_hand_on_more() -> None:
    found = layer([1.5, 0.5], [15, 5], [0.5, 0.5], most=2).errors("a", None)
    assert found.clipping == found.error == 0 and found.observed == 1.0


def test_rounding_is_what_a_constant_input_loses() -> None:
    # 0.34 x 10 + 0.5 = 3.9: three spikes, 0.9 left
    found = layer([0.34], [3], [0.9]).errors("a", None)
    assert found.rounding == found.error == pytest.approx(0.04 / 0.34) and found.unevenness == 0


def test_unevenness_is_what_the_order_of_arrival_changed() -> None:
    # in all nothing arrived (theta N = 0 - v(0) + v(T) + ...): 2 spikes, and -1.5 left in the membrane
    found = layer([0.0, 1.0], [2, 10], [-1.5, 0.5]).errors("a", None)
    assert found.unevenness == found.error == pytest.approx(0.2) and found.rounding == 0
    assert found.inherited == pytest.approx(0.0)


def test_inherited_is_what_the_input_differs_by() -> None:
    # the ANN asks for 0.8, 0.5 arrives on average, and is answered exactly
    found = layer([0.8], [5], [0.5]).errors("b", 0.25)
    assert found.inherited == found.error == pytest.approx(0.3 / 0.8)
    assert found.growth == pytest.approx(found.error / 0.25) and found.unevenness == 0


def test_a_layer_of_zeros_has_no_error() -> None:
    found = layer([0.0, 0.0], [0, 0], [0.5, 0.5]).errors("a", 0.0)
    assert found.error == found.clipping == 0 and found.growth is None


@pytest.mark.parametrize("cause, words", [(0, "percentile"), (1, "--steps"), (2, "--read-from")])
def test_advice_follows_the_largest_own_part(cause: int, words: str) -> None:
    parts = [0.02, 0.02, 0.02]
    parts[cause] = 0.08
    bad = LayerErrors("bad", 0.5, 0.5, *parts, 0.9, 0.9)
    good = LayerErrors("good", 0.5, 0.5, 0.01, 0.01, 0.01, 0.01, 0.01)
    text = advice((good, bad), 32)
    assert "at bad, 8.0 %" in text and words in text


def test_small_parts_need_no_advice() -> None:
    assert "nothing stands out" in advice((LayerErrors("a", 0.5, 0.5, *[0.001] * 5),), 32)


@pytest.fixture(scope="module")
def made() -> Conversion:
    return convert(settled(small_cnn()), samples((1, 8, 8), 60), steps=16, percentile=80)


def test_the_report_has_the_errors_of_each_layer(made: Conversion) -> None:
    report = made.report
    assert [x.name for x in report.errors] == [x.name for x in report.layers]
    first, second = report.errors
    # the first layer's input is constant: nothing is inherited, and nothing uneven but ties of rounding
    assert first.inherited < 1e-5 and first.unevenness < 1e-3 and first.growth is None
    assert first.clipping > 0.02 and first.error >= first.clipping - first.rounding
    assert second.growth == second.error / first.error and second.inherited > 0.01
    assert "clipping" in report.advice and report.advice in report.to_text()
    facts = json.loads(json.dumps(report.to_json()))
    assert facts["errors"][0]["clipping"] == first.clipping and facts["advice"] == report.advice
    over, errors = facts["fidelity"]["over_steps"], facts["fidelity"]["error_over_steps"]
    assert over.keys() == errors.keys() and errors["16"] == pytest.approx(report.fidelity.worst.error)  # type: ignore[union-attr]


def test_without_samples_or_identity_there_are_none() -> None:
    free = convert(settled(small_cnn()), input_shape=(1, 8, 8)).report
    zero = convert(settled(small_cnn()), samples((1, 8, 8), 40), reset="zero").report
    assert free.errors == zero.errors == () and free.advice == zero.advice == ""
    assert not any("follow a function" in report.to_text() for report in (free, zero))
    # where every layer follows a function the report says why it has no such table
    signed = convert(settled(small_cnn()), samples((1, 8, 8), 40), alphabet="signed").report
    assert signed.errors == () and "2 layers follow a function in steps" in signed.to_text()
