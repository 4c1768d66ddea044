"""Files of plain arrays that are mapped into memory: read-only, shared between processes, checked before use.

::

    0      text of 512 bytes: kind, length of the file, length of the description, hash
    512    the description, JSON: {"about": ..., "arrays": [[place, bytes], ...]}
    ...    the arrays, each at a multiple of 4,096 bytes

The hash is the SHA-256 of the CRC-32 of every MiB behind the text: it is there to find damage, in files of
gigabytes, and threads find it together. Nothing in such a file is run; whoever uses an array checks what its
values may be.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import FileError
from spikeflow.files.opened import PathLike, open_regular
from spikeflow.files.write import drafted

Bytes = npt.NDArray[np.uint8]
TEXT = 512
PAGE = 4096
PIECE = 1 << 20
MOST_ABOUT = 16 << 20  # bytes of the description
_TEXT = re.compile(
    rb"spikeflow ([a-z]{1,32}) (\d{1,9})\nbytes (\d{1,19})\nabout (\d{1,9})\nsha256 ([0-9a-f]{64})\n\0*"
)
HINT = "make it again"


def write_mapped(
    path: PathLike, kind: str, version: int, about: Mapping[str, Any], arrays: Sequence[Bytes]
) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    kind : a word for what the file holds; `open_mapped` asks for the same.
    about : JSON, for whoever reads the arrays.

    Raises
    ------
    FileError
        Where the file cannot be written; what was there before is then still there.
    """
    described = _described(about, arrays)
    with drafted(path) as draft:
        draft.file.write(bytes(TEXT))
        draft.file.writelines(_parts(described, arrays))
        draft.file.seek(TEXT)
        sums = b"".join(_sum(piece) for piece in iter(lambda: draft.file.read(PIECE), b""))
        length, found = draft.file.tell(), hashlib.sha256(sums).hexdigest()
        draft.file.seek(0)
        draft.file.write(_text(kind, version, length, len(described), found))


def _described(about: Mapping[str, Any], arrays: Sequence[Bytes]) -> bytes:
    """The description with the places of the arrays, which begin behind it."""
    places, room = [], TEXT + len(json.dumps(about)) + 64 + 48 * len(arrays)
    at = -(-room // PAGE) * PAGE
    for array in arrays:
        places.append([at, array.nbytes])
        at += -(-array.nbytes // PAGE) * PAGE
    text = json.dumps({"about": about, "arrays": places}).encode()
    return text.ljust(-(-room // PAGE) * PAGE - TEXT, b" ")


def _parts(described: bytes, arrays: Sequence[Bytes]) -> Iterator[memoryview]:
    """All bytes behind the text, one piece after the other."""
    yield memoryview(described)
    for array in arrays:
        yield array.data
        yield memoryview(bytes(-array.nbytes % PAGE))


def _hash_of(content: memoryview, threads: int) -> str:
    """The hash of all bytes behind the text."""
    with ThreadPoolExecutor(threads) as pool:
        firsts = range(0, content.nbytes, PIECE)
        found = list(pool.map(lambda first: _sum(content[first : first + PIECE]), firsts))
    return hashlib.sha256(b"".join(found)).hexdigest()


def _sum(piece: bytes | memoryview) -> bytes:
    return zlib.crc32(piece).to_bytes(4, "little")


def _text(kind: str, version: int, length: int, about: int, found: str) -> bytes:
    text = f"spikeflow {kind} {version}\nbytes {length}\nabout {about}\nsha256 {found}\n"
    return text.encode().ljust(TEXT, b"\0")


def open_mapped(path: PathLike, kind: str, version: int, threads: int = 2) -> tuple[Any, list[Bytes]]:
    """What a file says of itself, and its arrays, read-only and not copied.

    Parameters
    ----------
    threads : that look for damage together.

    Raises
    ------
    FileError
        For anything but such a file, whole and undamaged; and where it is of another version.
    """
    file, size = open_regular(path)
    with file:
        match = _TEXT.fullmatch(file.read(TEXT))
        if match is None:
            raise FileError(path, f"is not a {kind} file of spikeflow, or its beginning is damaged", HINT)
        _check_text(path, match, (kind, version), size)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    whole = np.frombuffer(mapped, np.uint8)
    content = whole.data[TEXT:]
    if _hash_of(content, max(1, threads)) != match[5].decode():
        raise FileError(path, "is damaged: its content does not have the hash in its header", HINT)
    try:
        said = json.loads(bytes(content[: int(match[4])]))
        places, about = [(at, count) for at, count in said["arrays"]], said["about"]
        if not all(type(number) is int for place in places for number in place):
            raise ValueError("places")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"does not describe itself as spikeflow does ({type(error).__name__})"
        raise FileError(path, reason, HINT) from error
    for at, count in places:
        if at % PAGE or at < TEXT + int(match[4]) or count < 0 or at + count > size:
            raise FileError(path, f"names an array of {count} bytes at byte {at} of {size}", HINT)
    return about, [whole[at : at + count] for at, count in places]


def _check_text(path: PathLike, match: re.Match[bytes], wanted: tuple[str, int], size: int) -> None:
    kind, version = match[1].decode(), int(match[2])
    if kind != wanted[0]:
        raise FileError(path, f"is a {kind} file of spikeflow, not a {wanted[0]} file")
    if version != wanted[1]:
        raise FileError(path, f"has format version {version}; this spikeflow reads {wanted[1]}", HINT)
    if int(match[3]) != size:
        raise FileError(path, f"has {size} of its {int(match[3])} bytes", HINT)
    if int(match[4]) > min(MOST_ABOUT, size - TEXT):
        raise FileError(path, f"describes itself in {int(match[4])} bytes", HINT)
