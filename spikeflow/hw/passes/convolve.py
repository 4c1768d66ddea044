"""Chains of linear nodes that are one convolution: where a pool, a pad or a scale melts into a kernel
exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikeflow.ir.arrays import weight_values
from spikeflow.ir.nodes import Concat, Conv2d, Node, Pad, Pair, Scale, Shape, SumPool
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
    """A correlation in float64, ``weight (out, in / groups, ky, kx)``, from `size` to `out_size` (height,
    width).
    """

    weight: Float
    stride: Pair
    before: Pair
    groups: int
    size: Pair
    out_size: Pair
    dilation: Pair = (1, 1)

    @property
    def depthwise(self) -> bool:
        """Whether each channel is treated alone."""
        return self.weight.shape[1] == 1 and self.weight.shape[0] == self.groups


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
    after = [
        max(
            0,
            (kernel.out_size[i] - 1) * kernel.stride[i]
            + _reach(kernel, i)
            + 1
            - kernel.size[i]
            - kernel.before[i],
        )
        for i in (0, 1)
    ]
    padding = ((kernel.before[0], after[0]), (kernel.before[1], after[1]))
    return Conv2d(
        kernel.weight, stride=kernel.stride, padding=padding, groups=kernel.groups, dilation=kernel.dilation
    )


def _reach(kernel: Kernel, axis: int) -> int:
    return (kernel.weight.shape[2 + axis] - 1) * kernel.dilation[axis]


def _kernel(affine: Affine) -> Kernel | None:
    """One node as a kernel, or None."""
    node, shape = affine.node, affine.in_shape
    if len(shape) != 3 or len(affine.out_shape) != 3:
        return None
    size, out_size = (shape[1], shape[2]), (affine.out_shape[1], affine.out_shape[2])
    if isinstance(node, Conv2d):
        weight = weight_values(node.weight).astype(np.float64)
        before = (node.padding[0][0], node.padding[1][0])
        return Kernel(weight, node.stride, before, node.groups, size, out_size, node.dilation)
    if isinstance(node, SumPool):
        return Kernel(np.ones((shape[0], 1, *node.kernel)), node.stride, (0, 0), shape[0], size, out_size)
    if isinstance(node, Scale):
        return _scale(node, shape)
    if isinstance(node, Pad) and node.before[0] == node.after[0] == 0:
        return Kernel(
            np.ones((shape[0], 1, 1, 1)), (1, 1), (node.before[1], node.before[2]), shape[0], size, out_size
        )
    if isinstance(node, Concat) and node.axis == 0:
        weight = np.eye(affine.out_shape[0])[:, affine.start : affine.start + shape[0], None, None]
        return Kernel(weight, (1, 1), (0, 0), 1, size, out_size)
    return None


def _scale(node: Scale, shape: Shape) -> Kernel | None:
    factor = weight_values(node.factor).astype(np.float64)
    padded = factor.reshape((1,) * (3 - factor.ndim) + factor.shape)
    if padded.shape[1:] != (1, 1):
        return None
    weight = np.broadcast_to(padded, (shape[0], 1, 1))[:, None]
    return Kernel(weight, (1, 1), (0, 0), shape[0], (shape[1], shape[2]), (shape[1], shape[2]))


def _then(first: Kernel, second: Kernel) -> Kernel | None:
    """Both as one, or None where the second reads beyond the edge what the first would compute there."""
    if not all(_edge_is_silent(first, second, axis) for axis in (0, 1)):
        return None
    weight = _product(first, second)
    if weight is None:
        return None
    (s0, s1), (b0, b1) = first.stride, first.before
    return Kernel(
        weight,
        (s0 * second.stride[0], s1 * second.stride[1]),
        (b0 + second.before[0] * s0, b1 + second.before[1] * s1),
        second.groups if first.depthwise else first.groups,
        first.size,
        second.out_size,
    )


def _edge_is_silent(first: Kernel, second: Kernel, axis: int) -> bool:
    # beyond its edge the second node sees zeros; the product would see what the first computes there
    stride, before, size = first.stride[axis], first.before[axis], first.size[axis]
    top = second.before[axis] == 0 or _reach(first, axis) < stride + before
    last = (second.out_size[axis] - 1) * second.stride[axis] + _reach(second, axis) - second.before[axis]
    bottom = last < first.out_size[axis] or first.out_size[axis] * stride - before >= size
    return top and bottom


def _product(first: Kernel, second: Kernel) -> Float | None:
    one, two = _spread(first, (1, 1)), _spread(second, first.stride)
    (ky, kx), (ly, lx) = one.shape[2:], two.shape[2:]
    out = second.weight.shape[0]
    inputs = first.weight.shape[1] if not first.depthwise else second.weight.shape[1]
    if not (first.depthwise or second.depthwise or first.groups == second.groups == 1):
        return None
    if out * inputs * (ky + ly - 1) * (kx + lx - 1) > MAX_WEIGHTS:
        return None
    total = np.zeros((out, inputs, ky + ly - 1, kx + lx - 1))
    for y, x in np.ndindex(ly, lx):
        tap = two[:, :, y, x]
        if tap.any():
            total[:, :, y : y + ky, x : x + kx] += _tap(first, second, one, tap)
    return total


def _tap(first: Kernel, second: Kernel, one: Float, tap: Float) -> Float:
    if first.depthwise:
        # channel that input c of output o reads
        group = np.arange(tap.shape[0]) // (tap.shape[0] // second.groups)
        channel = group[:, None] * tap.shape[1] + np.arange(tap.shape[1])
        return np.asarray(tap[:, :, None, None] * one[channel, 0])
    if second.depthwise:
        return np.asarray(tap[:, 0, None, None, None] * one)
    return np.einsum("om,miyx->oiyx", tap, one)


def _spread(kernel: Kernel, stride: Pair) -> Float:
    """The taps on a grid without dilation, `stride` apart."""
    weight = kernel.weight
    step = (kernel.dilation[0] * stride[0], kernel.dilation[1] * stride[1])
    size = ((weight.shape[2] - 1) * step[0] + 1, (weight.shape[3] - 1) * step[1] + 1)
    wide = np.zeros((*weight.shape[:2], *size))
    wide[:, :, :: step[0], :: step[1]] = weight
    return wide
