"""Nested states, such as those of optimisers, as JSON and arrays, and back; nothing of a file is ever run.

Taken are None, bools, numbers, text, lists, tuples, dicts with names or whole numbers for keys, arrays and
tensors. Floats are written in hexadecimal, so that every bit stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from spikeflow.errors import GraphError
from spikeflow.ir.arrays import Array

MAX_DEPTH = 32
# types that files hold as they are; others travel as whole numbers of their width
_AS_BITS = {torch.bool: torch.uint8, torch.float16: torch.int16, torch.bfloat16: torch.int16}
_NAMES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float32, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
        *_AS_BITS,
    )
}


def encoded(value: Any, arrays: list[Array]) -> Any:
    """A value as JSON; its arrays are appended to `arrays`.

    Raises
    ------
    TypeError
        For what cannot be written.
    """
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, dict):
        if any(type(key) not in (str, int) for key in value):
            raise TypeError("a key that is neither a name nor a whole number")
        return {"dict": [[key, encoded(item, arrays)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        word = "list" if isinstance(value, list) else "tuple"
        return {word: [encoded(item, arrays) for item in value]}
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value))
        return {"array": len(arrays) - 1}
    if isinstance(value, torch.Tensor) and (name := str(value.dtype).removeprefix("torch.")) in _NAMES:
        held = value.detach().cpu().contiguous()
        arrays.append((held.view(_AS_BITS[held.dtype]) if held.dtype in _AS_BITS else held).numpy().copy())
        return {"tensor": len(arrays) - 1, "type": name}
    raise TypeError(f"a {type(value).__name__}")


def decoded(data: Any, arrays: Sequence[Array], depth: int = 0) -> Any:
    """The value that `encoded` wrote.

    Raises
    ------
    GraphError
        For anything that it does not write.
    """
    if data is None or type(data) in (bool, int, str):
        return data
    if type(data) is not dict or depth > MAX_DEPTH:
        raise GraphError("state", "holds something that spikeflow does not write")
    match data:
        case {"float": str(text), **rest} if not rest:
            return _float(text)
        case {"dict": list(items), **rest} if not rest:
            return dict(_pair(item, arrays, depth) for item in items)
        case {"list": list(items), **rest} if not rest:
            return [decoded(item, arrays, depth + 1) for item in items]
        case {"tuple": list(items), **rest} if not rest:
            return tuple(decoded(item, arrays, depth + 1) for item in items)
        case {"array": int(index), **rest} if not rest:
            return _array(arrays, index)
        case {"tensor": int(index), "type": str(name), **rest} if not rest and name in _NAMES:
            return _tensor(_array(arrays, index), _NAMES[name])
        case _:
            raise GraphError("state", "holds something that spikeflow does not write")


def _float(text: str) -> float:
    try:
        return float.fromhex(text)
    except (ValueError, OverflowError):
        raise GraphError("state", "holds a number that spikeflow does not write") from None


def _pair(item: Any, arrays: Sequence[Array], depth: int) -> tuple[Any, Any]:
    if type(item) is not list or len(item) != 2 or type(item[0]) not in (str, int):
        raise GraphError("state", "holds a table that spikeflow does not write")
    return item[0], decoded(item[1], arrays, depth + 1)


def _array(arrays: Sequence[Array], index: int) -> Array:
    if not 0 <= index < len(arrays):
        raise GraphError("state", "names an array that is not there")
    return arrays[index]


def _tensor(array: Array, dtype: torch.dtype) -> torch.Tensor:
    held = torch.from_numpy(np.array(array))
    wanted = _AS_BITS.get(dtype, dtype)
    if held.dtype != wanted:
        raise GraphError("state", f"holds {held.dtype} where {wanted} belongs")
    return held.view(dtype) if dtype in _AS_BITS else held
