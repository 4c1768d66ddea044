"""What stands before an entry of a tar archive is bounded, as its content is: memory and time follow the archive's size.

Made here: long names and extended fields of 64 MiB packed to a few hundred kilobytes, tables of holes, hundreds of thousands
of empty folders, an entry that leads back to one before, pipes in the place of archives.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from spikeflow.datasets.fetch.unpack import unpack
from spikeflow.errors import FileError, UnsafeFile
from tests.files.measured import measure, within_law

BLOCK = tarfile.BLOCKSIZE
LARGE = 64 << 20


def header(name: str, kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def field(name: bytes, value: bytes) -> bytes:
    """A record of an extended header, whose length counts itself."""
    length = len(name) + len(value) + 3
    while len(str(length)) + len(name) + len(value) + 3 != length:
        length = len(str(length)) + len(name) + len(value) + 3
    return b"%d %s=%s\n" % (length, name, value)


def giant(kind: bytes) -> bytes:
    content = field(b"comment", b"a" * LARGE) if kind in (tarfile.XHDTYPE, tarfile.XGLTYPE) else b"a" * LARGE
    return (
        header("x", kind, len(content))
        + padded(content)
        + header("file", tarfile.REGTYPE, 0)
        + bytes(2 * BLOCK)
    )


def holes() -> bytes:
    """A sparse file of format 1.0, the table of whose holes goes on for 64 MiB."""
    fields = (
        field(b"GNU.sparse.major", b"1")
        + field(b"GNU.sparse.minor", b"0")
        + field(b"GNU.sparse.realsize", b"9")
    )
    table = b"9999999\n" + b"0\n" * (LARGE // 2)
    start = header("x", tarfile.XHDTYPE, len(fields)) + padded(fields)
    return start + header("file", tarfile.REGTYPE, len(table)) + padded(table) + bytes(2 * BLOCK)


BOMBS = {
    "extended": lambda: giant(tarfile.XHDTYPE),
    "global": lambda: giant(tarfile.XGLTYPE),
    "long name": lambda: giant(tarfile.GNUTYPE_LONGNAME),
    "long link": lambda: giant(tarfile.GNUTYPE_LONGLINK),
    "holes": holes,
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lambda b: lzma.compress(b, preset=0),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("bomb", BOMBS)
def test_headers_are_bounded(tmp_path: Path, bomb: str, packing: str) -> None:
    path = tmp_path / f"a.tar.{packing}"
    path.write_bytes(PACKINGS[packing](BOMBS[bomb]()))
    with pytest.raises(UnsafeFile, match="headers of more than 1 MiB"):
        unpack(path, tmp_path / "out")
    outcome = measure(lambda p: unpack(p, tmp_path / "out"), path, 60)
    assert outcome.good and within_law(outcome, path.stat().st_size), outcome
    assert not list((tmp_path / "out").iterdir())


def test_many_folders_cost_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(header("folder", tarfile.DIRTYPE, 0) * 200_000 + bytes(2 * BLOCK), 9))
    outcome = measure(lambda p: unpack(p, tmp_path / "out"), path, 120)
    assert outcome.good and within_law(outcome, path.stat().st_size), outcome


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_entry_that_leads_back_is_refused(tmp_path: Path, kind: bytes) -> None:
    """A size below 0, in base 256, which some Pythons take for a way back."""
    content = bytearray(header("file", kind, 0) + bytes(2 * BLOCK))
    content[124:136] = b"\xff" * 9 + (-BLOCK).to_bytes(3, "big", signed=True)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:BLOCK])
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises((FileError, UnsafeFile)):
        unpack(path, tmp_path / "out")
    assert measure(lambda p: unpack(p, tmp_path / "out"), path, 20).good


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_ordinary_archives_are_unpacked(tmp_path: Path, format: int, pack: Callable[[bytes], bytes]) -> None:
    """Long names, Latin and Greek names, folders, empty and large files."""
    long = "/".join(["a" * 60] * (2 if format == tarfile.USTAR_FORMAT else 5))
    made = {"a.txt": b"abc", "empty": b"", f"{long}/b": os.urandom(3000), "große/β": bytes(2 << 20)}
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=format) as archive:
        for name, content in made.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path = tmp_path / "archive.tar.x"
    path.write_bytes(pack(whole.getvalue()))
    unpack(path, tmp_path / "out")
    found = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_bytes()
        for p in (tmp_path / "out").rglob("*")
        if p.is_file()
    }
    assert found == made


def test_pipes_are_no_archives(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(FileError, match="pipe"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
