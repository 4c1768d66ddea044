"""Opening HDF5 of a stranger: only an ordinary file, and only where its trees end."""

from __future__ import annotations

import mmap

import h5py

from spikeflow.errors import FileError
from spikeflow.files.hdf5 import check_structure
from spikeflow.files.opened import PathLike, open_regular


def open_hdf5(path: PathLike) -> h5py.File:
    """The file, for reading.

    Raises
    ------
    FileError
        Where it is damaged, cut off, or no HDF5.
    """
    held, length = open_regular(path)
    with held:
        if length:
            with mmap.mmap(held.fileno(), 0, access=mmap.ACCESS_READ) as content:
                check_structure(path, content)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise FileError(path, f"damaged, cut off, or no HDF5 ({first_line(error)})") from None


def first_line(error: Exception) -> str:
    """What the HDF5 library says, without its stack."""
    return str(error).split("\n")[0][:200]
