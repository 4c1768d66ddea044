"""Products of spikes and weights on matrix units of 16 bits, as exact as float32's own.

A float32 has 24 bits, a bfloat16 8: three of them hold it, w = w1 + w2 + w3, each the first 8 bits of what
those before it leave. A spike, or any whole number up to 256, is a bfloat16 itself. So

    x w = x w3 + x w2 + x w1

is three products whose every term is exact and whose sums are float32's, on units that are many times
faster than those of float32. The gradient of the weights splits the cotangent in the same way.

Source: G. Henry, P. T. P. Tang and A. Heinecke, Leveraging the bfloat16 Artificial Intelligence Datatype For
Higher-Precision Computations, ARITH 2019.
"""

from __future__ import annotations

from typing import Any

import torch

from spikeflow.errors import UnsupportedLayer

Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def split(values: torch.Tensor) -> Parts:
    """Three bfloat16 whose sum is a float32, to the last bit of values above 2^-110.

    An infinity or a NaN stands in the first alone.
    """
    first = _leading(values)
    rest = torch.where(torch.isfinite(values), values - first, 0.0)
    second = _leading(rest)
    return first.bfloat16(), second.bfloat16(), (rest - second).bfloat16()


def _leading(values: torch.Tensor) -> torch.Tensor:
    """The first 8 bits: cut, not rounded, so that the largest float32 does not become infinite."""
    return (values.contiguous().view(torch.int32) & -65536).view(torch.float32)


def exact(x: torch.Tensor) -> bool:
    """Whether every value is a bfloat16, as spikes and small whole numbers are; asks the device."""
    return bool(torch.equal(x.bfloat16().to(x.dtype), x))


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """``x weight^T + bias`` for float32 weights ``(outputs, inputs)`` and bfloat16 values ``(..., inputs)``.

    The caller answers for the input's values: `exact` says whether they are such.
    """
    found: torch.Tensor = _Product.apply(x, weight)
    return found if bias is None else found + bias


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1]).bfloat16()  # half the memory until the backward pass
        ctx.save_for_backward(rows, weight)
        ctx.shape = x.shape
        return _sum(rows, tuple(part.T for part in split(weight))).reshape(*x.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        if torch.is_grad_enabled():  # parts are cut by their bits, which a second derivative would not see
            hint = "torch.nn.Linear, where a derivative of the gradient is wanted"
            raise UnsupportedLayer("SpikeLinear", "a second derivative of a product in parts", hint)
        rows, weight = ctx.saved_tensors
        given = gradients[0].reshape(-1, gradients[0].shape[-1])
        by_x = (given @ weight).reshape(ctx.shape) if ctx.needs_input_grad[0] else None
        by_weight = _sum(rows.T, split(given)).T if ctx.needs_input_grad[1] else None
        return by_x, by_weight


def _sum(a: torch.Tensor, parts: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """``a (part + ...)`` with float32 sums, the smallest part first."""
    total = _multiplied(a, parts[-1])
    for part in reversed(parts[:-1]):
        total += _multiplied(a, part)
    return total


def _multiplied(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The product of two bfloat16 matrices, in float32."""
    if a.is_cuda:
        return torch.mm(a, b, out_dtype=torch.float32)
    return a.float() @ b.float()  # a CPU's own product of bfloat16 rounds its sums to 8 bits
