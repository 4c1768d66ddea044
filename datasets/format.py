"""A format: how its files are recognised, opened and, where it is open, written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spikeflow.datasets.recording import Options, Recording
from spikeflow.events import Events

HEAD = 1 << 16  # bytes of a file's beginning that a format may look at


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
    recognise : whether a file is of this format; looks at content, and must be exact where there is a magic word.
    open : the recording.
    write : writes a whole new file into the one it is given (which the caller moves into place), or None.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    recognise: Callable[[Head], bool]
    open: Callable[[Path, Options], Recording]
    write: Callable[[BinaryIO, Events], None] | None = None
