"""Operations that are exactly sums of rectifiers: maximum, minimum, clamping from one side; and from both.

max(x, y) = x + relu(y - x), min(x, y) = x - relu(x - y): each rectifier becomes spiking neurons, so each
holds as exactly as these do.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.convert.capture.activations import placed
from spikeflow.convert.capture.affine import affine
from spikeflow.convert.capture.arguments import argument
from spikeflow.convert.capture.arithmetic import combined
from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.moves import expanded
from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.ir.activations import RELU
from spikeflow.ir.nodes import Activation
from spikeflow.typing import Array

_SPIKING = "spiking: as a sum of rectifiers"


def maximum(b: Builder, node: AtenNode) -> Value:
    """The larger of two values, or of a value and a constant."""
    return _larger(b, node, 1.0)


def minimum(b: Builder, node: AtenNode) -> Value:
    """The smaller of two values, or of a value and a constant."""
    return _larger(b, node, -1.0)


def _larger(b: Builder, node: AtenNode, sign: float) -> Value:
    """x + sign relu(sign (y - x)); of a constant c and a value x: c + sign relu(sign (x - c))."""
    if len(node.args) < 2 or isinstance(node.args[1], int) and not node.op.endswith("Scalar"):
        raise b.refuse(node, "the largest of a dimension", "torch.maximum of two values, or max pooling")
    x, y = node.args[:2]
    if b.constant(y) is not None:
        x, y = y, x
    rest = combined(b, node, (y, sign), (x, -sign))
    kept = _rectified(b, node, rest, sign)
    constant = b.constant(x)
    if constant is None:
        value = b.sum(b.title(node), expanded(b, node, x), kept)
    else:
        value = _shifted(b, node, kept, b.of_sample(node, constant, node.shape))
    b.decide(node, _SPIKING, value)
    return value


def clamp(b: Builder, node: AtenNode) -> Value:
    """clamp(x, low, high): an activation, or one rectifier where there is one limit; hardtanh, too."""
    if "hardtanh" in node.op:
        low, high = argument(node, 1, "min_val", -1.0), argument(node, 2, "max_val", 1.0)
    elif "clamp_max" in node.op:
        low, high = None, argument(node, 1, "max", None)
    else:
        low, high = argument(node, 1, "min", None), argument(node, 2, "max", None)
    limits = [_limit(b, node, limit) for limit in (low, high)]
    return _clamped(b, node, *limits)


def _limit(b: Builder, node: AtenNode, limit: Any) -> Array | None:
    """A limit for one sample; None where there is none."""
    if limit is None or (isinstance(limit, float) and abs(limit) == inf):
        return None
    constant = b.constant(limit)
    if constant is None:
        raise b.refuse(node, "limits that the network computes", "torch.minimum and torch.maximum")
    return b.of_sample(node, constant, node.shape)


def _clamped(b: Builder, node: AtenNode, low: Array | None, high: Array | None) -> Value:
    x = expanded(b, node, node.args[0])
    if high is None and low is not None and not low.any():
        return placed(b, node, x, RELU)
    if low is None and high is None:
        b.decide(node, "erased: identity", x)
        return x
    if low is None:
        assert high is not None
        below = _rectified(b, node, _affine(b, node, x, -1.0, high), -1.0)
        value = _shifted(b, node, below, high)
    elif high is None:
        value = _shifted(b, node, _rectified(b, node, _affine(b, node, x, 1.0, -low), 1.0), low)
    else:
        # torch gives the upper limit where the lower one lies above it
        return placed(b, node, x, "clamp", low=np.minimum(low, high), high=high)
    b.decide(node, _SPIKING, value)
    return value


def _rectified(b: Builder, node: AtenNode, x: Value, factor: float) -> Value:
    value = b.chain(f"{b.title(node)}.relu", Activation("relu"), x)
    return value if factor == 1 else b.scale(f"{b.title(node)}.factor", value, factor)


def _affine(b: Builder, node: AtenNode, x: Value, factor: float, shift: npt.ArrayLike) -> Value:
    if factor == 1 and not np.any(shift):
        return x
    return b.chain(f"{b.title(node)}.shift", affine(x.shape, factor, shift), x)


def _shifted(b: Builder, node: AtenNode, x: Value, shift: Array) -> Value:
    return x if not shift.any() else b.chain(b.title(node), affine(x.shape, 1.0, shift), x)
