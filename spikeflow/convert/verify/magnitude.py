"""Currents of stateless layers in float64, with a bound of the error that float32 sums in any order make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TypeGuard

import numpy as np
import torch

from spikeflow.convert.passes.forward import value_of
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import BatchNorm, Delay, MaxPool, Node, Scale, Shape, SumPool, Synaptic
from spikeflow.ir.synapses import fan_in
from spikeflow.neurons.joints import joined
from spikeflow.typing import Array

UNIT = 2.0**-24  # half the distance of 1 to the next float32: what one rounding may change, relative


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


_Value = tuple[torch.Tensor, torch.Tensor, int]  # value, sum of magnitudes, roundings that a summand passes


class Currents:
    """What arrives at the ports of neurons, from recorded values of all that emits.

    Parameters
    ----------
    graph : the layers as the user wrote them, not folded, and the neurons between them.
    seen : for each input and population its values ``(T, B, *shape)``, taken for exact.
    """

    def __init__(self, graph: Graph, seen: Mapping[str, Array]) -> None:
        self.graph, self.seen = graph, seen
        self._values: dict[str, _Value] = {}
        for name, value in seen.items():
            exact = torch.from_numpy(np.ascontiguousarray(value, np.float64))
            self._values[name] = exact, exact.abs(), 0

    def at(self, name: str, port: str) -> Bounded:
        """The current ``(T, B, *shape)`` at a port, and how far a computation in float32 may be from it."""
        value, magnitude, roundings = self._arriving(name, port)
        # the graph's folded weights and the torch layers each make one such error
        error = gamma(roundings) * magnitude.numpy() if roundings else np.zeros(value.shape)
        return Bounded(value.numpy(), error)

    def _arriving(self, name: str, port: str) -> _Value:
        parts = [self._delayed(edge) for edge in self.graph.inputs_of(name, port)]
        value, magnitude = parts[0][:2]
        for more, weight, _ in parts[1:]:
            value, magnitude = value + more, magnitude + weight
        return value, magnitude, max(part[2] for part in parts) + len(parts) - 1

    def _delayed(self, edge: Edge) -> _Value:
        value, magnitude, roundings = self._of(edge.src)
        return _later(value, edge.delay), _later(magnitude, edge.delay), roundings

    def _of(self, name: str) -> _Value:
        if name not in self._values:
            node, shape = self.graph.nodes[name], self.graph.shapes[name]
            arriving = [self._arriving(name, port) for port in node.ports]
            value = _applied(name, node, [a[0] for a in arriving], shape)
            if _running(node):  # of whole numbers: exact
                magnitude = value.abs()
            else:
                magnitude = _applied(name, _absolute(node), [a[1] for a in arriving], shape)
            self._values[name] = value, magnitude, max(a[2] for a in arriving) + _roundings(node)
        return self._values[name]


def _later(x: torch.Tensor, delay: int) -> torch.Tensor:
    """``(T, B, *shape)`` so many steps later, 0 before."""
    return torch.cat([torch.zeros_like(x[:delay]), x])[: len(x)] if delay else x


def _applied(name: str, node: Node, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    """A node on ``(T, B, *shape)``."""
    if isinstance(node, Delay):
        return _later(x[0], node.steps)
    if isinstance(node, Synaptic) and node.reach:
        return _listed(node, x[0], shape)
    if _running(node):
        return joined(node, x)[0]
    flat = [part.flatten(0, 1) for part in x]
    return value_of(name, node, flat, shape).unflatten(0, x[0].shape[:2])


def _running(node: Node) -> TypeGuard[MaxPool]:
    """Whether it hands on how much the largest sum grew, step by step."""
    return isinstance(node, MaxPool) and node.counts


def _listed(node: Synaptic, x: torch.Tensor, shape: Shape) -> torch.Tensor:
    """A node synapse by synapse, each with its own delay."""
    found = node.synapses(tuple(x.shape[2:]), shape)
    assert found.delay is not None
    total = torch.zeros((*x.shape[:2], prod(shape)), dtype=torch.float64)
    for slot in np.unique(found.delay).tolist():
        on = found.delay == slot
        source, target = (torch.from_numpy(a[on].astype(np.int64)) for a in (found.source, found.target))
        weight = torch.from_numpy(found.weight[on].astype(np.float64))
        total.index_add_(2, target, _later(x, slot).flatten(2)[..., source] * weight)
    bias = 0.0 if node.bias is None else torch.from_numpy(node.bias.astype(np.float64))
    return (total + bias).unflatten(2, shape)


def _roundings(node: Node) -> int:
    """The most roundings that one summand passes in a node: product, sums, bias, a folded weight."""
    if isinstance(node, Synaptic):
        return fan_in(node) + 3
    if isinstance(node, SumPool):
        return prod(node.kernel)
    if isinstance(node, Scale):
        return 2
    return 8 if isinstance(node, BatchNorm) else 0


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
