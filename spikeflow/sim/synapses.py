"""The sums of linear nodes in their normative order, in numpy.

A sum starts from +0 and adds value x weight, each product rounded before it is added, over the sources in C
order (channel, y, x). Sources that are 0 in the whole batch are passed over, which changes no bit. Integer
sums are exact in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.ir.arrays import Quantised, weight_values
from spikeflow.ir.fixed import shift
from spikeflow.ir.nodes import Conv2d, Linear, Shape, Sparse

Array = npt.NDArray[Any]
Past = Callable[[int], Array]  # the node's input of so many steps ago, (B, *in_shape)


def linear(node: Linear, past: Past, out_shape: Shape) -> Array:
    """W x, ``(B, out)``, with the node's own delays, oldest emission first."""
    weight = weight_values(node.weight)
    slots = [0] if node.delays is None else sorted(np.unique(node.delays).tolist(), reverse=True)
    total = _zeros(past(0), (weight.shape[0],), node.weight)
    for slot in slots:
        x = past(slot).reshape(len(total), -1)
        on = None if node.delays is None else np.broadcast_to(node.delays == slot, weight.shape)
        w = weight if on is None else np.where(on, weight, weight.dtype.type(0))
        total = _add_slot(total, node, x, w)
    return _finish(total, node, out_shape)


def _add_slot(total: Array, node: Linear, x: Array, w: Array) -> Array:
    if isinstance(node.weight, Quantised):
        return total + shift(_exact_product(x, w), node.exponent)
    for source in np.flatnonzero((x != 0).any(axis=0)):
        total += x[:, source, None] * w[:, source]
    return total


def _exact_product(x: Array, w: Array) -> Array:
    """x w.T in integers: through float64 where every partial sum is below 2**53, hence exact."""
    bound = np.abs(w).astype(np.float64).sum(axis=1).max(initial=0.0) * np.abs(x).max(initial=0)
    if bound < 2.0**53:
        return (x.astype(np.float64) @ w.astype(np.float64).T).astype(np.int64)
    return x @ w.astype(np.int64).T


def conv2d(node: Conv2d, past: Past, out_shape: Shape) -> Array:
    """The correlation, ``(B, out, y, x)``, added in the order (channel, kernel y, kernel x)."""
    x, weight = past(0), weight_values(node.weight)
    batch, groups = len(x), node.groups
    (top, bottom), (left, right) = node.padding
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    padded = padded.reshape(batch, groups, -1, *padded.shape[2:])
    kernel = weight.reshape(groups, -1, *weight.shape[1:])
    total = _zeros(x, (groups, kernel.shape[1], *out_shape[1:]), node.weight)
    for c, ky, kx in np.ndindex(*weight.shape[1:]):
        window = padded[:, :, c, *_taps(node, ky, kx, out_shape)]
        total += window[:, :, None] * kernel[None, :, :, c, ky, kx, None, None].astype(total.dtype)
    total = total.reshape(batch, *out_shape)
    if isinstance(node.weight, Quantised):
        total = shift(total, node.exponent)
    return _finish(total, node, out_shape)


def _taps(node: Conv2d, ky: int, kx: int, out_shape: Shape) -> tuple[slice, slice]:
    y, x = ky * node.dilation[0], kx * node.dilation[1]
    return (
        slice(y, y + (out_shape[1] - 1) * node.stride[0] + 1, node.stride[0]),
        slice(x, x + (out_shape[2] - 1) * node.stride[1] + 1, node.stride[1]),
    )


def sparse(node: Sparse, past: Past, out_shape: Shape) -> Array:
    """Rows by source, in stored order, with the node's own delays, oldest emission first."""
    now = past(0)
    weight = np.broadcast_to(weight_values(node.weight), node.targets.shape)
    source = np.repeat(np.arange(prod(node.in_shape)), np.diff(node.indptr))
    delays = np.zeros(1, np.int32) if node.delays is None else node.delays
    each = delays[source] if delays.shape == (prod(node.in_shape),) else np.broadcast_to(delays, source.shape)
    total = _zeros(now, (prod(out_shape),), node.weight)
    for slot in sorted(np.unique(delays).tolist(), reverse=True):
        on = np.flatnonzero(each == slot)
        values = past(slot).reshape(len(now), -1)[:, source[on]]
        total = _scatter(total, node, values, (node.targets[on], weight[on]))
    return _finish(total.reshape(len(now), *out_shape), node, out_shape)


def _scatter(total: Array, node: Sparse, values: Array, synapses: tuple[Array, Array]) -> Array:
    targets, weight = synapses
    fixed = isinstance(node.weight, Quantised)
    slot = np.zeros_like(total) if fixed else total
    for b in range(len(values)):
        hit = np.flatnonzero(values[b])
        # add.at adds one after the other, in order, also where a target comes twice
        np.add.at(slot[b], targets[hit], values[b, hit] * weight[hit].astype(slot.dtype))
    return total + shift(slot, node.exponent) if fixed else slot


def _zeros(x: Array, shape: Shape, weight: object) -> Array:
    return np.zeros((len(x), *shape), np.int64 if isinstance(weight, Quantised) else np.float32)


def _finish(total: Array, node: Linear | Conv2d | Sparse, out_shape: Shape) -> Array:
    if node.bias is None:
        return total
    per_channel = isinstance(node, Conv2d)
    return total + (node.bias[:, None, None] if per_channel else node.bias.reshape(out_shape))


def fan_out(node: Linear | Conv2d | Sparse, in_shape: Shape, out_shape: Shape) -> Array:
    """Number of synapses of each source, shape ``in_shape``: a kernel's taps count where they hit the target."""
    if isinstance(node, Linear):
        return np.full(in_shape, node.weight.shape[0], np.int64)
    if isinstance(node, Sparse):
        return np.diff(node.indptr).reshape(in_shape)
    hits = np.ones((1, 1), np.int64)
    for axis in (0, 1):
        line = np.zeros(in_shape[1 + axis] + sum(node.padding[axis]), np.int64)
        for tap in range(node.weight.shape[2 + axis]):
            at = tap * node.dilation[axis] + np.arange(out_shape[1 + axis]) * node.stride[axis]
            line[at] += 1
        line = line[node.padding[axis][0] :][: in_shape[1 + axis]]
        hits = hits * (line[:, None] if axis == 0 else line[None, :])
    return np.broadcast_to(hits * (node.weight.shape[0] // node.groups), in_shape)
