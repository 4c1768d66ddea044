"""The weights of one port as integers: which scale each neuron gets, and which exponent each edge.

A neuron's scale s is free: its port, states, thresholds and biases are all counted in it, and nobody outside sees
it. The weight w of edge k becomes the mantissa round(w s / (source 2**exponent[k])); the chip shifts the whole sum
of the edge by the exponent. Neurons of one channel share a scale, since they share kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt

from spikeflow.hw.chip import Formats
from spikeflow.ir.arrays import Array, Quantised, weight_values
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.nodes import Conv2d, Linear, Shape, Sparse

Float = npt.NDArray[np.float64]
Synapses = Linear | Conv2d | Sparse
ROUNDS = 4
UNUSED = 256.0  # scale of a port that nothing reaches
# shares of the threshold that a spike may be off by: a floored sum errs every step, a rounded threshold per spike
FLOORED, ROUNDED = 0.5, 0.05


@dataclass(frozen=True, eq=False)
class Incoming:
    """An edge of a port before it is quantised.

    Parameters
    ----------
    weight : float64, one number a stored weight; `group` : the scale that each is counted in.
    rows : neurons of a group that have weights of their own; 1 where a channel shares its kernel.
    source : the integer that stands for 1 at the source: 1 for spikes.
    power : mean square of what one source sends in a step; weighs the errors.
    high : largest mantissa; `signed` : whether there are negative ones.
    """

    name: str
    node: Synapses
    weight: Float
    group: Array
    rows: float
    source: float
    power: float
    high: int
    signed: bool


@dataclass(frozen=True, eq=False)
class Choice:
    """The scales ``(groups,)`` of a port, and the exponent of each of its edges."""

    scale: Float
    exponents: tuple[int, ...]
    cost: float


@dataclass(frozen=True, eq=False)
class Bounds:
    """What else limits a port's scales, each ``(groups,)``.

    Parameters
    ----------
    ceiling : largest scale that thresholds, biases and registers allow.
    threshold : smallest threshold of the group, in real numbers; 1 where there is none.
    unit : thresholds count in 1 / unit of a port's integers.
    """

    ceiling: Float
    threshold: Float
    unit: float


def groups_of(shape: Shape, shared: bool) -> int:
    """How many scales a population of this shape has: one a channel, one a neuron if flat, one where shared."""
    return 1 if shared else shape[0] if len(shape) == 3 else prod(shape)


def per_neuron(scale: Float, shape: Shape) -> Float:
    """Scales ``(groups,)`` as an array that broadcasts to the population."""
    if scale.size == 1:
        return scale.reshape(())
    return scale.reshape((-1, 1, 1)) if len(shape) == 3 else scale.reshape(shape)


def group_of_weights(node: Synapses, shape: Shape, groups: int) -> Array:
    """The group of each stored weight, in C order."""
    neurons = prod(shape)
    if isinstance(node, Sparse):
        return (node.targets.astype(np.int64) * groups) // neurons
    rows = node.weight.shape[0]
    return np.repeat(np.arange(rows) * groups // rows, prod(node.weight.shape[1:]))


def incoming(name: str, node: Synapses, shape: Shape, groups: int, formats: Formats) -> Incoming:
    """An edge as `choose` wants it, for a source of spikes that is always on."""
    weight = weight_values(node.weight).astype(np.float64).reshape(-1)
    if isinstance(node, Sparse):
        weight = np.broadcast_to(weight, node.targets.shape)
    signed = not (formats.arithmetic.excitatory_bits and weight.min(initial=0.0) >= 0)
    high = 2 ** (int(formats.weight_bits.value) - int(signed)) - 1
    rows = (node.weight.shape[0] if isinstance(node, Conv2d) else prod(shape)) / groups
    return Incoming(name, node, weight, group_of_weights(node, shape, groups), rows, 1.0, 1.0, high, signed)


def scaled_node(node: Synapses, gain: Float, shape: Shape) -> Synapses:
    """The node with the weights into each neuron times `gain`, which broadcasts to the neurons; rounded once."""
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


def choose(edges: Sequence[Incoming], bounds: Bounds, formats: Formats) -> Choice:
    """The scales and exponents of smallest error; exponents >= 0, which lose nothing, unless that costs much.

    The first edge's exponent runs over all that the chip has; the others follow it, then each is tried one up and
    one down until nothing improves.
    """
    if not edges:
        return Choice(np.minimum(bounds.ceiling, UNUSED), (), 0.0)
    groups = len(bounds.ceiling)
    tops = [_largest(e, groups) for e in edges]
    found = [_from(first, edges, tops, bounds, formats) for first in _range(formats)]
    best = min(found, key=lambda c: c.cost)
    exact = [c for c in found if min(c.exponents, default=0) >= 0 and c.cost <= 1.2 * best.cost]
    return min(exact, key=lambda c: sum(c.exponents)) if exact else best


def _range(formats: Formats) -> range:
    return range(int(formats.exponent_low.value), int(formats.exponent_high.value) + 1)


def _largest(edge: Incoming, groups: int) -> Float:
    """The largest weight of each group, as a share of the largest mantissa at exponent 0 and scale 1."""
    top = np.zeros(groups)
    np.maximum.at(top, edge.group, np.abs(edge.weight))
    return top / (edge.source * edge.high)


def _from(
    first: int, edges: Sequence[Incoming], tops: Sequence[Float], bounds: Bounds, formats: Formats
) -> Choice:
    legal = _range(formats)
    exponents = [int(np.clip(first + _apart(tops[0], top), legal[0], legal[-1])) for top in tops]
    best = _priced(exponents, edges, tops, bounds)
    for _ in range(ROUNDS if len(edges) > 1 else 0):
        before = best
        for index in range(1, len(edges)):
            for step in (-1, 1):
                trial = list(best.exponents)
                trial[index] += step
                if trial[index] in legal:
                    best = min(best, _priced(trial, edges, tops, bounds), key=lambda c: c.cost)
        if best is before:
            break
    return best


def _apart(a: Float, b: Float) -> int:
    """How many binary places the largest weights of two edges lie apart, in the middle of the groups."""
    both = (a > 0) & (b > 0)
    return int(np.rint(np.median(np.log2(b[both] / a[both])))) if both.any() else 0


def _priced(
    exponents: Sequence[int], edges: Sequence[Incoming], tops: Sequence[Float], bounds: Bounds
) -> Choice:
    scale = bounds.ceiling.copy()
    for exponent, top in zip(exponents, tops, strict=True):
        scale = np.minimum(scale, np.divide(2.0**exponent, top, out=np.full_like(top, np.inf), where=top > 0))
    cost = np.zeros_like(scale)
    for exponent, edge in zip(exponents, edges, strict=True):
        count = np.bincount(edge.group, minlength=len(scale))
        cost += count / edge.rows * edge.power * (edge.source * 2.0**exponent / scale) ** 2 / 12
    levels = bounds.threshold * scale * bounds.unit
    off = (ROUNDED / np.maximum(levels, 1e-9)) ** 2
    off = off + (FLOORED * bounds.unit / np.maximum(levels, 1e-9)) ** 2 * (min(exponents, default=0) < 0)
    each = cost / bounds.threshold**2 + off
    # a geometric mean: channels that are all but dead have tiny thresholds, and would outweigh all others
    return Choice(scale, tuple(exponents), float(np.exp(np.mean(np.log(np.maximum(each, 1e-30))))))


def quantised(edge: Incoming, scale: Float, exponent: int) -> Synapses:
    """The node with integer weights."""
    mantissa = np.floor(edge.weight * scale[edge.group] / (edge.source * 2.0**exponent) + 0.5)
    mantissa = np.clip(mantissa, -edge.high if edge.signed else 0, edge.high)
    if isinstance(edge.node, Sparse):
        same = mantissa.size > 0 and bool((mantissa == mantissa[0]).all())
        mantissa = mantissa[:1] if same else mantissa
    else:
        mantissa = mantissa.reshape(edge.node.weight.shape)
    weight = Quantised(mantissa, Fixed(edge.high.bit_length() + edge.signed, signed=edge.signed))
    return replace(edge.node, weight=weight, bias=None, exponent=exponent)


def weight_error(edge: Incoming, node: Synapses, scale: Float) -> float:
    """Root mean square of the weights' errors, as a share of the root mean square of the weights."""
    values = np.broadcast_to(weight_values(node.weight).reshape(-1), edge.weight.shape)
    real = values * edge.source * 2.0**node.exponent / scale[edge.group]
    norm = float(np.sqrt(np.mean(edge.weight**2))) if edge.weight.size else 0.0
    return float(np.sqrt(np.mean((real - edge.weight) ** 2))) / norm if norm else 0.0
