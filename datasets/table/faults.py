"""Why a row of a table is no event, in words that name the value, and one thing to try that applies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeflow.errors import FileError

NO_TIME, FRACTION, OUTSIDE = "no time", "a fraction of a pixel", "outside the sensor"
POLARITY, BACKWARDS = "unknown polarity", "time going backwards"
LENIENT = "strict=False (--lenient) keeps the good part"
SORT = "sort=True (--sort) puts all events in order; strict=False (--lenient) leaves those out"


@dataclass(frozen=True, eq=False)
class Place:
    """Where a fault is.

    Parameters
    ----------
    row : number of the event in the file, from 0.
    letter, value : of the column at fault, and what it holds.
    limit : columns or rows of the sensor, for x and y; None where not known.
    """

    path: Path
    row: int
    letter: str = ""
    value: Any = None
    limit: int | None = None


def hint_of(reason: str) -> str:
    """What to try against a fault of this kind."""
    return SORT if reason == BACKWARDS else LENIENT


def refusal(place: Place, reason: str) -> FileError:
    """The error of a row."""
    words = {
        NO_TIME: _time,
        FRACTION: _fraction,
        OUTSIDE: _outside,
        POLARITY: _polarity,
    }.get(reason)
    detail, hint = words(place) if words else ("", hint_of(reason))
    return FileError(place.path, f"{reason} at event {place.row}{detail}", hint)


def _is(place: Place) -> str:
    # as a Python number: numpy's own signs say their type, too
    value = place.value.item() if hasattr(place.value, "item") else place.value
    return f" ({place.letter} = {value!r}"


def _time(place: Place) -> tuple[str, str]:
    value = float(place.value)
    if value == value and abs(value) < 1 << 62 and value != round(value):
        return (
            f"{_is(place)}, between two microseconds)",
            "--unit-us (unit_us=) of one tick, where t is no microseconds",
        )
    return f"{_is(place)})", LENIENT


def _fraction(place: Place) -> tuple[str, str]:
    what = "as of a rectified or resampled recording"
    return f"{_is(place)}, {what})", "the recording with whole pixels, or its pixels rounded"


def _outside(place: Place) -> tuple[str, str]:
    if place.limit is not None and place.value == place.limit:
        return f"{_is(place)} of 0 to {place.limit - 1})", "--origin 1 (origin=1) where pixels count from 1"
    if place.limit is None:
        return f"{_is(place)}, where 0 to 65535 can be)", LENIENT
    return f"{_is(place)} of 0 to {place.limit - 1})", LENIENT


def _polarity(place: Place) -> tuple[str, str]:
    return f"{_is(place)}; known are 0 and 1, -1 and 1, false and true)", LENIENT
