"""Samples padded with NaN beyond their length: spikes, masked losses and so the whole loss stay finite, and the gradients are NaN.
That is told, on every way through a layer; padding of 0 trains as it should and tells nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

from spikeflow.errors import SpikeflowWarning
from spikeflow.neurons import LIF, CubaLIF, LeakyIntegrator, Neuron, Recurrent, Sequential, TwoPointLIF
from spikeflow.train import loss

STEPS, LENGTH, WIDTH = 40, 25, 32


def behind(layer: nn.Module, width: int = WIDTH) -> Sequential:
    torch.manual_seed(0)
    return Sequential(nn.Linear(width, width), layer, nn.Linear(width, 3), Neuron(LeakyIntegrator(0.9)))


def recurrent(hook: bool = False) -> Sequential:
    layer = Recurrent(Neuron(LIF(0.9)), nn.Linear(WIDTH, WIDTH))
    if hook:  # then step by step
        layer.feedback.register_forward_hook(lambda *_: None)
    return behind(layer)


NETS: dict[str, Callable[[], Sequential]] = {
    "LIF": lambda: behind(Neuron(LIF(0.9))),
    "CubaLIF": lambda: behind(Neuron(CubaLIF())),
    "TwoPointLIF": lambda: behind(Neuron(TwoPointLIF())),
    "with its product": lambda: behind(Neuron(LIF(0.9)), 256),
    "recurrent": recurrent,
    "step by step": lambda: recurrent(hook=True),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("padding", [0.0, float("nan")])
def test_padding_of_nan_is_told(name: str, padding: float) -> None:
    net = NETS[name]()
    width = net.layers[0].in_features
    x = (torch.rand(STEPS, 4, width, generator=torch.Generator().manual_seed(1)) < 0.05).float()
    mask = torch.ones(STEPS, 4, dtype=torch.bool)
    mask[LENGTH:, 0] = False
    x[LENGTH:, 0] = padding
    outputs, _ = net(x)
    value = loss.cross_entropy(outputs, torch.tensor([0, 1, 2, 0]), mask, "mean")
    assert value.isfinite()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        value.backward()
    words = [str(w.message) for w in told if issubclass(w.category, SpikeflowWarning)]
    gradient = net.layers[0].weight.grad
    assert gradient is not None
    if padding == 0:
        assert gradient.isfinite().all() and not words
    else:
        assert gradient.isnan().any() and any("padded with NaN" in word for word in words)
    if name == "with its product":
        assert "with the neurons" in net.layers[0].product
