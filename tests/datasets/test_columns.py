"""Which column is which: by name, by word, by content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets.table.columns import Known, inferred, named, ordered
from spikeflow.datasets.table.units import Scale, scale_of
from spikeflow.errors import DataError

PATH = Path("a.csv")


@pytest.mark.parametrize(
    ("names", "at", "unit"),
    [
        ("t x y p", {"t": "t", "x": "x", "y": "y", "p": "p"}, None),
        ("Timestamp X polarity", {"t": "Timestamp", "x": "X", "p": "polarity"}, None),
        ("time_ms x", {"t": "time_ms", "x": "x"}, 1e3),
        ("x ts_ns", {"t": "ts_ns", "x": "x"}, 1e-3),
        ("t_S xs id", {"t": "t_S", "x": "xs"}, 1e6),
    ],
)
def test_names(names: str, at: dict[str, str], unit: float | None) -> None:
    layout = named("a", names.split())
    assert layout is not None and (layout.at, layout.unit_us) == (at, unit)


@pytest.mark.parametrize("names", [[], ["t", "y"], ["x", "y", "p"], ["t_offset", "x"], ["x_us", "t"]])
def test_names_that_tell_nothing(names: list[str]) -> None:
    assert named("a", names) is None


def test_a_name_twice() -> None:
    with pytest.raises(DataError, match="'t' and 'time'"):
        named("a", ["t", "x", "time"])


def test_the_users_order() -> None:
    assert ordered("a", "-xt-", 4).at == {"x": 1, "t": 2}
    for columns, width in (("txyp", 3), ("tx", 3), ("yp", 2), ("txx", 3), ("txyq", 4), ("", 0)):
        with pytest.raises(DataError, match="columns"):
            ordered("a", columns, width)


def _matrix(**columns: Any) -> Any:
    return np.array(list(columns.values())).T


def test_exactly_one_reading() -> None:
    t, x, y, p = [1, 5, 9, 9], [30, 2, 30, 7], [9, 8, 7, 1], [1, 0, 1, 0]
    for order in ("txyp", "xytp", "xypt", "ptxy", "tpxy"):
        held = dict(zip("txyp", (t, x, y, p), strict=True))
        matrix = _matrix(**{letter: held[letter] for letter in order})
        for dtype in ("i8", "f8", ">u2"):
            layout = inferred("a", [matrix.astype(dtype)], Known())
            assert "".join(sorted(layout.at, key=lambda k: layout.at[k])) == order


def test_readings_are_told_apart_across_pieces() -> None:
    # within each piece two columns rise; from one to the next only the first does
    pieces = [np.array([[0, 1, 5, 1], [1, 2, 4, 0]]), np.array([[2, 1, 5, 1], [3, 2, 4, 0]])]
    with pytest.raises(DataError, match="2 rows that can be read as txyp"):
        inferred("a", pieces[:1], Known())
    assert inferred("a", pieces, Known()).at == {"t": 0, "x": 1, "y": 2, "p": 3}
    assert inferred("a", [pieces[0], pieces[0][:0], pieces[1]], Known()).at["t"] == 0


def test_the_sensor_may_decide() -> None:
    rows = np.array([[5, 1, 100, 1], [6, 2, 101, 1]])
    with pytest.raises(DataError, match="txyp, xtyp, xytp.*--columns"):
        inferred("a", [rows], Known())
    assert inferred("a", [rows], Known(10, 10)).at == {"x": 0, "y": 1, "t": 2, "p": 3}


@pytest.mark.parametrize(
    "rows", [[[np.nan] * 4] * 2, [[1, 2, 3, 4], [0, 1, 2, 3]], [[-5.0] * 4], [[1, 2, 3]]]
)
def test_no_reading(rows: Any) -> None:
    with pytest.raises(DataError, match="columns"):
        inferred("a", [np.array(rows)], Known())


def test_units() -> None:
    assert scale_of(PATH, np.array([1, 2]), None) == Scale()
    assert scale_of(PATH, np.array([1.0, np.nan, 2.0]), None) == Scale()
    assert scale_of(PATH, np.array([]), None) == Scale()
    assert scale_of(PATH, np.array([1468940293.5, 1468940300]), None) == Scale(1e6, whole=False)
    assert scale_of(PATH, np.array([1, 2]), 1000) == Scale(1000, whole=False)
    with pytest.raises(DataError, match="unit-us"):
        scale_of(PATH, np.array([0.5, 1e4]), None)
    for unit in (0, -1, np.nan, np.inf):
        with pytest.raises(DataError, match="unit_us"):
            scale_of(PATH, np.array([1]), unit)
