"""8-bit networks of ONNX: weights are given their real values, activations are left in full precision.

A pair of QuantizeLinear and DequantizeLinear rounds values and keeps them within the range that 8 bits have.
Rounding is left out, and so is the range but where it begins at 0 and values may lie below: there the pair is
what is left of a rectifier (or of a clip), so a clip to the range stands in its place. Weights that a file
keeps as floats and rounds as it runs are rounded here, too. Where its input is of 8 bits, samples are these
numbers, and get the values that they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from spikeflow.convert.load.clips import clipped
from spikeflow.convert.load.numbers import tensor
from spikeflow.convert.load.onnx.node import Function, Node
from spikeflow.typing import Array

_KINDS: Mapping[int, Any] = {2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16}  # by ONNX's numbers


def top_from_zero(scale: Any, zero: Any) -> float | None:
    """The top of a quantised range that begins at 0; None where it has values below."""
    values = np.zeros(1, np.uint8) if zero is None else np.asarray(zero)
    if scale is None or values.size != 1 or values.dtype.kind not in "iu":
        return None
    ends = np.iinfo(values.dtype)
    return (
        float(np.asarray(scale).reshape(-1)[0]) * (int(ends.max) - int(ends.min))
        if values == ends.min
        else None
    )


def cut(x: torch.Tensor, top: float | None) -> torch.Tensor:
    """Values within a range from 0 to its top; as they are where there is none."""
    return x if top is None else clipped(x, 0.0, top)


def real(values: Any, scale: Any, zero: Any, axis: int = 1) -> torch.Tensor:
    """(values - zero) scale, with one scale or one for each place along an axis."""
    values, scale = tensor(values), tensor(scale).to(torch.float32)
    zero = torch.zeros(()) if zero is None else tensor(zero)
    if scale.numel() > 1:
        at = [1] * values.ndim
        at[axis % values.ndim] = -1
        scale, zero = scale.reshape(at), zero.reshape(at) if zero.numel() > 1 else zero.reshape(())
    else:
        scale, zero = scale.reshape(()), zero.reshape(())
    return (values.to(torch.float32) - zero.to(torch.float32)) * scale


def rounded(x: torch.Tensor, scale: Array, zero: Array, axis: int) -> torch.Tensor:
    """The values that stored ones stand for once they are rounded to whole numbers and cut to their range."""
    ends = np.iinfo(zero.dtype)
    at = [-1 if axis % x.ndim == n else 1 for n in range(x.ndim)]
    steps = (torch.from_numpy(np.array(v, np.float32).reshape(-1)) for v in (scale, zero))
    step, shift = (v.reshape(at if v.numel() > 1 else ()) for v in steps)
    whole = torch.clamp(torch.round(x / step) + shift, float(ends.min), float(ends.max))
    return (whole - shift) * step


def quantise(node: Node) -> Function:
    """Nothing, or a clip where the range begins at 0 and values may lie below; weights are rounded."""
    scale, zero = node.constant(1), node.constant(2)
    if node.get("constant", False):
        return _of_weights(node, scale, zero)
    if node.stored(0) is None and scale is not None and scale.size > 1:
        raise node.refuse("of a value with a scale for each channel", "one scale for each value")
    if zero is None:
        zero = np.zeros(1, _KINDS.get(int(node.get("output_dtype", 0)), np.uint8))
    top = None if node.get("rectified", False) else top_from_zero(scale, zero)
    return lambda x, *_: cut(tensor(x), top)


def _of_weights(node: Node, scale: Array | None, zero: Array | None) -> Function:
    zeros = np.zeros(1, _KINDS.get(int(node.get("output_dtype", 0)), np.uint8)) if zero is None else zero
    if scale is None or zeros.dtype.kind not in "iu" or node.get("block_size", 0):
        raise node.refuse("of weights in this form", "whole numbers with one scale, or one for each channel")
    axis = int(node.get("axis", 1))
    return lambda x, *_: rounded(tensor(x), scale, zeros, axis)


def dequantise(node: Node) -> Function:
    """Real values of stored ones; of an activation, which was left in full precision, nothing."""
    if node.stored(0) is None and not node.get("whole", (False,))[0]:
        return lambda x, *_: x
    if node.get("block_size", 0):
        raise node.refuse("with blocks", "one scale for a tensor, or one for each channel")
    return lambda x, scale, zero=None: real(x, scale, zero, int(node.get("axis", 1)))


QUANTISED: Mapping[str, Callable[[Node], Function]] = {
    "QuantizeLinear": quantise,
    "DequantizeLinear": dequantise,
}
