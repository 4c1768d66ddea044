"""8-bit networks of ONNX: weights are given their real values, activations are left in full precision.

A pair of QuantizeLinear and DequantizeLinear rounds values and keeps them within the range that 8 bits have;
rounding and the range's upper end are left out, which is told. Where the range begins at 0 the pair is what
is left of a rectifier, so a rectifier stands in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from spikeflow.convert.load.numbers import tensor
from spikeflow.convert.load.onnx.layers import windows
from spikeflow.convert.load.onnx.node import Function, Node
from spikeflow.convert.load.windows import convolved

TOLD = (
    "its 8-bit activations are taken in full precision: they are neither rounded nor cut off at the top of "
    "their range; weights have exactly the values that they stand for"
)
ROUNDING = ("QuantizeLinear", "QLinearConv", "QLinearMatMul")


def begins_at_zero(zero: Any) -> bool:
    """Whether the range of a quantised type, with this zero, has no value below 0."""
    values = np.zeros(1, np.uint8) if zero is None else np.asarray(zero)
    return values.dtype.kind in "iu" and bool((values == np.iinfo(values.dtype).min).all())


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


def quantise(node: Node) -> Function:
    """Nothing, or a rectifier where the range begins at 0 and values may lie below."""
    if bool(node.get("rectified", False)) or not begins_at_zero(node.constant(2)):
        return lambda x, *_: x
    return lambda x, *_: F.relu(tensor(x))


def dequantise(node: Node) -> Function:
    """Real values of stored ones; of an activation, which was left in full precision, nothing."""
    if node.stored(0) is None:
        return lambda x, *_: x
    if node.get("block_size", 0):
        raise node.refuse("with blocks", "one scale for a tensor, or one for each channel")
    return lambda x, scale, zero=None: real(x, scale, zero, int(node.get("axis", 1)))


def quantised_conv(node: Node) -> Function:
    """A convolution with its quantisation: inputs x, its scale and zero, w, scale, zero, y's, bias."""
    groups = int(node.get("group", 1))
    cut = begins_at_zero(node.constant(7))

    def run(x: Any, x_scale: Any, x_zero: Any, w: Any, w_scale: Any, w_zero: Any, *rest: Any) -> Any:
        weight = real(w, w_scale, w_zero, 0)
        bias = None
        if len(rest) > 2 and rest[2] is not None:
            bias = tensor(rest[2]).to(torch.float32) * (tensor(x_scale) * tensor(w_scale)).reshape(-1)
        found = windows(node, tuple(int(n) for n in weight.shape[2:]))
        made = convolved(tensor(x), weight, bias, found, groups)
        return F.relu(made) if cut else made

    return run


def quantised_matmul(node: Node) -> Function:
    """A product with its quantisation: inputs a, its scale and zero, b, scale, zero, y's."""
    cut = begins_at_zero(node.constant(7))

    def run(a: Any, a_scale: Any, a_zero: Any, b: Any, b_scale: Any, b_zero: Any, *_: Any) -> Any:
        made = F.linear(tensor(a), real(b, b_scale, b_zero, -1).t())
        return F.relu(made) if cut else made

    return run


QUANTISED: Mapping[str, Callable[[Node], Function]] = {
    "QuantizeLinear": quantise,
    "DequantizeLinear": dequantise,
    "QLinearConv": quantised_conv,
    "QLinearMatMul": quantised_matmul,
}
