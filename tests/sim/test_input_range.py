"""What is told of samples in another unit than those of the calibration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.hw import map_network
from spikeflow.sim.classify import classify


def _converted() -> tuple:
    torch.manual_seed(0)
    x = np.random.default_rng(0).integers(0, 256, (120, 12)).astype(np.float32)
    return convert(nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4)), x, steps=16).network, x


@pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")
def test_samples_in_a_far_smaller_unit_are_told() -> None:
    """Bytes divided by 255 lie within the range of those that were not, and were answered without a word."""
    network, x = _converted()
    mapped = map_network(network, "loihi2", x, accept_loss=True).as_network()
    for net in (network, mapped):
        assert classify(net, x[:40]).warnings == ()
        (text,) = classify(net, x[:40] / 255).warnings
        assert "in 0.39 % of the range 0 to 255" in text and "another unit" in text
        (text,) = classify(net, x[:40] * 255).warnings
        assert "lie outside of the range" in text


@pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")
def test_a_sample_of_one_value_and_few_values_are_not() -> None:
    network, x = _converted()
    assert classify(network, np.zeros((20, 12), np.float32)).warnings == ()
    assert classify(network, np.full((20, 12), 7, np.float32)).warnings == ()
    assert classify(network, x[:2] / 255).warnings == ()
