"""A graph of stage ann run in torch on a batch: one small function for each kind of node.

Values agree with `sim.reference` to float32 tolerance, not bit for bit: torch adds in its own order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from spikeflow.errors import StageError
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import (
    Activation,
    BatchNorm,
    Concat,
    Conv2d,
    Flatten,
    Linear,
    Output,
    Pad,
    Scale,
    Shape,
    Slice,
    Sparse,
    SumPool,
)

Array = npt.NDArray[Any]
Visit = Callable[[str, torch.Tensor], None]


def forward(graph: Graph, x: Array, visit: Visit | None = None) -> Array:
    """The value at the first Output for samples ``(B, *shape)``; see `outputs_of`."""
    return outputs_of(graph, x, visit)[graph.outputs[0]]


def outputs_of(graph: Graph, x: Array, visit: Visit | None = None) -> dict[str, Array]:
    """The value at every Output for samples ``(B, *shape)``; `visit` sees every node's value once.

    Values are freed after their last reader, so the memory is that of the widest cut through the graph.

    Raises
    ------
    StageError
        For a node that has no place at stage ann.
    """
    readers = {name: len(graph.outputs_of(name)) for name in graph.nodes}
    values: dict[str, torch.Tensor] = {graph.inputs[0]: torch.from_numpy(np.array(x, np.float32))}
    with torch.no_grad():
        for name in graph.order:
            if name not in values:
                values[name] = _node(graph, name, values)
            if visit is not None:
                visit(name, values[name])
            for edge in graph.inputs_of(name):
                readers[edge.src] -= 1
                if readers[edge.src] == 0:
                    del values[edge.src]
    return {name: values[name].numpy() for name in graph.outputs}


def _node(graph: Graph, name: str, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
    node = graph.nodes[name]
    if type(node) not in _KINDS:
        raise StageError(name, "ann", f"{type(node).__name__} is not run here")
    arriving = []
    for port in node.ports:
        edges = graph.inputs_of(name, port)
        total = values[edges[0].src]
        for edge in edges[1:]:
            total = total + values[edge.src]
        arriving.append(total)
    return _KINDS[type(node)](node, arriving, graph.shapes[name])


def _tensor(x: Any, shape: Shape | None = None) -> torch.Tensor:
    array = np.array(x, np.float32)  # a copy: torch takes no read-only memory
    return torch.from_numpy(array if shape is None else array.reshape(shape))


def _bias(node: Linear | Conv2d | Sparse) -> torch.Tensor | None:
    return None if node.bias is None else _tensor(node.bias)


def _linear(node: Linear, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    return F.linear(x[0].flatten(1), _tensor(weight_values(node.weight)), _bias(node))


def _conv2d(node: Conv2d, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    (top, bottom), (left, right) = node.padding
    padded = F.pad(x[0], (left, right, top, bottom)) if top or bottom or left or right else x[0]
    weight = _tensor(weight_values(node.weight))
    return F.conv2d(padded, weight, _bias(node), node.stride, 0, node.dilation, node.groups)


def _sparse(node: Sparse, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    source = np.repeat(np.arange(prod(node.in_shape)), np.diff(node.indptr))
    weight = np.broadcast_to(weight_values(node.weight), node.targets.shape)
    at = torch.from_numpy(np.stack([node.targets.astype(np.int64), source]))
    matrix = torch.sparse_coo_tensor(
        at, _tensor(weight), (prod(shape), prod(node.in_shape)), check_invariants=True
    )
    total = torch.sparse.mm(matrix, x[0].flatten(1).T).T
    bias = _bias(node)
    return (total if bias is None else total + bias).reshape(-1, *shape)


def _sum_pool(node: SumPool, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    return F.avg_pool2d(x[0], node.kernel, node.stride, divisor_override=1)


def _slice(node: Slice, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    cuts = tuple(slice(a, b, s) for a, b, s in zip(node.start, node.stop, node.step, strict=True))
    return x[0][(slice(None), *cuts)]


def _pad(node: Pad, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    widths = [n for pair in zip(reversed(node.before), reversed(node.after), strict=True) for n in pair]
    return F.pad(x[0], widths)


def _batch_norm(node: BatchNorm, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    mean, variance, gamma, beta = (_tensor(a) for a in (node.mean, node.variance, node.gamma, node.beta))
    return F.batch_norm(x[0], mean, variance, gamma, beta, eps=node.epsilon)


_KINDS: Mapping[type, Callable[[Any, list[torch.Tensor], Shape], torch.Tensor]] = {
    Linear: _linear,
    Conv2d: _conv2d,
    Sparse: _sparse,
    SumPool: _sum_pool,
    Slice: _slice,
    Pad: _pad,
    BatchNorm: _batch_norm,
    Flatten: lambda node, x, shape: x[0].flatten(1),
    Concat: lambda node, x, shape: torch.cat(x, 1 + node.axis),
    Scale: lambda node, x, shape: x[0] * _tensor(weight_values(node.factor)),
    Activation: lambda node, x, shape: torch.relu(x[0]),
    Output: lambda node, x, shape: x[0],
}
READERS = tuple(_KINDS)
