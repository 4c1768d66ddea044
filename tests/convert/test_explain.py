"""What a conversion would do with every operation, told without converting."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.convert.capture.builder import WORDS, Verdict
from spikeflow.convert.explain import Explanation, explain
from spikeflow.errors import ConversionError, UnsupportedLayers
from tests.convert.networks import samples, settled, small_cnn


class Refused(nn.Module):
    """Two operations that are refused, one after the other, between some that are not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.LocalResponseNorm(2)
        self.act, self.last, self.end = nn.ReLU(), nn.Linear(144, 6), nn.LSTM(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.end(self.last(self.act(self.norm(self.conv(x))).flatten(1)))[0]


@pytest.fixture(scope="module")
def refused() -> Explanation:
    return explain(Refused().eval(), input_shape=(1, 8, 8))


def test_every_operation_has_the_verdict_of_the_conversion() -> None:
    module, x = settled(small_cnn()), samples((1, 8, 8), 40)
    found, made = explain(module, x), convert(module, x)
    assert found.verdicts == made.report.verdicts and not found.refused
    assert [v.word for v in found.verdicts].count("spiking") == 2
    assert {v.word for v in found.verdicts} == {"spiking", "exact"}


def test_all_refusals_stand_in_one_table(refused: Explanation) -> None:
    with pytest.raises(UnsupportedLayers) as error:
        convert(Refused().eval(), input_shape=(1, 8, 8))
    assert len(error.value.refusals) == 2
    assert {v.module for v in refused.refused} == {"norm", "end"}
    text = refused.to_text()
    assert "nothing would be converted" in text and refused.forecast is None
    assert all(str(r).split(" Try: ")[1] in text for r in error.value.refusals)
    assert json.loads(json.dumps(refused.to_json()))["refused"] == len(refused.refused)


@pytest.mark.parametrize(
    "wrong", [{"output": "nope"}, {"answer": "products"}, {"answer": "a=class"}, {"method": "batch-norm"}]
)
def test_options_that_a_conversion_refuses_are_refused(wrong: dict[str, Any]) -> None:
    module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    with pytest.raises(ConversionError) as error:
        convert(module, samples((4,), 40), **wrong)
    found = explain(module, samples((4,), 40), **wrong)
    assert found.refused and str(error.value).split(" Try: ")[1] in found.to_text()


def test_what_the_passes_refuse_stands_at_its_operation() -> None:
    pooled = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten())
    found = explain(pooled.eval(), input_shape=(1, 8, 8), coding="onoff")
    assert [v.operation for v in found.refused] == ["aten.max_pool2d.default"]
    flat = explain(nn.Linear(4, 3), input_shape=(4,))
    assert [v.module for v in flat.refused] == ["the network"] and "no activation" in flat.to_text()


def test_a_forecast_is_given_for_these_samples_and_steps() -> None:
    found = explain(settled(small_cnn()), samples((1, 8, 8), 40), steps=12).forecast
    assert found is not None and (found.steps, found.samples) == (12, 40)
    assert found.convert_s > 0 and found.run_s > 0 and found.convert_bytes > 0 and found.run_bytes > 0
    assert "12 steps" in str(found) and "40 calibration samples" in str(found)


def test_a_verdict_says_its_word_first() -> None:
    bounded = Verdict("a", "op", "approximated (error at most 0.01): 16 pieces")
    assert bounded.word == "approximated" and bounded.parts == (
        "approximated (error at most 0.01)",
        "16 pieces",
    )
    assert Verdict("a", "op", "synapses").parts == ("exact", "synapses")
    assert Verdict("a", "op", "refused: no").word in WORDS
