"""A spiking graph as a torch module around any peer's neurons, run step by step or layer by layer.

Thresholds are folded into the weights that feed a population, so that every neuron spikes at 1 (float64, rounded
once): not every peer takes a threshold for each channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from peers.cells import Cells
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    Concat,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Output,
    Pad,
    Population,
    Scale,
    Slice,
    SumPool,
)

WEIGHTED = (Linear, Conv2d, Scale)


def before(name: str) -> str:
    """By what name the values of the step before are known."""
    return f"{name} before"


class NotExpressibleError(Exception):
    """The graph holds something that this network, or the peer, has no form for."""


class SpikingNetwork(nn.Module):
    """The graph, ready to run in torch.

    Parameters
    ----------
    cells : the class of the peer's neurons.
    constant : the input is one current ``(B, *shape)`` for all steps; what only depends on it is computed once.
    """

    def __init__(
        self, graph: Graph, cells: type[Cells], steps: int, constant: bool, dtype: Any = torch.float32
    ) -> None:
        super().__init__()
        self.gather = False  # one sample's spikes pick the columns of a matrix
        self.columns: dict[str, tuple[int, torch.Tensor]] = {}
        self.graph, self.steps, self.constant, self.dtype = graph, steps, constant, dtype
        self.order = [n for n in graph.order if not isinstance(graph.nodes[n], Input)]
        self.tags = {name: f"n{i}" for i, name in enumerate(graph.nodes)}
        self.cells: dict[str, Cells] = {}
        for name in graph.of_kind(Population):
            self._add_population(name, cells)
        self.spiking = tuple(n for n in self.order if n in self.cells)
        for name in self.order:
            self._add_weights(name)
        self.static = _static(graph) if constant else set()

    def _add_population(self, name: str, cells: type[Cells]) -> None:
        node = self.graph.nodes[name]
        assert isinstance(node, Population)
        if node.model not in ("LIF", "IF", "Integrator"):
            raise NotExpressibleError(f"{name}: {node.model}")
        if node.model != "Integrator":
            self.cells[name] = cells(float(node.params["decay"]) if "decay" in node.params else 1.0)
        start = np.broadcast_to(node.initial.get("v", np.zeros(())), node.shape) / _threshold(node)
        self._buffer(name, "initial", start)

    def _add_weights(self, name: str) -> None:
        node = self.graph.nodes[name]
        if any(edge.delay > 1 for edge in self.graph.inputs_of(name)):
            raise NotExpressibleError(f"{name}: a delay")
        if not isinstance(node, WEIGHTED):
            if not isinstance(node, Population | Output | Flatten | SumPool | Slice | Pad | Concat):
                raise NotExpressibleError(f"{name}: {type(node).__name__}")
            return
        factor = self._factor(name)
        if isinstance(node, Scale):
            self._buffer(name, "weight", np.asarray(node.factor, np.float64) * factor)
            return
        lead = factor.reshape(len(factor), -1)[:, 0] if factor.ndim else factor
        weight = np.asarray(weight_values(node.weight), np.float64)
        self._buffer(name, "weight", weight * lead.reshape(-1, *(1,) * (weight.ndim - 1)))
        if node.bias is not None:
            self._buffer(name, "bias", node.bias.astype(np.float64) * lead)

    def _factor(self, name: str) -> np.ndarray:
        """What the currents of a node are multiplied by: the reader's gain over its threshold."""
        readers = [edge.dst for edge in self.graph.outputs_of(name)]
        if len(readers) != 1 or readers[0] not in self.cells:
            return np.ones(())
        node = self.graph.nodes[readers[0]]
        assert isinstance(node, Population)
        return self.cells[readers[0]].gain / _threshold(node)

    def _buffer(self, name: str, what: str, value: np.ndarray) -> None:
        # float64 up to here: rounded once
        self.register_buffer(f"{self.tags[name]}_{what}", torch.from_numpy(np.array(value)).to(self.dtype))

    def get(self, name: str, what: str) -> Any:
        """A node's weight, bias or initial state, or None."""
        return getattr(self, f"{self.tags[name]}_{what}", None)

    def port(self, name: str, values: Mapping[str, torch.Tensor], port: str = "in") -> torch.Tensor:
        """The sum of the edges into a port; of a population, in units of its threshold."""
        edges = self.graph.inputs_of(name, port)
        total = self._unit(edges[0], name, values)
        for edge in edges[1:]:
            total = total + self._unit(edge, name, values)
        return total

    def _unit(self, edge: Edge, name: str, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        source = edge.src
        value = values[before(source) if edge.delay else source]
        scaled = isinstance(self.graph.nodes[source], WEIGHTED) and len(self.graph.outputs_of(source)) == 1
        if name not in self.cells or scaled:
            return value
        raise NotExpressibleError(f"{name}: reads {source} without a weight of its own")

    def stateless(self, name: str, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The value of a node without state, for values ``(N, *shape)``."""
        node = self.graph.nodes[name]
        if isinstance(node, Concat):
            return torch.cat([self.port(name, values, p) for p in node.ports], 1 + node.axis)
        x = self.port(name, values)
        if isinstance(node, Linear) and self.gather:
            return self._columns(name).index_select(0, x.flatten().nonzero().flatten()).sum(0, keepdim=True)
        if isinstance(node, Linear):
            return F.linear(x.flatten(1), self.get(name, "weight"), self.get(name, "bias"))
        if isinstance(node, Conv2d):
            return self._conv2d(name, node, x)
        return x * self.get(name, "weight") if isinstance(node, Scale) else _moved(node, x)

    def _columns(self, name: str) -> torch.Tensor:
        """The weights by source, made anew where others were loaded."""
        weight = self.get(name, "weight")
        if self.columns.get(name, (-1, weight))[0] != weight._version:
            self.columns[name] = weight._version, weight.T.contiguous()
        return self.columns[name][1]

    def _conv2d(self, name: str, node: Conv2d, x: torch.Tensor) -> torch.Tensor:
        (top, bottom), (left, right) = node.padding
        weight, bias = self.get(name, "weight"), self.get(name, "bias")
        if top == bottom and left == right:
            return F.conv2d(x, weight, bias, node.stride, (top, left), node.dilation, node.groups)
        return F.conv2d(
            F.pad(x, (left, right, top, bottom)), weight, bias, node.stride, 0, node.dilation, node.groups
        )


def _moved(node: Any, x: torch.Tensor) -> torch.Tensor:
    if isinstance(node, Flatten):
        return x.flatten(1)
    if isinstance(node, SumPool):
        return F.avg_pool2d(x, node.kernel, node.stride, divisor_override=1)
    if isinstance(node, Slice):
        return x[
            (slice(None), *(slice(a, b, s) for a, b, s in zip(node.start, node.stop, node.step, strict=True)))
        ]
    if isinstance(node, Pad):
        pairs = zip(reversed(node.before), reversed(node.after), strict=True)
        return F.pad(x, [n for pair in pairs for n in pair])
    assert isinstance(node, Output)
    return x


def _threshold(node: Population) -> np.ndarray:
    return np.asarray(node.params.get("threshold", np.ones(())), np.float64)


def _static(graph: Graph) -> set[str]:
    """The nodes that depend on the input alone."""
    found = set(graph.inputs)
    for name in graph.order:
        node = graph.nodes[name]
        if not isinstance(node, Population | Input) and all(e.src in found for e in graph.inputs_of(name)):
            found.add(name)
    return found
