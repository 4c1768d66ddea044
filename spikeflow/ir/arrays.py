"""Arrays of the graph: read-only, of one declared type, finite; and weights as integers with a format or a
scale.

Whole numbers are held in the narrowest type that fits, and stored and digested in one canonical width
(`stored_as`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import GraphError
from spikeflow.frozen import Frozen
from spikeflow.ir.fixed import Fixed
from spikeflow.typing import Array


def frozen(x: npt.ArrayLike, dtype: npt.DTypeLike) -> Array:
    """A read-only C-contiguous copy of x in `dtype`; a read-only array of that type is shared."""
    array = np.asarray(x)
    if array.dtype == np.dtype(dtype) and array.flags.c_contiguous and not array.flags.writeable:
        return array
    with np.errstate(invalid="ignore", over="ignore"):  # the checks say it better
        copy = np.array(array, dtype, order="C")
    # numpy would wrap 2**40 to 0 and cut 2.5 to 2 without a word
    if copy.dtype.kind in "iu" and not np.array_equal(copy, array):
        raise GraphError("array", f"holds values that are no integers of {copy.dtype.itemsize * 8} bits")
    copy.setflags(write=False)
    return copy


_NARROW = tuple(np.dtype(t) for t in (np.uint8, np.uint16, np.int8, np.int16, np.int32, np.int64))


def narrowest(x: npt.ArrayLike, widest: npt.DTypeLike = np.int32) -> Array:
    """A read-only copy of whole numbers in the narrowest type that holds them, at most `widest`."""
    array = np.asarray(x)
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    for dtype in _NARROW:
        info = np.iinfo(dtype)
        if info.min <= low and high <= info.max and dtype.itemsize <= np.dtype(widest).itemsize:
            return frozen(array, dtype)
    return frozen(array, widest)


def stored_as(dtype: npt.DTypeLike) -> Mapping[str, Any]:
    """Metadata of a field whose array has this type in files and digests, however narrow it is held."""
    return MappingProxyType({"stored": np.dtype(dtype)})


def check_finite(name: str, what: str, x: Array) -> None:
    """Raise GraphError where x holds a NaN or an infinity."""
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        count = int(x.size - np.isfinite(x).sum())
        reason = f"{what} holds {count} NaN or infinite value(s)"
        raise GraphError(name, reason, "retrain or repair the network")


@dataclass(frozen=True, eq=False)
class Quantised(Frozen):
    """Integer weights of stage fixed: `values` stand for values / 2**format.frac.

    The format's bits are those of the stored mantissa, before a node's exponent.
    """

    values: Array
    format: Fixed

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", frozen(self.values, np.int32))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return tuple(self.values.shape)

    def check(self, name: str) -> None:
        """Raise GraphError where a value does not fit the format."""
        if self.values.size and (self.values.min() < self.format.low or self.values.max() > self.format.high):
            raise GraphError(name, f"an integer weight lies outside {self.format.bits} bits")


@dataclass(frozen=True, eq=False)
class Codes(Frozen):
    """Weights as integer codes of 8 or 16 bits with one scale: a code stands for float32(code x scale).

    Where all that arrives is known to be integers, the sum of a target runs in integers and is multiplied by
    the scale once (``docs/semantics.md``).
    """

    values: Array = field(metadata=stored_as(np.int16))
    scale: float

    def __post_init__(self) -> None:
        wide = frozen(self.values, np.int16)
        small = not wide.size or (wide.min() >= -128 and wide.max() <= 127)
        object.__setattr__(self, "values", frozen(wide, np.int8) if small else wide)
        object.__setattr__(self, "scale", float(np.float32(self.scale)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the codes."""
        return tuple(self.values.shape)

    def check(self, name: str) -> None:
        """Raise GraphError for a scale that is no finite number above 0, or with which a weight is none."""
        if not (self.scale > 0 and 2.0**15 * self.scale < float(np.finfo(np.float32).max)):
            raise GraphError(name, f"codes with a scale of {self.scale:g}", "a finite number above 0")

    @property
    def floats(self) -> Array:
        """What the codes stand for, float32."""
        return self.values.astype(np.float32) * np.float32(self.scale)


Weight = Array | Quantised | Codes


def frozen_weight(x: Any) -> Weight:
    """Quantised and Codes as they are; anything else as a read-only float32 array."""
    return x if isinstance(x, Quantised | Codes) else frozen(x, np.float32)


def weight_values(weight: Weight) -> Array:
    """The plain array: float32, or the int32 mantissas."""
    if isinstance(weight, Codes):
        return weight.floats
    return weight.values if isinstance(weight, Quantised) else weight


def check_weight(name: str, weight: Weight) -> None:
    """Raise GraphError for NaN, infinity, a bad scale, or an integer outside its format."""
    if isinstance(weight, Quantised | Codes):
        weight.check(name)
    else:
        check_finite(name, "the weight", weight)
