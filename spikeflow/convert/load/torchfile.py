"""The look at a torch file before torch sees it: which format, and are all its parts what they claim.

torch itself never opens a file here. Both formats of `torch.save` are read into the inert records of
`pickled.py`; the values beside them become tensors one at a time, each a contiguous copy on the CPU.

::

    zip format      data.pkl, data/<key> for each storage, version, byteorder
    older format    five pickles (magic number, version, system, the object, storage keys), then for each
                    key an 8-byte count and the values; nothing after the last one
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

import torch

from spikeflow.convert.load import foreign, zipped
from spikeflow.convert.load.pickled import Pickle, Storage, Tensor, read_pickle
from spikeflow.convert.load.zipped import StoredZip
from spikeflow.errors import FileError, UnsafeFile

DEFAULT_LIMIT = 8 * 2**30
MAX_PICKLE = 64 * 2**20
_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_DAMAGED = "copy or download it again"
_SLACK = 2**20


@dataclass
class Allowance:
    """Bytes that may still be spent on tensors of one file."""

    path: str
    limit: int
    left: int

    @classmethod
    def of(cls, path: str, stored: int, limit: int) -> Allowance:
        """At most `limit`, and four times the file: views of shared values must not grow without end."""
        return cls(path, limit, min(limit, 4 * stored + _SLACK))

    def spend(self, size: int) -> None:
        """Take `size` bytes or say that the limit is reached."""
        self.left -= size
        if self.left < 0:
            reason = "its tensors are larger than the limit, or share their values too often"
            raise FileError(
                self.path, reason, "load(..., limit=bytes), or a state dict without shared values"
            )


@dataclass(frozen=True)
class Saved:
    """What `torch.save` wrote: inert records, and a way to the values beside them while the file is open."""

    path: str
    root: object
    values: Callable[[Storage], bytes]
    allowance: Allowance
    cache: dict[str, bytearray] = field(default_factory=dict)

    def tensor(self, record: Tensor) -> torch.Tensor:
        """A contiguous copy on the CPU of what the record describes."""
        if record.storage.key not in self.cache:
            self.cache[record.storage.key] = bytearray(self.values(record.storage))
        self.allowance.spend(math.prod(record.size) * record.storage.width)
        data = self.cache[record.storage.key]
        return strided(data, record.storage.dtype, record.offset, record.size, record.stride)


def strided(
    data: bytearray, dtype: str, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> torch.Tensor:
    """Contiguous tensor of a view that `pickled.misplaced` has found to lie within `data`."""
    kind = getattr(torch, dtype)
    if 0 in size:
        return torch.empty(size, dtype=kind)
    # Bytes other than 0 and 1 are no truth values to torch, so bool is read as numbers and compared.
    flat = torch.frombuffer(data, dtype=torch.uint8 if dtype == "bool" else kind)
    # The step along a dimension of one element means nothing and may be any number.
    steps = tuple(step if count > 1 else 0 for count, step in zip(size, stride, strict=True))
    view = flat.as_strided(size, steps, offset).clone(memory_format=torch.contiguous_format)
    return view != 0 if dtype == "bool" else view


def look(file: BinaryIO, path: str, length: int, limit: int, layers: Collection[str]) -> Saved | StoredZip:
    """Say what the file is: something saved by torch, or an archive of torch.export, left to its reader.

    Raises
    ------
    UnsafeFile
        It could only be opened by running code from it.
    FileError
        It is damaged, or of another kind, which the text names.
    """
    if length > limit:
        raise FileError(path, f"it has {length} bytes; the limit is {limit}", "load(..., limit=bytes)")
    head = file.read(512)
    if head[:2] == b"PK":
        return _look_zip(file, path, length, limit, layers)
    if head[257:262] == b"ustar":
        reason = "the tar format of torch before 0.4 is not read"
        raise UnsafeFile(path, reason, "load it with an old torch and save it again with a new one")
    if head[:1] == b"\x80":
        return _look_older(file, path, length, limit, layers)
    if not head:
        raise FileError(path, "the file is empty", _DAMAGED)
    what, hint = foreign.kind_of(path, head, head + file.read(foreign.start_needed(head)))
    raise FileError(path, f"it is {what}", hint)


def _look_zip(
    file: BinaryIO, path: str, length: int, limit: int, layers: Collection[str]
) -> Saved | StoredZip:
    names = zipped.names(file, path, length)
    # By name first: TorchScript compresses its code, and the words about compression would mislead.
    inside = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inside or any(name.startswith("code/") for name in inside):
        hint = "torch.export.save(torch.export.export(model, (example,)), 'net.pt2') with the original model"
        raise UnsafeFile(path, "it is a TorchScript archive, whose code would have to be run", hint)
    if "serialized_exported_program.json" in names:
        raise FileError(
            path, "it is an archive of an older torch.export", "export it again with torch 2.10 or newer"
        )
    if (named := foreign.archive_of(tuple(names))) is not None:
        raise FileError(path, f"it is {named[0]}", named[1])
    archive = zipped.open_zip(file, path, length)
    if "archive_format" in inside or any(name.startswith("models/") for name in inside):
        return archive
    pickles = [name for name in archive.entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise FileError(
            path, "it is a zip archive, but none that torch.save wrote", "save it with torch.save"
        )
    return _read_zip(archive, pickles[0].partition("/")[0], Allowance.of(path, length, limit), layers)


def _read_zip(archive: StoredZip, top: str, allowance: Allowance, layers: Collection[str]) -> Saved:
    order = f"{top}/byteorder"
    if order in archive.entries and archive.read(order, 16) != b"little":
        raise FileError(
            archive.path, "its numbers are stored with the high byte first", "save it on another machine"
        )
    data = archive.read(f"{top}/data.pkl", MAX_PICKLE)
    stream = io.BytesIO(data)
    pickle = _read(stream, archive.path, layers)
    if stream.tell() != len(data):
        raise FileError(archive.path, "something follows the pickle in it", _DAMAGED)
    for key, storage in pickle.storages.items():
        entry = archive.entries.get(f"{top}/data/{key}")
        if entry is None or entry.size != storage.count * storage.width:
            reason = f"the stored values {key[:40]!r} are missing or not as many as the pickle says"
            raise FileError(archive.path, reason, _DAMAGED)
    return Saved(
        archive.path, pickle.root, lambda s: archive.read(f"{top}/data/{s.key}", s.count * s.width), allowance
    )


def _read(stream: io.BytesIO, path: str, layers: Collection[str]) -> Pickle:
    """A pickle; where it is refused, the names in it may tell what it is."""
    try:
        return read_pickle(stream, path, layers)
    except UnsafeFile as error:
        raise foreign.explained(error, stream.getvalue()) from None


def _look_older(file: BinaryIO, path: str, length: int, limit: int, layers: Collection[str]) -> Saved:
    file.seek(0)
    stream = io.BytesIO(file.read(MAX_PICKLE))
    first = _read(stream, path, layers).root
    if type(first) is not int or first != _MAGIC:
        raise UnsafeFile(
            path, "it is a Python pickle that torch.save did not write", "save it with torch.save"
        )
    _expect_version(read_pickle(stream, path, ()).root, path)
    _expect_system(read_pickle(stream, path, ()).root, path)
    pickle = _read(stream, path, layers)
    keys = read_pickle(stream, path, ()).root
    places = _places(file, path, length, stream.tell(), _ordered_storages(keys, pickle, path))

    def values(storage: Storage) -> bytes:
        file.seek(places[storage.key])
        data = file.read(storage.count * storage.width)
        if len(data) != storage.count * storage.width:
            raise FileError(path, "the file ends early", _DAMAGED)
        return data

    return Saved(path, pickle.root, values, Allowance.of(path, length, limit))


def _expect_version(version: object, path: str) -> None:
    if type(version) is not int or version != _VERSION:
        raise FileError(path, "it has an unknown version of the format without zip", _DAMAGED)


def _expect_system(system: object, path: str) -> None:
    if type(system) is not dict or system.get("little_endian") is not True:
        raise FileError(path, "its numbers are stored with the high byte first", "save it on another machine")


def _ordered_storages(keys: object, pickle: Pickle, path: str) -> list[Storage]:
    """Storages in the order in which their values follow; the keys are exactly those of the pickle."""
    if type(keys) is not list or any(type(key) is not str for key in keys):
        raise FileError(path, "the list of stored values is damaged", _DAMAGED)
    if len(set(keys)) != len(keys) or set(keys) != set(pickle.storages):
        raise FileError(path, "the list of stored values is not what the pickle names", _DAMAGED)
    return [pickle.storages[key] for key in keys]


def _places(file: BinaryIO, path: str, length: int, at: int, storages: list[Storage]) -> Mapping[str, int]:
    """Where each storage's values begin, once every count is as named and the last value ends the file."""
    places = {}
    for storage in storages:
        file.seek(at)
        count = int.from_bytes(file.read(8), "little")
        if count != storage.count or at + 8 + count * storage.width > length:
            reason = f"the stored values {storage.key[:40]!r} are cut off or not as many as the pickle says"
            raise FileError(path, reason, _DAMAGED)
        places[storage.key] = at + 8
        at += 8 + count * storage.width
    if at != length:
        raise FileError(path, f"{length - at} bytes follow the last stored values", _DAMAGED)
    return places
