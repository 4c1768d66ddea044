"""NumPy's array file: named fields, rows of four columns, and files that lie about their size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets import open_recording, read, write
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

ROWS = [(5, 1, 200, 1), (5, 300, 2, 0), (9, 3, 4, 1)]
WIDE = [("t", "i8"), ("x", "u2"), ("y", "u2"), ("p", "u1")]


def _saved(tmp_path: Path, array: Any) -> Path:
    np.save(path := tmp_path / "a.npy", array, allow_pickle=True)
    return path


def _header(
    tmp_path: Path, shape: str, descr: str = "'<i8'", body: bytes = b"", fortran: bool = False
) -> Path:
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body)
    return path


def test_bytes_of_the_specification(tmp_path: Path) -> None:
    descr = "[('t', '<i8'), ('x', '<u2'), ('y', '<u2'), ('p', '|u1')]"
    body = bytes.fromhex("0500000000000000 0100 c800 01ffffffffffffff00 2c01 0200 00")
    events = read(_header(tmp_path, "(2,)", descr, body))
    assert events.structured().tolist() == [(5, 1, 200, 1), (0xFFFFFFFFFFFFFF, 300, 2, 0)]


def test_written_and_read_under_a_wrong_suffix(tmp_path: Path) -> None:
    events = Events(*(np.array(c) for c in zip(*ROWS, strict=True)), width=400, height=300)
    write(path := tmp_path / "a.dat", events, "npy")
    found = read(path)
    assert found.sha256 == events.sha256 and (found.width, found.height) == (None, None)
    assert read(path, width=400, height=300).width == 400


@pytest.mark.parametrize(
    "fields",
    [
        [("p", "?"), ("y", "u2"), ("x", "u2"), ("t", "u8")],
        [("x", ">u2"), ("y", ">i4"), ("polarity", "i1"), ("timestamp", ">i8")],
        [("ts", "f8"), ("extra", "U3"), ("x", "f4"), ("y", "f8"), ("p", "f4"), ("more", "f8", (3,))],
        [("X", "u2"), ("Y", "u2"), ("Time", "i8"), ("Pol", "i1")],
    ],
)
def test_fields_in_any_order_and_type(tmp_path: Path, fields: list[Any]) -> None:
    array = np.zeros(3, fields)
    for field in fields:
        if len(field) == 2 and "txyp".count(letter := field[0][0].lower()):
            array[field[0]] = [row["txyp".index(letter)] for row in ROWS]
    for form in (array, array[:, None]):
        assert read(_saved(tmp_path, form)).structured().tolist() == ROWS


def test_unit_in_the_name_of_the_time(tmp_path: Path) -> None:
    array = np.zeros(2, [("t_ns", "i8"), ("x", "u2")])
    array["t_ns"] = [1_600_000_000_123_456_500, 1_600_000_000_123_457_501]
    events = read(_saved(tmp_path, array))
    # exactly, half to even: float64 holds such nanoseconds to 256 only
    assert events.t.tolist() == [1_600_000_000_123_456, 1_600_000_000_123_458]
    assert events.y.tolist() == [0, 0] and events.p.tolist() == [1, 1]


@pytest.mark.parametrize("dtype", ["i8", ">i4", "u2", "f8", "f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_four_columns_with_one_reading(tmp_path: Path, dtype: str, order: Any) -> None:
    # x, y, p fall; only the first can be a time; only the last is 0 or 1
    events = read(_saved(tmp_path, np.array(ROWS + [(9, 1, 1, 0)], dtype, order=order)))
    assert events.structured().tolist() == ROWS + [(9, 1, 1, 0)]


def test_rows_that_can_be_read_twice_ask_for_the_columns(tmp_path: Path) -> None:
    path = _saved(tmp_path, np.array([[1, 2, 1, 1], [3, 4, 1, 1]]))
    with pytest.raises(DataError, match="--columns"):
        read(path)
    assert read(path, columns="xytp").structured().tolist() == [(1, 1, 2, 1), (1, 3, 4, 1)]
    assert read(path, columns="t-px").structured().tolist() == [(1, 1, 0, 1), (3, 1, 0, 1)]
    events = read(path, columns="xypt", unit_us=1000)
    assert events.structured().tolist() == [(1000, 1, 2, 1), (1000, 3, 4, 1)]


@pytest.mark.parametrize("columns", ["txy", "txypp", "ttxy", "abcd", "--yp", "t--p"])
def test_columns_that_do_not_fit(tmp_path: Path, columns: str) -> None:
    with pytest.raises(DataError, match="columns"):
        read(_saved(tmp_path, np.array(ROWS)), columns=columns)


def test_no_order_makes_events(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no order"):
        read(_saved(tmp_path, np.array([[9, 9, 9, 9], [5, 5, 5, 5]])))


def test_truncated(tmp_path: Path) -> None:
    array = np.array(ROWS, "i8").view([(n, "i8") for n in "txyp"]).reshape(-1)
    path = _saved(tmp_path, array)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FileError, match="truncated at event 2"):
        read(path)
    events = read(path, strict=False)
    assert events.structured().tolist() == ROWS[:2] and dict(events.dropped) == {"truncated": 1}
    path.write_bytes(path.read_bytes()[: -3 * 32 + 1])
    events = read(path, strict=False)
    assert len(events) == 0 and dict(events.dropped) == {"truncated": 3}


def test_truncated_column_by_column(tmp_path: Path) -> None:
    path = _saved(tmp_path, np.array(ROWS, order="F"))
    path.write_bytes(path.read_bytes()[:-1])
    for strict in (True, False):
        with pytest.raises(FileError, match="column by column"):
            read(path, strict=strict, columns="txyp")


@pytest.mark.parametrize(
    "shape", ["(1, 1000000000000)", "(3, 0)", "()", "(-5, 4)", "(5, -4)", "(2, 999999999, 999999999, 99)"]
)
def test_shapes_that_hold_no_events(tmp_path: Path, shape: str) -> None:
    for columns in (None, "txyp"):
        with pytest.raises((FileError, DataError)):
            read(_header(tmp_path, shape, body=bytes(64)), columns=columns)


def test_gigantic_number_of_rows(tmp_path: Path) -> None:
    path = _header(tmp_path, "(1000000000000000, 4)", body=bytes(64))
    with pytest.raises(FileError, match="truncated"):
        read(path, columns="txyp")
    assert dict(read(path, columns="txyp", strict=False).dropped) == {"truncated": 10**15 - 2}


def test_no_rows(tmp_path: Path) -> None:
    assert len(read(_saved(tmp_path, np.zeros(0, WIDE)))) == 0
    with pytest.raises(DataError, match="--columns"):
        read(_saved(tmp_path, np.zeros((0, 4))))
    assert len(read(_saved(tmp_path, np.zeros((0, 4))), columns="txyp")) == 0


@pytest.mark.parametrize(
    "array",
    [
        np.array(ROWS, object),
        np.zeros(3, [("t", "O"), ("x", "i4")]),
        np.zeros(3),
        np.zeros((3, 5)),
        np.zeros((3, 4), complex),
        np.zeros((3, 4), "U4"),
        np.zeros(3, [("a", "i8"), ("b", "i8")]),
        np.zeros(3, [("t", "i8", (2,)), ("x", "i4")]),
        np.zeros(3, [("t", "M8[us]"), ("x", "i4")]),
        np.zeros(3, [("t", "i8"), ("time", "i8"), ("x", "i4")]),
    ],
)
def test_arrays_that_are_no_events(tmp_path: Path, array: Any) -> None:
    with pytest.raises((FileError, DataError)):
        read(_saved(tmp_path, array))


def test_events_outlive_the_file(tmp_path: Path) -> None:
    path = _saved(tmp_path, np.array(ROWS, "i8", order="F"))
    with open_recording(path, columns="txyp") as recording:
        events = recording.read()
    path.write_bytes(path.read_bytes()[:128] + bytes(96))
    assert events.structured().tolist() == ROWS
