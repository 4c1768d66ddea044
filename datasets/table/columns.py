"""Which column of a table is t, x, y, p: from names, from the user, from content.

A table with names (fields, arrays, a first line of text) says which column is which. A table without names is
read only where exactly one reading makes every event valid. A reading is an order of t, x, y, p with x before
y, as in every layout in use (txyp, xytp, xypt, ...); a table with y before x must be named by the user, since
no content could tell. A prefix that leaves one reading is enough to choose it, because later rows can only
rule readings out, and every row is checked again when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from spikeflow.datasets.table.units import split_unit
from spikeflow.errors import DataError
from spikeflow.typing import Array

NAMES: Mapping[str, tuple[str, ...]] = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "pol", "pols", "polarity", "polarities", "on"),
}
READINGS = tuple("".join(order) for order in permutations("txyp") if order.index("x") < order.index("y"))
PIXELS = 1 << 16


@dataclass(frozen=True)
class Layout:
    """Where the columns of a table are.

    Parameters
    ----------
    at : for ``t``, ``x`` and, where the table has them, ``y`` and ``p``: the number or name of the column.
    unit_us : microseconds of one tick, where a name such as ``t_us`` says it.
    width, height : of the sensor, where names such as ``x@640`` say them.
    warnings : what is guessed, of which a user must hear.
    """

    at: Mapping[str, Any]
    unit_us: float | None = None
    width: int | None = None
    height: int | None = None
    warnings: tuple[str, ...] = ()


def named(what: str, names: Sequence[str]) -> Layout | None:
    """The layout that these names tell, or None where they name no t or no x.

    Raises
    ------
    DataError
        Where two columns have names of the same meaning.
    """
    at: dict[str, str] = {}
    unit_us, sizes = None, {}
    for name in names:
        letter, unit, size = _meaning(name)
        if letter and letter in at:
            raise DataError(what, f"two columns for {letter}: {at[letter]!r} and {name!r}", "one", "columns")
        if letter:
            at[letter], sizes[letter] = name, size
            unit_us = unit if letter == "t" else unit_us
    if not {"t", "x"} <= set(at):
        return None
    return Layout(at, unit_us, sizes.get("x"), sizes.get("y"), _missing(what, at, names))


def _missing(what: str, at: Mapping[str, Any], names: Sequence[str] = ()) -> tuple[str, ...]:
    """What stands in for columns that a table does not have."""
    given = {"y": "y = 0", "p": "every event is on"}
    others = [name for name in names if name not in at.values()][:10]
    beside = f" (columns of other names: {', '.join(others)})" if others else ""
    return tuple(
        f"{what}: no column {letter}: {word}{beside}" for letter, word in given.items() if letter not in at
    )


def _meaning(name: str) -> tuple[str | None, float | None, int | None]:
    """The letter that a column's name stands for, the unit and the size of the sensor that it says."""
    plain, unit = split_unit(name, NAMES["t"])
    if side := re.fullmatch(r"([xy])s?@(\d{1,5})", plain):
        return side[1], None, int(side[2])
    found = [letter for letter, known in NAMES.items() if plain in known]
    return (found[0] if found else None), unit, None


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
    at = {letter: at for at, letter in enumerate(columns) if letter != "-"}
    return Layout(at, warnings=_missing(what, at))


@dataclass(frozen=True)
class Known:
    """What is known of the events of a table without names.

    Parameters
    ----------
    width, height : of the sensor, or None.
    ordered : whether times never decrease.
    """

    width: int | None = None
    height: int | None = None
    ordered: bool = True


def inferred(what: str, pieces: Iterable[Array], known: Known) -> Layout:
    """The only layout under which every row of a table of four columns without names is an event.

    Parameters
    ----------
    pieces : matrices ``(rows, 4)`` one after the other; taken only until one reading is left.

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
        left = [order for order in left if _valid(order, facts, known)]
        last, rows = (piece[-1] if len(piece) else last), rows + len(piece)
        if len(left) < 2:
            break
    if len(left) == 1:
        told = f"{what}: columns without names are taken as {left[0]}, x before y assumed (--columns says it)"
        return Layout({letter: at for at, letter in enumerate(left[0])}, warnings=(told,))
    got = f"{rows} rows that can be read as {', '.join(left)}" if left else "rows that no order makes events"
    hint = "--columns txyp" if left else "--columns txyp, and --sort where times are out of order"
    raise DataError(f"{what}: columns", got, "exactly one order of t, x, y, p", hint)


@dataclass(frozen=True)
class _Facts:
    finite: bool
    rising: bool
    pixel: bool
    polarity: bool
    most: int

    @staticmethod
    def of(column: Array, last: Any) -> _Facts:
        if not len(column):
            return _Facts(True, True, True, True, 0)
        finite = column.dtype.kind != "f" or bool(np.isfinite(column).all())
        low, high = column.min(), column.max()
        rising = (last is None or bool(last <= column[0])) and not bool((column[1:] < column[:-1]).any())
        whole = column.dtype.kind != "f" or bool((column == np.rint(column)).all())
        return _Facts(
            finite=finite,
            rising=finite and rising,
            pixel=finite and whole and bool(low >= 0 and high < PIXELS),
            polarity=finite and whole and bool(low >= -1 and high <= 1),
            most=int(high) if finite else 0,
        )


def _valid(order: str, facts: Sequence[_Facts], known: Known) -> bool:
    t, x, y, p = (facts[order.index(letter)] for letter in "txyp")
    inside = all(f.pixel and (n is None or f.most < n) for f, n in ((x, known.width), (y, known.height)))
    return (t.rising if known.ordered else t.finite) and p.polarity and inside
