"""The container of all our files: HDF5 behind a header that holds its length and SHA-256.

The first 512 bytes are text: what the file holds, its version, its length and hash. HDF5 begins at byte 512,
which every HDF5 program finds by itself. Damage is therefore found before the HDF5 library sees a byte: a
file that is cut off or has one bit flipped is refused, never read as something else. A hash does not stop a
forger, so what follows is checked as a stranger's: links, layouts, filters, types and declared sizes, before
anything is read.

Inside are ``manifest``, JSON as bytes, ``arrays/0``, ``arrays/1`` and so on, and ``about``: the spikeflow
that wrote the file, and the versions of node kinds and records that a reader has to know (`versions`). The
first files have no ``about``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np

from spikeflow.errors import FileError
from spikeflow.files.hdf5 import check_structure
from spikeflow.files.hdf5_members import FILTERS
from spikeflow.files.limits import MARGIN, Budget
from spikeflow.files.opened import PathLike, open_regular
from spikeflow.files.write import replace_file
from spikeflow.ir.arrays import Array
from spikeflow.ir.codec import ARRAY_TYPES, Json
from spikeflow.ir.versions import too_new
from spikeflow.version import __version__

VERSION = 1
HEADER_BYTES = 512
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
SMALL = 4096  # arrays of fewer bytes are stored as they are
MAX_CHUNK = 2**26
MAX_ABOUT = 2**16
NOTHING: Mapping[str, int] = MappingProxyType({})
# deflate shrinks at most 1,032 times; a file that declares more than this has no data to fill it
MAX_RATIO = 1100
_HEADER = re.compile(
    rb"spikeflow ([a-z-]{1,32}) (\d{1,9})\nbytes (\d{1,19})\nsha256 [0-9a-f]{64}\n"
    rb"HDF5 follows at byte 512\n\0*"
)


@dataclass(frozen=True)
class Limits:
    """The most that a file may ask for; raise them for a file that you trust."""

    file_bytes: int = 2**32
    manifest_bytes: int = 2**26
    array_bytes: int = 2**33
    arrays: int = 2**20


# --- writing ---


def write_whole(
    path: PathLike,
    kind: str,
    manifest: Json,
    arrays: Sequence[Array],
    needed: Mapping[str, int] = NOTHING,
) -> None:
    """Write a file whole or not at all; FileError leaves behind what was there before.

    Parameters
    ----------
    kind : what the file holds, in lower-case letters; `read` asks for the same.
    manifest : JSON.
    arrays : plain numbers.
    needed : the versions that a reader has to know, by the names of kinds and records.
    """
    about = {"spikeflow": __version__, "versions": dict(needed)}
    try:
        text = json.dumps(manifest, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        image = _image(text, arrays, json.dumps(about).encode())
    except Exception as error:
        raise FileError(path, f"cannot be put into HDF5: {error}") from error
    replace_file(path, (header(kind, image), image))


def _image(text: bytes, arrays: Sequence[Array], about: bytes) -> bytes:
    # made in memory: the HDF5 library does not survive a full disk, plain writing does
    with h5py.File("image", "w", driver="core", backing_store=False, block_size=2**22) as file:
        _store(file, "manifest", np.frombuffer(text, np.uint8))
        _store(file, "about", np.frombuffer(about, np.uint8))
        group = file.create_group("arrays")
        for index, array in enumerate(arrays):
            if array.dtype not in ARRAY_TYPES:
                raise TypeError(f"array {index} has the type {array.dtype}")
            _store(group, str(index), array)
        file.flush()
        return bytes(file.id.get_file_image())


def _store(group: h5py.Group, name: str, array: Array) -> None:
    big = array.nbytes >= SMALL
    filters: dict[str, Any] = {"chunks": True, "compression": "gzip", "compression_opts": 1, "shuffle": True}
    group.create_dataset(name, data=array, **(filters if big else {}))


def header(kind: str, image: bytes) -> bytes:
    """The bytes that stand before an HDF5 image in a file of ours."""
    text = (
        f"spikeflow {kind} {VERSION}\nbytes {HEADER_BYTES + len(image)}\n"
        f"sha256 {hashlib.sha256(image).hexdigest()}\nHDF5 follows at byte {HEADER_BYTES}\n"
    )
    return text.encode().ljust(HEADER_BYTES, b"\0")


# --- reading ---


def read(
    path: PathLike, kind: str, limits: Limits | None = None, record: Any = None
) -> tuple[Json, list[Array]]:
    """The manifest and the arrays of a file of this kind; FileError for anything else.

    Of `record`, the class that is made of them, kinds and versions that this spikeflow does not know are
    refused by name.
    """
    limits = limits or Limits()
    image = _checked_image(path, kind, limits)
    check_structure(path, image)
    try:
        with h5py.File(h5py.h5f.open_file_image(image)) as file:
            return _read_checked(path, file, len(image), limits, record)
    except FileError:
        raise
    # the HDF5 library reports what it dislikes as nearly every built-in exception
    except Exception as error:
        raise FileError(path, f"is damaged HDF5 ({type(error).__name__})") from error


def kind_of(path: PathLike) -> str:
    """What a file holds, by its header alone; empty for files that are not ours."""
    file, _ = open_regular(path)
    with file:
        match = _HEADER.fullmatch(file.read(HEADER_BYTES))
    return match[1].decode() if match else ""


def _checked_image(path: PathLike, kind: str, limits: Limits) -> bytes:
    file, size = open_regular(path)
    with file:
        if size > limits.file_bytes:
            raise FileError(path, f"has {size} bytes; the limit is {limits.file_bytes}")
        found = file.read(HEADER_BYTES)
        _check_header(path, found, kind, size)
        image = file.read(size)
    if header(kind, image) != found:
        raise FileError(path, "is damaged: its content does not have the hash in its header", "a fresh copy")
    return image


def _check_header(path: PathLike, found: bytes, kind: str, size: int) -> None:
    if found.startswith(HDF5_SIGNATURE):
        raise FileError(path, "is HDF5, but not a file that spikeflow wrote")
    match = _HEADER.fullmatch(found)
    if not match or len(found) != HEADER_BYTES:
        raise FileError(path, "is not a spikeflow file, or its beginning is damaged")
    if match[1] != kind.encode():
        raise FileError(path, f"holds a {match[1].decode()}, not a {kind}")
    if int(match[2]) != VERSION:
        raise FileError(
            path,
            f"has format version {int(match[2])}; this spikeflow reads version {VERSION}",
            "another version of spikeflow",
        )
    if int(match[3]) != size:
        raise FileError(path, f"has {size} of its {int(match[3])} bytes", "a fresh copy")


def _read_checked(
    path: PathLike, file: h5py.File, size: int, limits: Limits, record: Any
) -> tuple[Json, list[Array]]:
    told = "about" in file
    _check_links(path, file, ("manifest", "arrays", "about") if told else ("manifest", "arrays"))
    group = file["arrays"]
    if not isinstance(group, h5py.Group) or len(group) > limits.arrays:
        raise FileError(path, f"'arrays' is not a group of at most {limits.arrays}")
    _check_links(path, group, [str(i) for i in range(len(group))])
    reader = _Reader(path, Budget(path, min(limits.array_bytes, MARGIN // 4 + MAX_RATIO * size)))
    if told:
        _check_about(path, reader.read(file["about"]), size, record)
    manifest = reader.read(file["manifest"])
    if manifest.dtype != np.uint8 or manifest.ndim != 1 or manifest.nbytes > limits.manifest_bytes:
        raise FileError(path, f"its manifest is not at most {limits.manifest_bytes} bytes of text")
    # one by one, since the library keeps 20 kB for each data set that is open
    return _manifest(path, manifest.tobytes(), size), [reader.read(group[str(i)]) for i in range(len(group))]


@dataclass
class _Reader:
    """Reads data sets of one file against a budget; none stands under two names."""

    path: PathLike
    budget: Budget
    seen: set[int] = field(default_factory=set)

    def read(self, dataset: Any) -> Array:
        """The values, once everything that may be wrong with a data set has been looked at."""
        self.budget.spend(_check_dataset(self.path, dataset))
        info: Any = vars(h5py)["h5o"]  # the stubs of h5py lack it
        place = info.get_info(dataset.id).addr
        if place in self.seen:
            raise FileError(self.path, f"{dataset.name} is another array under a second name")
        self.seen.add(place)
        return _frozen(dataset[()])


def _frozen(value: Any) -> Array:
    array = np.asarray(value)  # HDF5 gives an array of no dimensions as a bare number
    array.setflags(write=False)
    return array


def _check_links(path: PathLike, group: h5py.Group, names: Sequence[str]) -> None:
    if len(group) != len(names) or any(name not in group for name in names):
        raise FileError(path, f"the group {group.name} does not hold exactly what belongs there")
    for name in names:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise FileError(path, f"{name} is a {type(link).__name__}; links out of a file are refused")


def _check_dataset(path: PathLike, dataset: Any) -> int:
    """The bytes that a dataset declares, after everything that may be wrong with it."""
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or len(dataset.shape) > 8:
        raise FileError(path, "holds something that is not an array of at most 8 dimensions")
    name, kind, plan = str(dataset.name), dataset.id.get_type(), dataset.id.get_create_plist()
    if kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT) or dataset.dtype not in ARRAY_TYPES:
        raise FileError(path, f"{name} does not hold plain numbers")
    if not kind.equal(h5py.h5t.py_create(dataset.dtype)):
        raise FileError(path, f"{name} holds numbers in an unusual layout")
    if plan.get_external_count() or plan.get_layout() == h5py.h5d.VIRTUAL:
        raise FileError(path, f"{name} lies in another file, which is refused")
    _check_filters(path, name, plan)
    declared = prod(dataset.shape) * dataset.dtype.itemsize
    _check_stored(path, dataset, plan, declared)
    return declared


def _check_filters(path: PathLike, name: str, plan: Any) -> None:
    for index in range(plan.get_nfilters()):
        code, _, _, label = plan.get_filter(index)
        if code not in FILTERS:
            raise FileError(path, f"{name} needs the filter {code} ({label[:40]!r}), which is not allowed")
    codes = [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]
    if len(set(codes)) != len(codes) or {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_LZF} <= set(codes):
        raise FileError(path, f"{name} is packed several times over")


def _check_stored(path: PathLike, dataset: Any, plan: Any, declared: int) -> None:
    # what is declared must be there: missing pieces would be filled in silently
    if plan.get_layout() != h5py.h5d.CHUNKED:
        if dataset.id.get_storage_size() != declared:
            raise FileError(path, f"{dataset.name} does not hold the {declared} bytes that it declares")
        return
    chunk = plan.get_chunk()
    if prod(chunk) * dataset.dtype.itemsize > MAX_CHUNK or prod(chunk) == 0:
        raise FileError(path, f"{dataset.name} is cut into pieces of {chunk}, which is too much at once")
    pieces = prod(-(-n // c) for n, c in zip(dataset.shape, chunk, strict=True))
    if dataset.id.get_num_chunks() != pieces:
        raise FileError(path, f"{dataset.name} holds {dataset.id.get_num_chunks()} of its {pieces} pieces")


def _manifest(path: PathLike, text: bytes, size: int) -> Json:
    if (cost := _objects(text)) > 32 * (2**20 + size):
        reason = f"its manifest would take {cost} bytes of memory, too much for a file of {size} bytes"
        raise FileError(path, reason)
    try:
        return json.loads(text.decode(), object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = f"its manifest is not JSON as spikeflow writes it ({type(error).__name__})"
        raise FileError(path, reason) from error


def _check_about(path: PathLike, about: Array, size: int, record: Any) -> None:
    """Refuse what is newer than what this spikeflow knows, with the version of spikeflow that wrote it."""
    if about.dtype != np.uint8 or about.ndim != 1 or about.nbytes > MAX_ABOUT:
        raise FileError(path, f"its 'about' is not at most {MAX_ABOUT} bytes of text")
    said = _manifest(path, about.tobytes(), size)
    if not isinstance(said, dict) or said.keys() != {"spikeflow", "versions"}:
        raise FileError(path, "its 'about' does not say who wrote it, and which versions it needs")
    writer, versions = said["spikeflow"], said["versions"]
    plain = (
        isinstance(writer, str) and len(writer) <= 40 and writer.isprintable() and isinstance(versions, dict)
    )
    if not plain or any(
        type(v) is not int or not 1 <= v < 2**31 or not n.isidentifier() for n, v in versions.items()
    ):
        raise FileError(path, "its 'about' does not say who wrote it, and which versions it needs")
    if record is not None and (reason := too_new(versions, record)):
        raise FileError(
            path,
            f"was written by spikeflow {writer} and holds {reason} (this is spikeflow {__version__})",
            f"spikeflow {writer}, or a newer one",
        )


def _objects(text: bytes) -> int:
    """At most how many bytes the lists, names and numbers of a JSON text take in Python."""
    parts = {b"[": 120, b"{": 264, b",": 40, b":": 100}
    return 4 * len(text) + sum(cost * text.count(mark) for mark, cost in parts.items())


def _no_twins(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")
