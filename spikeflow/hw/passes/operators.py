"""Linear nodes as matrices in float64: what `compose` multiplies when a chain is not one convolution.

An operator is a sum of sparse matrices, one for each delay within the node: y(t) = sum over d of M[d] x(t -
d).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from scipy import sparse

from spikeflow.errors import GraphError
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.nodes import (
    Concat,
    Conv2d,
    Flatten,
    Linear,
    Node,
    Output,
    Pad,
    Population,
    Scale,
    Shape,
    Slice,
    Sparse,
    SumPool,
)
from spikeflow.typing import Array

Matrix = Any  # scipy.sparse.csr_array, (targets, sources)
Operator = Mapping[int, Matrix]  # delay -> matrix
MAX_SYNAPSES = 2**28


def operator(name: str, node: Node, in_shape: Shape, out_shape: Shape, port: str = "in") -> Operator:
    """The node's matrices of shape (targets, sources), without its bias.

    Parameters
    ----------
    in_shape : of what arrives at `port`.

    Raises
    ------
    GraphError
        For a kind of node that is not linear, or one too large to be written out.
    """
    if type(node) not in _MATRICES:
        raise GraphError(name, f"a {type(node).__name__} is not linear")
    return _MATRICES[type(node)](name, node, in_shape, out_shape, port)


def multiply(left: Operator, right: Operator) -> Operator:
    """First `right`, then `left`; their delays add up."""
    result: dict[int, Matrix] = {}
    for after, a in left.items():
        for before, b in right.items():
            product = a @ b
            result[after + before] = result[after + before] + product if after + before in result else product
    return result


def _csr(weights: Array, targets: Array, sources: Array, shape: tuple[int, int]) -> Matrix:
    return sparse.csr_array((weights, (targets, sources)), shape=shape)


def selection(sources: Array, count: int) -> Matrix:
    """y[j] = x[sources[j]], or 0 where sources[j] is -1; `count` sources."""
    targets = np.flatnonzero(sources >= 0)
    return _csr(np.ones(len(targets)), targets, sources[targets], (len(sources), count))


def _same(name: str, node: Node, in_shape: Shape, out_shape: Shape, port: str) -> Operator:
    return {0: selection(np.arange(prod(in_shape)), prod(in_shape))}


def _moved(sources: Array, in_shape: Shape) -> Operator:
    return {0: selection(sources.reshape(-1), prod(in_shape))}


def _slice(name: str, node: Slice, in_shape: Shape, out_shape: Shape, port: str) -> Operator:
    cuts = tuple(slice(a, b, s) for a, b, s in zip(node.start, node.stop, node.step, strict=True))
    return _moved(np.arange(prod(in_shape)).reshape(in_shape)[cuts], in_shape)


def _pad(name: str, node: Pad, in_shape: Shape, out_shape: Shape, port: str) -> Operator:
    wide = np.pad(
        np.arange(prod(in_shape)).reshape(in_shape),
        list(zip(node.before, node.after, strict=True)),
        constant_values=-1,
    )
    return _moved(wide, in_shape)


def concat_start(node: Concat, port: str, shapes: Mapping[str, Shape]) -> int:
    """Where a port's values begin along the axis of the concatenation."""
    return sum(shapes[p][node.axis] for p in node.ports[: node.ports.index(port)])


def concat(node: Concat, in_shape: Shape, out_shape: Shape, start: int) -> Operator:
    """The matrix of one port of a concatenation, whose values begin at `start` along the axis."""
    before = tuple(start if i == node.axis else 0 for i in range(len(in_shape)))
    after = tuple(o - n - b for o, n, b in zip(out_shape, in_shape, before, strict=True))
    return _pad("", Pad(before, after), in_shape, out_shape, "in")


def _scale(name: str, node: Scale, in_shape: Shape, out_shape: Shape, port: str) -> Operator:
    factor = np.broadcast_to(weight_values(node.factor).astype(np.float64), in_shape)
    return {0: sparse.diags_array(factor.reshape(-1)).tocsr()}


def _sum_pool(name: str, node: SumPool, in_shape: Shape, out_shape: Shape, port: str) -> Operator:
    (ky, kx), (sy, sx) = node.kernel, node.stride
    at = np.arange(prod(in_shape)).reshape(in_shape)
    taps = [
        at[:, y : y + (out_shape[1] - 1) * sy + 1 : sy, x : x + (out_shape[2] - 1) * sx + 1 : sx].reshape(-1)
        for y, x in np.ndindex(ky, kx)
    ]
    targets = np.tile(np.arange(prod(out_shape)), len(taps))
    return {0: _csr(np.ones(targets.size), targets, np.concatenate(taps), (prod(out_shape), prod(in_shape)))}


def _linear(name: str, node: Linear, in_shape: Shape, out_shape: Shape, port: str) -> Operator:
    weight = weight_values(node.weight).astype(np.float64)
    if node.delays is None:
        return {0: sparse.csr_array(weight)}
    each = np.broadcast_to(node.delays, weight.shape)
    return {int(d): sparse.csr_array(np.where(each == d, weight, 0.0)) for d in np.unique(each)}


def _sparse(name: str, node: Sparse, in_shape: Shape, out_shape: Shape, port: str) -> Operator:
    source = node.over_columns(np.arange(prod(in_shape)))
    weight = node.stored_weights.astype(np.float64)
    size = (prod(out_shape), prod(in_shape))
    if node.delays is None:
        return {0: _csr(weight, node.targets, source, size)}
    each = node.each_delay()
    found = {int(d): np.flatnonzero(each == d) for d in np.unique(each)}
    return {d: _csr(weight[on], node.targets[on], source[on], size) for d, on in found.items()}


def _conv2d(name: str, node: Conv2d, in_shape: Shape, out_shape: Shape, port: str) -> Operator:
    weight = weight_values(node.weight).astype(np.float64)
    out, per_group, ky, kx = weight.shape
    if out * per_group * ky * kx * out_shape[1] * out_shape[2] > MAX_SYNAPSES:
        raise GraphError(name, "has too many synapses to be written out", "a population between these layers")
    group = np.arange(out) // (out // node.groups)
    at = np.pad(np.arange(prod(in_shape)).reshape(in_shape), [(0, 0), *node.padding], constant_values=-1)
    o, c, ys, xs = np.ix_(
        np.arange(out), np.arange(per_group), np.arange(out_shape[1]), np.arange(out_shape[2])
    )
    parts = []
    for y, x in np.ndindex(ky, kx):
        source = at[
            group[o] * per_group + c,
            ys * node.stride[0] + y * node.dilation[0],
            xs * node.stride[1] + x * node.dilation[1],
        ]
        target = np.broadcast_to((o * out_shape[1] + ys) * out_shape[2] + xs, source.shape)
        values = np.broadcast_to(weight[:, :, y, x][:, :, None, None], source.shape)
        inside = source >= 0
        parts.append((values[inside], target[inside], source[inside]))
    values, target, source = (np.concatenate(p) for p in zip(*parts, strict=True))
    return {0: _csr(values, target, source, (prod(out_shape), prod(in_shape)))}


_MATRICES: Mapping[type, Callable[..., Operator]] = {
    Linear: _linear,
    Conv2d: _conv2d,
    Sparse: _sparse,
    SumPool: _sum_pool,
    Flatten: _same,
    Output: _same,
    Population: _same,
    Slice: _slice,
    Pad: _pad,
    Scale: _scale,
}
