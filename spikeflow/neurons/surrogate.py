"""Surrogate gradients: what stands in for the derivative of a spike in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spikeflow.errors import MissingPackage

try:
    import torch
except ImportError as error:
    raise MissingPackage("torch>=2.10", "surrogate gradients", error) from error

from spikeflow.errors import ShapeError

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


def spike(x: torch.Tensor, derivative: Derivative) -> torch.Tensor:
    """1 where x >= 0, else 0; differentiated, in any mode of torch and as often as asked, `derivative(x)`."""
    function = _Compiled if torch.compiler.is_compiling() else Spike
    z: torch.Tensor = function.apply(x, derivative)  # type: ignore[no-untyped-call]
    return z


class _Compiled(torch.autograd.Function):
    """The spike as torch.compile takes it: its tracer refuses functions that define `jvp`."""

    @staticmethod
    def forward(x: torch.Tensor, derivative: Derivative) -> torch.Tensor:
        return (x >= 0).to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        x, ctx.derivative = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * _slope(x, ctx.derivative), None


class Spike(_Compiled):
    """1 where x >= 0, else 0; backward, the gradient times `derivative(x)`; forward mode and vmap alike."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        x, ctx.derivative = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return tangents[0] * _slope(x, ctx.derivative)


def _slope(x: torch.Tensor, derivative: Derivative) -> torch.Tensor:
    slope = derivative(x)
    # a slope that broadcasts to more than x would be summed up by autograd without a word
    if not isinstance(slope, torch.Tensor) or torch.broadcast_shapes(slope.shape, x.shape) != x.shape:
        got = tuple(slope.shape) if isinstance(slope, torch.Tensor) else type(slope).__name__
        raise ShapeError("derivative", got, f"a tensor of its argument's shape, {tuple(x.shape)}")
    return slope
