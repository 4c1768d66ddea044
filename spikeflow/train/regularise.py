"""Regularisers: what spikes cost. Each takes spikes of a layer ``(T, B, *shape)``, as `Net.forward` records
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from spikeflow.errors import DataError, UnsupportedLayer
from spikeflow.ir.nodes import Scale, Synaptic
from spikeflow.neurons.node_layer import NodeLayer


def rate(spikes: torch.Tensor, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    """mean over neurons of max(0, low - r_n)^2, plus max(0, mean over neurons of r_n - high)^2.

    r_n is the share of steps and samples in which neuron n spikes: no neuron is to be rarer than `low`, and
    the layer not busier than `high` (after Zenke and Vogels 2021, doi 10.1162/neco_a_01367, lower and upper
    bound).

    Raises
    ------
    DataError
        For bounds that are not 0 <= low <= high.
    """
    if not 0 <= low <= high:
        raise DataError("rate: bounds", (low, high), "0 <= low <= high")
    found = spikes.flatten(2).mean((0, 1))
    return (low - found).relu().square().mean() + (found.mean() - high).relu().square()


def silence(spikes: torch.Tensor, least: float = 1.0) -> torch.Tensor:
    """mean over neurons of max(0, 1 - n / least)^2, n the spikes of a neuron in the whole batch.

    A neuron that spikes `least` times or more costs nothing; a silent one costs 1, with a gradient through
    its surrogate.

    Raises
    ------
    DataError
        For a `least` that is not above 0.
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

    Raises
    ------
    DataError
        For a layer without its fan-out, and where there is no layer.
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
    layer : Linear, a convolution, whose borders are seen, or a transposed one; a node of a graph with
        synapses.
    effective : count weights that are not 0 alone, as NeuroBench's effective operations do.

    Raises
    ------
    UnsupportedLayer
        For a layer without synapses.
    """
    if isinstance(layer, NodeLayer):
        return _of_node(layer, shape, effective)
    if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | _Transposed):
        raise UnsupportedLayer("fan-out", type(layer).__name__, "a Linear or a convolution")
    weight = (layer.weight != 0).double() if effective else torch.ones_like(layer.weight, dtype=torch.double)
    with torch.enable_grad():
        source = torch.zeros((1, *shape), dtype=torch.double, requires_grad=True, device=weight.device)
        # the sum of all targets grows by its synapses as one source grows by 1
        (found,) = torch.autograd.grad(_reached(layer, source, weight).sum(), source)
    return found[0].to(layer.weight.dtype)


def _reached(layer: Any, source: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """What a layer makes of a source with other weights and no bias."""
    if isinstance(layer, nn.Linear):
        return functional.linear(source, weight)
    if isinstance(layer, _Transposed):
        rest: Any = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
        return _TRANSPOSED[len(layer.kernel_size)](source, weight, None, *rest)
    return layer._conv_forward(source, weight, None)


def _of_node(layer: NodeLayer, shape: tuple[int, ...], effective: bool) -> torch.Tensor:
    """Of a node of a graph as the engine counts them: a Scale has one synapse a value."""
    node = layer.source
    if not isinstance(node, Synaptic | Scale):
        raise UnsupportedLayer("fan-out", type(node).__name__, "a node with synapses")
    if isinstance(node, Scale):
        on = (layer.factor.detach() != 0).float() if effective else torch.ones_like(layer.factor.detach())
        return on.expand(shape).clone()
    out = node.output_shape("fan-out", (shape,))
    found = node.fan_out(shape, out)
    if effective:
        now: Any = replace(node, weight=layer.weight.detach().cpu().float().numpy())
        found = np.bincount(now.synapses(shape, out).source, minlength=found.size).reshape(shape)
    return torch.from_numpy(np.array(found, np.float32)).to(layer.weight.device)


_Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
