"""A zip archive as torch writes it: every entry stored, in order, checked before anything is read.

Python's own `zipfile` believes what the directory at the end of a file says about sizes. Here each number is
compared with the file first, so a hostile archive can ask for no memory and name no place outside itself.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from spikeflow.errors import FileError

_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_CENTRAL, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_ENCRYPTED = 0x2041
MAX_ENTRIES = 200_000
_DAMAGED = "copy or download it again"


@dataclass(frozen=True)
class Entry:
    """One stored file: its name, where its bytes begin, how many there are, and their checksum."""

    name: str
    header: int
    start: int
    size: int
    crc: int


@dataclass(frozen=True)
class StoredZip:
    """An open archive whose directory has been checked."""

    path: str
    file: BinaryIO
    entries: Mapping[str, Entry]

    def read(self, name: str, limit: int) -> bytes:
        """All bytes of one entry; an error when absent, longer than `limit`, or not as its checksum says."""
        entry = self.entries.get(name)
        if entry is None:
            raise FileError(self.path, f"the archive has no entry {name[:80]!r}", _DAMAGED)
        if entry.size > limit:
            raise FileError(self.path, f"{name[:80]!r} has {entry.size} bytes; the limit is {limit}")
        data = _exactly(self.file, entry.start, entry.size, self.path)
        if zlib.crc32(data) != entry.crc:
            hint = f"{_DAMAGED}, or save without torch.serialization.set_crc32_options(False)"
            raise FileError(self.path, f"{name[:80]!r} does not have the checksum written beside it", hint)
        return data


@dataclass(frozen=True)
class _Listed:
    """One line of the directory, before its entry has been looked at."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    header: int


def names(file: BinaryIO, path: str, length: int) -> tuple[str, ...]:
    """Names that the directory lists, good enough to say what kind of archive this is."""
    return tuple(item.name for item in _directory(file, path, length)[0])


def open_zip(file: BinaryIO, path: str, length: int) -> StoredZip:
    """Check the directory against the file of `length` bytes.

    Raises
    ------
    FileError
        Compressed or encrypted entries, sizes that do not fit, repeated names, names that are paths
        elsewhere, entries that overlap.
    """
    listed, end = _directory(file, path, length)
    entries: dict[str, Entry] = {}
    reached = 0
    for item in sorted(listed, key=lambda item: item.header):
        entry = _located(file, path, item, end)
        if entry.header < reached:
            raise FileError(path, f"two entries of the archive overlap at {item.name[:80]!r}", _DAMAGED)
        if entry.name in entries:
            raise FileError(path, f"the archive holds {item.name[:80]!r} twice")
        reached = entry.start + entry.size
        entries[entry.name] = entry
    return StoredZip(path, file, entries)


def _exactly(file: BinaryIO, start: int, size: int, path: str) -> bytes:
    file.seek(start)
    data = file.read(size)
    if len(data) != size:
        raise FileError(path, "the file ends early", _DAMAGED)
    return data


def _directory(file: BinaryIO, path: str, length: int) -> tuple[list[_Listed], int]:
    """Lines of the directory at the end of the file, and where the directory begins."""
    count, size, start = _end_record(file, path, length)
    if count > MAX_ENTRIES:
        raise FileError(path, f"the archive has {count} entries; the limit is {MAX_ENTRIES}")
    if start + size > length:
        raise FileError(path, "the archive's directory lies outside the file", _DAMAGED)
    data = _exactly(file, start, size, path)
    listed, at = [], 0
    for _ in range(count):
        item, at = _line(data, at, path)
        listed.append(item)
    if at != size:
        raise FileError(path, "the archive's directory does not have the size it says", _DAMAGED)
    return listed, start


def _end_record(file: BinaryIO, path: str, length: int) -> tuple[int, int, int]:
    """Number of entries, size and start of the directory."""
    if length < 22 or (end := _exactly(file, length - 22, 22, path))[:4] != _END:
        raise FileError(path, "the zip archive ends early: its directory is missing", _DAMAGED)
    disk, first, here, count, size, start, comment = struct.unpack("<4H2IH", end[4:])
    if disk or first or comment or here != count:
        raise FileError(path, "not a zip archive as torch writes it", _DAMAGED)
    wide = _end_record64(file, path, length)
    if wide is None:
        tail = length - 22
    else:
        narrow, (count, size, start, tail) = (count, size, start), wide
        marks = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
        fits = (count & 0xFFFF, size & 0xFFFFFFFF, start & 0xFFFFFFFF)
        if any(a not in (b, mark) for a, b, mark in zip(narrow, fits, marks, strict=True)):
            raise FileError(path, "the archive's two directory records disagree", _DAMAGED)
    if start + size != tail:
        raise FileError(path, "the archive's directory is not where it should be", _DAMAGED)
    return count, size, start


def _end_record64(file: BinaryIO, path: str, length: int) -> tuple[int, int, int, int] | None:
    """Number of entries, size and start of the directory, and where this record begins, or None."""
    if length < 22 + 20 + 56:
        return None
    locator = _exactly(file, length - 42, 20, path)
    if locator[:4] != _LOCATOR:
        return None
    at = length - 42 - 56
    record = _exactly(file, at, 56, path)
    if record[:4] != _END64 or struct.unpack("<IQI", locator[4:]) != (0, at, 1):
        raise FileError(path, "the archive's large directory record is damaged", _DAMAGED)
    here, count, size, start = struct.unpack("<4Q", record[24:])
    if here != count:
        raise FileError(path, "the archive is spread over several files")
    return count, size, start, at


def _line(data: bytes, at: int, path: str) -> tuple[_Listed, int]:
    head = data[at : at + 46]
    if len(head) < 46 or head[:4] != _CENTRAL:
        raise FileError(path, "the archive's directory is damaged", _DAMAGED)
    flags, method = struct.unpack("<2H", head[8:12])
    crc, packed, size, name_size, extra_size, comment = struct.unpack("<3I3H", head[16:34])
    (header,) = struct.unpack("<I", head[42:])
    name = data[at + 46 : at + 46 + name_size]
    extra = data[at + 46 + name_size : at + 46 + name_size + extra_size]
    size, packed, header = _widened(extra, (size, packed, header), path)
    item = _Listed(_plain_name(name, path), flags, method, crc, packed, size, header)
    return item, at + 46 + name_size + extra_size + comment


def _widened(extra: bytes, values: tuple[int, int, int], path: str) -> tuple[int, int, int]:
    """Replace each value that does not fit 32 bits by the 64-bit one in the extra field of kind 1."""
    at = 0
    wide = b""
    while at + 4 <= len(extra):
        kind, size = struct.unpack("<2H", extra[at : at + 4])
        if kind == 1:
            wide = extra[at + 4 : at + 4 + size]
        at += 4 + size
    need = sum(value == 0xFFFFFFFF for value in values)
    if len(wide) < 8 * need:
        raise FileError(path, "the archive's directory is damaged", _DAMAGED)
    numbers = iter(struct.unpack(f"<{need}Q", wide[: 8 * need]))
    first, second, third = (next(numbers) if value == 0xFFFFFFFF else value for value in values)
    return first, second, third


def _plain_name(raw: bytes, path: str) -> str:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise FileError(path, "the archive has an entry whose name is not text", _DAMAGED) from None
    parts = name.split("/")
    if (
        not name.isprintable()
        or "\\" in name
        or ":" in parts[0]
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise FileError(path, f"the archive's entry {name[:80]!r} is not a plain name inside it")
    return name


def _located(file: BinaryIO, path: str, item: _Listed, end: int) -> Entry:
    """The entry's place, once its own header agrees with the directory and its bytes lie before `end`."""
    if item.method != 0 or item.size != item.packed or item.flags & _ENCRYPTED:
        reason = f"entry {item.name[:80]!r} is compressed or encrypted, which torch never writes"
        raise FileError(path, reason, "save the network again with torch.save")
    if item.header + 30 > end:
        raise FileError(path, f"entry {item.name[:80]!r} lies outside the file", _DAMAGED)
    head = _exactly(file, item.header, 30, path)
    flags, method = struct.unpack("<2H", head[6:10])
    name_size, extra_size = struct.unpack("<2H", head[26:])
    start = item.header + 30 + name_size + extra_size
    if start + item.size > end:
        raise FileError(path, f"entry {item.name[:80]!r} lies outside the file", _DAMAGED)
    name = _exactly(file, item.header + 30, name_size, path)
    if head[:4] != _LOCAL or method != 0 or flags & _ENCRYPTED or name != item.name.encode():
        raise FileError(path, f"entry {item.name[:80]!r} differs from the archive's directory", _DAMAGED)
    return Entry(item.name, item.header, start, item.size, item.crc)
