"""Chains of linear nodes that are one convolution: where a pool, a pad or a scale melts into a kernel
exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from spikeflow.ir.arrays import weight_values
from spikeflow.ir.nodes import Concat, Conv2d, Node, Pad, Scale, Shape, SumPool
from spikeflow.typing import Float

MAX_WEIGHTS = 2**24


@dataclass(frozen=True)
class Affine:
    """A linear node with what arrives and what leaves; `start` is where it enters a concatenation."""

    node: Node
    in_shape: Shape
    out_shape: Shape
    start: int = 0


@dataclass(frozen=True)
class Kernel:
    """A correlation in float64, ``weight (out, in / groups, *kernel)``, from `size` to `out_size`, the axes
    of a channel.
    """

    weight: Float
    stride: Shape
    before: Shape
    groups: int
    size: Shape
    out_size: Shape
    dilation: Shape

    @property
    def depthwise(self) -> bool:
        """Whether each channel is treated alone."""
        return self.weight.shape[1] == 1 and self.weight.shape[0] == self.groups

    @property
    def axes(self) -> range:
        """The axes of a channel."""
        return range(len(self.size))


def as_conv(chain: Sequence[Affine], in_shape: Shape) -> Conv2d | None:
    """The convolution that equals the chain, padding included; None where it is none.

    The caller compares the shapes: rows at the far edge that no window reaches are left out.
    """
    if len(chain) == 1 and isinstance(chain[0].node, Conv2d):
        return replace(chain[0].node, bias=None)
    if not any(isinstance(a.node, Conv2d) for a in chain):
        return None
    kernel: Kernel | None = None
    for affine in chain:
        step = _kernel(affine)
        if step is None:
            return None
        kernel = step if kernel is None else _then(kernel, step)
        if kernel is None:
            return None
    return None if kernel is None else _conv(kernel)


def _conv(kernel: Kernel) -> Conv2d:
    reached = [(kernel.out_size[i] - 1) * kernel.stride[i] + _reach(kernel, i) + 1 for i in kernel.axes]
    after = [max(0, reached[i] - kernel.size[i] - kernel.before[i]) for i in kernel.axes]
    return Conv2d(
        kernel.weight,
        stride=kernel.stride,
        padding=tuple(zip(kernel.before, after, strict=True)),
        groups=kernel.groups,
        dilation=kernel.dilation,
    )


def _reach(kernel: Kernel, axis: int) -> int:
    return (kernel.weight.shape[2 + axis] - 1) * kernel.dilation[axis]


def _kernel(affine: Affine) -> Kernel | None:
    """One node as a kernel, or None."""
    node, shape = affine.node, affine.in_shape
    size, out_size = shape[1:], affine.out_shape[1:]
    if len(size) != len(out_size) or not size:
        return None
    ones, zeros = (1,) * len(size), (0,) * len(size)
    if isinstance(node, Conv2d):
        weight = weight_values(node.weight).astype(np.float64)
        before = tuple(ends[0] for ends in node.padding)
        return Kernel(weight, node.stride, before, node.groups, size, out_size, node.dilation)
    if isinstance(node, SumPool):
        weight = np.ones((shape[0], 1, *node.kernel))
        return Kernel(weight, node.stride, zeros, shape[0], size, out_size, ones)
    if isinstance(node, Scale):
        return _scale(node, shape)
    if isinstance(node, Pad) and node.before[0] == node.after[0] == 0:
        weight = np.ones((shape[0], 1, *ones))
        return Kernel(weight, ones, node.before[1:], shape[0], size, out_size, ones)
    if isinstance(node, Concat) and node.axis == 0:
        weight = np.eye(affine.out_shape[0])[:, affine.start : affine.start + shape[0]]
        return Kernel(weight.reshape(*weight.shape, *ones), ones, zeros, 1, size, out_size, ones)
    return None


def _scale(node: Scale, shape: Shape) -> Kernel | None:
    factor = weight_values(node.factor).astype(np.float64)
    padded = factor.reshape((1,) * (len(shape) - factor.ndim) + factor.shape)
    size, ones, zeros = shape[1:], (1,) * len(shape[1:]), (0,) * len(shape[1:])
    if padded.shape[1:] != ones:
        return None
    weight = np.broadcast_to(padded, (shape[0], *ones))[:, None]
    return Kernel(weight, ones, zeros, shape[0], size, size, ones)


def _then(first: Kernel, second: Kernel) -> Kernel | None:
    """Both as one, or None where the second reads beyond the edge what the first would compute there."""
    if not all(_edge_is_silent(first, second, axis) for axis in first.axes):
        return None
    weight = _product(first, second)
    if weight is None:
        return None
    steps = list(zip(first.stride, second.stride, strict=True))
    ends = zip(first.before, second.before, first.stride, strict=True)
    return Kernel(
        weight,
        tuple(a * b for a, b in steps),
        tuple(own + later * stride for own, later, stride in ends),
        second.groups if first.depthwise else first.groups,
        first.size,
        second.out_size,
        (1,) * len(steps),
    )


def _edge_is_silent(first: Kernel, second: Kernel, axis: int) -> bool:
    # beyond its edge the second node sees zeros; the product would see what the first computes there
    stride, before, size = first.stride[axis], first.before[axis], first.size[axis]
    top = second.before[axis] == 0 or _reach(first, axis) < stride + before
    last = (second.out_size[axis] - 1) * second.stride[axis] + _reach(second, axis) - second.before[axis]
    bottom = last < first.out_size[axis] or first.out_size[axis] * stride - before >= size
    return top and bottom


def _product(first: Kernel, second: Kernel) -> Float | None:
    one, two = _spread(first, (1,) * len(first.axes)), _spread(second, first.stride)
    own, late = one.shape[2:], two.shape[2:]
    whole = tuple(a + b - 1 for a, b in zip(own, late, strict=True))
    out = second.weight.shape[0]
    inputs = first.weight.shape[1] if not first.depthwise else second.weight.shape[1]
    if not (first.depthwise or second.depthwise or first.groups == second.groups == 1):
        return None
    if out * inputs * prod(whole) > MAX_WEIGHTS:
        return None
    total = np.zeros((out, inputs, *whole))
    for place in np.ndindex(*late):
        tap = two[:, :, *place]
        if tap.any():
            total[:, :, *(slice(a, a + n) for a, n in zip(place, own, strict=True))] += _tap(
                first, second, one, tap
            )
    return total


def _tap(first: Kernel, second: Kernel, one: Float, tap: Float) -> Float:
    each = tap.reshape(*tap.shape, *(1,) * len(first.axes))
    if first.depthwise:
        # channel that input c of output o reads
        group = np.arange(tap.shape[0]) // (tap.shape[0] // second.groups)
        channel = group[:, None] * tap.shape[1] + np.arange(tap.shape[1])
        return np.asarray(each * one[channel, 0])
    if second.depthwise:
        return np.asarray(each * one)
    return np.einsum("om,mi...->oi...", tap, one)


def _spread(kernel: Kernel, stride: Shape) -> Float:
    """The taps on a grid without dilation, `stride` apart."""
    weight = kernel.weight
    step = [d * s for d, s in zip(kernel.dilation, stride, strict=True)]
    size = [(n - 1) * s + 1 for n, s in zip(weight.shape[2:], step, strict=True)]
    wide = np.zeros((*weight.shape[:2], *size))
    wide[:, :, *(slice(None, None, s) for s in step)] = weight
    return wide
