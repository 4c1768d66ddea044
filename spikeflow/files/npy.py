"""NumPy's array format, read from any stream: the header by its own length, the values no further than they
come.

Source: NEP 1, "A simple file format for NumPy arrays".
"""

from __future__ import annotations

import io
import tokenize
from dataclasses import dataclass
from math import prod
from typing import IO, Any

import numpy as np

from spikeflow.errors import FileError
from spikeflow.typing import Array

MAX_HEADER = 10_000  # bytes, as numpy itself takes
PIECE = 1 << 20
HINT = "numpy.savez(path, x=..., y=...)"
_LENGTHS = {(1, 0): 2, (2, 0): 4}  # version -> bytes of the header's length


@dataclass(frozen=True)
class ArrayHeader:
    """What stands before an array's values."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype[Any]

    @property
    def elements(self) -> int:
        """How many values are declared."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes are declared."""
        return self.elements * self.dtype.itemsize


def read_header(path: object, stream: IO[bytes]) -> ArrayHeader:
    """The header that comes next in a stream.

    Raises
    ------
    FileError
        Where it is damaged or too long, or the array is of Python objects.
    """
    start = stream.read(8)
    version = (start[6], start[7]) if len(start) == 8 and start[:6] == b"\x93NUMPY" else None
    if version is None:
        raise FileError(path, "a damaged array header (no array of numpy)", HINT)
    if version not in _LENGTHS:
        raise FileError(path, f"arrays of format version {version}", HINT)
    length = stream.read(_LENGTHS[version])
    if int.from_bytes(length, "little") > MAX_HEADER:
        raise FileError(path, f"a damaged array header (more than {MAX_HEADER} bytes)", HINT)
    text = stream.read(int.from_bytes(length, "little"))
    found = _parsed(path, version, io.BytesIO(length + text))
    if found.dtype.hasobject:
        raise FileError(path, "an array of Python objects, which would have to run code", HINT)
    if min(found.shape, default=0) < 0:
        raise FileError(path, f"a damaged array header (shape {found.shape})", HINT)
    return found


def _parsed(path: object, version: tuple[int, int], text: io.BytesIO) -> ArrayHeader:
    parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        return ArrayHeader(*parse(text))
    # numpy parses the header as a Python literal, and lets that parser's errors through
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError) as error:
        raise FileError(path, f"a damaged array header ({error})", HINT) from None


def read_values(path: object, stream: IO[bytes], header: ArrayHeader) -> Array:
    """The values behind a header; memory is touched only as bytes come.

    Raises
    ------
    FileError
        Where the stream ends early.
    """
    flat = np.empty(header.elements, header.dtype)
    if flat.nbytes:
        into = memoryview(flat.view(np.uint8)).cast("B")  # type: ignore[arg-type]
        at = 0
        while at < len(into):
            piece = stream.read(min(PIECE, len(into) - at))
            if not piece:
                raise FileError(path, f"an array of {len(into)} bytes ends after {at}", "a fresh copy")
            into[at : at + len(piece)] = piece
            at += len(piece)
    stream.read(1)  # at the end of a zip entry its checksum is compared
    return flat.reshape(header.shape, order="F" if header.by_columns else "C")
