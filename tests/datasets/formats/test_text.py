"""Text files of events: layouts in use, put together by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import open_recording, read, write
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

Made = Callable[[str], Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def make(text: str) -> Path:
        path = tmp_path / "events.txt"
        path.write_bytes(text.encode())
        return path

    return make


def _rows(events: Events) -> list[list[int]]:
    return [[int(v) for v in row] for row in zip(events.t, events.x, events.y, events.p, strict=True)]


ROWS = [[10, 7, 2, 1], [20, 3, 9, 0], [30, 5, 4, 1]]


@pytest.mark.parametrize(
    "text",
    [
        "t,x,y,p\n10,7,2,1\n20,3,9,0\n30,5,4,1\n",
        "t,x,y,p\r\n10,7,2,1\r\n20,3,9,0\r\n30,5,4,1",
        "# made by hand\n\nx y polarity timestamp\n7 2 1 10\n3 9 0 20\n% between\n5 4 1 30\n",
        '"x";"y";"pol";"t_ns"\n7;2;1;10000\n3;9;-1;20000\n5;4;1;30000\n',
        "\ufefft_ms\tx\ty\tp\n0.01\t7\t2\t1\n0.02\t3\t9\t0\n0.03\t5\t4\t1\n",
        "10 7 2 1\n20 3 9 0\n30 5 4 1\n",
        "7 2 10 1\n3 9 20 0\n5 4 30 1\n",
        "0.000010000 7 2 1\n0.000020000 3 9 0\n0.000030000 5 4 1\n",
        "1e-5, 7, 2, 1\n2e-5, 3, 9, 0\n3e-5, 5, 4, 1\n",
    ],
)
def test_layouts_in_use(made: Made, text: str) -> None:
    assert _rows(read(made(text))) == ROWS


def test_the_first_line_of_rpg_is_the_sensor(made: Made) -> None:
    events = read(made("240 180\n0.000010000 7 2 1\n0.000020000 3 9 0\n0.000030000 5 4 1\n"))
    assert _rows(events) == ROWS and (events.width, events.height) == (240, 180)


def test_a_sensor_that_the_user_says_otherwise(made: Made) -> None:
    with pytest.raises(DataError, match="240, as the file says"):
        read(made("240 180\n0.1 7 2 1\n0.2 3 9 0\n"), columns="txyp", width=346)


def test_columns_and_unit_as_the_user_says(made: Made) -> None:
    path = made("1,50,7,2,1\n2,100,3,9,0\n3,150,5,4,1\n")
    assert _rows(read(path, columns="-txyp", unit_us=0.2)) == ROWS
    with pytest.raises(DataError, match="columns"):
        read(path, columns="txyp")


def test_a_table_that_can_be_read_in_two_ways_is_refused(made: Made) -> None:
    with pytest.raises(DataError, match="exactly one order"):
        read(made("0 1 0 1\n1 0 1 1\n2 1 1 1\n0 1 0 1\n1 0 1 1\n"[:8] + "1 1 1 1\n"))


def test_seconds_or_not(made: Made) -> None:
    path = made("0.5 1 2 1\n2000.25 3 9 0\n")
    with pytest.raises(DataError, match="unit of the times"):
        read(path, columns="txyp")
    assert read(path, columns="txyp", unit_us=1e6).t.tolist() == [500_000, 2_000_250_000]


def test_a_fraction_of_a_microsecond_is_a_fault_where_all_others_are_whole(made: Made) -> None:
    lines = "".join(f"{t},1,2,1\n" for t in range(200_000))
    text = f"t,x,y,p\n{lines}200000.5,1,2,1\n" + "".join(f"{t},1,2,1\n" for t in range(200_001, 400_000))
    with pytest.raises(FileError, match="no time at event 200000"):
        read(made(text))
    assert read(made(text), strict=False).dropped == {"no time": 1}


def test_whole_times_beyond_what_a_float_holds(made: Made) -> None:
    assert read(made(f"t,x,y,p\n{2**53 + 1},1,2,1\n")).t.tolist() == [2**53 + 1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello", "lines that are no rows"),
        ("15,1,2", "lines that are no rows"),
        ("nan,1,2,1", "lines that are no rows"),
        ("15,-1,2,1", "outside the sensor"),
        ("15,1,70000,1", "outside the sensor"),
        ("15,1.5,2,1", "a fraction of a pixel"),
        ("15,1,2,7", "unknown polarity"),
        ("5,1,2,1", "time going backwards"),
    ],
)
def test_a_bad_line(made: Made, line: str, reason: str) -> None:
    path = made(f"t,x,y,p\n10,7,2,1\n{line}\n20,3,9,0\n30,5,4,1\n")
    with pytest.raises(FileError):
        read(path)
    events = read(path, strict=False)
    assert _rows(events) == ROWS and events.dropped == {reason: 1}


def test_a_bad_line_is_named_by_its_number_in_the_file(made: Made) -> None:
    body = "".join(f"{t},1,2,1\n" for t in range(60_000))  # more than one block
    with pytest.raises(FileError, match="line 60003 "):
        read(made(f"# comment\nt,x,y,p\n{body}oh\n"))


def test_cut_off(made: Made) -> None:
    path = made("0.1 7 2 1\n0.2 3 9 0\n0.3 5 4 1\n0.4 1")
    with pytest.raises(FileError, match="line 4 is no row"):
        read(path, unit_us=1e6)
    assert read(path, strict=False, columns="txyp", unit_us=1e6).t.tolist() == [100_000, 200_000, 300_000]


def test_a_line_without_end(made: Made) -> None:
    with pytest.raises(FileError, match="a line of more than"):
        read(made("t,x,y,p\n0,1,2,1\n" + "1" * 700_000))


@pytest.mark.parametrize(
    "text",
    [
        "prose of four words\nand more of it\n",
        "12 13\nthen prose\nand more\n",
        "1\n2\n3\n",
        "# nothing\n",
        "a,b,c\n1,2,3\n",
        "0 1 2 1\n\0\0",
    ],
)
def test_what_is_not_recognised(made: Made, text: str) -> None:
    with pytest.raises(FileError, match="no known event format|is a table with the columns"):
        read(made(text))


def test_names_without_rows(made: Made) -> None:
    assert len(read(made("t,x,y,p\n"))) == 0


def test_round_trip_in_pieces(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    count = 100_000
    t = np.sort(rng.integers(-(10**6), 10**18, count))
    p = rng.integers(0, 2, count, dtype=np.uint8)
    events = Events(t, rng.integers(0, 640, count), rng.integers(0, 480, count), p, 640, 480)
    path = tmp_path / "events.csv"
    write(path, events)
    again = read(path)
    assert again.sha256 == events.sha256 and (again.width, again.height) == (640, 480)
    with open_recording(path) as recording:
        assert (
            max(len(piece[0]) for piece in recording.columns()) < 40_000
        )  # bounded, whatever the file's size
        start, stop = int(t[700]), int(t[2000])
        assert recording.between(start, stop).sha256 == events.between(start, stop).sha256


def test_a_time_too_large_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="less than 10"):
        write(tmp_path / "events.csv", Events([10**18], [0], [0], [1]))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
