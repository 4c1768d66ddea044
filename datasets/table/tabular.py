"""A recording that is a table: rows of t, x, y, p, in arrays, containers or text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from spikeflow.datasets.recording import Columns, Header, Options, Recording
from spikeflow.datasets.table.columns import Known, Layout, inferred, ordered
from spikeflow.datasets.table.units import SAY, Scale, scale_of
from spikeflow.datasets.table.validate import Limits, Raw, Seen, Validator, times
from spikeflow.errors import DataError
from spikeflow.typing import Array

ROWS = 1 << 18  # rows of a piece
MANY = 1000  # events, of which all together may say something
MOST_RATE = 100  # events a microsecond over a whole recording: no sensor sends so many


class Table(ABC):
    """Rows of a file, unchecked.

    Attributes
    ----------
    scale : what one tick of t is.
    warnings : what was guessed when it was opened.
    missing : rows that the file declares and does not hold, or that are no rows.
    reason : the word for these.
    """

    scale: Scale
    warnings: tuple[str, ...] = ()
    missing: int = 0
    reason: str = "truncated"

    @abstractmethod
    def pieces(self, start: int) -> Iterator[Raw]:
        """The rows from `start` on, in pieces of bounded size."""

    def row_before(self, start_us: int) -> int:
        """A row at or before the first with ``t >= start_us``, where times are in order; 0 where rows cannot
        be skipped.
        """
        return 0

    def close(self) -> None:  # noqa: B027  (most tables hold nothing open)
        """Let go of the file."""


class TableRecording(Recording):
    """The events of a table, every row checked."""

    def __init__(self, path: Path, header: Header, options: Options, table: Table) -> None:
        super().__init__(path, header, options)
        self._table = table
        self._dropped: Mapping[str, int] = {}
        self.tell(*table.warnings, *table.scale.warnings)
        self.assume(*table.scale.assumed)

    @property
    def dropped(self) -> Mapping[str, int]:
        """For each reason, how many rows the last pass left out; complete once a pass has ended."""
        return self._dropped

    def close(self) -> None:
        """Let go of the file."""
        self._table.close()

    def columns(self, start_us: int | None = None) -> Iterator[Columns]:
        """All events in order; with `start_us`, rows before it are skipped where times are known to be in
        order.

        Where strict, a file's times are taken to be in order, as a whole pass would find. Where not, what is
        dropped depends on all rows before, so that none is skipped.
        """
        strict = self.options.strict
        row = self._table.row_before(start_us) if start_us is not None and strict else 0
        options, scale = self.options, self._table.scale
        limits = Limits(self.width, self.height, scale, strict, options.origin, not options.sort)
        validator = Validator(self.path, limits)
        validator.start(row)
        for raw in self._table.pieces(row):
            yield validator.take(raw)
        validator.drop(self._table.reason, self._table.missing)
        self._dropped = validator.dropped
        if not row:
            self.ended(validator.seen.events, validator.dropped)
            self._look_at(validator.seen)

    def _look_at(self, seen: Seen) -> None:
        """Tell what all events together make unlikely: a unit, or pixels that count from 0."""
        if seen.events < MANY:
            return
        sized = self.width is not None and self.height is not None
        if seen.least == (1, 1) and not self.options.origin and not sized:
            self.tell(
                f"{self.path}: no event has x = 0 or y = 0; pixels that count from 1 would need --origin 1"
            )
        span = (seen.last_us or 0) - (seen.first_us or 0)
        if span >= 0 and seen.events > MOST_RATE * max(span, 1):
            self.tell(
                f"{self.path}: {seen.events:,} events within {span:,} us: times of another unit or too "
                f"coarse? ({SAY})"
            )


class ArrayTable(Table):
    """Rows that can be read from anywhere: an array in memory, mapped from a file, or in a container.

    Parameters
    ----------
    count : number of rows.
    rows : ``rows(start, stop)`` reads some.
    scale : what one tick is.
    close : lets go of the file.
    """

    def __init__(
        self,
        count: int,
        rows: Callable[[int, int], Raw],
        scale: Scale,
        close: Callable[[], None] | None = None,
    ) -> None:
        self.scale = scale
        self._count, self._rows, self._close = count, rows, close

    def pieces(self, start: int) -> Iterator[Raw]:
        """The rows from `start` on."""
        for at in range(start, self._count, ROWS):
            yield self._rows(at, min(at + ROWS, self._count))

    def row_before(self, start_us: int) -> int:
        """By bisection."""
        return bisect_left(range(self._count), start_us, key=self._time)

    def close(self) -> None:
        """Let go of the file."""
        if self._close:
            self._close()

    def _time(self, row: int) -> int:
        t, _ = times(self._rows(row, row + 1).t, self.scale)
        return int(t[0])


def split(rows: Array, layout: Layout) -> Raw:
    """The columns of a matrix (by number) or of structured rows (by name)."""
    part = {letter: rows[at] if isinstance(at, str) else rows[:, at] for letter, at in layout.at.items()}
    return Raw(part["t"], part["x"], part.get("y"), part.get("p"))


def matrix_layout(path: Path, count: int, read: Callable[[int, int], Array], options: Options) -> Layout:
    """The layout of a matrix without names: as the user says, else by content.

    Parameters
    ----------
    read : ``read(start, stop)`` gives rows ``(stop - start, columns)``.
    """
    if options.columns:
        return ordered(str(path), options.columns, read(0, 0).shape[1])
    starts = range(0, max(count, 1), ROWS)
    pieces = (read(at, min(at + ROWS, count)) for at in starts)
    return inferred(str(path), pieces, Known(options.width, options.height, not options.sort))


def no_order(path: Path, options: Options) -> None:
    """Refuse the user's order of columns where names say which is which."""
    if options.columns:
        raise DataError(
            f"{path}: columns", repr(options.columns), "no order: the names of the columns say it"
        )


def unit_said(path: Path, options: Options, layout_us: float | None) -> tuple[float | None, tuple[str, ...]]:
    """Microseconds of a tick as the user says, else as the file; and what a user must hear where they
    differ.
    """
    said = options.unit_us
    if said is None or layout_us is None or said == layout_us:
        return (layout_us if said is None else said), ()
    return said, (
        f"{path}: the unit of times is {layout_us:g} us as the file says; taken as {said:g} us, as the "
        "user says",
    )


def table_scale(path: Path, count: int, rows: Callable[[int, int], Raw], said_us: float | None) -> Scale:
    """What one tick is, from the first rows and the last."""
    first, last = rows(0, min(count, 4096)).t, rows(max(count - 1, 0), count).t
    for part in (first, last):
        if part.dtype.kind not in "iufb":
            raise DataError(f"{path}: t", f"type {part.dtype}", "numbers")
    return scale_of(path, np.concatenate([first, last]), said_us)


def check_numbers(path: Path, raw: Raw) -> Raw:
    """The same columns, which are numbers of one dimension and of equal length.

    Raises
    ------
    DataError
        Where they are not.
    """
    for letter, column in zip("txyp", (raw.t, raw.x, raw.y, raw.p), strict=True):
        if column is None:
            continue
        if column.dtype.kind not in "iufb":
            raise DataError(f"{path}: {letter}", f"type {column.dtype}", "whole or decimal numbers")
        if column.shape != raw.t.shape or column.ndim != 1:
            raise DataError(f"{path}: {letter}", f"shape {column.shape}", f"({raw.t.size},), as t")
    return raw
