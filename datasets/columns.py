"""Which column of a table is t, x, y, p, and what one tick of its time is: from names, from the user, from content.

A table with names (fields, arrays, a first line of text) says which column is which. A table without names is
read only where exactly one reading makes every event valid. A reading is an order of t, x, y, p with x before
y, as in every layout in use (txyp, xytp, xypt, ...); a table with y before x must be named by the user, since
no content could tell. A prefix that leaves one reading is enough to choose it, because later rows can only rule
readings out, and every row is checked again when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError

Array = npt.NDArray[Any]
NAMES: Mapping[str, tuple[str, ...]] = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "pol", "pols", "polarity", "polarities"),
}
UNITS_US: Mapping[str, float] = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
READINGS = tuple("".join(order) for order in permutations("txyp") if order.index("x") < order.index("y"))
SECONDS_SPAN = (
    1000  # a time with fractions that spans less than this is in seconds: as us it would end within 1 ms
)
PIXELS = 1 << 16


@dataclass(frozen=True)
class Layout:
    """Where the columns of a table are.

    Parameters
    ----------
    at : for ``t``, ``x`` and, where the table has them, ``y`` and ``p``: the number or name of the column.
    unit_us : microseconds of one tick, where a name such as ``t_us`` says it.
    """

    at: Mapping[str, Any]
    unit_us: float | None = None


@dataclass(frozen=True)
class Scale:
    """What one tick is.

    Parameters
    ----------
    us : microseconds of a tick.
    whole : whether a time between two ticks is a fault; else it is rounded to the nearest microsecond, half to even.
    """

    us: float = 1.0
    whole: bool = True


def named(what: str, names: Sequence[str]) -> Layout | None:
    """The layout that these names tell, or None where they name no t or no x.

    Raises
    ------
    DataError
        Where two columns have names of the same meaning.
    """
    at: dict[str, str] = {}
    unit_us = None
    for name in names:
        letter, unit = _meaning(name)
        if letter and letter in at:
            raise DataError(what, f"two columns for {letter}: {at[letter]!r} and {name!r}", "one", "columns")
        if letter:
            at[letter] = name
            unit_us = unit if letter == "t" else unit_us
    return Layout(at, unit_us) if "t" in at and "x" in at else None


def _meaning(name: str) -> tuple[str | None, float | None]:
    plain, unit = name.strip().lower(), None
    stem, _, suffix = plain.rpartition("_")
    if stem in NAMES["t"] and suffix in UNITS_US:
        plain, unit = stem, UNITS_US[suffix]
    found = [letter for letter, known in NAMES.items() if plain in known]
    return (found[0] if found else None), unit


def ordered(what: str, columns: str, width: int) -> Layout:
    """The layout that a user says, such as ``txyp``; ``-`` is a column to leave out.

    Raises
    ------
    DataError
        Where it is no such order, or the table has another number of columns.
    """
    letters = columns.replace("-", "")
    wrong = set(letters) - set("txyp") or len(set(letters)) != len(letters) or not {"t", "x"} <= set(letters)
    if wrong or len(columns) != width:
        raise DataError(f"{what}: columns", repr(columns), f"{width} of t, x, y, p and -", "--columns txyp")
    return Layout({letter: at for at, letter in enumerate(columns) if letter != "-"})


def inferred(what: str, pieces: Iterable[Array], width: int | None, height: int | None) -> Layout:
    """The only layout under which every row of a table of four columns without names is an event.

    Parameters
    ----------
    pieces : matrices ``(rows, 4)`` one after the other; taken only until one reading is left.
    width, height : of the sensor, or None.

    Raises
    ------
    DataError
        Where no reading is left, or several.
    """
    left, last, rows = list(READINGS), None, 0
    for piece in pieces:
        if piece.ndim != 2 or piece.shape[1] != 4:
            shape = "x".join(str(n) for n in piece.shape)
            raise DataError(f"{what}: columns", f"a table of {shape} without names", "n x 4", "--columns")
        facts = [_Facts.of(piece[:, i], None if last is None else last[i]) for i in range(4)]
        left = [order for order in left if _valid(order, facts, width, height)]
        last, rows = (piece[-1] if len(piece) else last), rows + len(piece)
        if len(left) < 2:
            break
    if len(left) == 1:
        return Layout({letter: at for at, letter in enumerate(left[0])})
    got = f"{rows} rows that can be read as {', '.join(left)}" if left else "rows that no order makes events"
    raise DataError(f"{what}: columns", got, "exactly one order of t, x, y, p", "--columns txyp")


@dataclass(frozen=True)
class _Facts:
    rising: bool
    pixel: bool
    polarity: bool
    most: int

    @staticmethod
    def of(column: Array, last: Any) -> _Facts:
        if not len(column):
            return _Facts(True, True, True, 0)
        finite = column.dtype.kind != "f" or bool(np.isfinite(column).all())
        low, high = column.min(), column.max()
        rising = (last is None or bool(last <= column[0])) and not bool((column[1:] < column[:-1]).any())
        whole = column.dtype.kind != "f" or bool((column == np.rint(column)).all())
        return _Facts(
            rising=finite and rising,
            pixel=finite and whole and bool(low >= 0 and high < PIXELS),
            polarity=finite and whole and bool(low >= -1 and high <= 1),
            most=int(high) if finite else 0,
        )


def _valid(order: str, facts: Sequence[_Facts], width: int | None, height: int | None) -> bool:
    t, x, y, p = (facts[order.index(letter)] for letter in "txyp")
    inside = all(f.pixel and (n is None or f.most < n) for f, n in ((x, width), (y, height)))
    return t.rising and p.polarity and inside


def scale_of(path: Path, times: Array, said_us: float | None) -> Scale:
    """What one tick is: as said; else microseconds where times are whole, seconds where they can be nothing else.

    Parameters
    ----------
    times : some, with the first and the last.
    said_us : by the user or the file, or None.

    Raises
    ------
    DataError
        Where times have fractions and span too much to be surely seconds.
    """
    if said_us is not None:
        if not (np.isfinite(said_us) and said_us > 0):
            raise DataError(f"{path}: unit_us", said_us, "microseconds of one tick, more than 0")
        return Scale(said_us, whole=False)
    if times.dtype.kind != "f":
        return Scale()
    finite = times[np.isfinite(times)].astype(np.float64)
    if (finite == np.rint(finite)).all():
        return Scale()
    span = float(finite.max() - finite.min())
    if span < SECONDS_SPAN:
        return Scale(UNITS_US["s"], whole=False)
    raise DataError(
        f"{path}: unit of the times", f"fractions over a span of {span:g}", "a unit", "--unit-us 1e6 for s"
    )
