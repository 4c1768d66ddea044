"""light: thresholds, biases and starts for few steps: biases take what few steps get wrong on average.

The spiking network is run on calibration samples; for each channel the mean of what its neurons handed on
is compared with the ANN's, and the difference goes into the bias of the linear layer before it: theta N /
T shall be the mean activation, N of the steps that are read. This is done in rounds, in which every layer
reads layers that are corrected already.

Source: the light pipeline of Li et al., "A free lunch from ANN", ICML 2021, whose layers are taken one
after the other; here a round takes them all, at the cost of one run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np
import torch

from spikeflow.convert.passes.followers import alphabet_of
from spikeflow.convert.passes.forward import outputs_of
from spikeflow.convert.passes.thresholds import Basis, Thresholds
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation, Synaptic
from spikeflow.ir.record import Network
from spikeflow.sim.classify import RunOptions, evaluate
from spikeflow.typing import Array

ROUNDS = 2
_BATCH = 16  # samples whose every spike is recorded at once


def corrected(thresholds: Thresholds, basis: Basis, x: Array) -> Thresholds:
    """The same thresholds, with corrections of the biases before them, found on samples ``(N, *shape)``."""
    graph = basis.folded
    assert basis.spiking is not None
    feeding = {name: maker for name in thresholds.values if (maker := linear_before(graph, name))}
    wanted = _ann_means(graph, x, set(feeding))
    found = thresholds
    for _ in range(ROUNDS):
        got = _spiking_means(basis.spiking(found), basis, found, x)
        bias = dict(found.bias)
        for name, maker in feeding.items():
            bias[maker] = bias.get(maker, 0.0) + wanted[name] - got[name]
        found = replace(found, bias=bias)
    return found


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


def _spiking_means(network: Network, basis: Basis, thresholds: Thresholds, x: Array) -> Mapping[str, Array]:
    """What the neurons of each channel handed on, on average over samples and the steps that are read."""
    shapes, nodes = network.graph.shapes, basis.folded.nodes
    names = tuple(thresholds.values)
    sums = {name: np.zeros(prod(shapes[name])) for name in names}
    steps, begin = network.record.steps, thresholds.read_from
    for first in range(0, len(x), _BATCH):
        run = evaluate(network, x[first : first + _BATCH], RunOptions(record=names))
        for name in names:
            for spikes in run.recorded[name]:
                late = spikes.step >= begin
                sums[name] += np.bincount(spikes.neuron[late], spikes.value[late], len(sums[name]))
    found: dict[str, Array] = {}
    for name, theta in thresholds.values.items():
        node = nodes[name]
        assert isinstance(node, Activation)
        one = theta.astype(np.float64) / alphabet_of(node, basis.alphabet).high
        found[name] = one * _by_channel(sums[name] / (len(x) * (steps - begin)), shapes[name])
    return found
