"""Event Stream, on bytes assembled by hand from the specification and on what the makers' own library wrote."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import open_recording, read, write
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

DVS, ATIS = 1, 2


def _file(
    tmp_path: Path, body: str, kind: int = DVS, width: int = 346, height: int = 260, major: int = 2
) -> Path:
    path = tmp_path / "a.es"
    header = b"Event Stream" + bytes([major, 0, 0, kind]) + struct.pack("<HH", width, height)
    path.write_bytes(header + bytes.fromhex(body))
    return path


def test_layout_of_the_bytes(tmp_path: Path) -> None:
    # 3 us later, on, x 0x0102, y 0x0003; three times 127 us, a reset, 126 us more, off, x 1, y 0x0103
    events = read(_file(tmp_path, "07 02 01 03 00  ff ff ff fe  fc 01 00 03 01"))
    assert events.structured().tolist() == [(3, 258, 3, 1), (3 + 3 * 127 + 126, 1, 259, 0)]
    assert (events.width, events.height, dict(events.dropped)) == (346, 260, {})


def test_resets_within_an_event_are_its_bytes(tmp_path: Path) -> None:
    # five resets: the first ends an event that lost a byte, so that the next one is read well
    events = read(_file(tmp_path, "03 01 00 02 fefefefefe 03 05 00 06 00"), strict=False)
    assert events.structured().tolist() == [(2, 5, 6, 1)] and dict(events.dropped) == {
        "outside the sensor": 1
    }


def test_change_detections_of_an_atis(tmp_path: Path) -> None:
    # twice 63 us, then 5 us, on; a threshold crossing 1 us later; a reset; 2 us after it, off
    events = read(_file(tmp_path, "fe 16 01 00 02 00  07 01 00 02 00  fc  08 03 00 04 00", ATIS, 304, 240))
    assert events.structured().tolist() == [(131, 1, 2, 1), (134, 3, 4, 0)]
    assert dict(events.dropped) == {"other events": 1}


def test_bytes_of_the_makers_library(tmp_path: Path) -> None:
    # event_stream 1.6.3, Encoder("dvs", 346, 260) and Encoder("atis", 304, 240)
    path = tmp_path / "a.es"
    path.write_bytes(
        bytes.fromhex(
            "4576656e742053747265616d020000015a0104010b010002000059010301ffff5300000000ffffffffff8202010300"
        )
    )
    assert read(path).structured().tolist() == [
        (5, 1, 2, 1),
        (5, 345, 259, 0),
        (300, 0, 0, 1),
        (1000, 258, 3, 0),
    ]
    write(tmp_path / "b.es", read(path))
    assert (tmp_path / "b.es").read_bytes() == path.read_bytes()
    path.write_bytes(
        bytes.fromhex("4576656e742053747265616d020000023001f0001601000200fd0b2f01ef00fffe3c00000000")
    )
    assert read(path).structured().tolist() == [(5, 1, 2, 1), (400, 0, 0, 0)]


@pytest.mark.parametrize("kind, word", [(0, "generic"), (3, "display"), (4, "color"), (9, "type 9")])
def test_other_types_are_refused_by_name(tmp_path: Path, kind: int, word: str) -> None:
    with pytest.raises(FileError, match=word):
        read(_file(tmp_path, "", kind))


def test_headers_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"version 1\.0\.0"):
        read(_file(tmp_path, "", major=1))
    with pytest.raises(FileError, match="0x260"):
        read(_file(tmp_path, "", width=0))
    path = _file(tmp_path, "")
    whole = path.read_bytes()
    for end in range(12, len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError, match="within the header"):
            read(path)


def test_faults(tmp_path: Path) -> None:
    path = _file(tmp_path, "03 01 00 02 00  02 5a 01 00 00  04 02 00")
    with pytest.raises(FileError, match="outside the sensor at byte 25"):
        read(path)
    events = read(path, strict=False)
    assert len(events) == 1 and dict(events.dropped) == {"outside the sensor": 1, "truncated": 1}
    with pytest.raises(DataError, match="width"):
        read(path, width=640)


def _events(n: int = 300_000, seed: int = 0) -> Events:
    random = np.random.default_rng(seed)
    t = np.cumsum(random.choice([0, 1, 126, 127, 128, 1000], n))
    x, y, p = random.integers(0, 346, n), random.integers(0, 260, n), random.integers(0, 2, n)
    return Events(t, x, y, p, 346, 260)


def test_round_trip_pieces_and_seeking(tmp_path: Path) -> None:
    events = _events()
    write(tmp_path / "a.es", events)
    again = read(tmp_path / "a.es")
    assert again.sha256 == events.sha256 and (again.width, again.height) == (346, 260)
    with open_recording(tmp_path / "a.es") as recording:
        assert sum(len(piece) for piece in recording.pieces(70_000)) == len(events)
        middle = int(events.t[len(events) // 2])
        assert recording.between(middle, middle + 9999).sha256 == events.between(middle, middle + 9999).sha256
    write(tmp_path / "b.es", events[:0])
    assert len(read(tmp_path / "b.es")) == 0


@pytest.mark.parametrize(
    "t, size, word",
    [
        (-1, (8, 8), "es: t"),
        (1605537493718345, (8, 8), "begin at 0"),
        (0, (None, 8), "sensor"),
        (0, (8, 1 << 16), "sensor"),
    ],
)
def test_what_the_format_cannot_hold(tmp_path: Path, t: int, size: tuple[int | None, int], word: str) -> None:
    one = np.ones(1, np.uint8)
    with pytest.raises(DataError, match=word):
        write(tmp_path / "a.es", Events(np.array([t]), one, one, one, *size))
    assert not (tmp_path / "a.es").exists()
