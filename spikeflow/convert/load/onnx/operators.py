"""What an operator becomes, by its name: a function of values, or of numbers that say how these are moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from spikeflow.convert.load.numbers import MOST, Numbers
from spikeflow.convert.load.onnx.elementwise import ELEMENTWISE
from spikeflow.convert.load.onnx.fused import Raw
from spikeflow.convert.load.onnx.layers import LAYERS
from spikeflow.convert.load.onnx.microsoft import MICROSOFT
from spikeflow.convert.load.onnx.moves import MOVES
from spikeflow.convert.load.onnx.node import Function, Node
from spikeflow.convert.load.onnx.qlinear import QLINEAR, QLINEAR_ELSEWHERE
from spikeflow.convert.load.onnx.quantised import QUANTISED
from spikeflow.convert.load.onnx.resize import RESIZE
from spikeflow.convert.load.onnx.sizes import ON_NUMBERS, SIZES
from spikeflow.errors import UnsupportedLayer
from spikeflow.typing import Array

FEW = 16  # stored values that may be such numbers
OPERATORS: Mapping[str, Callable[[Node], Function]] = {
    **LAYERS,
    **ELEMENTWISE,
    **MOVES,
    **RESIZE,
    **SIZES,
    **QUANTISED,
    **QLINEAR,
}
OURS = ("", "ai.onnx")
# of com.microsoft, and what of its own names means there what it means in ONNX
_ELSEWHERE = {
    **MICROSOFT,
    **QLINEAR_ELSEWHERE,
    **{name: QUANTISED[name] for name in ("QuantizeLinear", "DequantizeLinear")},
}
_REASONS = {
    "LRN": ("normalisation by the sample's own statistics", "batch norm in its place, after retraining"),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), ("a recurrent layer", "spikeflow.neurons, trained as it spikes")),
    **dict.fromkeys(("If", "Loop", "Scan"), ("a branch or a loop", "an export without branches on values")),
    "DynamicQuantizeLSTM": ("a recurrent layer", "spikeflow.neurons, trained as it spikes"),
    "Attention": ("attention", "a network without attention"),
}
_KNOWN = "onnxsim (package onnxsim), which computes what can be known; or the part of the network before it"


def taken(raw: Raw) -> tuple[Callable[[Node], Function] | None, Callable[..., Any] | None]:
    """The operator that a node names: on values, and on numbers that say how values are moved."""
    elsewhere = raw.domain not in OURS
    make = (_ELSEWHERE if raw.domain == "com.microsoft" else {} if elsewhere else OPERATORS).get(raw.kind)
    numbers = None if elsewhere else ON_NUMBERS.get(raw.kind)
    if make is None and numbers is None:
        where = f" of {raw.domain[:60]}" if elsewhere else ""
        kind, hint = _REASONS.get(raw.kind, ("", _KNOWN))
        what = f"the ONNX operator {raw.kind[:60]}{where}"
        raise UnsupportedLayer(raw.name, f"{what} ({kind})" if kind else what, hint)
    return make, numbers


def either(
    node: Node, make: Callable[[Node], Function] | None, numbers: Callable[..., Any] | None
) -> Function:
    """The operator on values, or on numbers that say how values are moved."""
    function = None if make is None else make(node)
    if numbers is None:
        assert function is not None
        return function

    def run(*given: Any) -> Any:
        if any(isinstance(v, Numbers) for v in given):
            plain = [_few(node, n, v) for n, v in enumerate(given)]
            if all(v is None or isinstance(v, Numbers) for v in plain):
                return numbers(node, *plain)
        if function is None:
            raise node.refuse("on values", _KNOWN)
        return function(*given)

    return run


def _few(node: Node, index: int, value: Any) -> Any:
    """A stored number that meets numbers, as one of them."""
    stored = node.stored(index)
    if isinstance(value, torch.Tensor) and stored is not None and stored.ndim <= 1 and stored.size <= FEW:
        return Numbers.of(stored.tolist(), stored.dtype.kind in "iub")
    return value


def stored_value(values: Array) -> torch.Tensor | Numbers:
    """Numbers that may say how values are moved, or a tensor."""
    sizes = values.dtype.type in (np.int64, np.int32, np.bool_)
    if (values.ndim <= 1 or sizes) and values.size <= MOST and values.dtype.kind in "iub":
        plain = np.empty(values.shape, object)
        plain[...] = values.tolist()
        return Numbers(plain)
    if values.dtype.kind == "u" and values.dtype.itemsize > 1:
        values = values.astype(np.int64)
    return torch.from_numpy(np.array(values, order="C"))
