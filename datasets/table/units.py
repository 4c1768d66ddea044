"""What one tick of a table's time is: as the user or the file says, else as little guessed as can be, and
told.

Whole numbers are microseconds, the unit of nearly every file. Numbers with fractions are seconds only where
nothing speaks for milliseconds; that is a guess, and told. Numbers that would be whole in any unit, since
their type holds no fractions at their size, say nothing, and are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spikeflow.errors import DataError
from spikeflow.typing import Array

UNITS_US: Mapping[str, float] = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
WORDS: Mapping[str, str] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "usec", "usecs", "µs", "μs", "microsecond", "microseconds"), "us"),
    **dict.fromkeys(("ns", "nsec", "nsecs", "nanosecond", "nanoseconds"), "ns"),
}
SECONDS_SPAN = 1000  # times with fractions over more than this may be of any unit
CENTURY = (1e9, 4e9)  # seconds since 1970: the years 2001 to 2096
SAY = "--unit-us (unit_us=) 1e6 for s, 1e3 for ms, 1 for us, 1e-3 for ns"


@dataclass(frozen=True)
class Scale:
    """What one tick is.

    Parameters
    ----------
    us : microseconds of a tick.
    whole : whether a time between two ticks is a fault; else it is rounded to the nearest microsecond, half
        to even.
    assumed : what no one said, but every file of the kind means.
    warnings : what is guessed, or was lost, of which a user must hear.
    """

    us: float = 1.0
    whole: bool = True
    assumed: tuple[str, ...] = field(default=(), compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)


def unit_of(word: str) -> float | None:
    """Microseconds of the unit that this word names (``us``, ``[ms]``, ``seconds``), or None."""
    found = WORDS.get(word.strip().strip("()[]").strip().lower())
    return UNITS_US[found] if found else None


def split_unit(name: str, stems: tuple[str, ...]) -> tuple[str, float | None]:
    """A column's name in small letters without its unit (``t_us``, ``time [ms]``, ``t(s)``), and microseconds
    of it.
    """
    plain = name.strip().lower()
    found = re.fullmatch(
        r"(.*?)[\s_\-.]*(?:\(\s*([^\s()]+)\s*\)|\[\s*([^\s\[\]]+)\s*\]|[\s_\-.]([^\s_\-.]+))", plain
    )
    if plain in stems or not found or found[1] not in stems:
        return plain, None
    unit = unit_of(found[2] or found[3] or found[4])
    return (plain, None) if unit is None else (found[1], unit)


def scale_of(path: Path, times: Array, said_us: float | None) -> Scale:
    """What one tick is.

    Parameters
    ----------
    times : some, with the first and the last.
    said_us : microseconds of one, by the user or the file, or None.

    Raises
    ------
    DataError
        Where it is not said and times do not tell it.
    """
    finite = times[np.isfinite(times)] if times.dtype.kind == "f" else times
    if said_us is not None:
        if not (np.isfinite(said_us) and said_us > 0):
            raise DataError(f"{path}: unit_us", said_us, "microseconds of one tick, more than 0")
        return Scale(said_us, whole=False, warnings=_coarse(path, finite, said_us))
    if times.dtype.kind != "f":
        return _of_whole(path, finite)
    values = finite.astype(np.float64)
    if (values == np.rint(values)).all():
        if finite.size and times.dtype.itemsize < 8 and np.spacing(np.abs(finite).max()) >= 1:
            got = f"{times.dtype} of up to {_largest(finite):g}, which holds no fractions, whatever the unit"
            raise DataError(f"{path}: unit of the times", got, "a unit", SAY)
        return _of_whole(path, values)
    return _of_fractions(path, finite, values)


def _of_whole(path: Path, values: Array) -> Scale:
    assumed = ("times are whole numbers whose unit is not said: taken as microseconds",)
    most = _largest(values)
    for unit, name in ((1e-3, "ns"), (1e3, "ms")):
        if CENTURY[0] * 1e6 / unit <= most <= CENTURY[1] * 1e6 / unit:
            told = (
                f"{path}: times of {most:.3g} are taken as microseconds, no unit is said; as {name} "
                f"they would be of this century (--unit-us {unit:g})"
            )
            return Scale(assumed=assumed, warnings=(told,))
    return Scale(assumed=assumed, warnings=_coarse(path, values, 1.0))


def _of_fractions(path: Path, finite: Array, values: Array) -> Scale:
    span, most = float(values.max() - values.min()), _largest(values)
    of_today = CENTURY[0] <= most <= CENTURY[1]
    thousandths = values * 1000
    # as milliseconds these would be whole microseconds: the usual resolution, while seconds have six decimals
    close = np.abs(thousandths - np.rint(thousandths)) <= 2000 * np.spacing(np.abs(finite)).astype(np.float64)
    if not of_today and (span >= SECONDS_SPAN or most >= CENTURY[1] or close.all()):
        got = f"numbers with fractions over a span of {span:g}, which may be seconds or milliseconds"
        raise DataError(f"{path}: unit of the times", got, "a unit", SAY)
    told = f"{path}: times have fractions and no unit is said: taken as seconds (--unit-us 1e3 for ms)"
    return Scale(UNITS_US["s"], whole=False, warnings=(told, *_coarse(path, finite, UNITS_US["s"])))


def _coarse(path: Path, finite: Array, us: float) -> tuple[str, ...]:
    """What a floating type has lost: its steps at the largest time are more than a microsecond."""
    if finite.dtype.kind != "f" or not finite.size:
        return ()
    step = float(np.spacing(np.abs(finite).max())) * us
    if step <= 1:
        return ()
    return (
        f"{path}: times are {finite.dtype}, which at {_largest(finite):g} tells only steps of {step:g} us",
    )


def _largest(values: Array) -> float:
    return float(np.abs(values.astype(np.float64)).max()) if values.size else 0.0
