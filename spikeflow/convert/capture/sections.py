"""Sections: a network of trained layers cut behind each layer of neurons.

Between two layers of neurons the stateless torch layers are traced like any network, under the paths that
they have in the user's network. What has no counterpart is refused by path and class, all of it at once.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DataParallel
from torch.nn.utils import parametrize

from spikeflow.convert.capture.traced import capture
from spikeflow.convert.load.source import like
from spikeflow.convert.trace.aten import from_module
from spikeflow.errors import ShapeError, UnsupportedLayer
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Input, Output, Shape
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.members import bare
from spikeflow.neurons.recurrent import Recurrent
from spikeflow.neurons.sequential import Sequential, leaves

INPUT, OUTPUT = "input", "output"
STATELESS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    nn.Unflatten,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
    nn.Identity,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
)
HINT = (
    "Linear, Conv2d, AvgPool2d, Flatten, Dropout, BatchNorm2d, Neuron or Recurrent in a spikeflow Sequential"
)


@dataclass(frozen=True, eq=False)
class Section:
    """One layer of neurons and the stateless layers before it, as graphs of one Input and one Output.

    Parameters
    ----------
    name : of the population, the path of its layer.
    before : the stateless layers, as the user wrote them (batch norm not folded).
    neuron : the layer of neurons; None behind the last one.
    feedback : what its spikes pass on their way back, to `port`; None where the layer is not recurrent.
    """

    name: str
    before: Graph
    neuron: Neuron | None
    feedback: Graph | None = None
    port: str = ""


def plain(net: object) -> Sequential:
    """The Sequential within known wrappers, in float32 on the CPU.

    Raises
    ------
    UnsupportedLayer
        For any other module, and for a Sequential with a forward() of its own.
    """
    while isinstance(net, nn.Module) and (bare(net) is not net or isinstance(net, DataParallel)):
        net = bare(net).module if isinstance(bare(net), DataParallel) else bare(net)
    if not isinstance(net, Sequential):
        kind = type(net).__name__
        raise UnsupportedLayer(
            "the network", kind, f"its layers one by one in a spikeflow Sequential: {HINT}"
        )
    if type(net).forward is not Sequential.forward or "forward" in vars(net):
        raise UnsupportedLayer("the network", f"{type(net).__name__} with its own forward()", "a Sequential")
    tensors = [*net.parameters(), *(b for b in net.buffers() if b.is_floating_point())]
    if all(t.dtype is torch.float32 and t.device.type == "cpu" for t in tensors):
        return net
    return copy.deepcopy(net).to("cpu", torch.float32)


def sections(net: Sequential, input_shape: Shape) -> Iterator[Section]:
    """The layers of a network, cut behind each layer of neurons.

    Raises
    ------
    UnsupportedLayer
        For the first layer that cannot be taken; its text names all of them.
    """
    _check_layers(net)
    shape, pending = input_shape, OrderedDict[str, nn.Module]()
    for name, layer in leaves(net):
        if isinstance(layer, Neuron | Recurrent):
            before = traced_layers(pending, shape)
            shape, pending = before.shapes[OUTPUT], OrderedDict()
            yield _section(name, before, layer)
        else:
            pending[name] = layer
    if pending:
        yield Section("", traced_layers(pending, shape), None)


def _check_layers(net: Sequential) -> None:
    """Every refusal at once: the first as the error's facts, the others in its text."""
    found = [refusal for name, layer in leaves(net) for refusal in _refusals(name, layer)]
    if found:
        (name, kind, hint), others = found[0], "".join(f"; and {n}: {k}" for n, k, _ in found[1:])
        raise UnsupportedLayer(name, kind, hint + others)


def _refusals(name: str, layer: nn.Module) -> Iterator[tuple[str, str, str]]:
    """Path, class and advice for everything in a layer that has no counterpart in a graph."""
    if isinstance(layer, Recurrent):
        if _kind(layer) is not Recurrent:
            yield (
                name,
                type(layer).__name__,
                "a plain Recurrent: the step of a class of one's own cannot be seen",
            )
        if _kind(layer.feedback) not in STATELESS:
            yield f"{name}.feedback", type(layer.feedback).__name__, "torch.nn.Linear or Conv2d"
        yield from _refusals(f"{name}.neuron", layer.neuron)
    elif isinstance(layer, Neuron):
        if _kind(layer) is not Neuron:
            yield (
                name,
                type(layer).__name__,
                "a plain Neuron around a NeuronModel of one's own, whose step is read",
            )
    elif type(layer) is nn.Sequential:
        yield name, "Sequential", "its layers one by one, or a spikeflow Sequential of them"
    elif _kind(layer) not in STATELESS:
        yield name, type(layer).__name__, HINT


def _kind(layer: nn.Module) -> type[nn.Module]:
    """The class of a layer; parametrised (weight_norm, for example) it counts as the class it was."""
    return type(layer).__mro__[1] if parametrize.is_parametrized(layer) else type(layer)


def _section(name: str, before: Graph, layer: Neuron | Recurrent) -> Section:
    if isinstance(layer, Neuron):
        return Section(name, before, layer)
    feedback = traced_layers(OrderedDict({f"{name}.feedback": layer.feedback}), before.shapes[OUTPUT])
    return Section(name, before, layer.neuron, feedback, layer.port)


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
        self.paths = tuple(layers)
        for path, layer in layers.items():
            inside: nn.Module = self
            *containers, last = path.split(".")
            for part in containers:
                if part not in inside._modules:
                    inside.add_module(part, nn.Module())
                inside = inside.get_submodule(part)
            inside.add_module(last, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for path in self.paths:
            x = self.get_submodule(path)(x)
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
