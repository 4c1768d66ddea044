"""MaskedPSN: parallel spiking neurons over a fixed number of steps, a torch layer only."""

from __future__ import annotations

import torch
from torch import nn

from spikeflow.errors import GraphError, ShapeError
from spikeflow.neurons import surrogate
from spikeflow.neurons.autograd import Derivative, spike


class MaskedPSN(nn.Module):
    """Parallel spiking neurons: H = (weight * mask) X + bias over time, S = H >= 0, for T steps at once.

    X and S are ``(T, B, *shape)``, `weight` ``(T, T)`` and `bias` ``(T,)`` are learned and shared by all
    neurons. With order k a step sees itself and the k - 1 steps before it; with None all steps, also later
    ones, which is the plain PSN: it answers only when a sample is over.

    It has no state and a fixed T, so that no graph holds it: capture refuses it by name. `SlidingPSN` is the
    form that graphs, the engine and chips run.

    Source: W. Fang and others, NeurIPS 2023; weights start as Kaiming's uniform of a = sqrt(5), biases at -1.

    Parameters
    ----------
    steps : T.
    order : k, from 1 to T; None for the plain PSN.
    derivative : the surrogate gradient of H.
    """

    mask: torch.Tensor

    def __init__(self, steps: int, order: int | None = None, derivative: Derivative = surrogate.atan) -> None:
        super().__init__()
        if steps < 1 or (order is not None and not 1 <= order <= steps):
            raise GraphError("MaskedPSN", f"{steps} steps of order {order}", "1 <= order <= steps, or None")
        self.steps, self.order, self.derivative = steps, order, derivative
        self.weight = nn.Parameter(torch.empty(steps, steps))
        self.bias = nn.Parameter(torch.full((steps,), -1.0))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        ones = torch.ones(steps, steps)
        self.register_buffer("mask", ones if order is None else ones.tril().triu(1 - order), persistent=False)

    def extra_repr(self) -> str:
        """Steps and order."""
        return f"steps={self.steps}, order={self.order}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(T, B, *shape)`` to spikes of the same shape; ShapeError for another number of steps."""
        if x.ndim < 2 or len(x) != self.steps:
            raise ShapeError("MaskedPSN", tuple(x.shape), f"{self.steps} steps first, (T, B, *shape)")
        h = torch.tensordot(self.weight * self.mask, x, 1)
        return spike(h + self.bias.reshape(-1, *[1] * (x.ndim - 1)), self.derivative)
