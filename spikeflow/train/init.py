"""Initialisation by data: weights scaled so that every layer of neurons fires."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from spikeflow.errors import DataError, GraphError
from spikeflow.train.inside import drivers, members, network, spiking

OCTAVES, HALVINGS = 24, 30


@dataclass(frozen=True)
class Firing:
    """How a layer fires after initialisation: its mean rate, the share of neurons that are silent, by what
    its weights were multiplied, and of how many channels the sign was changed.
    """

    rate: float
    silent: float
    gain: float
    turned: int


@torch.no_grad()
def make_fire(net: nn.Module, x: Any, low: float = 0.05, high: float = 0.3) -> dict[str, Firing]:
    """Scale weights, layer by layer from the input on, until each layer of neurons has a rate in [low, high].

    Of each layer all that brings it current is multiplied by one gain, weights and biases: the nearest
    Linear, convolution or batch norm. Where no gain will do, the channels that stay below the bound get
    weights of the other sign, as likely as theirs. A layer within the bounds stays as it is. After Mishkin
    and Matas 2016, All you need is a good init, arXiv 1511.06422, with rates in place of variances.

    Parameters
    ----------
    x : a batch ``(T, B, *shape)``, several inputs by name.
    low, high : bounds of the mean rate: spikes a neuron, step and sample.

    Returns
    -------
    For each layer of neurons that spikes, by name, how it fires.

    Raises
    ------
    GraphError
        For a layer, by name, that no gain makes fire so: nothing positive reaches it on this batch, for
        example; the network is then as it was.
    """
    if not 0 < low < high:
        raise DataError("initialisation: rates", (low, high), "0 < low < high")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    driven, modules = drivers(net), dict(members(net))
    found = {}
    try:
        for name in spiking(net):
            layers = [modules[path] for path in driven[name]]
            found[name] = _Scaled(net, x, name, layers).between(low, high)
    except BaseException:
        net.load_state_dict(before)
        raise
    return found


class _Scaled:
    """One layer of neurons, and what is multiplied for it."""

    def __init__(self, net: nn.Module, x: Any, name: str, layers: list[nn.Module]) -> None:
        self.net, self.x, self.name = net, x, name
        held = [p for layer in layers for p in _weighted(layer)]
        self.start = [(p, p.clone()) for p in held]
        self.turned = 0

    def between(self, low: float, high: float) -> Firing:
        """How it fires at a gain at which the rate lies within the bounds."""
        rate = 0.0
        for _ in range(2):
            gain, bottom, top = 1.0, 0.0, float("inf")
            for _ in range(OCTAVES + HALVINGS):
                rate, silent = self._rate(gain)
                if low <= rate <= high:
                    return Firing(rate, silent, gain, self.turned)
                bottom, top = (gain, top) if rate < low else (bottom, gain)
                gain = (
                    2 * bottom if top == float("inf") else top / 2 if bottom == 0 else (bottom * top) ** 0.5
                )
            self._turn(low)
        reason = f"no gain of its weights brings its rate ({rate:.3g} a step) within [{low:g}, {high:g}]"
        hint = "a batch that drives it, wider bounds, or another threshold"
        raise GraphError(self.name, reason, hint)

    def _turn(self, low: float) -> None:
        """Change the sign of the weights of channels below the bound, at the gain at which the layer is."""
        spikes = self._spikes()
        rare = spikes.mean((0, 1)).reshape(spikes.shape[2], -1).mean(1) < low
        for _, start in self.start:
            if len(start) == len(rare):
                start[rare] *= -1
        self.turned = int(rare.sum())

    def _rate(self, gain: float) -> tuple[float, float]:
        for parameter, start in self.start:
            parameter.copy_(start * gain)
        spikes = self._spikes()
        return float(spikes.mean()), float((spikes.amax((0, 1)) == 0).float().mean())

    def _spikes(self) -> torch.Tensor:
        buffers = {name: value.clone() for name, value in self.net.named_buffers()}
        with torch.random.fork_rng():  # dropout draws the same masks for every gain
            found, _ = network(self.net)(self.x, record=(self.name,))
        for name, value in self.net.named_buffers():  # batch norm that trains has moved its statistics
            value.copy_(buffers[name])
        spikes: torch.Tensor = found[self.name].float()
        return spikes


def _weighted(layer: nn.Module) -> list[nn.Parameter]:
    """Parameters of the last module within a layer that has any, those that its weights are made of among
    them.
    """
    owners = [
        m
        for path, m in layer.named_modules()
        if "parametrizations" not in path and (is_parametrized(m) or any(True for _ in m.parameters(False)))
    ]
    if not owners:
        return []
    made = owners[-1].parametrizations if is_parametrized(owners[-1]) else nn.ModuleList()
    assert isinstance(made, nn.Module)
    return [*owners[-1].parameters(recurse=False), *made.parameters()]
