"""EVT 3.0, on bytes assembled by hand from the specification."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import read, write
from spikeflow.errors import FileError
from spikeflow.events import Events

HEADER = b"% evt 3.0\n"
SENSOR = b"% format EVT3;height=720;width=1280\n"


def _file(tmp_path: Path, *words: int, header: bytes = HEADER, tail: bytes = b"") -> Path:
    path = tmp_path / "a.raw"
    path.write_bytes(header + np.array(words, "<u2").tobytes() + tail)
    return path


def test_layout_of_the_words(tmp_path: Path) -> None:
    # time high 0x123, low 0x456, y 0x2a, x 0x7ff off, x 5 on
    path = tmp_path / "a.raw"
    path.write_bytes(HEADER + bytes.fromhex("2381" + "5664" + "2a00" + "ff27" + "0528"))
    assert read(path).structured().tolist() == [(0x123456, 0x7FF, 0x2A, 0), (0x123456, 5, 0x2A, 1)]


def test_vectors_pass_their_columns(tmp_path: Path) -> None:
    # on, from x 100: columns 0 and 11; then 12; then 24 and 31; the upper bits of the 8 mean nothing; then 32
    words = (0x8000, 0x6001, 0x0003, 0x3864, 0x4801, 0x4001, 0x5F81, 0x4001)
    events = read(_file(tmp_path, *words))
    assert events.x.tolist() == [100, 111, 112, 124, 131, 132]
    assert set(events.p.tolist()) == {1} and set(events.y.tolist()) == {3} and set(events.t.tolist()) == {1}


def test_a_single_event_leaves_the_base_of_vectors_alone(tmp_path: Path) -> None:
    words = (0x8000, 0x6001, 0x0003, 0x3864, 0x5001, 0x2005, 0x5001)
    events = read(_file(tmp_path, *words))
    assert list(zip(events.x.tolist(), events.p.tolist(), strict=True)) == [(100, 1), (5, 0), (108, 1)]


def test_row_and_time_hold_until_said_otherwise(tmp_path: Path) -> None:
    words = (0x8001, 0x6002, 0x0003, 0x2004, 0x6005, 0x2004, 0x0006, 0x2004)
    assert read(_file(tmp_path, *words)).structured().tolist() == [
        (4098, 4, 3, 0),
        (4101, 4, 3, 0),
        (4101, 4, 6, 0),
    ]


def test_low_bits_of_a_new_time(tmp_path: Path) -> None:
    # the same upper bits again change nothing; new ones begin with lower bits 0, until those are told
    words = (0x8001, 0x6FFF, 0x0000, 0x2001, 0x8001, 0x2002, 0x8002, 0x2003, 0x6001, 0x2004)
    assert read(_file(tmp_path, *words)).t.tolist() == [8191, 8191, 8192, 8193]


def test_before_time_row_or_base_are_told(tmp_path: Path) -> None:
    words = (0x0003, 0x2001, 0x3000, 0x4FFF, 0x8000, 0x2001)
    events = read(_file(tmp_path, *words))
    assert len(events) == 1 and dict(events.dropped) == {"before the first time": 13}
    events = read(_file(tmp_path, 0x8000, 0x2001, 0x0003, 0x5003, 0x2001))
    assert len(events) == 1 and dict(events.dropped) == {"before the first time": 3}


def test_every_other_kind_of_word(tmp_path: Path) -> None:
    words = (0x8000, 0x0001, 0xA001, 0xD000, 0xE014, 0xF000, 0xF000, 0x7000, 0x2001)
    events = read(_file(tmp_path, *words))
    assert len(events) == 1 and dict(events.dropped) == {"other events": 6}


def test_events_that_are_not_of_contrast(tmp_path: Path) -> None:
    words = (0x8000, 0x0001, 0x2001, 0x1005, 0x2002, 0x3000, 0x4007, 0x0001, 0x2003)
    events = read(_file(tmp_path, *words))
    assert events.x.tolist() == [1, 3] and dict(events.dropped) == {"other events": 5}


@pytest.mark.parametrize("kind", [9, 0xB, 0xC])
def test_words_of_no_known_kind(tmp_path: Path, kind: int) -> None:
    path = _file(tmp_path, 0x8000, 0x0001, 0x2001, kind << 12, 0x2002)
    with pytest.raises(FileError, match="unknown words at byte 16"):
        read(path)
    assert dict(read(path, strict=False).dropped) == {"unknown words": 1}


def test_time_goes_on_past_its_24_bits(tmp_path: Path) -> None:
    words = (
        0x8FFF,
        0x6FFF,
        0x0000,
        0x2001,
        0x8000,
        0x6000,
        0x2002,
        0x87FF,
        0x2003,
        0x8FFE,
        0x2004,
        0x8000,
        0x2005,
    )
    assert read(_file(tmp_path, *words)).t.tolist() == [
        2**24 - 1,
        2**24,
        0x17FF000,
        0x1FFE000,
        2**25,
    ]


def test_time_going_backwards(tmp_path: Path) -> None:
    # as sensors do now and then: the lower bits turn before the upper ones
    words = (0x8000, 0x6FFF, 0x0000, 0x2001, 0x6000, 0x2002, 0x8001, 0x6000, 0x2003)
    path = _file(tmp_path, *words)
    with pytest.raises(FileError, match="time going backwards at byte 20"):
        read(path)
    events = read(path, strict=False)
    assert events.t.tolist() == [4095, 4096] and dict(events.dropped) == {"time going backwards": 1}


def test_outside_the_sensor(tmp_path: Path) -> None:
    path = _file(
        tmp_path, 0x8000, 0x6000, 0x0000, 0x34FF, 0x4003, 0x4000, 0x5000, 0x02D0, 0x2000, header=SENSOR
    )
    with pytest.raises(FileError, match=f"outside the sensor at byte {len(SENSOR) + 8}"):
        read(path)
    events = read(path, strict=False)
    assert events.x.tolist() == [1279] and dict(events.dropped) == {"outside the sensor": 2}


def test_vectors_without_end(tmp_path: Path) -> None:
    path = _file(tmp_path, 0x8000, 0x6000, 0x0000, 0x3000, *[0x4001] * 20000)
    with pytest.raises(FileError, match=f"outside the sensor at byte {len(HEADER) + 2 * (4 + 171)}"):
        read(path)
    events = read(path, strict=False)
    assert events.x.tolist() == list(range(0, 2048, 12))
    assert dict(events.dropped) == {"outside the sensor": 20000 - 171}


def test_truncated(tmp_path: Path) -> None:
    path = _file(tmp_path, 0x8000, 0x0000, 0x2001, tail=b"\x01")
    with pytest.raises(FileError, match="truncated at byte 16"):
        read(path)
    assert len(read(path, strict=False)) == 1


def test_what_is_written(tmp_path: Path) -> None:
    x = [7, 9, 20, 21, 38, 39, 40, 41, 42, 43]
    write(tmp_path / "b.raw", Events([4097] * 10 + [4098], [*x, 3], [2] * 11, [1] * 10 + [0]), "evt3")
    # 5 columns from 7 on are a vector, the next 5 from 39 on go without a base; then a single event
    vectors = [0x3807, 0x4005, 0x4006, 0x5080, 0x401F, 0x4000, 0x5000]
    words = [0x8001, 0x6001, 0x0002, *vectors, 0x6002, 0x2003]
    assert (tmp_path / "b.raw").read_bytes() == b"% evt 3.0\n% format EVT3\n% end\n" + np.array(
        words, "<u2"
    ).tobytes()


def test_real_file(data_folder: Path) -> None:
    events = read(data_folder / "recordings" / "evt3_sample.raw")
    assert (len(events), dict(events.dropped)) == (219596, {})
    rows = events.structured()
    # as evlib has it, too; the decoded copy beside it adds 4096 us wherever the lower bits go back (11 times)
    assert rows[0].tolist() == (11718656, 874, 200, 0) and rows[-1].tolist() == (11727457, 1218, 572, 1)
    with np.load(data_folder / "recordings" / "evt3_sample_events.npz") as copy:
        assert all((copy[name] == getattr(events, name)).all() for name in "xyp")
        late = copy["t"] - events.t
    assert set(np.unique(late)) == {4096 * k for k in range(12)} and (np.diff(late) >= 0).all()
