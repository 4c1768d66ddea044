"""Rows of a table, as a file holds them, become events: every value checked, faults raised or counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeflow.datasets.recording import Columns
from spikeflow.datasets.table.columns import PIXELS
from spikeflow.datasets.table.faults import BACKWARDS, FRACTION, NO_TIME, OUTSIDE, POLARITY, Place, refusal
from spikeflow.datasets.table.units import Scale
from spikeflow.errors import DataError
from spikeflow.typing import Array

FARTHEST = 1 << 62  # microseconds: 146,000 years
NANOSECOND = 1e-3  # microseconds
MINUS = 2  # what stands for a polarity of -1 until it is known to mean off


@dataclass(frozen=True, eq=False)
class Raw:
    """Some rows as a file holds them: columns of numbers of any type.

    Parameters
    ----------
    t, x : of equal length.
    y : None where the sensor has no rows: 0.
    p : None where the file tells no polarity: 1.
    """

    t: Array
    x: Array
    y: Array | None = None
    p: Array | None = None

    def __len__(self) -> int:
        return len(self.t)


@dataclass(frozen=True)
class Limits:
    """What an event of this file must keep to; None is not known.

    Parameters
    ----------
    origin : what the first column and the first row are called in the file: 0 or 1.
    ordered : whether times must never decrease.
    """

    width: int | None
    height: int | None
    scale: Scale
    strict: bool
    origin: int = 0
    ordered: bool = True


class Validator:
    """Checks the rows of one pass; remembers the last time and what was dropped."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._last: int | None = None
        self._rows = 0
        self._dropped: Counter[str] = Counter()
        self._signs: set[int] = set()  # of -1 and 0, those that a polarity had
        self.seen = Seen()

    @property
    def dropped(self) -> Mapping[str, int]:
        """For each reason, how many rows were left out so far."""
        return dict(self._dropped)

    def start(self, row: int) -> None:
        """The number that the next row has in the file, for messages."""
        self._rows = row

    def drop(self, reason: str, rows: int) -> None:
        """Count rows that a file lacks; an error where strict."""
        if rows and self._limits.strict:
            raise refusal(Place(self._path, self._rows), reason)
        if rows:
            self._dropped[reason] += rows

    def take(self, raw: Raw) -> Columns:
        """The events of these rows.

        Raises
        ------
        FileError
            Where a row is no event and the limits are strict.
        """
        t, wrong_t = times(raw.t, self._limits.scale)
        p, wrong_p = _polarities(raw.p) if raw.p is not None else (_full(len(raw), 1, "u1"), None)
        faults: list[tuple[str, str, Array | None]] = [(NO_TIME, "t", wrong_t)]
        pixels = []
        for letter, column, limit in (("x", raw.x, self._limits.width), ("y", raw.y, self._limits.height)):
            found = (
                _pixels(column, limit, self._limits.origin) if column is not None else Pixels.none(len(raw))
            )
            pixels.append(found)
            faults += [(FRACTION, letter, found.fraction), (OUTSIDE, letter, found.outside)]
        faults.append((POLARITY, "p", wrong_p))
        if self._limits.strict:
            self._first_fault(t, raw, faults)
        kept: Array | None = None
        for reason, _, wrong in faults:
            kept = self._sift(reason, wrong, kept)
        x, y = (found.values for found in pixels)
        columns = (t, x, y, p) if kept is None else (t[kept], x[kept], y[kept], p[kept])
        t, x, y, p = self._in_order(columns)
        if raw.p is not None and raw.p.dtype.kind in "if":
            p = self._off(p)
        self._rows += len(raw)
        self.seen.add((t, x, y, p), [found.least if kept is None else None for found in pixels])
        return t, x, y, p

    def _off(self, p: Array) -> Array:
        """Polarities with 0 for off; of three values in a file none can tell which of -1 and 0 is off."""
        minus = p == MINUS
        self._signs |= {value for value, there in ((0, p == 0), (-1, minus)) if there.any()}
        if len(self._signs) > 1:
            raise DataError(
                f"{self._path}: polarity",
                "-1, 0 and 1 in one column",
                "0 and 1, or -1 and 1",
                "one value for off",
            )
        return np.where(minus, 0, p).astype(np.uint8) if minus.any() else p

    def _first_fault(self, t: Array, raw: Raw, faults: Sequence[tuple[str, str, Array | None]]) -> None:
        """The error of the first row that is no event, where there is one."""
        found = [
            (int(wrong.argmax()), at, reason, letter)
            for at, (reason, letter, wrong) in enumerate(faults)
            if wrong is not None and wrong.any()
        ]
        row, _, reason, letter = min(found, default=(len(t), 0, "", "t"))
        back = self._backwards(t[:row]) if self._limits.ordered else None
        if back is not None:
            row, reason, letter = int(back.argmax()), BACKWARDS, "t"
        if row < len(t):
            value = getattr(raw, letter)[row]
            limit = {"x": self._limits.width, "y": self._limits.height}.get(letter)
            raise refusal(Place(self._path, self._rows + row, letter, value, limit), reason)

    def _sift(self, reason: str, wrong: Array | None, kept: Array | None) -> Array | None:
        if wrong is None:
            return kept
        new = wrong if kept is None else wrong & kept
        if not new.any():
            return kept
        self._dropped[reason] += int(new.sum())
        return ~wrong if kept is None else kept & ~wrong

    def _in_order(self, columns: Columns) -> Columns:
        back = self._backwards(columns[0]) if self._limits.ordered else None
        if back is not None:
            self._dropped[BACKWARDS] += int(back.sum())
            t, x, y, p = (column[~back] for column in columns)
            columns = (t, x, y, p)
        if len(columns[0]):
            self._last = int(columns[0][-1])
        return columns

    def _backwards(self, t: Array) -> Array | None:
        """Where a time is before the latest so far (None: nowhere)."""
        if not len(t) or ((self._last is None or t[0] >= self._last) and (t[1:] >= t[:-1]).all()):
            return None
        highest = np.maximum.accumulate(t if self._last is None else np.concatenate(([self._last], t)))
        return t < highest[-len(t) :]


@dataclass
class Seen:
    """What the events of a pass were like; None before the first."""

    events: int = 0
    least: tuple[int, int] | None = None  # x and y
    first_us: int | None = None
    last_us: int | None = None

    def add(self, columns: Columns, known: Sequence[int | None]) -> None:
        """Take more of them in; `known` are the least x and y where they are."""
        t, x, y, _ = columns
        if not len(t):
            return
        low_x, low_y = known
        low = (int(x.min()) if low_x is None else low_x, int(y.min()) if low_y is None else low_y)
        self.least = low if self.least is None else (min(low[0], self.least[0]), min(low[1], self.least[1]))
        self.first_us = int(t[0]) if self.first_us is None else self.first_us
        self.last_us = int(t[-1])
        self.events += len(t)


def times(raw: Array, scale: Scale) -> tuple[Array, Array | None]:
    """int64 microseconds, and where there is none (None: nowhere)."""
    if raw.dtype.kind in "iub" and (float(scale.us).is_integer() or scale.us == NANOSECOND):
        return _whole_times(raw, scale.us)
    ticks = raw.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        us = np.rint(ticks * scale.us)
        wrong = ~(np.abs(us) < FARTHEST)  # also where NaN
        if scale.whole:
            wrong |= us != ticks * scale.us
    return np.where(wrong, 0, us).astype(np.int64), wrong if wrong.any() else None


def _whole_times(raw: Array, us: float) -> tuple[Array, Array | None]:
    """Of whole ticks, in whole numbers: nanoseconds since 1970 are more than float64 holds."""
    most = FARTHEST if us == NANOSECOND else FARTHEST // int(us)
    wrong: Array | None = None
    if len(raw) and (int(raw.max()) > most or int(raw.min()) < -most):
        wrong = (raw > most) | (raw < -most)
        raw = np.where(wrong, 0, raw)
    ticks = raw.astype(np.int64, copy=False)
    if us != NANOSECOND:
        return (ticks if us == 1 else ticks * int(us)), wrong
    whole, rest = np.divmod(ticks, 1000)
    return whole + ((rest > 500) | ((rest == 500) & (whole % 2 == 1))), wrong


@dataclass(frozen=True, eq=False)
class Pixels:
    """Columns or rows of a sensor, and where a number is none (None: nowhere): between two, or not on the
    sensor.

    `least` is the lowest of them, where it is known.
    """

    values: Array
    fraction: Array | None = None
    outside: Array | None = None
    least: int | None = None

    @staticmethod
    def none(count: int) -> Pixels:
        """Of a sensor that has no rows."""
        return Pixels(_full(count, 0, "u2"), least=0)


def _pixels(raw: Array, limit: int | None, origin: int = 0) -> Pixels:
    most = PIXELS if limit is None else limit
    if not len(raw):
        return Pixels(raw.astype(np.uint16))
    if raw.dtype.kind in "iub" and (low := int(raw.min())) >= origin and int(raw.max()) < most + origin:
        values = (
            raw if not origin else raw - np.asarray(origin, raw.dtype if raw.dtype.kind != "b" else np.uint8)
        )
        return Pixels(values.astype(np.uint16, copy=False), least=low - origin)
    with np.errstate(invalid="ignore"):
        inside = (raw >= origin) & (raw < most + origin)
        fraction = inside & (raw != np.rint(raw)) if raw.dtype.kind == "f" else np.zeros(len(raw), bool)
        values = np.where(inside & ~fraction, raw, origin) - origin
    return Pixels(
        values.astype(np.uint16),
        fraction if fraction.any() else None,
        None if inside.all() else ~inside,
    )


def _polarities(raw: Array) -> tuple[Array, Array | None]:
    """1 where on, `MINUS` where -1, else 0; and where a value is none of these (None: nowhere)."""
    if raw.dtype.kind == "b":
        return raw.astype(np.uint8), None
    if raw.dtype.kind == "u":
        wrong = raw > 1
        return (raw == 1).astype(np.uint8), wrong if wrong.any() else None
    minus = raw == -1
    p = np.where(minus, MINUS, raw == 1).astype(np.uint8)
    wrong = (p == 0) & (raw != 0)
    return p, wrong if wrong.any() else None


def _full(count: int, value: int, dtype: str) -> Array:
    return np.full(count, value, dtype)
