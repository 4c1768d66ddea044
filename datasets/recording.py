"""A recording: one event file, opened; its events whole, in pieces of constant memory, or of a stretch of
time.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

import numpy as np

from spikeflow.errors import DataError, FileError, SpikeflowWarning
from spikeflow.events import COLUMNS, Events
from spikeflow.files import memory
from spikeflow.typing import Array

Columns = tuple[Array, Array, Array, Array]  # t int64, x uint16, y uint16, p uint8
PIXELS = 1 << 16  # along one side of a sensor
PIECE = 1 << 20  # events in a piece, unless the user says otherwise
INVALID = "not marked as valid"
ASK = 1 << 28  # bytes of events after which the room left is looked at


@dataclass(frozen=True)
class Options:
    """What a user says about a file beyond what the file says itself.

    Parameters
    ----------
    strict : a fault is an error; else what is wrong is left out and counted.
    width, height : of the sensor; wins over nothing: a file that says otherwise is an error.
    columns : order of the columns of a table without names, such as ``txyp``.
    unit_us : microseconds of one tick, where a table does not say its unit.
    key : dataset inside a container file that holds several.
    origin : what a table calls the first column and row of the sensor: 0, or 1 as MATLAB does.
    sort : put events in order of time where they are not; those of one time keep their order, none is lost.

    Raises
    ------
    DataError
        Where a size or a unit is none.
    """

    strict: bool = True
    width: int | None = None
    height: int | None = None
    columns: str | None = None
    unit_us: float | None = None
    key: str | None = None
    origin: int = 0
    sort: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            size = getattr(self, name)
            if size is not None and not 1 <= size <= PIXELS:
                raise DataError(name, size, f"1 to {PIXELS}")
        if self.unit_us is not None and not 0 < self.unit_us < float("inf"):
            raise DataError("unit_us", self.unit_us, "microseconds of one tick, more than 0")
        if self.origin not in (0, 1):
            raise DataError("origin", self.origin, "0, or 1 where pixels count from 1")


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Parameters
    ----------
    format : name of the format, such as ``evt3``.
    width, height : of the sensor, or None.
    fields : everything else that the header says, as text.
    """

    format: str
    width: int | None = None
    height: int | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


class Recording(ABC):
    """One opened event file. A context manager; a format implements `columns` and, where there is one,
    `close`.
    """

    def __init__(self, path: Path, header: Header, options: Options) -> None:
        self.path, self.header, self.options = path, header, options
        self.width = _agreed(path, "width", header.width, options.width)
        self.height = _agreed(path, "height", header.height, options.height)
        self._told: list[str] = []
        self._assumed: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is guessed, or lost, in reading; complete once a pass has ended."""
        return tuple(self._told)

    @property
    def assumed(self) -> tuple[str, ...]:
        """What neither file nor user says, but every file of the kind means."""
        return tuple(self._assumed)

    def tell(self, *texts: str) -> None:
        """Warn, once for each text, of what is guessed or lost."""
        for text in texts:
            if text not in self._told:
                self._told.append(text)
                warnings.warn(text, SpikeflowWarning, stacklevel=4)

    def assume(self, *texts: str) -> None:
        """Record what is taken for granted."""
        self._assumed += [text for text in texts if text not in self._assumed]

    def ended(self, events: int, dropped: Mapping[str, int]) -> None:
        """Tell what a whole pass has shown: nothing, or records that their camera did not mark as valid."""
        if invalid := dropped.get(INVALID, 0):
            self.tell(f"{self.path}: {invalid:,} records are {INVALID} and left out")
        if not events and dropped:
            left = ", ".join(f"{reason} {count:,}" for reason, count in dropped.items())
            self.tell(f"{self.path}: no event is read; left out: {left}")

    @abstractmethod
    def columns(self, start_us: int | None = None) -> Iterator[Columns]:
        """All events in order, in pieces of bounded size; with `start_us`, from at or before its first event.

        Each call begins anew. After the last piece `dropped` holds what was left out on the way.
        """

    @property
    @abstractmethod
    def dropped(self) -> Mapping[str, int]:
        """For each reason, how many events or words the last complete pass of `columns` left out."""

    def close(self) -> None:  # noqa: B027  (most formats hold nothing open)
        """Let go of the file."""

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self) -> Events:
        """All events; `Events.dropped` tells what was left out."""
        return replace(self._events(list(self._afforded())), dropped=self.dropped)

    def _afforded(self) -> Iterator[Columns]:
        """All pieces, as long as there is room for the whole that they become."""
        held = asked = 0
        for columns in self.columns():
            yield columns
            held += sum(column.nbytes for column in columns)
            if held > asked + ASK:
                asked = held
                memory.expect(f"{self.path}: its events", held, "pieces(), which streams")

    def pieces(self, events: int = PIECE) -> Iterator[Events]:
        """All events in order, `events` at a time (the last piece may be shorter); memory does not grow.

        What was left out is counted for the whole file, in `dropped` after the last piece, not for a piece.
        """
        if events < 1:
            raise DataError("pieces", events, "at least one event")
        held: list[Columns] = []
        count = 0
        for columns in self.columns():
            held.append(columns)
            count += len(columns[0])
            if count >= events:
                whole = self._events(held)
                for at in range(0, count - count % events, events):
                    yield whole[at : at + events]
                rest = whole[count - count % events :]
                held, count = [(rest.t, rest.x, rest.y, rest.p)], len(rest)
        if count:
            yield self._events(held)

    def between(self, start_us: int, stop_us: int) -> Events:
        """The events with ``start_us <= t < stop_us``; earlier ones are skipped without being decoded, if
        possible.

        What was left out on the way is not counted.
        """
        held: list[Columns] = []
        for t, x, y, p in self.columns(start_us):
            first, last = np.searchsorted(t, [start_us, stop_us])
            held.append((t[first:last], x[first:last], y[first:last], p[first:last]))
            if last < len(t):
                break
        return self._events(held)

    def _events(self, held: list[Columns]) -> Events:
        if len(held) == 1:
            t, x, y, p = held[0]
        else:
            empty = tuple(np.empty(0, dtype) for _, dtype in COLUMNS)
            t, x, y, p = (np.concatenate(parts) for parts in zip(empty, *held, strict=True))
        for column in (t, x, y, p):
            column.setflags(write=False)  # ours alone, so that `Events` need not copy
        return Events(t, x, y, p, self.width, self.height)


def _agreed(path: Path, name: str, told: int | None, said: int | None) -> int | None:
    if told is not None and not 1 <= told <= PIXELS:
        raise FileError(path, f"says a {name} of {told}, not 1 to {PIXELS}")
    if told is not None and said is not None and told != said:
        raise DataError(f"{path}: {name}", f"{said} from the user", f"{told}, as the file says")
    return said if told is None else told
