"""Any event file: its format found by content, opened, read, written, described."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from spikeflow.datasets.formats import FORMATS
from spikeflow.datasets.formats.foreign import refuse
from spikeflow.datasets.formats.format import HEAD, NAMED_TABLE, Format, Head
from spikeflow.datasets.in_order import Sorted
from spikeflow.datasets.recording import Options, Recording
from spikeflow.errors import DataError, FileError, SpikeflowWarning
from spikeflow.events import Events
from spikeflow.files.opened import open_regular
from spikeflow.files.write import drafted

NOTHING_SAID = Options()


def open_recording(path: str | Path, format: str | None = None, **options: Any) -> Recording:
    """Open an event file; `options` are the fields of `Options`.

    Raises
    ------
    FileError
        Where the file is missing, of no known format, of several, or damaged.
    DataError
        Where what the user says does not fit the file.
    """
    path = Path(path)
    head = _head(path)
    found = _said(head, format) if format else _recognised(head)
    said = replace(NOTHING_SAID, **options)
    _check_meaning(path, found, said)
    recording = found.open(path, said)
    if not format and (doubt := found.unsure(head, recording)):
        recording.tell(f"{path}: {doubt}")
    return Sorted(recording) if said.sort else recording


def _said(head: Head, format: str) -> Format:
    found = by_name(format)
    if not found.recognise(head):
        refuse(head.path, head.start, certain=True)
    return found


def _check_meaning(path: Path, format: Format, said: Options) -> None:
    """Refuse what a user says and the format has no use for: it would have no effect, and no one would
    know.
    """
    for name in NAMED_TABLE - format.takes:
        if (value := getattr(said, name)) != getattr(NOTHING_SAID, name):
            raise DataError(f"{path}: {name}", value, f"no word: it has no meaning for {format.title}")


def read(path: str | Path, format: str | None = None, **options: Any) -> Events:
    """All events of a file, as it holds them; see `open_recording`."""
    with open_recording(path, format, **options) as recording:
        return recording.read()


def write(path: str | Path, events: Events, format: str | None = None) -> None:
    """Write events in the format of this name, or of the path's suffix; the file is whole or not there.

    Raises
    ------
    DataError
        Where no format that can be written has this name or suffix, or it cannot hold these events.
    FileError
        Where the disk is full, or there is no such folder.
    """
    chosen = by_name(format) if format else by_suffix(Path(path))
    with drafted(path) as draft:
        write_into(draft.file, events, chosen.name)
    if not chosen.sensor and events.width is not None:
        text = (
            f"{path}: {chosen.title} has no place for the sensor's size, "
            f"{events.width}x{events.height}: it is lost"
        )
        warnings.warn(text, SpikeflowWarning, stacklevel=2)


def write_into(file: BinaryIO, events: Events, format: str) -> None:
    """Write events in the format of this name into an open, empty file.

    Raises
    ------
    DataError
        Where there is no such format, it is only read, or it cannot hold these events.
    """
    chosen = by_name(format)
    if chosen.write is None:
        raise DataError("writing", chosen.title, f"one of {', '.join(f.name for f in FORMATS if f.write)}")
    chosen.write(file, events)


def recognise(path: Path) -> Format:
    """The one format of this file, by its content."""
    return _recognised(_head(path))


def _head(path: Path) -> Head:
    file, size = open_regular(path)
    with file:
        head = Head(path, file.read(HEAD), size)
    if not head.size:
        raise FileError(path, "an empty file")
    return head


def _recognised(head: Head) -> Format:
    for known in FORMATS:
        if known.recognise(head):
            return known
    refuse(head.path, head.start)
    for known in FORMATS:
        if reason := known.why_not(head):
            raise FileError(head.path, f"is {reason}", f"--format {known.name} and --columns, such as txyp")
    raise FileError(
        head.path, "of no known event format", f"--format, one of {', '.join(f.name for f in FORMATS)}"
    )


def by_name(name: str) -> Format:
    """The format of this name."""
    for known in FORMATS:
        if known.name == name:
            return known
    raise DataError("format", name, f"one of {', '.join(f.name for f in FORMATS)}")


def by_suffix(path: Path) -> Format:
    """The first format that can be written and has the path's suffix."""
    for known in FORMATS:
        if path.suffix.lower() in known.suffixes and known.write:
            return known
    raise DataError(
        "writing", f"the suffix {path.suffix!r}", "a suffix of a format that can be written", "--format"
    )
