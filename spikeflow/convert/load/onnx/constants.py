"""What a file computes of stored values alone, a few numbers each: computed as it is read.

Exporters leave such chains behind: the type of a scale, the shape of a weight, the zeros of a bias. Weights
stay what they are, under their own names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from spikeflow.convert.load.numbers import MOST, Numbers
from spikeflow.convert.load.onnx.fused import Raw
from spikeflow.convert.load.onnx.node import Node
from spikeflow.convert.load.onnx.operators import OURS, either, stored_value, taken
from spikeflow.convert.load.tree import MISFIT
from spikeflow.errors import FileError, ModelError
from spikeflow.typing import Array

_KINDS = (
    *("Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Reciprocal", "Pow", "Cast", "Identity"),
    *("Reshape", "Squeeze", "Unsqueeze", "Transpose", "Concat", "Slice", "Gather", "Expand"),
    *("ConstantOfShape", "Range", "ReduceProd", "Where", "Equal", "Not"),
)
_TYPES = (np.float32, np.int64, np.int32, np.bool_)  # arithmetic on fewer bits begins again at its ends


def constant(path: str, name: str, said: Mapping[str, Any]) -> Array:
    """The values of a Constant.

    Raises
    ------
    FileError
        Where there are none.
    """
    plain = ("value", "value_float", "value_floats", "value_int", "value_ints")
    found = next((said[key] for key in plain if said.get(key) is not None), None)
    if found is None:
        raise FileError(path, f"the constant {name[:80]!r} holds no numbers", "the file as it was exported")
    if isinstance(found, np.ndarray):
        return found
    try:
        return np.array(found, np.int64 if "int" in next(k for k in plain if k in said) else np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise FileError(path, f"the constant {name[:80]!r} is damaged ({error})"[:300]) from None


def computed(raw: Raw, known: Mapping[str, Array], opset: int) -> Array | None:
    """What a node makes of stored values; None where it reads others, or makes more than a few numbers."""
    if raw.domain not in OURS or len(raw.writes) != 1 or not raw.reads:
        return None
    first = known.get(raw.reads[0])
    if raw.kind == "CastLike":  # all floats are of one type here
        return first if first is not None and first.dtype.kind == "f" else None
    if raw.kind == "Shape":
        said: Mapping[str, Any] = raw.attributes
        return (
            None if first is None else np.array(first.shape[said.get("start", 0) : said.get("end")], np.int64)
        )
    given = [known.get(name) if name else None for name in raw.reads]
    if raw.kind not in _KINDS or any(v is None and name for v, name in zip(given, raw.reads, strict=True)):
        return None
    few = all(v is None or (v.size <= MOST and v.dtype.type in _TYPES) for v in given)
    if not few or _grows(raw, given):
        return None
    node = Node(raw.name, raw.kind, raw.attributes, raw.reads, tuple(given), (True,), opset)
    try:
        with torch.no_grad():
            found = either(node, *taken(raw))(*(None if v is None else stored_value(v) for v in given))
        return _array(found)
    except (ModelError, RuntimeError, *MISFIT):
        return None  # its own place in the network says what is wrong with it


def _grows(raw: Raw, given: list[Array | None]) -> bool:
    """Whether the result, whose size is said by values, would be more than a few numbers."""
    if raw.kind == "Range":
        start, stop, step = (float(v.reshape(-1)[0]) if v is not None and v.size == 1 else 0.0 for v in given)
        return step == 0 or abs(stop - start) > MOST * abs(step)
    shape = {"Expand": 1, "ConstantOfShape": 0}.get(raw.kind)
    if shape is None:  # of two that are broadcast against each other
        return int(np.prod([v.size for v in given if v is not None], dtype=object)) > MOST**2
    wanted = given[shape] if shape < len(given) else None
    return wanted is None or int(np.prod([max(int(n), 1) for n in wanted.reshape(-1)], dtype=object)) > MOST


def _array(found: Any) -> Array | None:
    if isinstance(found, Numbers):
        return found.values.astype(np.int64 if found.whole else np.float32)
    plain = isinstance(found, torch.Tensor) and found.numel() <= MOST
    return found.detach().numpy().copy() if plain else None
