"""Gradients that explode, as a recurrent layer's over 1,300 steps do from one batch to the next: their norm is a number as long as
they are, and clipping keeps their direction.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikeflow.errors import TrainingError
from spikeflow.train.health import Gradients, clipped


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6, 1e17, 1e19, 1e30])
@pytest.mark.parametrize("most", [0.5, 20.0])
def test_clipping_keeps_the_direction_of_gradients_of_any_size(size: float, most: float) -> None:
    layer = nn.Linear(30, 20)
    draw = torch.Generator().manual_seed(0)
    direction = [torch.randn(p.shape, generator=draw) for p in layer.parameters()]
    length = torch.cat([d.flatten() for d in direction]).double().norm().item()
    for p, d in zip(layer.parameters(), direction, strict=True):
        p.grad = d * size
    norm = Gradients(layer.named_parameters()).see("in epoch 1")
    assert norm == pytest.approx(length * size, rel=1e-5)
    clipped(layer.parameters(), most, norm)
    scale = min(size, most / length)
    for p, d in zip(layer.parameters(), direction, strict=True):
        torch.testing.assert_close(p.grad, d * scale, rtol=1e-4, atol=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_named(value: float) -> None:
    layer = nn.Linear(3, 2)
    for p in layer.parameters():
        p.grad = torch.ones_like(p)
    layer.bias.grad[1] = value  # type: ignore[index]
    with pytest.raises(TrainingError, match="bias.*NaN or infinite in epoch 1"):
        Gradients(layer.named_parameters()).see("in epoch 1")
