"""What is told beside a conversion: few samples, a spike of unknown size, types narrower than float32."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.convert.passes.forward import forward
from spikeflow.errors import SpikeflowWarning
from tests.convert.networks import Calls, answers, samples


def net(norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    first = [nn.Linear(6, 16), nn.BatchNorm1d(16)] if norm else [nn.Linear(6, 16)]
    return nn.Sequential(*first, nn.ReLU(), nn.Linear(16, 5)).eval()


def said(*given: Any, **settings: Any) -> str:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        made = convert(*given, **settings)
    texts = [str(w.message) for w in heard if issubclass(w.category, SpikeflowWarning)]
    assert set(texts) == set(made.report.warnings), "what is told in Python is what the report holds"
    return "\n".join(texts)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_different_samples_are_told(count: int) -> None:
    x = samples((6,), count)
    words = "different calibration sample"
    assert words in said(net(), x)
    assert words in said(net(), np.repeat(x, 30, axis=0)), "samples that come again count once"


def test_many_samples_are_not() -> None:
    assert "different calibration" not in said(net(), samples((6,), 200))


@pytest.mark.parametrize("coding", ["rate", "onoff"])
def test_a_spike_of_unknown_size_is_told(coding: str) -> None:
    module = net(norm=True)
    assert "above 1 saturate" in said(module, input_shape=(6,), coding=coding)
    assert "saturate" not in said(module, input_shape=(6,), coding=coding, scale=4.0)
    assert "above 1 saturate" not in said(module, np.abs(samples((6,), 200)), coding=coding)
    assert "saturate" not in said(module, input_shape=(6,))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("depth", [1, 4])
def test_modules_of_other_precision(kind: torch.dtype, depth: int) -> None:
    """Widths 6 to 24, 1 to 4 hidden layers; the graph is that of the same weights in float32."""
    torch.manual_seed(depth)
    hidden = [part for _ in range(depth) for part in (nn.Linear(24, 24), nn.ReLU())]
    module = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), *hidden, nn.Linear(24, 3)).eval().to(kind)
    x = samples((6,), 60)
    made = convert(module, x)
    assert made.report.difference is not None and made.report.difference < 1e-4
    wanted = answers(module.float(), x)
    assert np.abs(forward(made.ann, x) - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_autocast_within_forward_is_taken_as_float32_and_told() -> None:
    def call(m: Any, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return m.inner(x)

    assert "torch.autocast" in said(Calls(call, inner=net()).eval(), samples((6,), 60))


def test_no_grad_within_forward() -> None:
    def call(m: Any, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            y = m.inner[0](x)
        with torch.enable_grad():
            return m.inner[2](torch.relu(y))

    module, x = Calls(call, inner=net()).eval(), samples((6,), 60)
    assert convert(module, x).report.difference == pytest.approx(0, abs=1e-5)


def test_classes_on_another_axis_than_the_first_are_told() -> None:
    """A Linear of samples with several axes answers along the last; classes are read along the first."""
    words = "its last layer puts what it tells apart on axis 1"
    x = samples((4, 6), 60)
    tagger = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    assert words in said(tagger, x) and words in said(tagger, x[:, :1])
    assert words not in said(tagger, x, answer="value")
    turned = Calls(lambda m, v: m.net(v).movedim(2, 1), net=tagger).eval()
    assert words not in said(turned, x)
    pictures, conv = samples((2, 5, 4), 60), nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 3, 1)).eval()
    assert "puts what it tells" not in said(conv, pictures)
    last = Calls(lambda m, v: m.net(v).permute(0, 2, 3, 1), net=conv).eval()
    assert "on axis 2 (from 0). Try: .movedim(3, 1)" in said(last, pictures)
    assert words not in said(net(), samples((6,), 60))


def test_a_network_that_answers_by_chance_is_told() -> None:
    """Labels numbered otherwise, or samples in another unit, left an accuracy of 0 % without a word."""
    module, x = net(), samples((6,), 120)
    y = answers(module, x).argmax(1)
    words = "the ANN is right in 0.0% of the samples that set thresholds"
    assert words in said(module, x, (y + 2) % 5) and "the ANN is right" not in said(module, x, y)
    assert "the ANN is right" not in said(module, x[y == y[0]], (y[y == y[0]] + 1) % 5), "one class alone says nothing"
    assert "the ANN is right" not in said(module, x[:16], (y[:16] + 2) % 5), "nor do few samples"
