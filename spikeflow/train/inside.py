"""What lies within a network: layers of neurons and layers with synapses, by the names of `record`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from spikeflow.errors import UnsupportedLayer
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.members import bare, is_opened
from spikeflow.neurons.net import Net
from spikeflow.neurons.recurrent import Recurrent

SYNAPSES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def network(net: nn.Module) -> Net:
    """The network within its wrappers.

    Raises
    ------
    UnsupportedLayer
        For a module that is no network of this package.
    """
    inner = bare(net)
    if not isinstance(inner, Net):
        raise UnsupportedLayer("the network", type(inner).__name__, "a spikeflow Sequential or Net")
    return inner


def members(net: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Every layer that is no network, by the name under which `record` hands on what it gives, in order."""
    inner: Any = bare(net)
    if isinstance(inner, Recurrent):
        yield path, inner.neuron
        yield f"{path}.feedback" if path else "feedback", inner.feedback
    elif isinstance(inner, Net) or is_opened(inner):
        own = inner.modules_by_name() if isinstance(inner, Net) else dict(inner.named_children())
        for name, module in own.items():
            yield from members(module, f"{path}.{name}" if path else name)
    else:
        yield path, inner


def neurons(net: nn.Module) -> dict[str, Neuron]:
    """The layers of neurons by name."""
    return {name: layer for name, layer in members(net) if isinstance(layer, Neuron)}


def spiking(net: nn.Module) -> dict[str, Neuron]:
    """The layers of neurons that spike, without read-outs."""
    return {name: layer for name, layer in neurons(net).items() if layer.model.program().spikes()}


def synapses(net: nn.Module) -> dict[str, nn.Module]:
    """The layers with synapses by the path that torch gives them."""
    return {path: layer for path, layer in net.named_modules() if isinstance(layer, SYNAPSES)}
