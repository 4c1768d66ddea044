"""The 40-bit events of N-MNIST, on bytes assembled by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets import read, write
from spikeflow.datasets.formats import bin5
from spikeflow.datasets.formats.format import Head
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events


def event(t: int, x: int, y: int, p: int) -> bytes:
    return bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])


def _file(tmp_path: Path, *events: bytes, name: str = "a.bin") -> Path:
    path = tmp_path / name
    path.write_bytes(b"".join(events))
    return path


def test_layout(tmp_path: Path) -> None:
    path = _file(tmp_path, bytes.fromhex("0a0b8102f3"), bytes.fromhex("fffe7fffff"))
    assert read(path, "bin5").structured().tolist() == [(0x0102F3, 10, 11, 1), (0x7FFFFF, 255, 254, 0)]


def test_row_240_is_a_row(tmp_path: Path) -> None:
    events = read(_file(tmp_path, event(1, 2, 240, 0), event(2, 3, 4, 1)))
    assert events.structured().tolist() == [(1, 2, 240, 0), (2, 3, 4, 1)]


def test_time_goes_on_past_its_23_bits(tmp_path: Path) -> None:
    assert read(_file(tmp_path, event(2**23 - 1, 0, 0, 0), event(0, 0, 0, 0))).t.tolist() == [
        2**23 - 1,
        2**23,
    ]


def test_recognised_only_where_it_fits(tmp_path: Path) -> None:
    good = event(1, 2, 3, 0) + event(2, 2, 3, 1)
    back = event(2, 2, 3, 0) + event(1, 2, 3, 1)
    for name, content, expected in (
        ("a.bin", good, True),
        ("a.BS2", good, True),
        ("a.dat", good, False),
        ("a.bin", good + b"1", False),
        ("a.bin", back, False),
        ("a.bin", np.random.default_rng(0).bytes(500), False),
    ):
        assert bin5.recognise(Head(tmp_path / name, content, len(content))) is expected


def test_only_the_beginning_is_looked_at(tmp_path: Path) -> None:
    content = b"".join(event(t, 1, 1, 0) for t in range(20))
    assert bin5.recognise(Head(tmp_path / "a.bin", content[:53], len(content)))


def test_faults(tmp_path: Path) -> None:
    path = _file(tmp_path, event(5, 33, 33, 1), event(4, 1, 1, 1), event(6, 34, 1, 1), b"12")
    with pytest.raises(FileError, match="--format"):
        read(path)
    with pytest.raises(FileError, match="time going backwards at byte 5"):
        read(path, "bin5")
    events = read(path, "bin5", strict=False, width=34, height=34)
    assert len(events) == 1
    assert dict(events.dropped) == {"time going backwards": 1, "outside the sensor": 1, "truncated": 1}


@given(
    st.lists(
        st.tuples(st.integers(0, 2**17), st.integers(0, 255), st.integers(0, 255), st.integers(0, 1)),
        min_size=1,
        max_size=30,
    )
)
def test_writer(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, int]]) -> None:
    path = tmp_path_factory.getbasetemp() / "writer.bin"
    steps, x, y, p = np.array(rows).T
    events = Events(np.cumsum(steps), x, y, p)
    write(path, events)
    assert path.read_bytes() == b"".join(event(*map(int, row)) for row in events.structured().tolist())
    assert read(path).sha256 == events.sha256


def test_what_the_writer_refuses(tmp_path: Path) -> None:
    for events in (
        Events([1 << 23], [0], [0], [0]),
        Events([0], [256], [0], [0]),
        Events([0], [0], [256], [0]),
        Events([-1], [0], [0], [0]),
    ):
        with pytest.raises(DataError, match="bin5"):
            write(tmp_path / "a.bin", events)


def test_real_files(data_folder: Path) -> None:
    for path in sorted((data_folder / "NMNIST" / "Test" / "0").glob("*.bin"))[:3]:
        raw = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 5).astype(int)
        events = read(path)
        assert (
            (events.x == raw[:, 0]).all()
            and (events.y == raw[:, 1]).all()
            and (events.p == raw[:, 2] >> 7).all()
        )
        assert (events.t == (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]).all()
