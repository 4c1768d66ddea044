"""Every row of a table is checked: the first fault is named, or all are counted, wherever pieces begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.table.units import Scale
from spikeflow.datasets.table.validate import FARTHEST, Limits, Raw, Validator, times
from spikeflow.errors import DataError, FileError

PATH = Path("a.npy")
Row = tuple[Any, Any, Any, Any]


def _raw(rows: list[Row], dtypes: str = "f8 f8 f8 f8") -> Raw:
    parts = zip(*rows, strict=True) if rows else ([], [], [], [])
    t, x, y, p = (np.array(list(part), d) for part, d in zip(parts, dtypes.split(), strict=True))
    return Raw(t, x, y, p)


def _screened(
    pieces: list[Raw], strict: bool, scale: Scale | None = None
) -> tuple[list[Any], dict[str, int]]:
    screen = Validator(PATH, Limits(10, 8, scale or Scale(), strict))
    rows: list[Any] = []
    for piece in pieces:
        columns = screen.take(piece)
        assert [column.dtype for column in columns] == [np.int64, np.uint16, np.uint16, np.uint8]
        rows += zip(*(column.tolist() for column in columns), strict=True)
    return rows, dict(screen.dropped)


def _expected(rows: list[Row]) -> tuple[list[Row], dict[str, int], tuple[int, str] | None, bool]:
    """The slow way: one row after the other; and whether both -1 and 0 stand for off."""
    kept: list[Row] = []
    off: set[float] = set()
    dropped: dict[str, int] = {}
    first = None
    for i, (t, x, y, p) in enumerate(rows):
        if not (abs(t) < FARTHEST and t == np.rint(t)):
            reason = "no time"
        elif 0 <= x < 10 and x != np.rint(x):
            reason = "a fraction of a pixel"
        elif x not in range(10):
            reason = "outside the sensor"
        elif 0 <= y < 8 and y != np.rint(y):
            reason = "a fraction of a pixel"
        elif y not in range(8):
            reason = "outside the sensor"
        elif p not in (-1, 0, 1):
            reason = "unknown polarity"
        elif kept and t < kept[-1][0]:
            reason = "time going backwards"
        else:
            kept.append((int(t), int(x), int(y), int(p == 1)))
            off |= {p} - {1}
            continue
        dropped[reason] = dropped.get(reason, 0) + 1
        first = first or (i, reason)
    return kept, dropped, first, len(off) > 1


VALUES = st.sampled_from([0.0, 1.0, 2.0, 5.0, 7.0, 8.0, 9.0, 10.0, -1.0, 0.5, np.nan, np.inf, 1e300])
ROW = st.tuples(VALUES, VALUES, VALUES, st.sampled_from([0.0, 1.0, -1.0, 2.0, np.nan]))
GOOD = st.tuples(st.sampled_from([3.0, 4.0]), st.just(1.0), st.just(2.0), st.just(1.0))


@given(st.lists(st.one_of(GOOD, ROW), max_size=12), st.integers(1, 5))
def test_like_one_row_after_the_other(rows: list[Row], size: int) -> None:
    pieces = [_raw(rows[at : at + size]) for at in range(0, len(rows), size)]
    kept, dropped, first, mixed = _expected(rows)
    if mixed:  # where strict, a fault in an earlier piece is told instead
        for strict in (False, True):
            with pytest.raises(
                (DataError, FileError) if strict and first else DataError, match="polarity|at event"
            ):
                _screened(pieces, strict)
        return
    assert _screened(pieces, strict=False) == (kept, dropped)
    if first is None:
        assert _screened(pieces, strict=True) == (kept, {})
    else:
        with pytest.raises(FileError, match=f"{first[1]} at event {first[0]}\\b"):
            _screened(pieces, strict=True)


@pytest.mark.parametrize(
    ("row", "dtypes", "reason"),
    [
        ((-1, 1, 1, 2), "i8 u2 u2 u1", "unknown polarity"),
        ((0, 70000, 1, 1), "u4 i4 u2 u1", "outside"),
        ((0, 1, -1, 1), "i8 u2 i1 u1", "outside"),
        ((FARTHEST + 1, 1, 1, 1), "u8 u2 u2 u1", "no time"),
        ((2**64 - 1, 1, 1, 1), "u8 u2 u2 u1", "no time"),
        ((FARTHEST + 1, 1, 1, 1), "i8 u2 u2 u1", "no time"),
        ((-FARTHEST - 1, 1, 1, 1), "i8 u2 u2 u1", "no time"),
        ((0, 1.5, 1, 1), "i8 f4 u2 u1", "a fraction of a pixel"),
        ((0, 1, 1, 0.5), "i8 u2 u2 f4", "unknown polarity"),
    ],
)
def test_types_of_columns(row: Row, dtypes: str, reason: str) -> None:
    with pytest.raises(FileError, match=f"{reason}.* at event 0"):
        _screened([_raw([row], dtypes)], strict=True)
    assert sum(_screened([_raw([row], dtypes)], strict=False)[1].values()) == 1


def test_missing_columns_and_truth_values() -> None:
    screen = Validator(PATH, Limits(None, None, Scale(), True))
    t, x, y, p = screen.take(Raw(np.array([1, 2]), np.array([65535, 0])))
    assert (x.tolist(), y.tolist(), p.tolist()) == ([65535, 0], [0, 0], [1, 1]) and t.tolist() == [1, 2]
    assert screen.take(_raw([(3, 1, 1, True)], "u1 ? ? ?"))[3].tolist() == [1]


def test_rows_that_are_not_there() -> None:
    screen = Validator(PATH, Limits(None, None, Scale(), False))
    screen.drop("truncated", 0)
    screen.drop("truncated", 3)
    assert dict(screen.dropped) == {"truncated": 3}
    strict = Validator(PATH, Limits(None, None, Scale(), True))
    strict.start(7)
    with pytest.raises(FileError, match="truncated at event 7"):
        strict.drop("truncated", 1)


@pytest.mark.parametrize(
    ("ticks", "us", "wanted"),
    [
        (np.array([1468940293.922985]), 1e6, 1468940293922985),
        (np.array([1600000000123456500]), 1e-3, 1600000000123456),
        (np.array([1600000000123457500]), 1e-3, 1600000000123458),
        (np.array([-1500]), 1e-3, -2),
        (np.array([-500]), 1e-3, 0),
        (np.array([2**55 + 1]), 16.0, (2**55 + 1) * 16),
        (np.array([200], np.uint8), 1000, 200000),
        (np.array([3]), 0.5, 2),
        (np.array([2.5]), 1.0, 2),
    ],
)
def test_microseconds(ticks: Any, us: float, wanted: int) -> None:
    t, wrong = times(ticks, Scale(us, whole=False))
    assert t.tolist() == [wanted] and wrong is None


def test_ticks_that_overflow() -> None:
    t, wrong = times(np.array([1, 2**60]), Scale(1e6, whole=False))
    assert t.tolist() == [1000000, 0] and wrong is not None and wrong.tolist() == [False, True]
