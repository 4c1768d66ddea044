"""HDF5 from a stranger: only what lies in the file itself is followed, and sizes are checked before they are
read.

Soft and external links, external and virtual storage, references and objects are not followed. A filter that
is missing is named, with the package that brings it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import h5py

from spikeflow.errors import FileError, SpikeflowError, UnsafeFile
from spikeflow.files import limits
from spikeflow.files.hdf5_open import first_line

MAGIC = b"\x89HDF\r\n\x1a\n"
DEPTH, OBJECTS = 8, 4096  # how deep, and how many, are looked at
MAX_CHUNK = 1 << 30  # bytes
PLAIN = (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)  # filters that make nothing smaller
MAX_RECORD = 1 << 12  # bytes
PLUGIN, ECF = (307, 32001, 32004, 32008, 32015, 32026), 0x8ECF  # bzip2, blosc, lz4, bitshuffle, zstd, blosc2
PACKAGES = {
    **dict.fromkeys(PLUGIN, "pip install hdf5plugin"),
    ECF: "Prophesee's hdf5_ecf plugin, or metavision_file_to_hdf5",
}


@contextmanager
def damage(path: Path) -> Generator[None, None, None]:
    """What the HDF5 library raises on damaged files, as FileError."""
    try:
        yield
    except SpikeflowError:
        raise
    except (
        OSError,
        KeyError,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
        MemoryError,
        OverflowError,
    ) as error:
        raise FileError(path, f"damaged HDF5 ({first_line(error)})") from None


def member(group: h5py.Group, name: str) -> Any:
    """The group or data set of this name, or None where there is none, or it lies elsewhere."""
    here = group
    for part in filter(None, name.split("/")):
        if not isinstance(here, h5py.Group):
            return None
        link = here.get(part, getlink=True) if part in here else None
        if not isinstance(link, h5py.HardLink):
            return None
        here = here[part]
    return here


def names(group: h5py.Group) -> list[str]:
    """What lies in a group, as far as it is looked at."""
    found: list[str] = []

    def take(name: bytes) -> bool | None:
        found.append(name.decode("utf-8", "surrogateescape"))
        return True if len(found) > OBJECTS else None  # anything but None ends the walk

    group.id.links.iterate(take)
    return found


def objects(file: h5py.File) -> Iterator[tuple[str, Any]]:
    """The name of every group and data set, and it itself; outer ones first."""
    waiting: list[tuple[str, Any, int]] = [("", file, 0)]
    groups: set[h5py.Group] = {file}  # a group may lie in itself
    seen = 0
    while waiting:
        name, here, depth = waiting.pop(0)
        yield name, here
        if not isinstance(here, h5py.Group) or depth >= DEPTH:
            continue
        for part in names(here):
            seen += 1
            if seen > OBJECTS:
                raise FileError(file.filename, f"more than {OBJECTS} objects", "--key of one of them")
            found = member(here, part)
            if found is None or found in groups:
                continue
            if isinstance(found, h5py.Group):
                groups.add(found)
            waiting.append((f"{name}/{part}".lstrip("/"), found, depth + 1))


def checked(dataset: Any, path: Path) -> h5py.Dataset:
    """A data set whose values lie in this file and can be unpacked.

    Raises
    ------
    FileError
        Where it is none, a chunk is too large, or a filter is missing.
    UnsafeFile
        Where its values lie in other files.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise FileError(path, "a group where values should be")
    name = dataset.name
    if dataset.external or dataset.is_virtual:
        raise UnsafeFile(path, f"{name} takes its values from other files")
    if dataset.shape is None:
        raise FileError(path, f"{name} holds no values")
    if dataset.dtype.itemsize > MAX_RECORD:
        raise FileError(path, f"{name} has records of {dataset.dtype.itemsize} bytes")
    _check_filters(dataset, path)
    _check_stored(dataset, path)
    most = min(MAX_CHUNK, (limits.MARGIN >> 2) + limits.RATIO * path.stat().st_size)
    if dataset.chunks and prod(dataset.chunks) * dataset.dtype.itemsize > most:
        raise FileError(path, f"{name} has chunks of more than {most} bytes")
    return dataset


def _check_stored(dataset: h5py.Dataset, path: Path) -> None:
    # what is declared must be there: HDF5 fills in silently what is not, however much that is
    if dataset.chunks:
        wanted = prod(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
        held, unit = dataset.id.get_num_chunks(), "chunks"
    else:
        wanted = prod(dataset.shape) * dataset.dtype.itemsize
        held, unit = dataset.id.get_storage_size(), "bytes"
    if held < wanted:
        raise FileError(path, f"{dataset.name} declares {wanted} {unit} and holds {held}", "a fresh copy")
    declared = prod(dataset.shape) * dataset.dtype.itemsize
    if declared > (limits.MARGIN >> 2) + limits.RATIO * path.stat().st_size:
        raise FileError(
            path, f"{dataset.name} declares {declared} bytes, more than a file of its size may hold"
        )


def _check_filters(dataset: h5py.Dataset, path: Path) -> None:
    made = dataset.id.get_create_plist()
    numbers = [made.get_filter(index)[0] for index in range(made.get_nfilters())]
    if sum(number not in PLAIN for number in numbers) > 1:  # each could unpack a thousand times
        raise FileError(path, f"{dataset.name} is packed several times over", "h5repack")
    for number in numbers:
        if h5py.h5z.filter_avail(number):
            continue
        if number in PLUGIN and _plugin() and h5py.h5z.filter_avail(number):
            continue
        hint = PACKAGES.get(number, "an HDF5 plugin that has it")
        raise FileError(path, f"{dataset.name} is packed with filter {number}, which is not installed", hint)


def _plugin() -> bool:
    try:
        __import__("hdf5plugin")  # registers its filters
    except ImportError:
        return False
    return True


def is_column(dataset: Any) -> bool:
    """Whether it is one list of values; MATLAB stores one as a matrix of one row or one column."""
    shape = dataset.shape if isinstance(dataset, h5py.Dataset) else None
    return shape is not None and (len(shape) == 1 or (len(shape) == 2 and 1 in shape))


def column(dataset: h5py.Dataset, start: int, stop: int, path: Path) -> Any:
    """Some values of a list.

    Raises
    ------
    FileError
        Where they are damaged.
    """
    with damage(path):
        if dataset.ndim == 1:
            return dataset[start:stop]
        where = (slice(None), slice(start, stop)) if dataset.shape[0] == 1 else slice(start, stop)
        return dataset[where].reshape(-1)


def rows(dataset: h5py.Dataset, start: int, stop: int, path: Path) -> Any:
    """Some rows.

    Raises
    ------
    FileError
        Where they are damaged.
    """
    with damage(path):
        return dataset[start:stop]


def attributes(here: Any) -> dict[str, str]:
    """Attributes of one value, as text; others are left out."""
    out: dict[str, str] = {}
    for name in list(here.attrs)[:64]:
        try:
            if here.attrs.get_id(name).get_storage_size() > MAX_RECORD:
                continue
            value = here.attrs[name]
        except (
            OSError,
            TypeError,
            ValueError,
            RuntimeError,
            KeyError,
        ):  # of a type that Python lacks: not ours to tell
            continue
        if getattr(value, "shape", None) in ((), (1,)):
            value = value.item()
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str | int | float):
            out[_encodable(str(name))] = _encodable(str(value)[:1000])
    return out


def _encodable(text: str) -> str:
    """Text that can be printed: h5py keeps bytes that are no UTF-8 as halves of signs."""
    return text.encode("utf-8", "replace").decode("utf-8")
