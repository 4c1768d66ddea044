"""Sequential: layers one after the other, of neurons and without a state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from spikeflow.errors import ShapeError, UnsupportedLayer
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.recurrent import Recurrent
from spikeflow.neurons.stateless import check_stateless, neurons_in, through
from spikeflow.neurons.stretch import check_stretch


class Sequential(nn.Module):
    """Layers one after the other: ``(out, states) = net(x, states=None)``.

    A layer is a `Neuron`, a `Recurrent` or a `Sequential`, also compiled, averaged or in DDP; a
    `torch.nn.Sequential` that holds such layers; or a module without neurons. `states` is a tuple with one
    entry a layer, None for those without neurons, a tuple for a container.

    Modules without neurons see steps times samples as one batch. So batch norm, while training, takes its
    statistics over steps and samples together. Dropout, wherever it is called within such a module, draws one
    mask for a sequence: what is dropped stays dropped in all its steps.

    Raises
    ------
    UnsupportedLayer
        By name: for what is no module, a list of modules, a user's module that holds neurons (their state would
        be lost), and torch layers that would relate steps and samples, such as an LSTM.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        for index, layer in enumerate(layers):
            _check(f"layers.{index}", layer)
        self.layers = nn.ModuleList(layers)

    def forward(
        self, x: torch.Tensor, states: Sequence[Any] | None = None
    ) -> tuple[torch.Tensor, tuple[Any, ...]]:
        """``(T, B, *shape)`` through all layers.

        Raises
        ------
        ShapeError, DataError
            For no step at all, states that are not these layers', and as the layers themselves do.
        """
        return _advance("layers", self.layers, x, states)


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
    return isinstance(bare(layer), Neuron | Recurrent | Sequential)


def is_opened(layer: nn.Module) -> bool:
    """A plain torch.nn.Sequential around layers of neurons, whose layers are run one by one."""
    return type(layer) is nn.Sequential and bool(neurons_in(layer))


def leaves(net: Sequential, path: str = "layers") -> Iterator[tuple[str, nn.Module]]:
    """Every layer that is no container of spikeflow's, in order, with its path; wrappers taken off."""
    for index, layer in enumerate(net.layers):
        inner, name = bare(layer), f"{path}.{index}"
        if isinstance(inner, Sequential):
            yield from leaves(inner, f"{name}.layers")
        else:
            yield name, inner if has_state(layer) else layer


def _check(name: str, layer: nn.Module) -> None:
    if isinstance(layer, DataParallel) and neurons_in(layer):
        hint = "DataParallel around the whole network with dim=1, or DistributedDataParallel"
        raise UnsupportedLayer(name, "DataParallel", f"{hint}: it would split the steps")
    if isinstance(layer, nn.Module) and (has_state(layer) or is_opened(layer)):
        for index, inner in enumerate(layer.children() if is_opened(layer) else ()):
            _check(f"{name}.{index}", inner)
        return
    check_stateless(name, layer)


def _advance(
    path: str, layers: Any, x: torch.Tensor, states: Sequence[Any] | None
) -> tuple[torch.Tensor, tuple[Any, ...]]:
    """Through layers one after the other; `states` as `Sequential.forward` takes and gives them."""
    if states is not None and (not isinstance(states, Sequence) or len(states) != len(layers)):
        got = f"{len(states)} states" if isinstance(states, Sequence) else type(states).__name__
        raise ShapeError(path, got, f"one for each of {len(layers)} layers, as the network gives them")
    after: list[Any] = []
    for index, layer in enumerate(layers):
        name, state = f"{path}.{index}", None if states is None else states[index]
        if has_state(layer):
            x, state = layer(x, state)
        elif is_opened(layer):
            _check_hooks(name, layer)
            x, state = _advance(name, layer, x, state)
        else:
            x = _stateless(name, layer, x, state)
        after.append(state)
    return x, tuple(after)


def _stateless(name: str, layer: nn.Module, x: torch.Tensor, state: object) -> torch.Tensor:
    if state is not None:
        raise ShapeError(name, f"a state of type {type(state).__name__}", "None: the layer has no neurons")
    if found := neurons_in(layer):  # put there after the network was built
        raise UnsupportedLayer(name, type(layer).__name__, f"the layers it holds ({found}) one by one")
    check_stretch(name, x)
    return through(name, layer, x)


def _check_hooks(name: str, layer: nn.Module) -> None:
    if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks:
        raise UnsupportedLayer(name, "a hook on a container of neurons", "the hook on one of its layers")
