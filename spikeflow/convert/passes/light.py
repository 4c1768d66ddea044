"""light: biases take what few steps get wrong on average, layer by layer.

The spiking network is run on calibration samples, one layer after the other over all steps; for each channel
the mean of what its neurons handed on is compared with the ANN's, and the difference goes into the bias of
the linear layer before it: theta N / T shall be the mean activation, N of the steps that are read. The next
layer reads what the corrected one hands on. To correct all layers at once would give a deep layer, too, the
errors that those before it no longer make.

Source: the light pipeline of Li et al., "A free lunch from ANN", ICML 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np
import torch

from spikeflow.convert.passes.followers import alphabet_of
from spikeflow.convert.passes.forward import outputs_of
from spikeflow.convert.passes.layer_by_layer import Stretch, by_layers, encoded_stretch
from spikeflow.convert.passes.thresholds import Basis, Thresholds, with_own
from spikeflow.ir.alphabet import counted, decaying
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation, Synaptic
from spikeflow.typing import Array

ROUNDS = 2  # of a layer: what a shift does to neurons that clip is not known beforehand
FEWEST, VALUES = 8, 2**22  # samples at the least, and values of the widest layer over all steps
_BATCH = 16


def corrected(thresholds: Thresholds, basis: Basis, x: Array) -> Thresholds:
    """The same thresholds, with corrections of the biases before them, found on samples ``(N, *shape)``."""
    graph = basis.folded
    thresholds = with_own(thresholds, graph)
    assert basis.spiking is not None
    feeding = {name: maker for name in thresholds.values if (maker := linear_before(graph, name))}
    widest = max((prod(graph.shapes[name]) for name in graph.nodes), default=1)
    few = x[: max(FEWEST, VALUES // (basis.steps * widest))]
    wanted = _ann_means(graph, few, set(feeding))
    weights = counted(decaying(basis.alphabet, thresholds.decay), basis.steps, thresholds.read_from)
    bias = dict(thresholds.bias)

    def settle(layer: Stretch) -> torch.Tensor:
        if layer.name not in feeding:
            return layer.run(0.0)
        one = _unit(thresholds, basis, layer.name)
        total = np.zeros(len(one))
        for _ in range(ROUNDS):
            handed_on = layer.run(_column(total, layer.shape)).mean(1, dtype=torch.float64)
            got = one * _by_channel(np.tensordot(weights, handed_on.numpy(), 1), layer.shape)
            total = total + wanted[layer.name] - got
        maker = feeding[layer.name]
        bias[maker] = bias.get(maker, 0.0) + total
        return layer.run(_column(total, layer.shape))

    network = basis.spiking(thresholds)
    by_layers(network.graph, encoded_stretch(network, few), settle)
    return replace(thresholds, bias=bias)


def _unit(thresholds: Thresholds, basis: Basis, name: str) -> Array:
    """What a value of 1 stands for, for each channel."""
    node = basis.folded.nodes[name]
    assert isinstance(node, Activation)
    return thresholds.values[name].astype(np.float64) / alphabet_of(node, basis.alphabet).high


def _column(values: Array, shape: tuple[int, ...]) -> torch.Tensor:
    """One number a channel, ready to be added to ``(T, B, *shape)``."""
    return torch.from_numpy(values.astype(np.float32)).reshape(-1, *(1,) * (len(shape) - 1))


def linear_before(graph: Graph, name: str) -> str | None:
    """The linear node that reads into an activation alone, one row a channel; None where there is none."""
    for edge in graph.inputs_of(name):
        node = graph.nodes[edge.src]
        alone = len(graph.outputs_of(edge.src)) == 1
        if isinstance(node, Synaptic) and alone and node.rows == graph.shapes[name][0]:
            return edge.src
    return None


def _by_channel(total: Array, shape: tuple[int, ...]) -> Array:
    return total.reshape(shape[0], -1).mean(axis=1)


def _ann_means(graph: Graph, x: Array, names: set[str]) -> Mapping[str, Array]:
    """The mean activation of each channel."""
    sums: dict[str, Array] = {}

    def see(name: str, value: torch.Tensor) -> None:
        if name in names and isinstance(graph.nodes[name], Activation):
            sums[name] = sums.get(name, 0.0) + value.sum(0, dtype=torch.float64).numpy()

    for first in range(0, len(x), _BATCH):
        outputs_of(graph, x[first : first + _BATCH], see)
    return {name: _by_channel(total / len(x), graph.shapes[name]) for name, total in sums.items()}
