"""DAT, on bytes assembled by hand from the specification."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets import open_recording, read, write
from spikeflow.datasets.read import recognise
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

HEADER = (
    b"% Data file containing CD events\n% Date 2020-09-14 14:18:29\n% Version 2\n% Width 640\n% Height 480\n"
)
KIND = b"\x0c\x08"


def event(t: int, x: int, y: int, p: int) -> bytes:
    return np.array([t, x | y << 14 | p << 28], "<u4").tobytes()


def old_event(t: int, x: int, y: int, p: int) -> bytes:
    return np.array([t, x | y << 9 | p << 17], "<u4").tobytes()


def _file(tmp_path: Path, *parts: bytes, name: str = "a.dat") -> Path:
    path = tmp_path / name
    path.write_bytes(b"".join(parts))
    return path


def test_layout(tmp_path: Path) -> None:
    content = bytes.fromhex("04030201" + "05800110")  # t 0x01020304; x 5, y 6, on
    with open_recording(_file(tmp_path, HEADER, KIND, content, name="any.name")) as recording:
        assert (recording.header.format, recording.width, recording.height) == ("dat", 640, 480)
        assert recording.read().structured().tolist() == [(0x01020304, 5, 6, 1)]


def test_old_layout_by_version(tmp_path: Path) -> None:
    header = b"% Data file containing Event2D events.\n% Version 1\n"
    events = read(_file(tmp_path, header, b"\x00\x08", old_event(7, 303, 239, 1), old_event(8, 1, 2, 0)))
    assert events.structured().tolist() == [(7, 303, 239, 1), (8, 1, 2, 0)]


def test_header_without_a_version(tmp_path: Path) -> None:
    header = b"% Date 2014-01-01\n"
    old = _file(tmp_path, header, b"\x00\x08", old_event(7, 303, 239, 1), name="old.dat")
    new = _file(tmp_path, header, b"\x00\x08", event(7, 3, 2, 0), event(8, 303, 239, 1), name="new.dat")
    assert read(old).structured().tolist() == [(7, 303, 239, 1)]
    assert read(new).structured().tolist() == [(7, 3, 2, 0), (8, 303, 239, 1)]


def test_file_without_any_header(tmp_path: Path) -> None:
    path = _file(tmp_path, old_event(7, 303, 239, 1))
    with pytest.raises(FileError, match="--format"):
        read(path)
    assert read(path, "dat").structured().tolist() == [(7, 303, 239, 1)]


@pytest.mark.parametrize(
    "header, kind, word",
    [
        (HEADER, b"\x0e\x08", "external triggers"),
        (HEADER, b"\x0c\x10", "kind 12 and 16 bytes; known are the kinds 0"),
        (HEADER, b"\x2a\x08", "kind 42 and 8 bytes"),
        (HEADER, b"\x0c", "ends within its header"),
        (HEADER.replace(b"Version 2", b"Version 3"), KIND, "DAT version '3'"),
        (HEADER.replace(b"640", b"99999"), KIND, "the width '99999'; the format has 1 to 16384"),
        (HEADER.replace(b"480", b"-1"), KIND, "the height '-1'"),
    ],
)
def test_headers_that_are_refused(tmp_path: Path, header: bytes, kind: bytes, word: str) -> None:
    with pytest.raises(FileError, match=word):
        read(_file(tmp_path, header, kind, event(0, 0, 0, 0)[: 8 * (len(kind) - 1)]))


def test_time_goes_on_past_its_32_bits(tmp_path: Path) -> None:
    parts = [event(t, 0, 0, 0) for t in (2**32 - 2, 2**32 - 1, 0, 1)]
    assert read(_file(tmp_path, HEADER, KIND, *parts)).t.tolist() == [2**32 - 2, 2**32 - 1, 2**32, 2**32 + 1]
    many = [event((2**32 - 50 + k) % 2**32, 0, 0, 0) for k in range(100)]
    assert read(_file(tmp_path, HEADER, KIND, *many)).t.tolist() == [2**32 - 50 + k for k in range(100)]


def test_faults(tmp_path: Path) -> None:
    begin = len(HEADER) + 2
    good = event(5, 1, 1, 1)
    for bad, fault in (
        (event(4, 1, 1, 1), "time going backwards"),
        (event(6, 640, 1, 1), "outside the sensor"),
        (event(6, 1, 480, 1), "outside the sensor"),
        (event(6, 1, 1, 2), "unknown words"),
    ):
        path = _file(tmp_path, HEADER, KIND, good * 40, bad, good)
        with pytest.raises(FileError, match=f"{fault} at byte {begin + 320}"):
            read(path)
        events = read(path, strict=False)
        assert len(events) == 41 and dict(events.dropped) == {fault: 1}
    with pytest.raises(FileError, match=f"truncated at byte {begin + 8}"):
        read(_file(tmp_path, HEADER, KIND, good, good[:7]))


def test_writer(tmp_path: Path) -> None:
    write(tmp_path / "b.dat", Events([5], [6], [7], [1], 640, 480))
    header = b"% Data file containing CD events\n% Version 2\n% Width 640\n% Height 480\n"
    assert (tmp_path / "b.dat").read_bytes() == header + KIND + event(5, 6, 7, 1)

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 2**31 - 1), st.integers(0, 16383), st.integers(0, 16383), st.integers(0, 1)
            ),
            max_size=20,
        )
    )
    def check(rows: list[tuple[int, int, int, int]]) -> None:
        steps, x, y, p = np.array(rows, np.int64).reshape(-1, 4).T
        events = Events(np.cumsum(steps), x, y, p)
        write(tmp_path / "c.dat", events)
        assert (
            recognise(tmp_path / "c.dat").name == "dat" and read(tmp_path / "c.dat").sha256 == events.sha256
        )

    check()


def test_what_the_writer_refuses(tmp_path: Path) -> None:
    for events, word in (
        (Events([-1], [0], [0], [0]), "times from 0"),
        (Events([0], [16384], [0], [0]), "16384"),
        (Events([2**32], [0], [0], [0]), "32 bits"),
        (Events([0, 2**31], [0, 0], [0, 0], [0, 0]), "32 bits"),
    ):
        with pytest.raises(DataError, match=word):
            write(tmp_path / "b.dat", events)


def test_real_file(data_folder: Path) -> None:
    events = read(data_folder / "recordings" / "ncars_sample_td.dat")
    assert (len(events), events.width, dict(events.dropped)) == (2009, None, {})
    rows = events.structured()
    assert rows[0].tolist() == (0, 25, 8, 0) and rows[-1].tolist() == (99952, 75, 28, 1)
