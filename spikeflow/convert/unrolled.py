"""A one-dimensional convolution as listed synapses: the graph has pictures and lists, not lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.ir.nodes import Pair, Shape, Sparse

Array = npt.NDArray[Any]
MAX_SYNAPSES = 2**22


def unrolled_conv1d(
    parameters: tuple[Array, Array | None], shape: Shape, steps: tuple[int, int, int], padding: Pair
) -> Sparse | None:
    """The Sparse node of a convolution on ``(C, L)``; None where it has more than MAX_SYNAPSES synapses.

    Parameters
    ----------
    parameters : weight ``(out, in / groups, kernel)`` and bias ``(out,)``.
    steps : stride, dilation and groups.
    padding : zeros before and after.
    """
    (weight, bias), (stride, dilation, groups) = parameters, steps
    out, per_group, kernel = weight.shape
    length = (shape[1] + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1
    if out * per_group * kernel * length > MAX_SYNAPSES:
        return None
    o, c, k, at = (a.ravel() for a in np.indices((out, per_group, kernel, length)))
    position = at * stride + k * dilation - padding[0]
    source = (o // (out // groups) * per_group + c) * shape[1] + position
    target, value = o * length + at, weight[o, c, k]
    inside = (position >= 0) & (position < shape[1])
    order = np.lexsort((target[inside], source[inside]))
    rows = np.bincount(source[inside], minlength=shape[0] * shape[1])
    return Sparse(
        np.concatenate([[0], np.cumsum(rows)]),
        target[inside][order],
        value[inside][order].astype(np.float32),
        shape,
        (out, length),
        None if bias is None else np.repeat(bias, length),
    )
