"""Currents of stateless layers in float64, with a bound of the error that float32 sums in any order make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch

from spikeflow.convert.passes.forward import value_of
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import BatchNorm, Node, Scale, SumPool, Synaptic
from spikeflow.ir.synapses import fan_in
from spikeflow.typing import Array

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
    shape = graph.shapes[name]
    value = value_of(name, node, [a[0] for a in arriving], shape)
    magnitude = value_of(name, _absolute(node), [a[1] for a in arriving], shape)
    return value, magnitude, max(a[2] for a in arriving) + _roundings(node)


def _roundings(node: Node) -> int:
    """The most roundings that one summand passes in a node: product, sums, bias, a folded weight."""
    if isinstance(node, Synaptic):
        return fan_in(node) + 3
    if isinstance(node, SumPool):
        return prod(node.kernel)
    return {Scale: 2, BatchNorm: 8}.get(type(node), 0)


def _absolute(node: Node) -> Node:
    """The node with the magnitude of everything in it: it maps magnitudes to magnitudes."""
    if isinstance(node, Synaptic):
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
