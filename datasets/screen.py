"""Rows of a table, as a file holds them, become events: every value checked, faults raised or counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.datasets.columns import PIXELS, Scale
from spikeflow.datasets.recording import Columns
from spikeflow.errors import FileError

Array = npt.NDArray[Any]
FARTHEST = 1 << 62  # microseconds: 146,000 years
NANOSECOND = 1e-3  # microseconds


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
    """What an event of this file must keep to; None is not known."""

    width: int | None
    height: int | None
    scale: Scale
    strict: bool


class Screen:
    """Checks the rows of one pass; remembers the last time and what was dropped."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._last: int | None = None
        self._rows = 0
        self._dropped: Counter[str] = Counter()

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
            raise self._error(reason, self._rows)
        if rows:
            self._dropped[reason] += rows

    def take(self, raw: Raw) -> Columns:
        """The events of these rows.

        Raises
        ------
        FileError
            Where a row is no event and the limits are strict.
        """
        count = len(raw)
        t, wrong_t = times(raw.t, self._limits.scale)
        x, wrong_x = _pixels(raw.x, self._limits.width)
        y, wrong_y = (
            _pixels(raw.y, self._limits.height) if raw.y is not None else (_full(count, 0, "u2"), None)
        )
        p, wrong_p = _polarities(raw.p) if raw.p is not None else (_full(count, 1, "u1"), None)
        faults = (
            ("no time", wrong_t),
            ("outside the sensor", wrong_x),
            ("outside the sensor", wrong_y),
            ("unknown polarity", wrong_p),
        )
        if self._limits.strict:
            self._first_fault(t, faults)
        kept: Array | None = None
        for reason, wrong in faults:
            kept = self._sift(reason, wrong, kept)
        columns = (t, x, y, p) if kept is None else (t[kept], x[kept], y[kept], p[kept])
        columns = self._in_order(columns)
        self._rows += count
        return columns

    def _first_fault(self, t: Array, faults: Sequence[tuple[str, Array | None]]) -> None:
        """The error of the first row that is no event, where there is one."""
        found = [
            (int(wrong.argmax()), at, reason)
            for at, (reason, wrong) in enumerate(faults)
            if wrong is not None and wrong.any()
        ]
        row, _, reason = min(found, default=(len(t), 0, ""))
        back = self._backwards(t[:row])
        if back is not None:
            row, reason = int(back.argmax()), "time going backwards"
        if row < len(t):
            raise self._error(reason, self._rows + row)

    def _sift(self, reason: str, wrong: Array | None, kept: Array | None) -> Array | None:
        if wrong is None:
            return kept
        new = wrong if kept is None else wrong & kept
        if not new.any():
            return kept
        self._dropped[reason] += int(new.sum())
        return ~wrong if kept is None else kept & ~wrong

    def _in_order(self, columns: Columns) -> Columns:
        back = self._backwards(columns[0])
        if back is not None:
            self._dropped["time going backwards"] += int(back.sum())
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

    def _error(self, reason: str, row: int) -> FileError:
        return FileError(
            self._path, f"{reason} at event {row}", "strict=False (--lenient) keeps the good part"
        )


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


def _pixels(raw: Array, limit: int | None) -> tuple[Array, Array | None]:
    most = PIXELS if limit is None else limit
    if not len(raw):
        return raw.astype(np.uint16), None
    with np.errstate(invalid="ignore"):
        if raw.dtype.kind in "iub" and raw.min() >= 0 and raw.max() < most:
            return raw.astype(np.uint16, copy=False), None
        wrong = ~((raw >= 0) & (raw < most))
        if raw.dtype.kind == "f":
            wrong |= raw != np.rint(raw)
    return np.where(wrong, 0, raw).astype(np.uint16), wrong if wrong.any() else None


def _polarities(raw: Array) -> tuple[Array, Array | None]:
    wrong = (raw != 1) & (raw != 0) & (raw != -1) if raw.dtype.kind != "b" else np.zeros(len(raw), bool)
    return (raw == 1).astype(np.uint8), wrong if wrong.any() else None


def _full(count: int, value: int, dtype: str) -> Array:
    return np.full(count, value, dtype)
