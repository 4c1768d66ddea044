"""A graph of stage ann run in torch on a batch: one small function for each kind of node.

Values agree with `sim.reference` to float32 tolerance, not bit for bit: torch adds in its own order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from spikeflow.errors import StageError
from spikeflow.ir.activations import FUNCTIONS
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import (
    Activation,
    BatchNorm,
    Conv2d,
    Joint,
    Linear,
    Move,
    Node,
    Output,
    Scale,
    Shape,
    Sparse,
    SumPool,
    Synaptic,
)
from spikeflow.neurons.joints import STRETCHES, joined
from spikeflow.neurons.node_layer import convolved, moved, summed
from spikeflow.typing import Array

Visit = Callable[[str, torch.Tensor], None]
Change = Callable[[str, torch.Tensor], torch.Tensor]


def forward(graph: Graph, x: Array, visit: Visit | None = None) -> Array:
    """The value at the first Output for samples ``(B, *shape)``; see `outputs_of`."""
    return outputs_of(graph, x, visit)[graph.outputs[0]]


def outputs_of(
    graph: Graph, x: Array, visit: Visit | None = None, change: Change | None = None
) -> dict[str, Array]:
    """The value at every Output for samples ``(B, *shape)``; `visit` sees every node's value once, and what
    `change` makes of it is what other nodes read.

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
            if change is not None:
                values[name] = change(name, values[name])
            for edge in graph.inputs_of(name):
                readers[edge.src] -= 1
                if readers[edge.src] == 0:
                    del values[edge.src]
    return {name: values[name].numpy() for name in graph.outputs}


def _node(graph: Graph, name: str, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
    arriving = []
    for port in graph.nodes[name].ports:
        edges = graph.inputs_of(name, port)
        if any(map(graph.lag, edges)):
            raise StageError(name, "ann", "a delay, where nothing has a time")
        total = values[edges[0].src]
        for edge in edges[1:]:
            total = total + values[edge.src]
        arriving.append(total)
    return value_of(name, graph.nodes[name], arriving, graph.shapes[name])


def value_of(name: str, node: Node, arriving: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    """What one node hands on, ``(B, *shape)``, from what arrives at its ports; in the type of that.

    Raises
    ------
    StageError
        For a kind that has no place at stage ann.
    """
    if isinstance(node, Move):
        return moved(node, arriving, shape)
    if isinstance(node, Synaptic) and node.reach:
        raise StageError(name, "ann", "delays of synapses, where nothing has a time")
    if isinstance(node, Joint) and node.counts:
        raise StageError(name, "ann", "a count over steps, where nothing has a time")
    if isinstance(node, Joint) and type(node) in STRETCHES:
        return joined(node, [x[None] for x in arriving])[0][0]
    if type(node) not in _KINDS:
        raise StageError(name, "ann", f"{type(node).__name__} is not run here")
    return _KINDS[type(node)](node, arriving, shape)


def _tensor(values: Any, like: torch.Tensor, shape: Shape | None = None) -> torch.Tensor:
    array = np.array(values)  # a copy: torch takes no read-only memory
    return torch.from_numpy(array if shape is None else array.reshape(shape)).to(like.dtype)


def _parameters(node: Synaptic, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    bias = None if node.bias is None else _tensor(node.bias, like)
    return _tensor(weight_values(node.weight), like), bias


def _linear(node: Linear, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    return F.linear(x[0].flatten(1), *_parameters(node, x[0]))


def _conv2d(node: Conv2d, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    return convolved(node, x[0], *_parameters(node, x[0]))


def _sparse(node: Sparse, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    source = node.over_columns(np.arange(node.columns))
    at = torch.from_numpy(np.stack([node.targets.astype(np.int64), source]))
    weight = _tensor(node.stored_weights, x[0])
    matrix = torch.sparse_coo_tensor(at, weight, (node.rows, node.columns), check_invariants=True)
    total = torch.sparse.mm(matrix, x[0].flatten(1).T).T
    return (total if node.bias is None else total + _tensor(node.bias, x[0])).reshape(-1, *shape)


def _sum_pool(node: SumPool, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    return summed(node, x[0])


def _batch_norm(node: BatchNorm, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    mean, variance, gamma, beta = (
        _tensor(a, x[0]) for a in (node.mean, node.variance, node.gamma, node.beta)
    )
    return F.batch_norm(x[0], mean, variance, gamma, beta, eps=node.epsilon)


class _Tensors:
    """Numbers that torch holds; see `ir.activations`."""

    def __init__(self) -> None:
        self.abs: Any = torch.abs
        self.exp: Any = torch.exp
        self.tanh: Any = torch.tanh
        self.sigmoid: Any = torch.sigmoid

    def minimum(self, a: Any, b: Any) -> Any:
        return torch.minimum(a, b) if isinstance(b, torch.Tensor) else a.clamp(max=b)

    def maximum(self, a: Any, b: Any) -> Any:
        return torch.maximum(a, b) if isinstance(b, torch.Tensor) else a.clamp(min=b)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return torch.where(condition != 0, a, b)

    def step(self, x: Any) -> Any:
        return (x >= 0).to(x.dtype)


def _activation(node: Activation, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    f = FUNCTIONS[node.kind]
    p = {n: _tensor(node.parameters.get(n, np.float32(v)), x[0]) for n, v in f.parameters.items()}
    made: torch.Tensor = f.form(x[0], 1.0, SimpleNamespace(**p), _Tensors())
    return node.in_levels(made, p["high"], torch.floor) if node.levels else made


_KINDS: Mapping[type, Callable[[Any, list[torch.Tensor], Shape], torch.Tensor]] = {
    Linear: _linear,
    Conv2d: _conv2d,
    Sparse: _sparse,
    SumPool: _sum_pool,
    BatchNorm: _batch_norm,
    Scale: lambda node, x, shape: x[0] * _tensor(weight_values(node.factor), x[0]),
    Activation: _activation,
    Output: lambda node, x, shape: x[0],
}
