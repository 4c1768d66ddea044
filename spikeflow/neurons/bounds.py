"""Values that are brought back within bounds: learned parameters, and the state at the end of a step.

Both change the value and leave the gradient: torch's own clamp gives none outside its limits, so that a
parameter that one step of an optimiser took out would never learn again.
"""

from __future__ import annotations

from typing import Any

import torch

from spikeflow.ir.limits import FLUSH

_BELOW = FLUSH * (1 - 2.0**-24)  # the float32 just below: hardshrink clears what is at most its limit


def limited(value: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """`value` within [low, high]; outside, only the gradient whose descent leads back is handed on."""
    if low == float("-inf") and high == float("inf"):
        return value
    function = _CompiledLimit if torch.compiler.is_compiling() else _Limit
    result: torch.Tensor = function.apply(value, low, high)
    return result


def settled(state: torch.Tensor) -> torch.Tensor:
    """The end of a step: what is of magnitude below 2^-100 becomes +0; the gradient passes straight
    through.
    """
    function = _CompiledSettle if torch.compiler.is_compiling() else _Settle
    result: torch.Tensor = function.apply(state)
    return result


class _CompiledLimit(torch.autograd.Function):
    """As torch.compile takes it: its tracer refuses functions that define `jvp`."""

    @staticmethod
    def forward(value: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return value.clamp(low, high)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        value, ctx.low, ctx.high = inputs
        ctx.save_for_backward(value)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (value,), gradient = ctx.saved_tensors, gradients[0]
        outward = ((value > ctx.high) & (gradient < 0)) | ((value < ctx.low) & (gradient > 0))
        return torch.where(outward, torch.zeros_like(gradient), gradient), None, None


class _Limit(_CompiledLimit):
    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        value, ctx.low, ctx.high = inputs
        ctx.save_for_backward(value)
        ctx.save_for_forward(value)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> torch.Tensor:
        (value,) = ctx.saved_tensors
        inside = (value >= ctx.low) & (value <= ctx.high)
        return torch.where(inside, tangents[0], torch.zeros_like(tangents[0]))


class _CompiledSettle(torch.autograd.Function):
    """As torch.compile takes it."""

    @staticmethod
    def forward(state: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.hardshrink(state, _BELOW)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0]


class _Settle(_CompiledSettle):
    generate_vmap_rule = True

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> torch.Tensor:
        return tangents[0].view_as(tangents[0])
