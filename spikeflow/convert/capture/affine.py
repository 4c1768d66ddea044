"""The graph node for y = factor x + shift, elementwise: exact, and able to carry a bias."""

from __future__ import annotations

from math import prod

import numpy as np
import numpy.typing as npt

from spikeflow.ir.nodes import Conv2d, Shape, Sparse, convolution
from spikeflow.typing import Array


def per_channel(x: npt.ArrayLike, shape: Shape) -> Array | None:
    """One number for each channel (axis 0) where x, broadcast to `shape`, is no more than that; else None."""
    full = np.broadcast_to(np.asarray(x, np.float64), shape).reshape(shape[0], -1)
    return full[:, 0].copy() if (full == full[:, :1]).all() else None


def identity(in_shape: Shape, out_shape: Shape) -> Sparse:
    """The same values in C order under another shape, as synapses of weight 1."""
    count = prod(in_shape)
    return Sparse(np.arange(count + 1), np.arange(count), np.ones(1), in_shape, out_shape)


def affine(shape: Shape, factor: npt.ArrayLike, shift: npt.ArrayLike) -> Conv2d | Sparse:
    """y = factor x + shift; both broadcast to `shape`.

    One number for each channel of several values makes a depthwise convolution of size 1, anything else one
    synapse and one bias for each element.
    """
    a, b = per_channel(factor, shape), per_channel(shift, shape)
    if len(shape) > 1 and a is not None and b is not None:
        weight = a.reshape(-1, *(1,) * len(shape)).astype(np.float32)
        return convolution(weight, b.astype(np.float32), groups=shape[0])
    count = prod(shape)
    weight, bias = (np.broadcast_to(np.asarray(x, np.float64), shape).ravel() for x in (factor, shift))
    return Sparse(
        np.arange(count + 1),
        np.arange(count),
        weight.astype(np.float32),
        shape,
        shape,
        bias.astype(np.float32),
    )
