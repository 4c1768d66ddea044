"""Samples: the `.npz` files that users hand over, x and where known y, read without trusting them."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError, FileError

Array = npt.NDArray[Any]
MAX_BYTES = 16 * 2**30
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
        if not np.isfinite(self.x).all():
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
    arrays = read_arrays(path, ("x", "y"))
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
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name: _member(path, archive, name, limit)
                for name in names
                if f"{name}.npy" in archive.namelist()
            }
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        ValueError,
        zlib.error,
        NotImplementedError,
        RuntimeError,
    ) as e:
        if isinstance(e, FileError | DataError):
            raise
        raise FileError(path, f"not a readable .npz file ({e})", HINT) from None


def _member(path: str | Path, archive: zipfile.ZipFile, name: str, limit: int) -> Array:
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as stream:
        shape, _, dtype = array_header(path, stream)
        size = prod(shape) * dtype.itemsize
        if size > limit or info.file_size < size:
            raise FileError(
                path,
                f"{name} declares {size} bytes; the entry holds {info.file_size}, the limit is {limit}",
            )
    with archive.open(info) as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def array_header(path: str | Path, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether stored column by column, and type of the array whose `.npy` header comes next in a stream.

    Raises
    ------
    FileError
        Where the header is damaged, or the array is of Python objects.
    """
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise FileError(path, f"arrays of format version {version}", HINT)
        shape, by_columns, dtype = readers[version](stream)
    # numpy parses the header as a Python literal, and lets that parser's errors through
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError) as error:
        raise FileError(path, f"a damaged array header ({error})", HINT) from None
    if dtype.hasobject:
        raise FileError(path, "an array of Python objects, which would have to run code", HINT)
    return shape, by_columns, dtype
