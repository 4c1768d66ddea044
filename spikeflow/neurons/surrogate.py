"""Surrogate gradients: what stands in for the derivative of a spike in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spikeflow.errors import MissingPackage

try:
    import torch
except ImportError as error:
    raise MissingPackage("torch>=2.10", "surrogate gradients", error) from error

Derivative = Callable[[torch.Tensor], torch.Tensor]


def atan(x: torch.Tensor) -> torch.Tensor:
    """1 / (1 + (pi x)^2): the derivative of an arc tangent of slope 2 (Fang et al. 2021)."""
    return 1.0 / (1.0 + (torch.pi * x) * (torch.pi * x))


def triangle(x: torch.Tensor) -> torch.Tensor:
    """max(0, 1 - |x|) (Bellec et al. 2018)."""
    return torch.clamp(1.0 - x.abs(), min=0.0)


def fast_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """1 / (1 + 10 |x|)^2 (Zenke and Ganguli 2018)."""
    return 1.0 / torch.square(1.0 + 10.0 * x.abs())


class Spike(torch.autograd.Function):
    """1 where x >= 0, else 0; backward, the gradient times `derivative(x)`."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, derivative: Derivative) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.derivative = derivative
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * ctx.derivative(x), None
