"""Samples: the `.npz` files that users hand over, x and where known y, read without trusting them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError, FileError
from spikeflow.files import npz

Array = npt.NDArray[Any]
MAX_BYTES = 16 * 2**30
FLOAT32 = 4  # bytes of each value, as which samples are kept
AT_ONCE = 1 << 24  # values
HINT = "numpy.savez(path, x=..., y=...)"


@dataclass(frozen=True, eq=False)
class Samples:
    """Data as a network expects it.

    Parameters
    ----------
    x : float32, ``(N, ...)``.
    y : int64 class numbers, ``(N,)``, or None.
    """

    x: Array
    y: Array | None = None

    def __post_init__(self) -> None:
        if self.x.ndim < 2 or len(self.x) == 0:
            raise DataError("data: x", f"shape {self.x.shape}", "(samples, ...) with at least one sample")
        if self.x.dtype.kind not in "fiub":
            raise DataError("data: x", f"type {self.x.dtype}", "numbers")
        object.__setattr__(self, "x", self.x.astype(np.float32, copy=False))
        flat = self.x.reshape(-1)
        if not all(np.isfinite(flat[at : at + AT_ONCE]).all() for at in range(0, flat.size, AT_ONCE)):
            raise DataError("data: x", "NaN or infinite values", "finite values")
        if self.y is not None:
            self._check_labels(self.y)

    def _check_labels(self, y: Array) -> None:
        if y.shape != (len(self.x),) or y.dtype.kind not in "iu" or (y.size and y.min() < 0):
            raise DataError(
                "data: y", f"{y.dtype} of shape {y.shape}", f"class numbers >= 0 of shape ({len(self.x)},)"
            )
        object.__setattr__(self, "y", y.astype(np.int64))

    def first(self, count: int | None) -> Samples:
        """The first `count` samples; all where None."""
        return self if count is None else Samples(self.x[:count], None if self.y is None else self.y[:count])


def read_npz(path: str | Path) -> Samples:
    """Read x and, where present, y. Nothing in the file is run; sizes are checked before anything is read.

    Raises
    ------
    FileError
        Where the file is missing, damaged, too large, or holds no x.
    DataError
        Where the arrays are empty, of a wrong kind, or not finite.
    """
    arrays = npz.read(path, npz.Wanted(("x", "y"), MAX_BYTES, FLOAT32))
    if "x" not in arrays:
        raise FileError(path, "holds no array x", HINT)
    return Samples(arrays["x"], arrays.get("y"))


def read_arrays(path: str | Path, names: Iterable[str], limit: int = MAX_BYTES) -> dict[str, Array]:
    """The arrays of these names that a `.npz` file holds, each of at most `limit` bytes.

    Raises
    ------
    FileError
        Where the file is missing, damaged, or an array is too large, longer than its entry, or of Python objects.
    """
    return npz.read(path, npz.Wanted(names, limit))
