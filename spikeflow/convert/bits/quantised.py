"""The quantised ANN: weights and activations of few bits; its ranges are the spiking network's thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from spikeflow.convert.passes.forward import outputs_of
from spikeflow.errors import ConversionError
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation, Node, Population, Synaptic
from spikeflow.ir.synapses import row_of_weights
from spikeflow.typing import Array

_BATCH = 100


def with_rounded_weights(graph: Graph, bits: int) -> Graph:
    """The graph with weights of so many bits: for each row of a linear node w = s round(w / s), with
    s = max |w| / (2^(bits - 1) - 1). Biases stay.
    """
    levels = 2 ** (bits - 1) - 1
    changed: dict[str, Node] = {}
    for name in graph.of_kind(Synaptic):
        node = graph.nodes[name]
        assert isinstance(node, Synaptic)
        weight = weight_values(node.weight).astype(np.float64)
        row = row_of_weights(node).reshape(-1)
        largest = np.zeros(node.rows)
        np.maximum.at(largest, row, np.abs(weight).reshape(-1))
        scale = (np.where(largest > 0, largest, 1.0) / levels)[row].reshape(weight.shape)
        changed[name] = replace(node, weight=(np.round(weight / scale) * scale).astype(np.float32))
    return graph.with_nodes(changed)


@dataclass(frozen=True, eq=False)
class QuantisedAnn:
    """A graph of stage ann whose activations have L + 1 levels: as many as a spiking network tells apart that
    hands on up to L in all.

    a -> theta / L clip(floor(a L / theta + 1/2), 0, L)

    Parameters
    ----------
    ranges : theta of each Activation, one per channel.
    levels : L; 2^b - 1 for activations of b bits.
    density : by name of the Activation the share of its values that are not 0, over all samples seen.
    """

    graph: Graph
    ranges: Mapping[str, Array]
    levels: int
    density: dict[str, float] = field(default_factory=dict)

    @property
    def bits(self) -> int:
        """Of an activation."""
        return self.levels.bit_length()

    def outputs(self, x: Array) -> dict[str, Array]:
        """The answers to samples ``(N, *shape)``, by name of the Output.

        Raises
        ------
        ConversionError
            For an activation that is no rectifier, for which these levels say nothing.
        """
        active: dict[str, list[int]] = {name: [0, 0] for name in self.graph.of_kind(Activation)}
        for name in active:
            node = self.graph.nodes[name]
            if not isinstance(node, Activation) or node.kind != "relu":
                raise ConversionError(name, "is no rectifier, whose levels are known", "ReLU in its place")

        def quantise(name: str, value: torch.Tensor) -> None:
            if name in active:
                value.copy_(self._rounded(name, value))  # a value of its own, which nothing has read yet
                active[name][0] += int((value != 0).sum())
                active[name][1] += value.numel()

        parts = [outputs_of(self.graph, x[i : i + _BATCH], quantise) for i in range(0, len(x), _BATCH)]
        self.density.update({name: count / max(values, 1) for name, (count, values) in active.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in self.graph.outputs}

    def _rounded(self, name: str, value: torch.Tensor) -> torch.Tensor:
        theta = torch.from_numpy(np.array(self.ranges[name], np.float32))
        step = (theta / self.levels).reshape(-1, *(1,) * (value.ndim - 2))
        return step * torch.floor(value / step + 0.5).clamp(0, self.levels)


def ranges_of(graph: Graph, most: int) -> dict[str, Array]:
    """The largest value of each channel of a spiking layer that hands on up to `most` in a step."""
    found: dict[str, Array] = {}
    for name in graph.of_kind(Population):
        node = graph.nodes[name]
        if isinstance(node, Population) and "threshold" in node.params:
            theta = np.broadcast_to(node.params["threshold"], node.shape)
            found[name] = theta.reshape(node.shape[0], -1)[:, 0] * most
    return found


def planes(values: Array, bits: int) -> Array:
    """Whole numbers from 0 to 2^bits - 1 as bits, ``(bits, *shape)``, the lowest first.

    A linear node gives the sum of 2^p times what it gives for plane p: an activation of b bits is b passes of
    binary inputs, which is what a spiking network makes of time.
    """
    return (values.astype(np.int64)[None] >> np.arange(bits).reshape(-1, *(1,) * values.ndim)) & 1
