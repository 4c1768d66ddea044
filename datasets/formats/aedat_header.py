"""The header of AEDAT 2 and 3: lines of text that begin with ``#``, then bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spikeflow.errors import FileError
from spikeflow.files.opened import reading

MOST = 1 << 24  # bytes of a header; jAER writes all preferences of its user there, some tens of kilobytes
ENDS = (b"#!END-HEADER", b"#End Of ASCII Header")
FIELD = re.compile(r"#\s*([A-Za-z-][A-Za-z0-9 -]*):\s+(.*)")


@dataclass(frozen=True)
class TextHeader:
    """What the lines say.

    Parameters
    ----------
    version : such as ``2.0``.
    fields : of all lines ``# name: value``, in order.
    begin : byte at which the events begin.
    """

    version: str
    fields: Mapping[str, str]
    begin: int


def read_header(path: Path) -> TextHeader:
    """Read the header of an AEDAT file.

    It ends where a line says so (AEDAT 3.1, newer jAER), else before the first line that does not begin with
    ``#`` or is no text: an event's first byte may be a ``#``, too.

    Raises
    ------
    FileError
        Where there is no such file or no line that names the version, or the header does not end.
    """
    try:
        with reading(path) as file:
            lines, begin = _lines(file)
    except FileError:
        raise
    except OSError as error:
        raise FileError(path, str(error.strerror)) from None
    if begin >= MOST:
        raise FileError(path, f"a text header that does not end within {MOST >> 20} MiB")
    version = re.match(r"#!AER-DAT(\d{1,3}\.\d{1,3})", lines[0]) if lines else None
    if version is None:
        raise FileError(path, "no line #!AER-DATx.y at its beginning, so no AEDAT file that says its version")
    found = (FIELD.fullmatch(line) for line in lines[1:])
    fields = {match[1].strip(): match[2].strip() for match in found if match}
    return TextHeader(version[1], fields, begin)


def checked_version(path: Path, text: TextHeader, known: tuple[str, ...]) -> None:
    """FileError where the file is of another version than the reader's."""
    if text.version not in known:
        first = text.version[0]
        hint = f"--format aedat{first}, or none" if first in "1234" else ""
        raise FileError(path, f"is AEDAT {text.version}, not {' or '.join(known)}", hint)


def _lines(file: BinaryIO) -> tuple[list[str], int]:
    lines: list[str] = []
    begin = 0
    while (line := file.readline(MOST - begin)).startswith(b"#") and line.endswith(b"\n") and _is_text(line):
        begin += len(line)
        lines.append(line.rstrip().decode("latin-1"))
        if line.rstrip().startswith(ENDS):
            break
    return lines, MOST if len(line) >= MOST - begin else begin


def _is_text(line: bytes) -> bool:
    return not any(byte < 0x20 and byte not in b"\t\r\n" for byte in line)
