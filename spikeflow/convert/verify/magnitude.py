"""Currents of stateless layers in float64, with a bound of the error that float32 sums in any order make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from spikeflow.convert.passes.fold import coefficients
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import (
    BatchNorm,
    Concat,
    Conv2d,
    Flatten,
    Linear,
    Node,
    Output,
    Pad,
    Scale,
    Slice,
    Sparse,
    SumPool,
)

Array = npt.NDArray[Any]
UNIT = 2.0**-24  # half a unit in the last place of float32


@dataclass(frozen=True, eq=False)
class Bounded:
    """Values in float64 and how far a float32 computation may be from them, elementwise."""

    value: Array
    error: Array

    def plus(self, other: Bounded) -> Bounded:
        """The sum, rounded once more."""
        value = self.value + other.value
        return Bounded(value, self.error + other.error + UNIT * (np.abs(value) + self.error + other.error))


def gamma(roundings: int) -> float:
    """K u / (1 - K u)."""
    return roundings * UNIT / (1 - roundings * UNIT)


def currents(graph: Graph, x: Array) -> Bounded:
    """The Output of a graph of stage ann without activations, on exact inputs ``(T, B, *shape)``."""
    flat = torch.from_numpy(np.ascontiguousarray(x.reshape(-1, *x.shape[2:]), np.float64))
    values: dict[str, tuple[torch.Tensor, torch.Tensor, int]] = {graph.inputs[0]: (flat, flat.abs(), 0)}
    for name in graph.order:
        if name not in values:
            values[name] = _node(graph, name, values)
    value, magnitude, roundings = values[graph.outputs[0]]
    shape = (*x.shape[:2], *value.shape[1:])
    # the graph's folded weights and the torch layers each make one such error
    error = gamma(roundings) * magnitude.numpy() if roundings else np.zeros(value.shape)
    return Bounded(value.numpy().reshape(shape), error.reshape(shape))


def _node(
    graph: Graph, name: str, values: Mapping[str, tuple[torch.Tensor, torch.Tensor, int]]
) -> tuple[torch.Tensor, torch.Tensor, int]:
    node = graph.nodes[name]
    arriving = []
    for port in node.ports:
        parts = [values[e.src] for e in graph.inputs_of(name, port)]
        arriving.append(
            (sum(p[0] for p in parts), sum(p[1] for p in parts), max(p[2] for p in parts) + len(parts) - 1)
        )
    value = _APPLY[type(node)](node, [a[0] for a in arriving], graph.shapes[name])
    magnitude = _APPLY[type(node)](_absolute(node), [a[1] for a in arriving], graph.shapes[name])
    return value, magnitude, max(a[2] for a in arriving) + _roundings(node)


def _roundings(node: Node) -> int:
    """The most roundings that one summand passes in a node: product, sums, bias, a folded weight."""
    if isinstance(node, Linear):
        return node.weight.shape[1] + 3
    if isinstance(node, Conv2d):
        return prod(node.weight.shape[1:]) + 3
    if isinstance(node, Sparse):
        return int(np.bincount(node.targets).max(initial=0)) + 3
    if isinstance(node, SumPool):
        return prod(node.kernel)
    return {Scale: 2, BatchNorm: 8}.get(type(node), 0)


def _absolute(node: Node) -> Node:
    """The node with the magnitude of everything in it: it maps magnitudes to magnitudes."""
    if isinstance(node, Linear | Conv2d | Sparse):
        return replace(
            node,
            weight=np.abs(weight_values(node.weight)),
            bias=None if node.bias is None else np.abs(node.bias),
        )
    if isinstance(node, Scale):
        return replace(node, factor=np.abs(weight_values(node.factor)))
    if isinstance(node, BatchNorm):
        # |a| (x + |mean|) + |beta|: a negative mean with positive factors
        return replace(node, mean=-np.abs(node.mean), gamma=np.abs(node.gamma), beta=np.abs(node.beta))
    return node


def _tensor(x: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(x, np.float64))


def _bias(node: Any) -> torch.Tensor | None:
    return None if node.bias is None else _tensor(node.bias)


def _linear(node: Linear, x: list[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    return F.linear(x[0].flatten(1), _tensor(weight_values(node.weight)), _bias(node))


def _conv2d(node: Conv2d, x: list[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    (top, bottom), (left, right) = node.padding
    padded = F.pad(x[0], (left, right, top, bottom))
    return F.conv2d(
        padded, _tensor(weight_values(node.weight)), _bias(node), node.stride, 0, node.dilation, node.groups
    )


def _sparse(node: Sparse, x: list[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    source = np.repeat(np.arange(prod(node.in_shape)), np.diff(node.indptr))
    weight = _tensor(np.broadcast_to(weight_values(node.weight), node.targets.shape))
    total = torch.zeros((len(x[0]), prod(shape)), dtype=torch.float64)
    total.index_add_(1, torch.from_numpy(node.targets.astype(np.int64)), x[0].flatten(1)[:, source] * weight)
    bias = _bias(node)
    return (total if bias is None else total + bias).reshape(-1, *shape)


def _slice(node: Slice, x: list[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    cuts = tuple(slice(a, b, s) for a, b, s in zip(node.start, node.stop, node.step, strict=True))
    return x[0][(slice(None), *cuts)]


def _pad(node: Pad, x: list[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    return F.pad(
        x[0], [n for pair in zip(reversed(node.before), reversed(node.after), strict=True) for n in pair]
    )


def _batch_norm(node: BatchNorm, x: list[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    a, b = (_tensor(v).reshape(-1, *(1,) * (len(shape) - 1)) for v in coefficients(node))
    return x[0] * a + b


_APPLY: Mapping[type, Callable[[Any, list[torch.Tensor], tuple[int, ...]], torch.Tensor]] = {
    Linear: _linear,
    Conv2d: _conv2d,
    Sparse: _sparse,
    Slice: _slice,
    Pad: _pad,
    BatchNorm: _batch_norm,
    SumPool: lambda node, x, shape: F.avg_pool2d(x[0], node.kernel, node.stride, divisor_override=1),
    Flatten: lambda node, x, shape: x[0].flatten(1),
    Concat: lambda node, x, shape: torch.cat(x, 1 + node.axis),
    Scale: lambda node, x, shape: x[0] * _tensor(weight_values(node.factor)),
    Output: lambda node, x, shape: x[0],
}
