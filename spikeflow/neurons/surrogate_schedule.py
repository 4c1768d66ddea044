"""The surrogates of a network: which stand where, others in their place, and others epoch by epoch.

Parameters, states and spikes of a trained network stay what they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from torch import nn

from spikeflow.errors import GraphError
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.slots import Given
from spikeflow.neurons.surrogate import Surrogate


def surrogates_of(net: nn.Module) -> dict[str, Given]:
    """What stands for the derivative of a spike in each layer of neurons, by its path."""
    return {path: layer.derivative for path, layer in net.named_modules() if isinstance(layer, Neuron)}


def replace_surrogates(net: nn.Module, derivative: Given | Mapping[str, Given]) -> dict[str, Given]:
    """Put another surrogate into every layer of neurons; what stood there comes back, as it is taken here.

    Parameters
    ----------
    derivative : one for all layers, as `Neuron` takes it; of a module each layer gets a copy of its own. Or a
        dict by path, as `surrogates_of` gives it, for these layers alone.

    Raises
    ------
    GraphError
        For a path that is no layer of neurons, a network without any, and as `Neuron` does: then nothing
        was replaced.
    """
    before = surrogates_of(net)
    if not before:
        raise GraphError(type(net).__name__, "has no layers of neurons", "a network that spikes")
    by_path = isinstance(derivative, Mapping) and all(isinstance(key, str) for key in derivative)
    given: Mapping[Any, Any] = derivative if by_path else dict.fromkeys(before, derivative)  # type: ignore[assignment]
    if unknown := [path for path in given if path not in before]:
        raise GraphError(f"{unknown[0]!r:.80}", "is no layer of neurons", f"one of {', '.join(before)}")
    try:
        for path, one in given.items():
            own = copy.deepcopy(one) if isinstance(one, nn.Module) and not by_path else one
            net.get_submodule(path).derivative = own
    except GraphError:
        _put_back(net, before)
        raise
    return {path: before[path] for path in given}


def _put_back(net: nn.Module, before: Mapping[str, Given]) -> None:
    for path, derivative in before.items():
        net.get_submodule(path).derivative = derivative  # type: ignore[assignment]


def between(first: Surrogate, last: Surrogate, epochs: int) -> Callable[[int], Surrogate]:
    """A schedule from one surrogate to another of its kind: epoch 0 is the first, epoch `epochs` - 1 and all
    later ones the last; the numbers in between are geometric.

    Raises
    ------
    GraphError
        For surrogates of two kinds, and fewer than 2 epochs.
    """
    if type(first) is not type(last) or not fields(first):
        reason = f"{type(first).__name__} to {type(last).__name__}"
        raise GraphError("between", reason, "two of one kind, such as ArcTangent(2) and ArcTangent(10)")
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 2:
        raise GraphError("between", f"{epochs!r} epochs", "a whole number from 2 on")
    ends = [(float(getattr(first, f.name)), float(getattr(last, f.name))) for f in fields(first)]

    def at(epoch: int) -> Surrogate:
        share = min(max(epoch, 0), epochs - 1) / (epochs - 1)
        numbers = (a if share == 0 else b if share == 1 else a ** (1 - share) * b**share for a, b in ends)
        return type(first)(*numbers)

    return at


class SurrogateSchedule:
    """Another surrogate in every epoch, used as torch's schedules of learning rates are: `step()` after each.

    ::

        schedule = SurrogateSchedule(net, between(ArcTangent(2), ArcTangent(10), epochs=20))

    Parameters
    ----------
    schedule : of the number of the epoch, from 0 on; `between` makes one.
    """

    def __init__(self, net: nn.Module, schedule: Callable[[int], Surrogate]) -> None:
        self.net, self.schedule, self.epoch = net, schedule, 0
        replace_surrogates(net, schedule(0))

    def step(self) -> None:
        """The next epoch begins."""
        self.epoch += 1
        replace_surrogates(self.net, self.schedule(self.epoch))

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint holds of it."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Goes on where another one was."""
        self.epoch = int(state["epoch"])
        replace_surrogates(self.net, self.schedule(self.epoch))
