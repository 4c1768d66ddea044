"""The idx format of MNIST and its like: one array of bytes, with or without gzip.

Layout: two zero bytes, a type (8: unsigned bytes), the number of dimensions, each size as a big-endian 32-bit
number, then the values in C order. Source: the web page of MNIST (LeCun, Cortes, Burges).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, cast

import numpy as np

from spikeflow.errors import DataError, FileError
from spikeflow.files.opened import open_regular
from spikeflow.files.write import replace_file
from spikeflow.typing import Array

UNSIGNED_BYTES = 8
MAX_DIMENSIONS = 4
MAX_VALUES = 1 << 30


def read_idx(path: str | Path) -> Array:
    """The array, uint8, of an idx file; the file may be gzipped, whatever its name.

    Raises
    ------
    FileError
        Where the file is missing, no idx file of bytes, declares more values than it holds or than 2^30, or
        goes on after them.
    """
    try:
        with _opened(path) as file:
            return _read(path, file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(path, f"damaged gzip data ({error})") from None


def write_idx(path: str | Path, array: Array) -> None:
    """Write bytes as an idx file; gzipped, without a date, where the path ends in ``.gz``.

    Raises
    ------
    DataError
        Where the array is not of bytes or has no or too many dimensions.
    """
    if array.dtype != np.uint8 or not 1 <= array.ndim <= MAX_DIMENSIONS:
        raise DataError(
            "idx", f"{array.dtype} of shape {array.shape}", f"uint8 of 1 to {MAX_DIMENSIONS} dimensions"
        )
    head = struct.pack(f">HBB{array.ndim}I", 0, UNSIGNED_BYTES, array.ndim, *array.shape)
    raw = head + array.tobytes()
    replace_file(path, (gzip.compress(raw, mtime=0) if str(path).endswith(".gz") else raw,))


@contextmanager
def _opened(path: str | Path) -> Generator[IO[bytes], None, None]:
    file, _ = open_regular(path)
    with file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        yield cast(IO[bytes], gzip.GzipFile(fileobj=file)) if zipped else file


def _read(path: str | Path, file: IO[bytes]) -> Array:
    head = file.read(4)
    if (
        len(head) < 4
        or head[:2] != b"\0\0"
        or head[2] != UNSIGNED_BYTES
        or not 1 <= head[3] <= MAX_DIMENSIONS
    ):
        raise FileError(path, "not an idx file of unsigned bytes")
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise FileError(path, "ends in its header")
    shape = struct.unpack(f">{head[3]}I", sizes)
    count = prod(shape)
    if count > MAX_VALUES:
        raise FileError(path, f"declares {count} values; the limit is {MAX_VALUES}")
    raw = file.read(count)
    if len(raw) < count:
        raise FileError(path, f"declares {count} values and holds {len(raw)}")
    if file.read(1):
        raise FileError(path, f"goes on after its {count} values")
    return np.frombuffer(raw, np.uint8).reshape(shape)
