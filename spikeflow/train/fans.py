"""The synapses of every neuron of a network of layers in a row: what a penalty on operations counts by."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from spikeflow.errors import UnsupportedLayer
from spikeflow.neurons import Neuron, Recurrent, Sequential
from spikeflow.train.inside import SYNAPSES, is_read_out, network
from spikeflow.train.regularise import fan_out

_SAME = (nn.Identity, nn.Dropout, nn.Flatten, nn.BatchNorm1d, nn.BatchNorm2d)
_POOLS = (nn.AvgPool2d, nn.MaxPool2d)


@torch.no_grad()
def fan_outs(net: nn.Module, shape: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """For each layer that spikes, by the name of `record`, how many synapses each neuron has, ``(*shape)``.

    A spike that is pooled counts the synapses of each pooled value that it enters, as a lone spike does in
    the engine, which counts fewer where several meet in a pool.

    Parameters
    ----------
    shape : of a moment at the input.

    Raises
    ------
    UnsupportedLayer
        For any network but a `Sequential` of neurons, Linear, convolutions, pooling, batch norm, dropout and
        Flatten, and `Recurrent` with a Linear.
    """
    plain = network(net)
    if type(plain) is not Sequential:
        raise _refused("the network", plain)
    found: dict[str, torch.Tensor] = {}
    walk = _Walk(next(plain.parameters()))
    for index, layer in enumerate(plain.layers):
        name = f"layers.{index}"
        if isinstance(layer, Neuron | Recurrent):
            walk.begin()
            if not is_read_out(layer):
                found[name] = torch.zeros(shape, device=walk.device)
                walk.source = name
            if isinstance(layer, Recurrent):
                if not isinstance(layer.feedback, nn.Linear):
                    raise _refused(f"{name}.feedback", layer.feedback)
                found[name] += layer.feedback.out_features
        elif isinstance(layer, SYNAPSES):
            if walk.source:
                found[walk.source] += walk.back(fan_out(layer, shape))
            walk.begin()
            shape = tuple(_moment(layer, shape, walk.device).shape)
        elif isinstance(layer, (*_SAME, *_POOLS)):
            walk.between.append((layer, shape))
            shape = (
                shape
                if isinstance(layer, nn.BatchNorm1d)
                else tuple(_moment(layer, shape, walk.device).shape)
            )
        else:
            raise _refused(name, layer)
    return found


def _refused(name: str, layer: nn.Module) -> UnsupportedLayer:
    hint = "a Sequential of neurons, Linear, convolutions and pooling, or regularise.rate_weight"
    return UnsupportedLayer(name, f"{type(layer).__name__}, of which no synapses are counted,", hint)


def _moment(layer: nn.Module, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """One moment through a layer without time, in evaluation mode."""
    mode = layer.training
    found: torch.Tensor = layer.eval()(torch.zeros((1, *shape), device=device))[0]
    layer.train(mode)
    return found


class _Walk:
    """What stands between the layer of neurons last met and the next layer with synapses."""

    def __init__(self, like: torch.Tensor) -> None:
        self.device = like.device
        self.begin()

    def begin(self) -> None:
        """Nothing lies between."""
        self.source = ""
        self.between: list[tuple[nn.Module, tuple[int, ...]]] = []

    def back(self, fan: torch.Tensor) -> torch.Tensor:
        """Synapses of the values that enter a layer, as those of the spikes that make these values."""
        for layer, shape in reversed(self.between):
            fan = _unpooled(layer, shape, fan) if isinstance(layer, _POOLS) else fan.reshape(shape)
        return fan


def _unpooled(pool: Any, shape: tuple[int, ...], fan: torch.Tensor) -> torch.Tensor:
    """The sum, for each pixel, over the pooled values that it enters."""
    with torch.enable_grad():
        x = torch.zeros((1, *shape), device=fan.device, requires_grad=True)
        summed = functional.avg_pool2d(
            x, pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode, divisor_override=1
        )
        (found,) = torch.autograd.grad((summed[0] * fan).sum(), x)
    return found[0]
