"""What may be a node of a network: a layer of neurons, a network, a layer without state; and their ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from spikeflow.errors import GraphError, UnsupportedLayer
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.stateless import check_stateless, neurons_in


class Timed(nn.Module):
    """A module that takes stretches of time and a state: ``(outputs, state) = module(x, state)``."""

    ports: tuple[str, ...] = ("in",)
    outputs: tuple[str, ...] = ("out",)
    records: bool = False  # whether it takes names of what is to be recorded inside
    silent: bool = False  # whether ports that nothing reaches read 0, as those of neurons do


def bare(module: nn.Module) -> nn.Module:
    """The module within wrappers that call it as it is: torch.compile, an average of weights, DDP."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if isinstance(module, AveragedModel | DistributedDataParallel):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def has_state(layer: nn.Module) -> bool:
    """Whether a layer takes and gives a state."""
    return isinstance(bare(layer), Neuron | Timed)


def is_opened(layer: nn.Module) -> bool:
    """A plain torch.nn.Sequential around layers of neurons, whose layers are run one by one."""
    return type(layer) is nn.Sequential and bool(neurons_in(layer))


def ports_of(layer: nn.Module) -> tuple[str, ...]:
    """The names of a node's inputs, in order."""
    inner = bare(layer)
    return (
        inner.model.inputs
        if isinstance(inner, Neuron)
        else inner.ports
        if isinstance(inner, Timed)
        else ("in",)
    )


def outputs_of(layer: nn.Module) -> tuple[str, ...]:
    """The names of a node's outputs, in order."""
    inner = bare(layer)
    return inner.outputs if isinstance(inner, Timed) else ("out",)


def by_source(name: str, layer: nn.Module, answer: Any) -> dict[str, Any]:
    """What a node gave, by name of its source: one value, or a dict of outputs and of what was recorded
    inside.
    """
    outputs = outputs_of(layer)
    named = answer if isinstance(answer, Mapping) else {outputs[0]: answer}
    lone = outputs[0] if len(outputs) == 1 else None
    return {name if key == lone else f"{name}.{key}": value for key, value in named.items()}


def check_inside(name: str, layer: nn.Module, inside: tuple[str, ...]) -> None:
    """Raise GraphError unless what is named within a node can be recorded; of neurons it is checked
    elsewhere.
    """
    if inside and not getattr(bare(layer), "records", False):
        raise GraphError(f"{name}.{inside[0]}", "is nothing to record", f"{name!r}, what it hands on")


def check_member(name: str, layer: object) -> None:
    """Raise UnsupportedLayer unless a module may be a node of a network."""
    if isinstance(layer, DataParallel) and neurons_in(layer):
        hint = "DataParallel around the whole network with dim=1, or DistributedDataParallel"
        raise UnsupportedLayer(name, "DataParallel", f"{hint}: it would split the steps")
    if isinstance(layer, nn.Module) and (has_state(layer) or is_opened(layer)):
        for index, inner in enumerate(layer.children() if is_opened(layer) else ()):
            check_member(f"{name}.{index}", inner)
        return
    check_stateless(name, layer)
