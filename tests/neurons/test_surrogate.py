"""Surrogate gradients against the derivative of what they stand for."""

from __future__ import annotations

import pytest
import torch

from spikeflow.neurons import surrogate


@pytest.mark.parametrize("derivative", [surrogate.atan, surrogate.triangle, surrogate.fast_sigmoid])
def test_spike_is_a_step_with_the_surrogate_behind(derivative: surrogate.Derivative) -> None:
    x = torch.linspace(-2, 2, 9, requires_grad=True)
    z = surrogate.Spike.apply(x, derivative)
    assert torch.equal(z, (x >= 0).float())
    z.sum().backward()
    torch.testing.assert_close(x.grad, derivative(x.detach()))
    assert derivative(torch.zeros(1)).item() == 1.0


def test_a_spike_at_equality() -> None:
    assert surrogate.Spike.apply(torch.tensor(0.0), surrogate.atan).item() == 1.0
