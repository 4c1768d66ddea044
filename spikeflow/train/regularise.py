"""Regularisers: what spikes cost. Each takes spikes of a layer ``(T, B, *shape)``, as `Net.forward` records
them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from spikeflow.errors import DataError, UnsupportedLayer


def rate(spikes: torch.Tensor, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    """mean over neurons of max(0, low - r_n)^2, plus max(0, mean over neurons of r_n - high)^2.

    r_n is the share of steps and samples in which neuron n spikes: no neuron is to be rarer than `low`, and
    the layer not busier than `high` (after Zenke and Vogels 2021, doi 10.1162/neco_a_01367, lower and upper
    bound).
    """
    if not 0 <= low <= high:
        raise DataError("rate: bounds", (low, high), "0 <= low <= high")
    found = spikes.flatten(2).mean((0, 1))
    return (low - found).relu().square().mean() + (found.mean() - high).relu().square()


def silence(spikes: torch.Tensor, least: float = 1.0) -> torch.Tensor:
    """mean over neurons of max(0, 1 - n / least)^2, n the spikes of a neuron in the whole batch.

    A neuron that spikes `least` times or more costs nothing; a silent one costs 1, with a gradient through
    its surrogate.
    """
    if not least > 0:
        raise DataError("silence: least", least, "a number above 0")
    return (1 - spikes.flatten(2).sum((0, 1)) / least).relu().square().mean()


def synaptic_operations(
    spikes: Mapping[str, torch.Tensor], fan_outs: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """The sum over layers, steps and neurons of s[t, n] times the synapses of n; mean over samples.

    Of spikes of 0 and 1 it is the number of synaptic operations a sample, as the engine counts them.

    Parameters
    ----------
    spikes : by name of a layer, ``(T, B, *shape)``.
    fan_outs : for each the synapses of every neuron, `fan_out`.
    """
    if missing := [name for name in spikes if name not in fan_outs]:
        raise DataError("synaptic operations", f"no fan-out of {missing[0]}", "one for each layer")
    if not spikes:
        raise DataError("synaptic operations", "no layer", "at least one")
    totals = [(s * fan_outs[name]).flatten(2).sum((0, 2)).mean() for name, s in spikes.items()]
    return torch.stack(totals).sum()


@torch.no_grad()
def fan_out(layer: nn.Module, shape: tuple[int, ...], effective: bool = False) -> torch.Tensor:
    """How many synapses of a layer each of its sources has, in the shape of a source's moment.

    Parameters
    ----------
    layer : Linear or a convolution, whose borders are seen.
    effective : count weights that are not 0 alone, as NeuroBench's effective operations do.

    Raises
    ------
    UnsupportedLayer
        For a layer without synapses.
    """
    if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
        raise UnsupportedLayer("fan-out", type(layer).__name__, "a Linear or a convolution")
    weight = (layer.weight != 0).double() if effective else torch.ones_like(layer.weight, dtype=torch.double)
    with torch.enable_grad():
        source = torch.zeros((1, *shape), dtype=torch.double, requires_grad=True, device=weight.device)
        # the sum of all targets grows by its synapses as one source grows by 1
        reached = (
            functional.linear(source, weight)
            if isinstance(layer, nn.Linear)
            else layer._conv_forward(source, weight, None)  # pyright: ignore[reportPrivateUsage]
        )
        (found,) = torch.autograd.grad(reached.sum(), source)
    return found[0].to(layer.weight.dtype)
