"""A format: how its files are recognised, opened and, where it is open, written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spikeflow.datasets.recording import Options, Recording
from spikeflow.events import Events

HEAD = 1 << 16  # bytes of a file's beginning that a format may look at
TABLE = frozenset({"columns", "unit_us", "origin"})  # what a user may say of a table
KEY = frozenset({"key"})
NAMED_TABLE = TABLE | KEY


@dataclass(frozen=True)
class Head:
    """What recognition may look at.

    Parameters
    ----------
    path : of the file; its suffix may tell apart what bytes cannot.
    start : the first `HEAD` bytes, or all where the file is shorter.
    size : of the file in bytes.
    """

    path: Path
    start: bytes
    size: int

    @property
    def suffix(self) -> str:
        """The path's suffix in small letters."""
        return self.path.suffix.lower()


@dataclass(frozen=True)
class Format:
    """One file format of events.

    Parameters
    ----------
    name : as `--format` takes it, and `Header.format` tells it.
    title : in words.
    suffixes : usual ones, first the one a writer takes; ``write(path)`` finds its format by them.
    recognise : whether a file is of this format; looks at content, and must be exact where there is a magic
        word.
    open : the recording.
    write : writes a whole new file into the one it is given (which the caller moves into place), or None.
    takes : fields of `Options`, beside those of every format, that have a meaning for this one.
    sensor : whether a file has a place for the sensor's size.
    why_not : of a file that no format recognises: why it is nearly, but not quite, of this one; else empty.
    unsure : what a user must hear where the file was recognised and this is little sure, in words; else
        empty.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    recognise: Callable[[Head], bool]
    open: Callable[[Path, Options], Recording]
    write: Callable[[BinaryIO, Events], None] | None = None
    takes: frozenset[str] = frozenset()
    sensor: bool = True
    why_not: Callable[[Head], str] = lambda head: ""
    unsure: Callable[[Head, Recording], str] = lambda head, recording: ""
