"""A spiking network run layer by layer, each over all steps at once, so that a layer may be changed by what
it is seen to do, before the next one reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from spikeflow.errors import ConversionError
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Output, Population, Shape
from spikeflow.ir.record import Network
from spikeflow.neurons.node_layer import NodeLayer
from spikeflow.neurons.read_model import Cells, Waking
from spikeflow.sim.batch import encode_batch
from spikeflow.sim.inputs import Constant, Dense
from spikeflow.typing import Array

PIECE = 2  # samples that a node runs at a time, over all steps


@dataclass(frozen=True, eq=False)
class Stretch:
    """One layer of neurons and all that arrives at it, by port ``(T, B, *shape)``."""

    name: str
    shape: Shape
    cells: nn.Module
    arriving: dict[str, torch.Tensor]
    changes: bool = False

    def run(self, shift: torch.Tensor | float) -> torch.Tensor:
        """What the neurons hand on, ``(T, B, *shape)``, with `shift` added to their current in every step; to
        the mean of those that take changes, in the first.
        """
        port = next(iter(self.arriving))

        def piece(arriving: dict[str, torch.Tensor]) -> torch.Tensor:
            x = arriving[port]
            shifted = torch.cat([x[:1] + shift, x[1:]]) if self.changes else x + shift
            return self.cells({**arriving, port: shifted})[0]

        return _in_pieces(piece, self.arriving)


def encoded_stretch(network: Network, x: Array) -> torch.Tensor:
    """What the one input of a network gets in every step, ``(T, B, *shape)``."""
    steps = network.record.steps
    found = encode_batch(network, x, steps, 0, 0)
    if isinstance(found, Constant):
        still = torch.from_numpy(np.array(found.values, np.float32))
        return still.expand(steps, *still.shape)
    if isinstance(found, Dense):
        return torch.from_numpy(np.array(found.values, np.float32))
    return torch.from_numpy(found.dense().astype(np.float32))  # type: ignore[union-attr]


@torch.no_grad()
def by_layers(graph: Graph, x: torch.Tensor, settle: Callable[[Stretch], torch.Tensor]) -> None:
    """Run a graph of stage snn without cycles; `settle` gives what each layer of neurons hands on.

    Values are freed after their last reader.

    Raises
    ------
    ConversionError
        For an edge that hands on what it got a step later.
    """
    readers = {name: len(graph.outputs_of(name)) for name in graph.nodes}
    values: dict[str, torch.Tensor] = {}
    for name in graph.order:
        node = graph.nodes[name]
        if isinstance(node, Output):
            continue
        if isinstance(node, Input):
            values[name] = x
            continue
        arriving = {port: _sum(graph, name, port, values) for port in node.ports}
        if isinstance(node, Population):
            cells = Waking(Cells(node), node.start) if node.start else Cells(node)
            changes = node.values is not None and node.values.differential
            values[name] = settle(Stretch(name, node.shape, cells, arriving, changes))
        else:
            layer = NodeLayer(node)
            values[name] = _in_pieces(partial(_handed_on, layer), arriving)
        for edge in graph.inputs_of(name):
            readers[edge.src] -= 1
            if readers[edge.src] == 0:
                del values[edge.src]


def _handed_on(layer: NodeLayer, arriving: dict[str, torch.Tensor]) -> torch.Tensor:
    values, _ = layer(arriving if len(arriving) > 1 else next(iter(arriving.values())))
    return values


def _in_pieces(
    run: Callable[[dict[str, torch.Tensor]], torch.Tensor], arriving: dict[str, torch.Tensor]
) -> torch.Tensor:
    """What `run` makes of few samples after the other: what it needs besides is then that of few."""
    samples = next(iter(arriving.values())).shape[1]
    starts = range(0, samples, PIECE)
    parts = [run({port: x[:, i : i + PIECE] for port, x in arriving.items()}) for i in starts]
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


def _sum(graph: Graph, name: str, port: str, values: dict[str, torch.Tensor]) -> torch.Tensor:
    edges = graph.inputs_of(name, port)
    if any(map(graph.lag, edges)):
        raise ConversionError(name, "is read a step later, where layers are run one by one", "no delays")
    total = values[edges[0].src]
    for edge in edges[1:]:
        total = total + values[edge.src]
    return total
