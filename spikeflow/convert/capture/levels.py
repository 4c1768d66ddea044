"""Activations in levels: clip, scale, shift, floor, as networks trained for conversion have them (QCFS).

    y = lambda / L floor(L clip(x / lambda, 0, 1) + shift)

A neuron of threshold lambda that starts half a threshold up hands on just this mean in T = L steps of a
constant input, where shift is 1/2; another shift moves what it reads by (shift - 1/2) lambda / L, which gives
the same levels. So thresholds are taken from the network, whatever the rule for others. In more steps than L
the mean comes to the clip alone.

Source: T. Bu and others, Optimal ANN-SNN Conversion for High-accuracy and Ultra-low-latency SNNs, ICLR 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow.convert.capture.affine import affine
from spikeflow.convert.capture.arguments import argument
from spikeflow.convert.capture.builder import SPIKING, Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.trace.atengraph import AtenNode, Ref, base_name, read_by
from spikeflow.ir.nodes import Activation
from spikeflow.typing import Array

MOST_LEVELS = 2**16
SHIFT = ".shift"  # ends the name of what moves a value whose levels are not of the nearest
_CLIPS = ("clamp", "clip", "hardtanh", "relu6")
_FORM = "floor(clamp(x / a, 0, 1) * L + 0.5), L whole: an activation in levels (QCFS)"


def floor(b: Builder, node: AtenNode) -> Value:
    """floor(factor clip(x, 0, high) + shift), where factor times high is whole: as many levels."""
    found = _Levels.before(b, node)
    levels = None if found is None else _whole(found.factor * found.high)
    if found is None or levels is None or not 0 <= found.shift < 1:
        raise b.refuse(node, "floor of other values than a clipped and scaled one", _FORM)
    limits = {"low": np.zeros((), np.float32), "high": found.high.astype(np.float32)}
    x = b.value(found.clip, found.clip.args[0])
    if found.shift != 0.5:  # the same levels by rounding to the nearest, as neurons of any alphabet do
        moved = np.broadcast_to((found.shift - 0.5) * found.high / levels, x.shape)
        x = b.chain(f"{b.title(node)}{SHIFT}", affine(x.shape, 1.0, moved), x)
    value = b.chain(b.title(node), Activation("clamp", limits, levels), x)
    for part in found.parts:
        b.decide(part, "part of the activation in levels that its floor ends")
    verdict = f"{SPIKING}: in {levels} levels, as of {levels} steps, with a threshold of its own"
    b.decide(node, verdict, value)
    return b.scale(f"{b.title(node)}.levels", value, found.factor)


def _whole(levels: Array) -> int | None:
    """The number of levels, the same for all channels."""
    first = float(np.ravel(levels)[0])
    near = round(first)
    same = np.abs(levels - near).max() <= 1e-4 * max(near, 1)
    return near if same and 1 <= near <= MOST_LEVELS else None


@dataclass(frozen=True, eq=False)
class _Levels:
    """What a floor is of: factor clip(x, 0, high) + shift, the clip's operation, and all between; one `high`
    for each channel.
    """

    clip: AtenNode
    high: Array
    factor: Array
    shift: float
    parts: tuple[AtenNode, ...]

    @staticmethod
    def before(b: Builder, node: AtenNode) -> _Levels | None:
        """Looked for backwards through products and sums with constants that nobody else reads."""
        made = {n.name: n for n in b.aten.nodes}
        factor, shift, parts = np.ones(()), np.zeros(()), list[AtenNode]()
        at: Any = node.args[0]
        while isinstance(at, Ref) and at.name in made and _readers(b, at.name) == 1:
            part = made[at.name]
            parts.append(part)
            if base_name(part.op) in _CLIPS:
                high = _high(b, part)
                known = high is not None and (high > 0).all() and (factor > 0).all() and np.ptp(shift) == 0
                if high is None or not known or max(high.shape[1:], default=1) > 1:
                    return None
                return _Levels(part, high, factor, float(np.ravel(shift)[0]), tuple(parts))
            step = _step(b, part)
            if step is None:
                return None
            at, times, plus = step
            factor, shift = factor * times, shift + factor * plus
        return None


def _readers(b: Builder, name: str) -> int:
    inside = sum(name in read_by(n) for n in b.aten.nodes)
    return inside + sum(ref.name == name for ref in b.aten.outputs)


def _step(b: Builder, node: AtenNode) -> tuple[Any, Array, Array] | None:
    """times x + plus as x, times, plus; None for another operation."""
    word = base_name(node.op)
    if word not in ("mul", "multiply", "div", "divide", "true_divide", "add", "sub", "subtract"):
        return None
    if node.kwargs.get("rounding_mode") is not None or argument(node, 2, "alpha", 1) != 1:
        return None
    x, y = node.args[0], b.constant(node.args[1])
    if y is None and word in ("mul", "multiply", "add"):
        x, y = node.args[1], b.constant(node.args[0])
    if y is None:
        return None
    y = b.of_sample(node, y, node.shape)
    if word in ("mul", "multiply"):
        return x, y, np.zeros(())
    if word in ("add", "sub", "subtract"):
        return x, np.ones(()), y if word == "add" else -y
    return (x, 1 / y, np.zeros(())) if np.all(y) else None


def _high(b: Builder, node: AtenNode) -> Array | None:
    """The upper limit of a clip from 0 on."""
    word = base_name(node.op)
    names = ("min_val", "max_val") if word == "hardtanh" else ("min", "max")
    usual = (-1.0, 1.0) if word == "hardtanh" else (None, None)
    limits = (0.0, 6.0) if word == "relu6" else (argument(node, k + 1, names[k], usual[k]) for k in (0, 1))
    low, high = (None if limit is None else b.constant(limit) for limit in limits)
    if low is None or high is None or np.any(low) or not np.isfinite(high).all():
        return None
    return b.of_sample(node, high, node.shape)
