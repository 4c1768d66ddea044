"""Layers without a state, traced under the paths that they have in the user's network.

What has no counterpart in a graph is refused by path and class.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from spikeflow.convert.capture.traced import capture
from spikeflow.convert.load.source import like
from spikeflow.convert.trace.aten import from_module
from spikeflow.errors import ShapeError, UnsupportedLayer
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Input, Output, Shape
from spikeflow.neurons.delayed import DelayedLinear
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.node_layer import Late, NodeLayer
from spikeflow.neurons.read_model import Cells, Waking
from spikeflow.neurons.spike_linear import SpikeLinear
from spikeflow.neurons.stateless import FoldedOfVectors

INPUT, OUTPUT = "input", "output"
STATELESS = (
    nn.Linear,
    SpikeLinear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.MaxPool3d,
    nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveMaxPool3d,
    nn.Flatten,
    nn.Unflatten,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
    nn.Identity,
    FoldedOfVectors,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.Upsample,
    nn.UpsamplingBilinear2d,
)
HINT = (
    "Linear, Conv2d, AvgPool2d, MaxPool2d, Flatten, Dropout, BatchNorm2d, Neuron or Recurrent in a spikeflow "
    "Sequential or Net"
)


def refusals(name: str, layer: nn.Module) -> Iterator[tuple[str, str, str]]:
    """Path, class and advice for a layer that has no counterpart in a graph."""
    if type(layer) in (Cells, DelayedLinear, Late, NodeLayer, Waking):
        return
    if isinstance(layer, Neuron):
        if _kind(layer) is not Neuron:
            hint = "a plain Neuron around a NeuronModel of one's own, whose step is read"
            yield name, type(layer).__name__, hint
    elif type(layer) is nn.Sequential:
        yield name, "Sequential", "its layers one by one, or a spikeflow Sequential of them"
    elif _kind(layer) not in STATELESS:
        yield name, type(layer).__name__, HINT


def _kind(layer: nn.Module) -> type[nn.Module]:
    """The class of a layer; parametrised (weight_norm, for example) it counts as the class it was."""
    return type(layer).__mro__[1] if parametrize.is_parametrized(layer) else type(layer)


def _try(layers: OrderedDict[str, nn.Module], x: torch.Tensor) -> None:
    """Raise ShapeError for the layer that cannot take what reaches it."""
    for path, layer in layers.items():
        try:
            with torch.no_grad():
                after = layer(x)
        except Exception as error:  # torch raises errors of many kinds
            words = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            kind = type(layer).__name__
            raise ShapeError(
                path, f"moments of shape {tuple(x.shape[1:])}", f"what {kind} takes ({words})"
            ) from error
        x = after


class _Chain(nn.Module):
    """Layers one after the other under the paths of the user's network, which errors and nodes then bear."""

    def __init__(self, layers: OrderedDict[str, nn.Module]) -> None:
        super().__init__()
        # kept aside, since a path may be a word that modules use themselves
        self.__dict__["in_order"] = tuple(layers.values())
        for path, layer in layers.items():
            inside: nn.Module = self
            *containers, last = path.split(".")
            for part in containers:
                inside = inside._modules.setdefault(part, nn.Module()) or inside
            inside._modules[last] = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.__dict__["in_order"]:
            x = layer(x)
        return x


def traced_layers(layers: OrderedDict[str, nn.Module], shape: Shape) -> Graph:
    """Stateless layers in their order as a graph of stage ann; its nodes are named by the layers' paths."""
    if not layers:
        return Graph({INPUT: Input(shape, "current"), OUTPUT: Output()}, (Edge(INPUT, OUTPUT),))
    chain = _Chain(layers)
    example = like(chain, np.zeros((2, *shape), np.float32))
    _try(layers, example)
    graph = capture(from_module(chain, example)).graph
    for name in graph.of_kind(Activation):
        raise UnsupportedLayer(name, "a rectifier between spiking layers", HINT)
    return graph
