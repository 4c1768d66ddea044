"""Operations whose derivative torch is told: steps, by a surrogate, and functions of a fixed formula, by
their value.

Each has a twin for torch.compile, whose tracer refuses functions that define `jvp`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from spikeflow.errors import ShapeError
from spikeflow.ir import functions

Derivative = Callable[[torch.Tensor], torch.Tensor]


class Watching(nn.Module):
    """A derivative whose slope depends on the arguments that went before it in a sequence."""

    @abstractmethod
    def begin(self) -> None:
        """A sequence starts."""

    @abstractmethod
    def watch(self, x: torch.Tensor) -> Derivative:
        """The slope of this moment, whose arguments are x."""


def spike(x: torch.Tensor, derivative: Derivative) -> torch.Tensor:
    """1 where x >= 0, else 0; differentiated, in any mode of torch and as often as asked, `derivative(x)`."""
    return jump("spike", x, derivative)


def jump(name: str, x: torch.Tensor, derivative: Derivative) -> torch.Tensor:
    """An operation of `JUMPS` by name; differentiated, in any mode of torch and as often as asked,
    `derivative(x)`.
    """
    if isinstance(derivative, Watching):
        derivative = derivative.watch(x.detach())
    function = _CompiledSpike if torch.compiler.is_compiling() else Spike
    z: torch.Tensor = function.apply(x, derivative, name)
    return z


def smooth(name: str, x: torch.Tensor) -> torch.Tensor:
    """A function of `ir.functions` by name; its derivative is that of the function, not of the formula."""
    function = _CompiledSmooth if torch.compiler.is_compiling() else _Smooth
    y: torch.Tensor = function.apply(x, name)
    return y


JUMPS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "spike": lambda x: (x >= 0).to(x.dtype),
    "floor": torch.floor,
    "round": torch.round,
}


class _CompiledSpike(torch.autograd.Function):
    @staticmethod
    def forward(x: torch.Tensor, derivative: Derivative, name: str = "spike") -> torch.Tensor:
        return JUMPS[name](x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        x, ctx.derivative, *_ = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * _slope(x, ctx.derivative), None, None


class Spike(_CompiledSpike):
    """1 where x >= 0, else 0; backward, the gradient times `derivative(x)`; forward mode and vmap alike."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        x, ctx.derivative, *_ = inputs
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


class _CompiledSmooth(torch.autograd.Function):
    @staticmethod
    def forward(x: torch.Tensor, name: str) -> torch.Tensor:
        y: torch.Tensor = getattr(functions, name)(x, _Elementary)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.name = inputs[1]
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (y,) = ctx.saved_tensors
        return gradients[0] * _SLOPES[ctx.name](y), None


class _Smooth(_CompiledSmooth):
    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.name = inputs[1]
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> torch.Tensor:
        (y,) = ctx.saved_tensors
        return tangents[0] * _SLOPES[ctx.name](y)


# from the function's value, as in ir.operations
_SLOPES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": lambda y: 1.0 - y * y,
    "sigmoid": lambda y: y * (1.0 - y),
    "exp": lambda y: y,
}


class _Elementary:
    """What the formulas of `ir.functions` need of tensors."""

    @staticmethod
    def minimum(a: Any, b: Any) -> torch.Tensor:
        return torch.where(a < b, a, b)

    @staticmethod
    def maximum(a: Any, b: Any) -> torch.Tensor:
        return torch.where(a > b, a, b)

    @staticmethod
    def nearest(x: torch.Tensor) -> torch.Tensor:
        return torch.round(x)

    @staticmethod
    def scaled(x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        # the powers of 2 by their bits: torch.ldexp takes them from pow, which need not be exact
        bits, bias, mantissa = (torch.int64, 1023, 52) if x.dtype is torch.float64 else (torch.int32, 127, 23)
        whole = k.to(bits)
        half = whole >> 1
        first, second = (((part + bias) << mantissa).view(x.dtype) for part in (half, whole - half))
        return x * first * second

    @staticmethod
    def exp_range(x: torch.Tensor) -> tuple[float, float]:
        return functions.EXP_RANGE_64 if x.dtype is torch.float64 else functions.EXP_RANGE_32
