"""AEDAT 3.1, on bytes assembled by hand from the specification."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import open_recording, read, write
from spikeflow.datasets.formats import decoded
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

TEXT = b"#!AER-DAT3.1\r\n#Format: RAW\r\n%s#Start-Time: 2016-08-22 14:46:00 (TZ+0200)\r\n#!END-HEADER\r\n"
DVS128 = TEXT % b"#Source 1: DVS128\r\n#-Source 0: DAVIS240C\r\n"
POLARITY = 1


def header(
    number: int, kind: int = POLARITY, source: int = 1, overflow: int = 0, size: int = 8, offset: int = 4
) -> bytes:
    return struct.pack("<hh6i", kind, source, size, offset, overflow, number, number, number)


def event(t: int, x: int, y: int, on: int, valid: int = 1) -> bytes:
    return struct.pack("<II", x << 17 | y << 2 | on << 1 | valid, t)


def _file(tmp_path: Path, *parts: bytes, text: bytes = DVS128) -> Path:
    path = tmp_path / "a.aedat"
    path.write_bytes(text + b"".join(parts))
    return path


def test_layout_of_the_bytes(tmp_path: Path) -> None:
    packet = "0100 0100 08000000 04000000 01000000 02000000 02000000 02000000"
    # 0x0082000b: x 65, y 2, on, valid; then time 5, above which one turn of 2^31 counts
    records = "0b008200 05000000" + "fd01fe00 ffffff7f"
    path = _file(tmp_path, bytes.fromhex(packet + records))
    assert read(path).structured().tolist() == [(2**31 + 5, 65, 2, 1), (2**32 - 1, 127, 127, 0)]


def test_a_recording_like_those_of_dvs128_gesture(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        header(2, kind=0) + bytes(16),
        header(3) + event(1, 1, 2, 1) + event(2, 3, 4, 0) + event(3, 5, 6, 1, valid=0),
        header(1, kind=3, size=36) + bytes(36),
        header(0),
        header(1, overflow=1) + event(0, 127, 0, 1),
    )
    events = read(path)
    assert events.structured().tolist() == [(1, 1, 2, 1), (2, 3, 4, 0), (2**31, 127, 0, 1)]
    assert (events.width, events.height, dict(events.dropped)) == (
        128,
        128,
        {"other events": 3, "not marked as valid": 1},
    )
    with open_recording(path) as recording:
        assert recording.header.fields["Source 1"] == "DVS128" and recording.header.fields["version"] == "3.1"


def test_version_3_0_has_no_line_at_the_end_of_its_header(tmp_path: Path) -> None:
    text = b"#!AER-DAT3.0\r\n#Format: RAW\r\n#Source 1: DVS128\r\n"
    assert len(read(_file(tmp_path, header(1) + event(1, 2, 3, 1), text=text))) == 1


def test_several_sources(tmp_path: Path) -> None:
    text = TEXT % b"#Source 1: DVS128\r\n#Source 2: DAVIS346B\r\n"
    path = _file(
        tmp_path, header(1) + event(9, 1, 1, 1), header(1, source=2) + event(5, 345, 259, 0), text=text
    )
    with pytest.raises(DataError, match=r"1 \(DVS128\), 2 \(DAVIS346B\)"):
        read(path)
    assert read(path, key="1").structured().tolist() == [(9, 1, 1, 1)]
    events = read(path, key="2")
    assert events.structured().tolist() == [(5, 345, 259, 0)] and events.width == 346
    assert dict(events.dropped) == {"other events": 1}
    with pytest.raises(DataError, match="got 3"):
        read(path, key="3")


def test_a_device_that_is_not_known_has_no_sensor_size(tmp_path: Path) -> None:
    path = _file(tmp_path, header(1) + event(1, 999, 3, 1), text=TEXT % b"#Source 1: Processor\r\n")
    assert read(path).width is None and read(path, width=1000).width == 1000


def test_other_formats_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="SerializedTS"):
        read(_file(tmp_path, text=DVS128.replace(b"RAW", b"SerializedTS")))


@pytest.mark.parametrize(
    "bad",
    [
        struct.pack("<hh6i", -32767, 1, 8, 4, 0, 1, 1, 1),
        struct.pack("<hh6i", 1, 1, 0, 4, 0, 1, 1, 1),
        struct.pack("<hh6i", 1, 1, 8, 4, -1, 1, 1, 1),
        struct.pack("<hh6i", 1, 1, 8, 4, 0, 1, 2, 1),
        struct.pack("<hh6i", 1, 1, 8, 4, 0, -1, -1, 1),
    ],
)
def test_a_header_that_cannot_be_ends_what_can_be_read(tmp_path: Path, bad: bytes) -> None:
    path = _file(tmp_path, header(1) + event(1, 1, 1, 1), bad, event(2, 2, 2, 1) * 9)
    with pytest.raises(FileError, match=f"unknown words at byte {len(DVS128) + 36}"):
        read(path)
    events = read(path, strict=False)
    assert len(events) == 1 and dict(events.dropped) == {"unknown words": 1}


def test_polarity_records_of_another_size_are_skipped(tmp_path: Path) -> None:
    path = _file(tmp_path, header(2, size=12) + bytes(24), header(1) + event(2, 2, 2, 1))
    with pytest.raises(FileError, match="unknown words"):
        read(path)
    assert read(path, strict=False).t.tolist() == [2]


def test_gigantic_declared_sizes_allocate_nothing(tmp_path: Path) -> None:
    most = 2**31 - 1
    for kind in (POLARITY, 2):
        path = _file(tmp_path, header(1) + event(1, 1, 1, 1), header(most, kind=kind), event(2, 2, 2, 1))
        with pytest.raises(FileError, match="truncated"):
            read(path)
        assert len(read(path, strict=False)) == (2 if kind == POLARITY else 1)


def test_truncated_anywhere(tmp_path: Path) -> None:
    path = _file(tmp_path, header(2) + event(1, 1, 1, 1) + event(2, 2, 2, 1))
    whole = path.read_bytes()
    for end in range(len(DVS128) + 1, len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError, match="truncated"):
            read(path)
        events = read(path, strict=False)
        assert len(events) == max(0, end - len(DVS128) - 28) // 8 and dict(events.dropped) == {"truncated": 1}


def test_faults(tmp_path: Path) -> None:
    path = _file(tmp_path, header(3) + event(5, 128, 1, 1) + event(4, 1, 1, 1) + event(3, 1, 1, 1))
    with pytest.raises(FileError, match=f"outside the sensor at byte {len(DVS128) + 28}"):
        read(path)
    assert dict(read(path, strict=False).dropped) == {"outside the sensor": 1, "time going backwards": 1}
    with pytest.raises(FileError, match="unknown words"):
        read(_file(tmp_path, header(1) + event(2**31, 1, 1, 1)))


def _events(n: int = 200_000) -> Events:
    random = np.random.default_rng(3)
    t = 2**31 - n + np.cumsum(random.integers(0, 3, n))
    x, y, p = (random.integers(0, most, n) for most in (240, 180, 2))
    return Events(t, x, y, p, 240, 180)


def test_round_trip_and_seeking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "APART", 1 << 16)
    events = _events()
    path = tmp_path / "a.aedat3"
    write(path, events)
    again = read(path)
    assert again.sha256 == events.sha256 and (again.width, again.height) == (240, 180)
    with open_recording(path) as recording:
        assert sum(len(piece) for piece in recording.pieces(9999)) == len(events)
        start = int(events.t[150_000])
        assert recording.between(start, start + 50).sha256 == events.between(start, start + 50).sha256
    write(path, events[:0])
    assert len(read(path)) == 0


def test_bytes_that_we_write(tmp_path: Path) -> None:
    write(tmp_path / "a.aedat3", Events([3, 2**31 + 5], [1, 65], [2, 2], [0, 1], 128, 128))
    packets = header(1) + event(3, 1, 2, 0), header(1, overflow=1) + event(5, 65, 2, 1)
    assert (tmp_path / "a.aedat3").read_bytes().partition(b"#!END-HEADER\r\n")[2] == b"".join(packets)


@pytest.mark.parametrize("t, size", [(-1, (128, 128)), (2**62, (128, 128)), (0, (34, 34)), (0, (None, None))])
def test_what_the_format_cannot_hold(tmp_path: Path, t: int, size: tuple[int | None, ...]) -> None:
    with pytest.raises(DataError, match="aedat3"):
        write(tmp_path / "a.aedat3", Events([t], [1], [1], [1], *size))
