"""NumPy's ``.npz``: named arrays of a zip file, stored or deflated, bounded before anything is unpacked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from spikeflow.errors import FileError, SpikeflowError
from spikeflow.files import limits
from spikeflow.files.npy import HINT, Array, read_header, read_values
from spikeflow.files.opened import PathLike, open_regular

PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # as numpy.savez and numpy.savez_compressed write
MAX_BYTES = 16 << 30


@dataclass(frozen=True)
class Wanted:
    """Which arrays of a file are read, and what they may cost.

    Parameters
    ----------
    names : of the arrays; those that the file does not hold are left out.
    limit : most bytes of one array.
    width : bytes that each value will take once the caller has converted it, such as 4 for float32.
    """

    names: Iterable[str]
    limit: int = MAX_BYTES
    width: int = 0


def names(path: PathLike) -> list[str]:
    """The names of the arrays in a file.

    Raises
    ------
    FileError
        Where it is missing or damaged.
    """
    with _opened(path) as (archive, _):
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def read(path: PathLike, wanted: Wanted) -> dict[str, Array]:
    """The wanted arrays of a file.

    Raises
    ------
    FileError
        Where the file is missing, damaged, packed in a way that numpy does not write, or an array is too
        large for the file, longer than its entry, or of Python objects.
    """
    with _opened(path) as (archive, length):
        budget = limits.unpacked(path, length)
        held = set(archive.namelist())
        return {
            name: _member(archive, (path, f"{name}.npy"), wanted, budget)
            for name in wanted.names
            if f"{name}.npy" in held
        }


@contextmanager
def _opened(path: PathLike) -> Generator[tuple[zipfile.ZipFile, int], None, None]:
    file: BinaryIO
    file, length = open_regular(path)
    try:
        with file, zipfile.ZipFile(file) as archive:
            yield archive, length
    except SpikeflowError:
        raise
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, zlib.error, NotImplementedError) as error:
        raise FileError(path, f"not a readable .npz file ({error})", HINT) from None
    except (RuntimeError, OverflowError, KeyError, IndexError, TypeError, MemoryError) as error:
        raise FileError(path, f"a damaged or encrypted .npz file ({error})", HINT) from None


def _member(
    archive: zipfile.ZipFile, place: tuple[PathLike, str], wanted: Wanted, budget: limits.Budget
) -> Array:
    path, name = place
    info = archive.getinfo(name)
    if info.compress_type not in PACKINGS:
        raise FileError(path, f"{name} is packed in a way that numpy does not write", HINT)
    with archive.open(info) as stream:
        header = read_header(path, stream)
        size = header.nbytes
        if size > wanted.limit or info.file_size < size:
            held = f"the entry holds {info.file_size}, the limit is {wanted.limit}"
            raise FileError(path, f"{name.removesuffix('.npy')} declares {size} bytes; {held}")
        converted = header.elements * wanted.width if header.dtype != np.float32 else 0
        budget.spend(size + converted)
        return read_values(path, stream, header)
