"""EVT 2.0, on bytes assembled by hand from the specification."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import open_recording, read, write
from spikeflow.errors import FileError
from spikeflow.events import Events

HEADER = b"% evt 2.0\n"


def event(on: int, low: int, x: int, y: int) -> int:
    return on << 28 | low << 22 | x << 11 | y


def high(value: int) -> int:
    return 0x8 << 28 | value


def _file(tmp_path: Path, *words: int, header: bytes = HEADER, tail: bytes = b"") -> Path:
    path = tmp_path / "a.raw"
    path.write_bytes(header + np.array(words, "<u4").tobytes() + tail)
    return path


def test_layout_of_the_words(tmp_path: Path) -> None:
    # 0x8000507: time bits 33..6; 0x1 F C00 8 05: on, low 63, x 1, y 5, spelt out in bytes
    path = tmp_path / "a.raw"
    path.write_bytes(HEADER + bytes.fromhex("07050080" + "0508c01f" + "ffffff0f"))
    t = 0x507 << 6
    assert read(path).structured().tolist() == [(t + 63, 1, 5, 1), (t + 63, 2047, 2047, 0)]


def test_every_kind_of_word(tmp_path: Path) -> None:
    words = (
        event(1, 0, 1, 1),
        high(2),
        event(1, 3, 4, 5),
        0xA0000001,
        0xD0000000,
        0xE0000014,
        0xF0000000,
        event(0, 4, 6, 7),
    )
    events = read(_file(tmp_path, *words))
    assert events.structured().tolist() == [(131, 4, 5, 1), (132, 6, 7, 0)]
    assert dict(events.dropped) == {"before the first time": 1, "other events": 4}


@pytest.mark.parametrize("kind", [2, 3, 4, 5, 6, 7, 9, 0xB, 0xC])
def test_words_of_no_known_kind(tmp_path: Path, kind: int) -> None:
    path = _file(tmp_path, high(0), event(0, 1, 1, 1), kind << 28, event(0, 2, 1, 1))
    with pytest.raises(FileError, match="unknown words at byte 18"):
        read(path)
    events = read(path, strict=False)
    assert len(events) == 2 and dict(events.dropped) == {"unknown words": 1}


def test_time_goes_on_past_its_34_bits(tmp_path: Path) -> None:
    last = 2**28 - 1
    events = read(
        _file(
            tmp_path, high(last), event(0, 63, 0, 0), high(0), event(0, 0, 0, 0), high(1), event(0, 1, 0, 0)
        )
    )
    assert events.t.tolist() == [2**34 - 1, 2**34, 2**34 + 65]


def test_time_going_backwards(tmp_path: Path) -> None:
    path = _file(
        tmp_path, high(5), event(0, 9, 1, 1), high(4), event(0, 63, 2, 2), high(5), event(1, 10, 3, 3)
    )
    with pytest.raises(FileError, match=f"time going backwards at byte {len(HEADER) + 12}"):
        read(path)
    events = read(path, strict=False)
    assert events.x.tolist() == [1, 3] and dict(events.dropped) == {"time going backwards": 1}


def test_outside_the_sensor(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        high(0),
        event(0, 0, 639, 479),
        event(0, 1, 640, 0),
        event(0, 1, 0, 480),
        header=b"% format EVT2;width=640;height=480\n",
    )
    with pytest.raises(FileError, match="outside the sensor at byte 43"):
        read(path)
    events = read(path, strict=False)
    assert len(events) == 1 and dict(events.dropped) == {"outside the sensor": 2}


def test_truncated(tmp_path: Path) -> None:
    path = _file(tmp_path, high(0), event(0, 0, 1, 1), tail=b"\x01\x02\x03")
    with pytest.raises(FileError, match=r"truncated at byte 18\. Try: strict=False"):
        read(path)
    events = read(path, strict=False)
    assert len(events) == 1 and dict(events.dropped) == {"truncated": 1}


def test_a_header_alone_has_no_events(tmp_path: Path) -> None:
    with open_recording(_file(tmp_path)) as recording:
        assert len(recording.read()) == 0 and list(recording.pieces()) == []


def test_what_is_written(tmp_path: Path) -> None:
    write(tmp_path / "b.raw", Events([64, 65, 200], [1, 2, 3], [4, 5, 6], [0, 1, 0], 10, 20), "evt2")
    header = b"% evt 2.0\n% format EVT2;height=20;width=10\n% geometry 10x20\n% end\n"
    words = np.array([high(1), event(0, 0, 1, 4), event(1, 1, 2, 5), high(3), event(0, 8, 3, 6)], "<u4")
    assert (tmp_path / "b.raw").read_bytes() == header + words.tobytes()


def test_real_file(data_folder: Path) -> None:
    events = read(data_folder / "recordings" / "evt2_sample.raw")
    assert (len(events), events.width, dict(events.dropped)) == (539481, None, {})
    rows = events.structured()
    assert rows[0].tolist() == (1317888, 237, 121, 1) and rows[-1].tolist() == (1367888, 210, 142, 1)
