"""Functions of running means on tensors, differentiable; torch adds in its own order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import Any

import torch

from spikeflow.errors import ShapeError
from spikeflow.ir.nodes import Combined, Matmul, Normalise, OfMeans, Root, Softmax

Means = list[torch.Tensor]


def of_means(
    node: OfMeans, x: list[torch.Tensor], memory: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """A stretch of time; the memory is all that `node.memory` names, one after the other, ``(B, values)``."""
    steps, batch = x[0].shape[:2]
    shapes = list(node.memory([tuple(v.shape[2:]) for v in x]).values())
    sizes = [prod(shape) for shape in shapes]
    before = x[0].new_zeros((batch, sum(sizes))) if memory is None else memory
    if not isinstance(before, torch.Tensor) or before.shape != (batch, sum(sizes)):
        raise ShapeError(type(node).__name__, "a state of another shape", (batch, sum(sizes)))
    *sums, held, done = (
        part.reshape(batch, *shape) for part, shape in zip(before.split(sizes, 1), shapes, strict=True)
    )
    taken = done + torch.arange(1, steps + 1, device=x[0].device).to(x[0].dtype)[:, None, None]
    totals = [s + v.cumsum(0) for s, v in zip(sums, x, strict=True)]
    means = [(t / _each(taken, t)).flatten(0, 1) for t in totals]
    now = _FUNCTIONS[type(node)](node, means).unflatten(0, (steps, batch))
    now = now * _each(taken, now)
    risen = now - torch.cat([held[None], now[:-1]])
    after = torch.cat([v[-1].reshape(batch, -1) for v in (*totals, now, taken)], 1)
    return risen, after


def _each(steps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return steps.reshape(*steps.shape[:2], *(1,) * (like.dim() - 2))


def _combined(node: Combined, x: Means) -> torch.Tensor:
    if node.how == "product":
        return x[0] * x[1]
    divides = x[1] != 0
    return torch.where(divides, x[0] / torch.where(divides, x[1], torch.ones_like(x[1])), 0.0)


def _root(node: Root, x: Means) -> torch.Tensor:
    above = x[0] > 0  # the slope of a root at 0 is infinite
    return torch.where(above, torch.where(above, x[0], 1.0).sqrt(), 0.0).clamp(min=node.least)


def _matmul(node: Matmul, x: Means) -> torch.Tensor:
    return x[0] @ (x[1].transpose(-1, -2) if node.transposed else x[1])


def _normalise(node: Normalise, x: Means) -> torch.Tensor:
    groups = x[0].reshape(len(x[0]), -1, node.size)
    d = groups - groups.mean(-1, keepdim=True) if node.centred else groups
    square = (d * d).mean(-1, keepdim=True) + node.epsilon
    above = square > 0
    return torch.where(above, d / torch.where(above, square, 1.0).sqrt(), 0.0).reshape(x[0].shape)


_FUNCTIONS: Mapping[type[OfMeans], Callable[[Any, Means], torch.Tensor]] = MappingProxyType(
    {
        Combined: _combined,
        Root: _root,
        Matmul: _matmul,
        Softmax: lambda node, x: x[0].softmax(-1),
        Normalise: _normalise,
    }
)
