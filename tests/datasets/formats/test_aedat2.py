"""AEDAT 2.0, on bytes assembled by hand from the specification."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import open_recording, read, write
from spikeflow.datasets.formats import decoded
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

DVS128 = b"#!AER-DAT2.0\r\n# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"
DAVIS346 = b"#!AER-DAT2.0\r\n# created by hand\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis346B\r\n"
NO_CHIP = b"#!AER-DAT2.0\r\n# Timestamps tick is 1 us\r\n"


def _file(tmp_path: Path, *records: tuple[int, int], header: bytes = DVS128, tail: bytes = b"") -> Path:
    path = tmp_path / "a.aedat"
    path.write_bytes(header + b"".join(struct.pack(">II", *record) for record in records) + tail)
    return path


def davis(x: int, y: int, on: int, other: int = 0) -> int:
    return y << 22 | x << 12 | on << 11 | other


def test_dvs128(tmp_path: Path) -> None:
    # 0x0583: y 5, x 65, bit 0 is 1: off
    path = tmp_path / "a.aedat"
    path.write_bytes(DVS128 + bytes.fromhex("00000583 00000010" + "00007ffe 0000ffff"))
    events = read(path)
    assert events.structured().tolist() == [(16, 65, 5, 0), (65535, 127, 127, 1)]
    assert (events.width, events.height, dict(events.dropped)) == (128, 128, {})
    with open_recording(path) as recording:
        assert recording.header.fields["AEChip"].endswith("DVS128") and recording.header.format == "aedat2"


def test_external_inputs_of_a_dvs128_are_counted(tmp_path: Path) -> None:
    events = read(_file(tmp_path, (2, 1), (0x8002, 2), (0x80000002, 3), (4, 4)))
    assert events.t.tolist() == [1, 4] and dict(events.dropped) == {"other events": 2}


def test_davis(tmp_path: Path) -> None:
    frame, inertial, external = 1 << 31, 1 << 31 | 3 << 10, 1 << 10
    path = _file(
        tmp_path,
        (davis(345, 259, 1), 7),
        (davis(1, 2, 0, frame | 77), 8),
        (davis(3, 4, 0, inertial), 9),
        (davis(0, 0, 0, external), 10),
        (davis(0, 1, 0), 11),
        header=DAVIS346,
    )
    events = read(path)
    assert events.structured().tolist() == [(7, 345, 259, 1), (11, 0, 1, 0)]
    assert (events.width, events.height, dict(events.dropped)) == (346, 260, {"other events": 3})


@pytest.mark.parametrize(
    "chip, size",
    [
        ("eu.seebetter.ini.chips.davis.DAVIS240A", (240, 180)),
        ("eu.seebetter.ini.chips.davis.DAVIS240C", (240, 180)),
        ("eu.seebetter.ini.chips.davis.Davis346cBSI", (346, 260)),
        ("eu.seebetter.ini.chips.davis.Davis208PixelParade", (208, 192)),
        ("eu.seebetter.ini.chips.davis.Davis640Color", (640, 480)),
        ("eu.seebetter.ini.chips.davis.Davis128", (128, 128)),
    ],
)
def test_sensor_by_the_name_of_the_chip(tmp_path: Path, chip: str, size: tuple[int, int]) -> None:
    header = f"#!AER-DAT2.0\r\n# AEChip: {chip}\r\n".encode()
    events = read(_file(tmp_path, (davis(9, 8, 1), 0), header=header))
    assert (events.width, events.height) == size and events.structured().tolist() == [(0, 9, 8, 1)]


def test_a_camera_that_nobody_names(tmp_path: Path) -> None:
    assert read(_file(tmp_path, (0x7FFF, 1), header=NO_CHIP)).width == 128
    path = _file(tmp_path, (2, 1), (davis(9, 8, 1), 2), header=NO_CHIP)
    with pytest.raises(FileError, match="no word which camera.*346x260"):
        read(path)
    assert read(path, width=240, height=180).structured().tolist() == [(1, 0, 0, 0), (2, 9, 8, 1)]
    with pytest.raises(FileError, match="no word which camera"):
        read(path, width=99, height=99)


def test_a_camera_that_is_not_known(tmp_path: Path) -> None:
    path = _file(
        tmp_path, (2, 1), header=b"#!AER-DAT2.0\r\n# AEChip: ch.unizh.ini.jaer.chip.cochlea.CochleaAMS1c\r\n"
    )
    with pytest.raises(FileError, match="CochleaAMS1c"):
        read(path)
    with pytest.raises(DataError, match="width"):
        read(_file(tmp_path, (2, 1)), width=240, height=180)


@pytest.mark.parametrize("version", ["1.0", "1.1", "3.0", "4.0", "2.2", "5.0"])
def test_other_versions_are_refused_by_name(tmp_path: Path, version: str) -> None:
    path = _file(tmp_path, header=f"#!AER-DAT{version}\r\n".encode())
    with pytest.raises(FileError, match=rf"AEDAT {version}, not 2\.0 or 2\.1"):
        read(path, "aedat2")


def test_an_event_that_begins_like_a_header_line(tmp_path: Path) -> None:
    # 0x23 is '#': y 140; line ends among the bytes do not make text of them
    address = davis(0x0A, 140, 1)
    assert address >> 24 == ord("#")
    events = read(_file(tmp_path, (address, 5), (address, 0x0A0A), header=DAVIS346))
    assert events.structured().tolist() == [(5, 10, 140, 1), (0x0A0A, 10, 140, 1)]
    ended = DAVIS346 + b"#End Of ASCII Header\r\n"
    assert len(read(_file(tmp_path, (0x23412323, 0x2323230A), header=ended))) == 1


def test_headers_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(b"#!AER-DAT2.0\r\n" + b"#" * (1 << 24))
    with pytest.raises(FileError, match="within 16 MiB"):
        read(path)
    path.write_bytes(b"#!AER-DAT2.0")
    with pytest.raises(FileError, match="version"):
        read(path)
    path.write_bytes(b"\0\0\0\1\0\0\0\1")
    with pytest.raises(FileError, match="version"):
        read(path, format="aedat2")
    with pytest.raises(FileError, match="[Nn]o such file"):
        open_recording(tmp_path / "none.aedat", format="aedat2")


def test_time_goes_on_past_its_32_bits(tmp_path: Path) -> None:
    raw = (2**31 - 1, 2**31, 2**32 - 2, 1, 2**31, 2**32 - 9, 0, 3)
    events = read(_file(tmp_path, *((0, t) for t in raw)))
    turns = (0, 0, 0, 1, 1, 1, 2, 2)
    assert events.t.tolist() == [t + 2**32 * n for t, n in zip(raw, turns, strict=True)]


def test_a_late_event_at_the_turn_of_the_clock(tmp_path: Path) -> None:
    path = _file(tmp_path, (0, 2**32 - 9), (0, 3), (0, 2**32 - 1), (0, 4))
    with pytest.raises(FileError, match=f"backwards at byte {len(DVS128) + 16}"):
        read(path)
    assert read(path, strict=False).t.tolist() == [2**32 - 9, 2**32 + 3, 2**32 + 4]


def test_faults(tmp_path: Path) -> None:
    path = _file(
        tmp_path, (davis(346, 0, 1), 9), (davis(0, 0, 1), 9), (0, 8), header=DAVIS346, tail=b"\0" * 5
    )
    with pytest.raises(FileError, match=f"outside the sensor at byte {len(DAVIS346)}"):
        read(path)
    events = read(path, strict=False)
    assert len(events) == 1
    assert dict(events.dropped) == {"outside the sensor": 1, "time going backwards": 1, "truncated": 1}


def _events(width: int, height: int, n: int = 50_000) -> Events:
    random = np.random.default_rng(width)
    t = 2**32 - 3 * n + np.cumsum(random.integers(0, 3, n))
    x, y, p = (random.integers(0, most, n) for most in (width, min(height, 512), 2))
    return Events(t, x, y, p, width, height)


@pytest.mark.parametrize("size", [(128, 128), (240, 180), (346, 260), (208, 192), (640, 480)])
def test_round_trip(tmp_path: Path, size: tuple[int, int]) -> None:
    events = _events(*size)
    write(tmp_path / "a.aedat", events)
    again = read(tmp_path / "a.aedat")
    assert again.sha256 == events.sha256 and (again.width, again.height) == size and not again.dropped
    write(tmp_path / "b.aedat", events[:0])
    assert len(read(tmp_path / "b.aedat")) == 0


def test_bytes_that_we_write(tmp_path: Path) -> None:
    write(tmp_path / "a.aedat", Events([16, 17], [65, 127], [5, 0], [0, 1], 128, 128))
    assert (tmp_path / "a.aedat").read_bytes().endswith(bytes.fromhex("00000583 00000010 000000fe 00000011"))


@pytest.mark.parametrize(
    "t, size, word",
    [
        (-1, (128, 128), "aedat2: t"),
        (2**32, (128, 128), "aedat2: t"),
        (0, (34, 34), "34x34"),
        (0, (None, None), "sensor"),
    ],
)
def test_what_the_format_cannot_hold(tmp_path: Path, t: int, size: tuple[int | None, ...], word: str) -> None:
    with pytest.raises(DataError, match=word):
        write(tmp_path / "a.aedat", Events([t], [1], [1], [1], *size))


def test_seeking_by_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "APART", 1 << 14)
    monkeypatch.setattr(decoded, "READ", 1 << 14)
    events = _events(128, 128)
    write(tmp_path / "a.aedat", events)
    with open_recording(tmp_path / "a.aedat") as recording:
        assert sum(len(piece) for piece in recording.pieces(999)) == len(events)
        start = int(events.t[40_000])
        assert recording.between(start, start + 500).sha256 == events.between(start, start + 500).sha256
        assert (
            len(next(recording.columns(start))[0]) > 0
            and next(recording.columns(start))[0][0] > events.t[30_000]
        )


@pytest.mark.parametrize(
    "name, count, first, last, sha256",
    [
        (
            "dvs128_alex_walking_again.aedat",
            19182,
            (41306606, 65, 118, 0),
            (48193156, 127, 22, 1),
            "2f7e1cdac01422e309f2ff558583f5101bbdf82c4f90b22aa83e55dce9894800",
        ),
        (
            "dvs128_alex_walking_for_10secs.aedat",
            125028,
            (262847757, 116, 71, 0),
            (270891631, 45, 112, 1),
            "434641374f7c3dcd685ead0dfb8707f932b403db09b9a96902cd023dc55cad23",
        ),
        (
            "dvs128_cam255_neal_standing_up.aedat",
            209564,
            (314384738, 72, 62, 1),
            (335182415, 51, 74, 1),
            "1a360c41904ff1acfd330a31409b8f693505ff0b45fc7b918f79ff0df33b3466",
        ),
    ],
)
def test_real_files(
    data_folder: Path, name: str, count: int, first: tuple[int, ...], last: tuple[int, ...], sha256: str
) -> None:
    # numbers from a few lines of numpy on the bytes, without this package
    path = data_folder / "recordings" / name
    events = read(path)
    rows = events.structured()
    assert (len(events), rows[0].tolist(), rows[-1].tolist()) == (count, first, last)
    assert events.sha256 == sha256 and (events.width, events.height, dict(events.dropped)) == (128, 128, {})
