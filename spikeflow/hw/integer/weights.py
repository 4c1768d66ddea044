"""The weights of one port as integers: what is known of an edge, its integers, and what they lost.

A neuron's scale s is free: its port, states, thresholds and biases are all counted in it, and nobody outside
sees it. The weight w of edge k becomes the mantissa round(w s / (source 2**exponent[k])), clipped to the
chip's bits; the chip shifts the whole sum of the edge by the exponent. Neurons of one channel share a scale,
since they share kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from spikeflow.hw.chips.chip import Formats
from spikeflow.hw.integer.incoming import Drive, Float, Incoming, mantissas
from spikeflow.ir.arrays import Array, Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.nodes import Shape, SynapticNode
from spikeflow.ir.synapses import row_of_weights


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


def groups_of(shape: Shape, shared: bool, kernels: bool) -> int:
    """How many scales a population of this shape has: one a channel of a picture and where `kernels` are
    shared, one a neuron otherwise, one in all where `shared`.
    """
    if shared:
        return 1
    return shape[0] if kernels or len(shape) == 3 else prod(shape)


def per_neuron(scale: Float, shape: Shape) -> Float:
    """Scales ``(groups,)`` as an array that broadcasts to the population."""
    if scale.size == 1:
        return scale.reshape(())
    return scale.reshape(shape) if scale.size == prod(shape) else scale.reshape(-1, *(1,) * (len(shape) - 1))


def group_of_weights(node: SynapticNode, groups: int) -> npt.NDArray[np.int64]:
    """The group of each stored weight, in stored order."""
    return row_of_weights(node) * groups // node.rows


def incoming(name: str, node: SynapticNode, groups: int, formats: Formats) -> Incoming:
    """An edge into a population of so many groups; its source is filled in by `quantise`."""
    weight = node.stored_weights.astype(np.float64).reshape(-1)
    signed = not (formats.arithmetic.excitatory_bits and weight.min(initial=0.0) >= 0)
    high = 2 ** (int(formats.weight_bits.value) - int(signed)) - 1
    group = group_of_weights(node, groups)
    return Incoming(
        name, node, weight, group, (), Drive(np.zeros((1, 0), np.float32), np.zeros(0)), 1.0, high, signed
    )


def quantised(edge: Incoming, scale: Float, exponent: int) -> SynapticNode:
    """The node with integer weights at the groups' scales."""
    integers = mantissas(edge, edge.weight, (scale / (edge.source * 2.0**exponent))[edge.group])
    format_ = Fixed(edge.high.bit_length() + edge.signed, signed=edge.signed)
    weight = Quantised(edge.node.packed(integers), format_)
    return edge.node.with_weights(weight, bias=None, exponent=exponent)


def loss(edge: Incoming, node: SynapticNode, scale: Float, counts: Float) -> Loss:
    """What the integers of `node`, at the groups' scales, lost; `counts` : how much each group counts."""
    integers = node.stored_weights.reshape(-1)
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
    node = edge.node
    each = edge.drive.power.reshape(node.columns, -1).mean(axis=1)
    return np.broadcast_to(node.over_columns(each), node.stored_weights.shape).reshape(-1)
