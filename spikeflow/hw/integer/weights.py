"""The weights of one port as integers: what is known of an edge, its integers, and what they lost.

A neuron's scale s is free: its port, states, thresholds and biases are all counted in it, and nobody outside
sees it. The weight w of edge k becomes the mantissa round(w s / (source 2**exponent[k])), clipped to the
chip's bits; the chip shifts the whole sum of the edge by the exponent. Neurons of one channel share a scale,
since they share kernels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt

from spikeflow.hw.chips.chip import Formats
from spikeflow.hw.integer.incoming import Drive, Float, Incoming, Synapses, mantissas
from spikeflow.ir.arrays import Array, Quantised, weight_values
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.nodes import Conv2d, Shape, Sparse


@dataclass(frozen=True)
class Loss:
    """What became of the weights of an edge.

    Parameters
    ----------
    error : root mean square of the errors as a share of that of the weights, each weighed by what its source
        sends and how often its target spikes on calibration data.
    stored_error : the same, all weights alike, those of silent neurons too.
    zeroed : weights that were not 0 and are; `clipped` : weights larger than the largest integer.
    """

    error: float
    stored_error: float
    zeroed: int
    clipped: int


def groups_of(shape: Shape, shared: bool) -> int:
    """How many scales a population of this shape has: one a channel, one a neuron if flat, one where
    shared.
    """
    return 1 if shared else shape[0] if len(shape) == 3 else prod(shape)


def per_neuron(scale: Float, shape: Shape) -> Float:
    """Scales ``(groups,)`` as an array that broadcasts to the population."""
    if scale.size == 1:
        return scale.reshape(())
    return scale.reshape((-1, 1, 1)) if len(shape) == 3 else scale.reshape(shape)


def group_of_weights(node: Synapses, shape: Shape, groups: int) -> npt.NDArray[np.int64]:
    """The group of each stored weight, in C order."""
    neurons = prod(shape)
    if isinstance(node, Sparse):
        return (node.targets.astype(np.int64) * groups) // neurons
    rows = node.weight.shape[0]
    return np.repeat(np.arange(rows) * groups // rows, prod(node.weight.shape[1:]))


def incoming(name: str, node: Synapses, shape: Shape, groups: int, formats: Formats) -> Incoming:
    """An edge into a population of this shape; its source is filled in by `quantise`."""
    weight = weight_values(node.weight).astype(np.float64).reshape(-1)
    if isinstance(node, Sparse):
        weight = np.broadcast_to(weight, node.targets.shape)
    signed = not (formats.arithmetic.excitatory_bits and weight.min(initial=0.0) >= 0)
    high = 2 ** (int(formats.weight_bits.value) - int(signed)) - 1
    group = group_of_weights(node, shape, groups)
    return Incoming(
        name, node, weight, group, (), Drive(np.zeros((1, 0), np.float32), np.zeros(0)), 1.0, high, signed
    )


def scaled_node(node: Synapses, gain: Float, shape: Shape) -> Synapses:
    """The node with the weights into each neuron times `gain`, which broadcasts to the neurons; rounded
    once.
    """
    full = np.broadcast_to(gain, shape)
    weight = weight_values(node.weight).astype(np.float64)
    if isinstance(node, Sparse):
        scaled = weight * full.reshape(-1)[node.targets] if gain.size > 1 else weight * full.reshape(-1)[0]
    elif isinstance(node, Conv2d):
        scaled = weight * full[:, 0, 0][:, None, None, None]
    else:
        scaled = weight * full.reshape(-1, 1)
    bias = node.bias
    if bias is not None:
        own = full[:, 0, 0] if isinstance(node, Conv2d) else full.reshape(-1)
        bias = (bias.astype(np.float64) * own).astype(np.float32)
    return replace(node, weight=scaled.astype(np.float32), bias=bias)


def quantised(edge: Incoming, scale: Float, exponent: int) -> Synapses:
    """The node with integer weights at the groups' scales."""
    integers = mantissas(edge, edge.weight, (scale / (edge.source * 2.0**exponent))[edge.group])
    if isinstance(edge.node, Sparse):
        same = integers.size > 0 and bool((integers == integers[0]).all())
        integers = integers[:1] if same else integers
    else:
        integers = integers.reshape(edge.node.weight.shape)
    weight = Quantised(integers, Fixed(edge.high.bit_length() + edge.signed, signed=edge.signed))
    return replace(edge.node, weight=weight, bias=None, exponent=exponent)


def loss(edge: Incoming, node: Synapses, scale: Float, counts: Float) -> Loss:
    """What the integers of `node`, at the groups' scales, lost; `counts` : how much each group counts."""
    integers = np.broadcast_to(weight_values(node.weight).reshape(-1), edge.weight.shape)
    step = edge.source * 2.0**node.exponent / scale[edge.group]
    off, power = integers * step - edge.weight, _power(edge) * counts[edge.group]
    largest = np.abs(edge.weight) > np.abs(integers * step) + 0.6 * step
    return Loss(
        _relative(off, edge.weight, power),
        _relative(off, edge.weight, np.ones(())),
        int(((integers == 0) & (edge.weight != 0)).sum()),
        int((largest & (integers != 0)).sum()),
    )


def _relative(off: Float, weight: Float, power: Array) -> float:
    norm = float((power * weight**2).sum())
    return float(np.sqrt((power * off**2).sum() / norm)) if norm > 0 else 0.0


def _power(edge: Incoming) -> Float:
    """What each stored weight's source sends, mean square."""
    node, power = edge.node, edge.drive.power
    if isinstance(node, Sparse):
        return power[np.repeat(np.arange(prod(node.in_shape)), np.diff(node.indptr))]
    if isinstance(node, Conv2d):
        channels = power.reshape(edge.in_shape[0], -1).mean(axis=1).reshape(node.groups, 1, -1, 1)
        rows = node.weight.shape[0] // node.groups
        full = np.broadcast_to(channels, (node.groups, rows, channels.shape[2], prod(node.weight.shape[2:])))
        return full.reshape(-1)
    return np.broadcast_to(power, node.weight.shape).reshape(-1)
