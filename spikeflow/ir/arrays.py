"""Arrays of the graph: read-only, of one declared type, finite; and weights as integers with a format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import GraphError
from spikeflow.frozen import Frozen
from spikeflow.ir.fixed import Fixed

Array = npt.NDArray[Any]


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


Weight = Array | Quantised


def frozen_weight(x: Any) -> Weight:
    """A Quantised as it is; anything else as a read-only float32 array."""
    return x if isinstance(x, Quantised) else frozen(x, np.float32)


def weight_values(weight: Weight) -> Array:
    """The plain array: float32, or the int32 mantissas."""
    return weight.values if isinstance(weight, Quantised) else weight


def check_weight(name: str, weight: Weight) -> None:
    """Raise GraphError for NaN, infinity, or an integer outside its format."""
    if isinstance(weight, Quantised):
        weight.check(name)
    else:
        check_finite(name, "the weight", weight)
