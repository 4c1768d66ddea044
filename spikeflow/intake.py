"""Intake: whatever a user hands over as numbers, made one numpy array, or refused in our own words.

Arrays of any memory layout, tensors (with a gradient, on a device, in half precision), lists of any of these,
and whatever else offers itself as an array. Torch is never imported: a tensor is known by what it can do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikeflow.errors import DataError
from spikeflow.typing import Array

REAL = "biuf"  # kinds of numpy types that are real numbers
PLAIN = bool | int | float | np.bool_ | np.integer | np.floating
LARGEST = float(np.finfo(np.float32).max)
PIECE = 1 << 24  # values looked at together


def array_of(what: str, given: object) -> Array:
    """The real numbers that were handed over, as one numpy array; shared with the giver where it is one
    already.

    Parameters
    ----------
    what : how errors call it.

    Raises
    ------
    DataError
        For anything without numbers: strings, objects, dictionaries, ragged lists; for complex numbers,
        sparse, masked and quantised arrays, and tensors that hold no values.
    """
    array = _array(what, given)
    if array.dtype.kind not in REAL:
        raise DataError(what, _described(given, array), "real numbers", _HINTS.get(array.dtype.kind, ""))
    return array


def finite_floats(what: str, array: Array) -> Array:
    """The same numbers as float32; DataError where one is NaN, infinite or beyond float32.

    Numbers too small for float32 become 0 or lose bits, as in every conversion to it.
    """
    if array.dtype.kind == "f" and not _within(array):
        if not all(np.isfinite(part).all() for part in _parts(array)):
            raise DataError(what, "NaN or infinite values", "finite values")
        raise DataError(what, "values beyond 3.4e38", "values that fit into float32")
    return array.astype(np.float32, copy=False)


def _within(array: Array) -> bool:
    # minimum and maximum hand on a NaN, which compares with nothing
    return all(
        float(part.min(initial=0)) >= -LARGEST and float(part.max(initial=0)) <= LARGEST
        for part in _parts(array)
    )


def _parts(array: Array) -> list[Array]:
    """Views of some rows each, so that no look at a large array takes as much memory again."""
    if array.ndim == 0:
        return [array]
    rows = max(1, PIECE // max(1, array.size // max(1, len(array))))
    return [array[at : at + rows] for at in range(0, len(array), rows)]


def is_tensor(given: object) -> bool:
    """Whether this is a tensor of torch, parameters included."""
    return all(hasattr(given, name) for name in ("detach", "layout", "device", "requires_grad"))


def _array(what: str, given: object) -> Array:
    if given is None:
        raise DataError(what, "none", "an array of numbers")
    if isinstance(given, Mapping):
        raise DataError(what, f"a {type(given).__name__} of {len(given)}", "one array")
    if is_tensor(given):
        return _from_tensor(what, given)
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise DataError(what, "an array with masked values", "numbers everywhere", "x.filled(value)")
    if isinstance(given, list | tuple):
        return _from_list(what, given)
    if hasattr(given, "toarray") and not hasattr(given, "__array__"):
        raise DataError(what, f"a sparse {type(given).__name__}", "a dense array", "x.toarray()")
    try:
        return np.asarray(given)
    except Exception as error:  # __array__ is the giver's own code
        raise DataError(what, f"a {type(given).__name__} ({_words(error)})", "an array of numbers") from error


def _from_tensor(what: str, given: Any) -> Array:
    if getattr(given, "is_nested", False) or str(given.layout) != "torch.strided":
        raise DataError(what, f"a tensor of layout {given.layout}", "a dense tensor", "x.to_dense()")
    if getattr(given, "is_quantized", False):
        raise DataError(what, "a quantised tensor", "real numbers", "x.dequantize()")
    if given.device.type == "meta":
        raise DataError(what, "a tensor on the meta device, which holds no values", "a tensor with values")
    if given.is_complex():
        raise DataError(what, f"complex numbers ({given.dtype})", "real numbers", _HINTS["c"])
    try:
        here = given.detach().cpu().resolve_neg()
        narrow = here.is_floating_point() and here.element_size() < 4  # numpy has no bfloat16
        return np.asarray((here.float() if narrow else here).numpy())
    except Exception as error:  # a tensor of a subclass, or of a transform of torch.func
        raise DataError(
            what, f"a {type(given).__name__} ({_words(error)})", "a tensor with values"
        ) from error


def _from_list(what: str, given: Sequence[object]) -> Array:
    if all(isinstance(item, PLAIN) for item in given):
        try:
            return np.asarray(given)
        except (OverflowError, ValueError) as error:
            raise DataError(what, _words(error), "numbers of at most 64 bits") from error
    parts = [array_of(what, item) for item in given]
    shapes = {part.shape for part in parts}
    if len(shapes) > 1:
        few = " and ".join(str(s) for s in sorted(shapes, key=str)[:2])
        raise DataError(
            what, f"items of different shapes, such as {few}", "items of one shape", "padding or cutting them"
        )
    return np.stack(parts)


_HINTS = {
    "c": "x.real, or real and imaginary parts as channels",
    "O": "an array of one number type",
    "V": "one field of it",
}


def _described(given: object, array: Array) -> str:
    kind = {
        "c": "complex numbers",
        "O": "Python objects",
        "U": "text",
        "S": "text",
        "V": "records",
        "M": "dates",
        "m": "times",
    }
    word = kind.get(array.dtype.kind, str(array.dtype))
    name = type(given).__name__
    return word if isinstance(given, np.ndarray) else f"{word} (a {name})"


def _words(error: Exception) -> str:
    """The first line of what somebody else's code says."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def shape_hint(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What to try where samples have another shape than the network takes; empty where nothing is obvious."""
    if got == wanted[1:] and wanted[:1] == (1,):
        return "x[:, None], which adds the axis of channels"
    if len(got) == len(wanted) == 3 and (got[2], *got[:2]) == wanted:
        return "x.transpose(0, 3, 1, 2): channels come first"
    if len(got) == len(wanted) == 2 and got[::-1] == wanted:
        return "x.transpose(0, 2, 1)"
    if math.prod(got) == math.prod(wanted):
        return f"x.reshape(len(x), {', '.join(map(str, wanted))})"
    return "samples prepared as for the training of the network"
