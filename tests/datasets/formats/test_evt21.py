"""EVT 2.1, on bytes assembled by hand from the specification."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import read, write
from spikeflow.errors import FileError
from spikeflow.events import Events

HEADER = b"% evt 2.1\n% format EVT21;height=720;width=1280\n% end\n"
LEGACY = HEADER.replace(b"1280", b"1280;endianness=legacy")


def event(on: int, low: int, x: int, y: int, columns: int) -> int:
    return (on << 28 | low << 22 | x << 11 | y) << 32 | columns


def high(value: int) -> int:
    return (0x8 << 28 | value) << 32


def _file(tmp_path: Path, *words: int, header: bytes = HEADER, tail: bytes = b"") -> Path:
    path = tmp_path / "a.raw"
    path.write_bytes(header + np.array(words, "<u8").tobytes() + tail)
    return path


def _swapped(*words: int) -> bytes:
    return np.array(words, "<u8").view("<u4").reshape(-1, 2)[:, ::-1].tobytes()


def test_layout_of_the_words(tmp_path: Path) -> None:
    # the example of the specification for the order of bytes: 0x0102030405060708 is sent as 08 07 ... 01
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 2.1\n% end\n" + bytes.fromhex("0000000001000080" + "0807060504030201"))
    head, columns = 0x01020304, 0x05060708
    t, x, y, p = 64 + (head >> 22 & 63), head >> 11 & 2047, head & 2047, head >> 28
    expected = [(t, x + k, y, p) for k in range(32) if columns >> k & 1]
    assert read(path).structured().tolist() == expected and len(expected) == 8


def test_legacy_order_of_the_halves(tmp_path: Path) -> None:
    words = (high(1), event(1, 2, 32, 7, 0x80000001))
    expected = [(66, 32, 7, 1), (66, 63, 7, 1)]
    assert read(_file(tmp_path, *words)).structured().tolist() == expected
    path = _file(tmp_path, header=LEGACY, tail=_swapped(*words))
    assert read(path).structured().tolist() == expected


def test_order_of_the_halves_where_the_header_is_silent(tmp_path: Path) -> None:
    words = (high(1), event(1, 2, 32, 7, 0x20000001), event(0, 3, 64, 7, 0x30000000))
    for content in (np.array(words, "<u8").tobytes(), _swapped(*words)):
        assert len(read(_file(tmp_path, header=b"% evt 2.1\n", tail=content))) == 4


def test_every_kind_of_word(tmp_path: Path) -> None:
    words = (
        event(1, 0, 0, 1, 0b111),
        high(2),
        event(1, 3, 4, 5, 1),
        0xA << 60,
        0xE << 60,
        0xF << 60,
        event(0, 4, 6, 7, 0),
        event(0, 5, 8, 9, 1),
    )
    events = read(_file(tmp_path, *words))
    assert events.structured().tolist() == [(131, 4, 5, 1), (133, 8, 9, 0)]
    assert dict(events.dropped) == {"before the first time": 3, "other events": 3}


@pytest.mark.parametrize("kind", [2, 7, 9, 0xB, 0xC, 0xD])
def test_words_of_no_known_kind(tmp_path: Path, kind: int) -> None:
    path = _file(tmp_path, high(0), kind << 60, event(0, 1, 1, 1, 1))
    with pytest.raises(FileError, match=f"unknown words at byte {len(HEADER) + 8}"):
        read(path)
    assert dict(read(path, strict=False).dropped) == {"unknown words": 1}


def test_columns_outside(tmp_path: Path) -> None:
    path = _file(tmp_path, high(0), event(0, 0, 1270, 0, 0xFFFFFFFF), event(0, 0, 2040, 0, 0xFFFFFFFF))
    with pytest.raises(FileError, match=f"outside the sensor at byte {len(HEADER) + 8}"):
        read(path)
    events = read(path, strict=False)
    assert events.x.tolist() == list(range(1270, 1280)) and dict(events.dropped) == {"outside the sensor": 54}


def test_columns_past_the_largest_sensor(tmp_path: Path) -> None:
    path = _file(tmp_path, high(0), event(0, 0, 2047, 0, 0b11), header=b"% format EVT21\n")
    with pytest.raises(FileError, match="outside the sensor at byte 23"):
        read(path)
    assert read(path, strict=False).x.tolist() == [2047]


def test_time_goes_on_and_back(tmp_path: Path) -> None:
    words = (
        high(2**28 - 1),
        event(0, 63, 0, 0, 1),
        high(0),
        event(0, 0, 0, 0, 1),
        high(2**28 - 1),
        event(0, 63, 0, 0, 1),
    )
    path = _file(tmp_path, *words)
    with pytest.raises(FileError, match=f"time going backwards at byte {len(HEADER) + 40}"):
        read(path)
    assert read(path, strict=False).t.tolist() == [2**34 - 1, 2**34]


def test_truncated(tmp_path: Path) -> None:
    path = _file(tmp_path, high(0), tail=b"1234567")
    with pytest.raises(FileError, match=f"truncated at byte {len(HEADER) + 8}"):
        read(path)


def test_what_is_written(tmp_path: Path) -> None:
    write(tmp_path / "b.raw", Events([1] * 4, [40, 33, 34, 64], [5] * 4, [1] * 4, 1280, 720), "evt21")
    words = [high(0), event(1, 1, 32, 5, 1 << 8), event(1, 1, 32, 5, 0b110), event(1, 1, 64, 5, 1)]
    content = (tmp_path / "b.raw").read_bytes()
    assert content.endswith(b"% end\n" + np.array(words, "<u8").tobytes())
