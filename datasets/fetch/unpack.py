"""Unpack an archive of a stranger (zip, tar, gz): nothing outside the folder, no links, no bombs, all or
nothing.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from spikeflow.datasets.fetch.download import PIECE, Progress
from spikeflow.errors import FileError, SpikeflowError, UnsafeFile
from spikeflow.files.opened import open_regular, reading
from spikeflow.files.write import drafted_folder

MAX_FILES = 2_000_000
MAX_RATIO = 250  # bytes out for a byte in; recordings shrink to a tenth, and rarely to a fiftieth
MAX_DEPTH = 3  # archives in archives
MAX_HEADERS = 1 << 20  # bytes before an entry of a tar archive: long names, tables of extended fields
INNER = (".zip", ".tar", ".tar.gz", ".tgz")
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    ValueError,  # a name that is no UTF-8, a negative size
    ArithmeticError,
    LookupError,
    struct.error,
)
_PACKED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


@dataclass
class _Budget:
    """What may still be written, over an archive and those inside it."""

    path: Path
    bytes_left: int
    files_left: int
    done: int = 0

    def spend(self, count: int) -> None:
        self.done, self.bytes_left = self.done + count, self.bytes_left - count
        if self.bytes_left < 0:
            raise UnsafeFile(
                self.path, f"unpacks to more than {self.done} bytes: too much for its size or the disk"
            )

    def file(self) -> None:
        self.files_left -= 1
        if self.files_left < 0:
            raise UnsafeFile(self.path, f"holds more than {MAX_FILES} files")


def unpack(path: Path, folder: Path, progress: Progress | None = None) -> None:
    """Unpack an archive, and archives in it, into a folder.

    All is written beside its place first, and moved only when the last byte was good.

    Raises
    ------
    UnsafeFile
        Where a name leads out of the folder, an entry is a link or a device, or it would fill the disk.
    FileError
        Where it is missing, damaged, encrypted, or no archive.
    """
    size = _size(path)
    folder.mkdir(parents=True, exist_ok=True)
    room = min(shutil.disk_usage(folder).free, MAX_RATIO * max(size, 1 << 16))
    with drafted_folder(folder) as draft:
        _unpack(path, draft, _Budget(path, room, MAX_FILES), progress, 0)
        _merge(draft, folder)


def _size(path: Path) -> int:
    file, size = open_regular(path)
    file.close()
    return size


def _unpack(path: Path, folder: Path, budget: _Budget, progress: Progress | None, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise UnsafeFile(path, f"archives inside archives, deeper than {MAX_DEPTH}")
    written: list[Path] = []
    try:
        for name, entry in _entries(path):
            written.append(_write(folder, name, entry, budget))
            if progress:
                progress(path.name, budget.done, None)
    except SpikeflowError:
        raise
    except _DAMAGE as error:
        raise FileError(budget.path, f"a damaged or encrypted archive ({error})", "fetch it again") from None
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # no system's error, or a place before the file's beginning
            raise FileError(budget.path, f"a damaged archive ({error})", "fetch it again") from None
        raise FileError(budget.path, f"cannot be unpacked: {error.strerror}") from None
    for inner in written:
        if inner.name.lower().endswith(INNER):
            packed = inner.rename(inner.with_name(f".{inner.name}.packed"))  # it may hold one of its own name
            _unpack(packed, inner.parent, budget, progress, depth + 1)
            packed.unlink()


def _write(folder: Path, name: str, entry: IO[bytes], budget: _Budget) -> Path:
    target = folder / _safe(name, budget.path)
    budget.file()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(target, "xb") as file:
            while piece := entry.read(PIECE):
                budget.spend(len(piece))
                file.write(piece)
    except FileExistsError:
        raise UnsafeFile(budget.path, f"holds {name!r} twice") from None
    return target


def _safe(name: str, archive: Path) -> PurePosixPath:
    parts = PurePosixPath(name)
    bad = (
        "\\" in name
        or "\0" in name
        or ":" in name.split("/")[0]
        or parts.is_absolute()
        or ".." in parts.parts
    )
    if bad or not parts.parts:
        raise UnsafeFile(archive, f"an entry named {name!r} leads out of the folder")
    return parts


def _entries(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and contents of all files of an archive, one after the other."""
    with reading(path) as file:
        zipped = zipfile.is_zipfile(file)
        file.seek(0)
        if zipped:
            yield from _zip_entries(path, file)
            return
        archive = _tar(path, file)
        if archive is not None:
            with archive:
                yield from _tar_entries(path, archive)
        elif path.suffix == ".gz" and not path.name.endswith(".tar.gz"):
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as content:
                yield path.stem, content  # type: ignore[misc]
        else:
            raise FileError(path, "no archive of a known kind (zip, tar, gz), or damaged", "fetch it again")


def _zip_entries(path: Path, file: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if stat.S_ISLNK(mode):
                raise UnsafeFile(path, f"the entry {info.filename!r} is a link")
            if info.is_dir() or info.filename.startswith("__MACOSX/"):
                continue
            with archive.open(info) as file:
                yield info.filename, file


class _Metered:
    """A stream of a tar archive. `tarfile` reads the headers before an entry, long names and tables of any
    declared size among them, whole into memory: what it may read for one entry is limited.
    """

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self.path, self.stream = path, stream
        self.left: int | None = MAX_HEADERS  # None: no limit, as for an entry's content

    def read(self, count: int) -> bytes:
        if self.left is not None:
            self.left -= count
            if not count >= 0 or self.left < 0:
                raise UnsafeFile(self.path, f"an entry with headers of more than {MAX_HEADERS >> 20} MiB")
        return self.stream.read(count)

    def seek(self, place: int) -> int:
        return self.stream.seek(place)

    def tell(self) -> int:
        return self.stream.tell()


def _tar(path: Path, file: IO[bytes]) -> tarfile.TarFile | None:
    """The tar archive in a file, packed or not; None where it is none."""
    start = file.read(6)
    file.seek(0)
    packed = next((make for magic, make in _PACKED.items() if start.startswith(magic)), None)
    stream = cast(IO[bytes], file if packed is None else packed(file))
    try:
        return tarfile.open(fileobj=_Metered(path, stream), mode="r:")  # type: ignore[call-overload]
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, SpikeflowError):
            raise
        return None


def _members(path: Path, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The entries in order; none is kept, and each lies behind the one before."""
    metered, at = cast(_Metered, archive.fileobj), -1
    while True:
        metered.left = MAX_HEADERS
        member = archive.next()
        if member is None:
            return
        if archive.offset <= at:
            raise UnsafeFile(path, f"the entry {member.name!r} leads back to one before")
        at, metered.left, cast(Any, archive).members = archive.offset, None, []
        yield member


def _tar_entries(path: Path, archive: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in _members(path, archive):
        if member.isdir():
            continue
        file = archive.extractfile(member) if member.isreg() else None
        if file is None:
            raise UnsafeFile(path, f"the entry {member.name!r} is a link or a device")
        yield member.name, file
    _to_the_end(archive)


def _to_the_end(archive: tarfile.TarFile) -> None:
    """tarfile takes a cut archive for a short one, and does not read the checksum at the end of a packed
    one.
    """
    assert archive.fileobj is not None
    cast(_Metered, archive.fileobj).left = None
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it is cut")
    while archive.fileobj.read(PIECE):
        pass


def _merge(draft: Path, folder: Path) -> None:
    for entry in sorted(draft.iterdir()):
        target = folder / entry.name
        if entry.is_dir() and target.is_dir():
            _merge(entry, target)
        else:
            os.replace(entry, target)


@contextmanager
def drafted(folder: Path) -> Generator[Path, None, None]:
    """A folder to fill, which becomes `folder` when the block ends well, and vanishes when it does not.

    Raises
    ------
    FileError
        Where the folder is there already and not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileError(folder, "is there already", "another folder (--to), or delete it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with drafted_folder(folder.parent) as draft:
        yield draft
        if folder.exists():
            folder.rmdir()
        os.replace(draft, folder)
