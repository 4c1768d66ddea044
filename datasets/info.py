"""The facts of an event file, found in constant memory: what any other reader can be compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.datasets.read import open_recording
from spikeflow.datasets.recording import Recording
from spikeflow.events import COLUMNS, Events

AT_ONCE = 1 << 24  # events that may lie in memory; of more, the file is read once for each column


@dataclass(frozen=True)
class Info:
    """What a file holds.

    Parameters
    ----------
    format, width, height : as the file, or the user, says; sizes may be None.
    events : number of them.
    first, last : ``(t, x, y, p)``, or None where there is no event.
    duration_us : from the first to the last.
    on_events : number with p = 1.
    sha256 : over all t (int64, little-endian), then all x, all y (uint16), all p (uint8).
    dropped : for each reason, how many were left out.
    fields : of the header, as text.
    assumed : what neither file nor user says, but every file of the kind means.
    warnings : what is guessed, or was lost, in reading.
    """

    format: str
    width: int | None
    height: int | None
    events: int
    first: tuple[int, int, int, int] | None
    last: tuple[int, int, int, int] | None
    duration_us: int
    on_events: int
    sha256: str
    dropped: Mapping[str, int]
    fields: Mapping[str, str]
    assumed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The facts as plain values."""
        facts = asdict(self)
        for name in ("first", "last"):
            facts[name] = None if facts[name] is None else list(facts[name])
        for name in ("assumed", "warnings"):
            facts[name] = list(facts[name])
        return facts

    def to_text(self) -> str:
        """The facts, one a line."""
        rows = [
            ("format", self.format),
            ("sensor", _sensor(self.width, self.height)),
            ("events", f"{self.events:,}"),
        ]
        for name in ("first", "last"):
            if (event := getattr(self, name)) is not None:
                rows.append((name, "t {:,} us, x {}, y {}, p {}".format(*event)))
        rows += [
            ("duration", f"{self.duration_us:,} us"),
            ("on events", f"{self.on_events:,}"),
            ("sha256", self.sha256),
        ]
        rows += [(f"left out: {reason}", f"{count:,}") for reason, count in self.dropped.items()]
        rows += [(f"header: {name}", value) for name, value in self.fields.items()]
        rows += [("assumed", text) for text in self.assumed]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}}  {_printable(value)}" for name, value in rows)


def _sensor(width: int | None, height: int | None) -> str:
    return "not known" if width is None or height is None else f"{width}x{height}"


def _printable(text: str) -> str:
    """A header's text without the signs by which it could steer a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def describe(path: str | Path, format: str | None = None, **options: Any) -> Info:
    """The facts of a file; options as `open_recording` takes them, errors as it raises.

    The file is read in pieces. The checksum takes one column after the other, so that a recording of more
    than 16 million events is read four times rather than held.
    """
    with open_recording(path, format, **options) as recording:
        return of_recording(recording)


def of_recording(recording: Recording, at_once: int = AT_ONCE) -> Info:
    """The facts of an opened recording; at most `at_once` events lie in memory."""
    held: list[Events] | None = []
    count = on = 0
    first = last = None
    digest = hashlib.sha256()
    for piece in recording.pieces():
        if not len(piece):
            continue
        first = first or _event(piece, 0)
        last = _event(piece, -1)
        count, on = count + len(piece), on + int(np.count_nonzero(piece.p))
        _add(digest, piece, 0)
        held = [*held, piece] if held is not None and count <= at_once else None
    dropped = dict(recording.dropped)
    for column in range(1, len(COLUMNS)):
        for piece in recording.pieces() if held is None else held:
            _add(digest, piece, column)
    header, times = recording.header, (first[0], last[0]) if first and last else (0, 0)
    return Info(
        header.format,
        recording.width,
        recording.height,
        count,
        first,
        last,
        times[1] - times[0],
        on,
        digest.hexdigest(),
        dropped,
        dict(header.fields),
        recording.assumed,
        recording.warnings,
    )


def _event(events: Events, at: int) -> tuple[int, int, int, int]:
    return int(events.t[at]), int(events.x[at]), int(events.y[at]), int(events.p[at])


def _add(digest: Any, events: Events, column: int) -> None:
    name, dtype = COLUMNS[column]
    digest.update(getattr(events, name).astype(dtype.newbyteorder("<"), copy=False).data)
