"""AEDAT 4, on bytes assembled by hand from the specification of its FlatBuffers."""

from __future__ import annotations

import struct
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard

from spikeflow.datasets import open_recording, read, write
from spikeflow.datasets.formats import aedat4, aedat4_header, aedat4_write, compression, flatbuffer
from spikeflow.errors import DataError, FileError, SpikeflowError
from spikeflow.events import Events

NONE, LZ4, ZSTD = 0, 1, 3
Event = tuple[int, int, int, int]
Entry = tuple[int, int, int, int, int, int]  # byte, stream, size, elements, first and last time
PACK = {
    NONE: bytes,
    LZ4: lz4.frame.compress,
    2: lz4.frame.compress,
    ZSTD: zstandard.compress,
    4: zstandard.compress,
}
STREAM = (
    '<node name="{0}"><attr key="originalOutputName">{1}</attr><attr key="typeIdentifier">{2}</attr>'
    '<node name="info"><attr key="sizeX">{3}</attr><attr key="sizeY">{4}</attr></node></node>'
)
EVENTS = STREAM.format(0, "events", "EVTS", 346, 260)
OTHERS = STREAM.format(1, "imu", "IMUS", 1, 1)


def sized(content: bytes) -> bytes:
    return struct.pack("<I", len(content)) + content


class Assembler:
    """A FlatBuffer, piece by piece. Lists of fields lie behind their tables: another order than our writer's."""

    def __init__(self, kind: str) -> None:
        self.out = bytearray(4) + kind.encode()

    def table(self, *fields: bytes) -> list[int]:
        """A table at the end; where each of its fields lies."""
        begin, places = len(self.out), [4]
        for field in fields:
            places.append(places[-1] + len(field))
        self.out += struct.pack("<i", -places[-1]) + b"".join(fields)
        self.out += struct.pack(f"<{2 + len(fields)}H", 4 + 2 * len(fields), places[-1], *places[:-1])
        return [begin + place for place in places[:-1]]

    def point(self, place: int) -> None:
        """The step at this byte leads to the end."""
        self.out[place : place + 4] = struct.pack("<I", len(self.out) - place)


def io_header(streams: str, packing: int = NONE, table: int = -1) -> bytes:
    made = Assembler("IOHE")
    made.point(0)
    text = made.table(struct.pack("<i", packing), struct.pack("<q", table), bytes(4))[2]
    made.point(text)
    made.out += sized(f'<dv version="2.0"><node name="outInfo">{streams}</node></dv>'.encode())
    return b"#!AER-DAT4.0\r\n" + sized(made.out)


def events_table(events: list[Event]) -> bytes:
    made = Assembler("EVTS")
    made.point(0)
    made.point(made.table(bytes(4))[0])
    made.out += struct.pack("<I", len(events))
    made.out += b"".join(struct.pack("<qHHB3x", *event) for event in events)
    return sized(made.out)


def packet(content: bytes, packing: int = NONE, stream: int = 0) -> bytes:
    packed = PACK[packing](content)
    return struct.pack("<ii", stream, len(packed)) + packed


def packet_table(packets: list[Entry]) -> bytes:
    made = Assembler("FTAB")
    made.point(0)
    made.point(made.table(bytes(4))[0])
    made.out += struct.pack("<I", len(packets)) + bytes(4 * len(packets))
    steps = len(made.out) - 4 * len(packets)
    for i, (at, stream, size, count, first, last) in enumerate(packets):
        made.point(steps + 4 * i)
        made.table(
            struct.pack("<q", at),
            struct.pack("<ii", stream, size),
            *(struct.pack("<q", n) for n in (count, first, last)),
        )
    return sized(made.out)


def _file(tmp_path: Path, *packets: bytes, streams: str = EVENTS + OTHERS, packing: int = NONE) -> Path:
    path = tmp_path / "a.aedat4"
    path.write_bytes(io_header(streams, packing) + b"".join(packets))
    return path


def test_a_packet_spelt_out(tmp_path: Path) -> None:
    # as DV lays it out: root at 16, its list at 10, the vector at 24
    body = "10000000 45565453 0000 0600 0800 0400 06000000 04000000 02000000"
    first = "4995fc533ab40500 9a00 cc00 00 000000"
    second = "4c95fc533ab40500 9500 ce00 01 000000"
    content = sized(bytes.fromhex(body + first + second))
    rows = read(_file(tmp_path, packet(content))).structured().tolist()
    assert rows == [(1605537493718345, 154, 204, 0), (1605537493718348, 149, 206, 1)]


@pytest.mark.parametrize("packing", [0, 1, 2, 3, 4])
def test_every_compression_and_other_streams(tmp_path: Path, packing: int) -> None:
    parts = [
        packet(events_table([(5, 1, 2, 1), (6, 345, 259, 0)]), packing),
        packet(sized(b"anything"), packing, stream=1),
        packet(events_table([]), packing),
        packet(events_table([(6, 3, 4, 1)]), packing),
    ]
    events = read(_file(tmp_path, *parts, packing=packing))
    assert events.structured().tolist() == [(5, 1, 2, 1), (6, 345, 259, 0), (6, 3, 4, 1)]
    assert (events.width, events.height, dict(events.dropped)) == (346, 260, {"other packets": 1})


def test_several_streams_of_events(tmp_path: Path) -> None:
    streams = STREAM.format(0, "left", "EVTS", 346, 260) + STREAM.format(7, "right", "EVTS", 640, 480)
    packets = packet(events_table([(9, 1, 1, 1)])), packet(events_table([(5, 639, 479, 0)]), stream=7)
    path = _file(tmp_path, *packets, streams=streams)
    with pytest.raises(DataError, match=r"0 \(left, \), 7 \(right, \)"):
        read(path)
    for key in ("7", "right"):
        events = read(path, key=key)
        assert events.structured().tolist() == [(5, 639, 479, 0)] and events.width == 640
    with pytest.raises(DataError, match="got 3"):
        read(path, key="3")
    with pytest.raises(FileError, match="only IMUS"):
        read(_file(tmp_path, streams=OTHERS))
    with pytest.raises(FileError, match="empty header"):
        read(_file(tmp_path, streams=""))


def test_sensor_that_the_file_does_not_say(tmp_path: Path) -> None:
    streams = '<node name="0"><attr key="typeIdentifier">EVTS</attr></node>'
    path = _file(tmp_path, packet(events_table([(1, 999, 2, 1)])), streams=streams)
    assert read(path).width is None
    with pytest.raises(FileError, match="outside the sensor in the packet at byte"):
        read(path, width=346)
    for width in (0, -1, 1 << 17):
        with pytest.raises(DataError, match="width"):
            read(path, width=width)


def test_faults(tmp_path: Path) -> None:
    good, late = packet(events_table([(5, 1, 1, 1)])), packet(events_table([(4, 1, 1, 1), (6, 346, 0, 1)]))
    path = _file(tmp_path, good, late, packet(b"", stream=3), good)
    begin = len(io_header(EVENTS + OTHERS))
    with pytest.raises(FileError, match=f"backwards in the packet at byte {begin + len(good)}"):
        read(path)
    events = read(path, strict=False)
    assert len(events) == 2
    expected = {"time going backwards": 1, "outside the sensor": 1, "unknown words": 1}
    assert dict(events.dropped) == expected
    with pytest.raises(FileError, match="unknown words"):
        read(_file(tmp_path, packet(b"", stream=3)))


def test_names_of_faults_are_the_decoders(tmp_path: Path) -> None:
    counts = aedat4._decode.aedat4().counts
    assert {aedat4.UNKNOWN, aedat4.TRUNCATED} < set(counts) and aedat4.OTHER not in counts


@pytest.mark.parametrize("packing", [NONE, LZ4, ZSTD])
def test_damaged_packets_are_left_out(tmp_path: Path, packing: int) -> None:
    content = events_table([(5, 1, 1, 1)] * 50)
    good = packet(content, packing)
    for bad in (good[8:40], b"", b"\xff" * 30, PACK[packing](content[:-9]), PACK[packing](content + b"more")):
        path = _file(tmp_path, good, struct.pack("<ii", 0, len(bad)) + bad, good, packing=packing)
        with pytest.raises(FileError, match="unknown words in the packet"):
            read(path)
        events = read(path, strict=False)
        assert len(events) == 100 and dict(events.dropped) == {"unknown words": 1}


def test_gigantic_declared_sizes_allocate_nothing(tmp_path: Path) -> None:
    good = packet(events_table([(5, 1, 1, 1)]))
    for size in (2**31 - 1, -1, 100):
        path = _file(tmp_path, good, struct.pack("<ii", 0, size) + bytes(99))
        with pytest.raises(FileError, match="truncated in the packet"):
            read(path)
        assert dict(read(path, strict=False).dropped) == {"truncated": 1}
    path.write_bytes(b"#!AER-DAT4.0\r\n" + struct.pack("<I", 2**32 - 1) + bytes(99))
    with pytest.raises(FileError, match="claims 4294967295 bytes"):
        read(path)


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MOST", 1 << 20)
    content = bytes((1 << 20) + 1)
    told = zstandard.ZstdCompressor().compress(content)
    untold = zstandard.ZstdCompressor(write_content_size=False).compress(content)
    for packed, packing in ((lz4.frame.compress(content), LZ4), (told, ZSTD), (untold, ZSTD)):
        with pytest.raises(compression.Damaged):
            compression.unpack(packed, compression.Compression(packing))
        path = _file(tmp_path, struct.pack("<ii", 0, len(packed)) + packed, packing=packing)
        assert dict(read(path, strict=False).dropped) == {"unknown words": 1}
    fits = lz4.frame.compress(content[:-1])
    assert compression.unpack(fits, compression.Compression.LZ4) == content[:-1]


@pytest.mark.parametrize(
    "xml, word",
    [
        ("<!DOCTYPE dv>", "document type"),
        ("<node", "header is damaged"),
        ('<node name="0"><node name="info"><attr key="sizeX">many</attr></node></node>', "header is damaged"),
    ],
)
def test_descriptions_that_cannot_be(tmp_path: Path, xml: str, word: str) -> None:
    with pytest.raises(FileError, match=word):
        read(_file(tmp_path, streams=xml))


def test_headers_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat4"
    whole = io_header(EVENTS)
    for end in range(14, len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError, match="header"):
            read(path)
    path.write_bytes(io_header(EVENTS, packing=9))
    with pytest.raises(FileError, match="header is damaged: 9"):
        read(path)
    path.write_bytes(whole.replace(b"IOHE", b"IOHF"))
    with pytest.raises(FileError, match="IOHE"):
        read(path)
    with pytest.raises(FileError, match="[Nn]o such file"):
        open_recording(tmp_path / "none.aedat4", format="aedat4")


def test_seeded_damage_of_flatbuffers() -> None:
    whole = io_header(EVENTS + OTHERS)[18:]
    random = np.random.default_rng(0)
    found = 0
    for _ in range(3000):
        buffer = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            at = int(random.integers(0, 44 if random.random() < 0.7 else len(buffer)))
            buffer[at] = int(random.choice([0, 1, 0x7F, 0x80, 0xFF, random.integers(0, 256)]))
        del buffer[int(random.integers(40, 2 * len(buffer))) :]
        try:
            table = flatbuffer.Table.root(bytes(buffer), "IOHE")
            table.numbers(0, "i"), table.numbers(1, "q"), table.text(2), table.tables(2)
            found += 1
        except flatbuffer.Damaged:
            pass
    assert 0 < found < 3000


def _events(n: int = 100_000) -> Events:
    random = np.random.default_rng(4)
    t = 1605537493718345 + np.cumsum(random.integers(0, 3, n))
    x, y, p = (random.integers(0, most, n) for most in (346, 260, 2))
    return Events(t, x, y, p, 346, 260)


def test_round_trip_and_pieces(tmp_path: Path) -> None:
    events = _events()
    path = tmp_path / "a.aedat4"
    write(path, events)
    again = read(path)
    assert again.sha256 == events.sha256
    assert (again.width, again.height, dict(again.dropped)) == (346, 260, {})
    with open_recording(path) as recording:
        assert recording.header.fields["compression"] == "LZ4"
        assert [len(piece) for piece in recording.pieces(40_000)] == [40_000, 40_000, 20_000]
    write(path, events[:0])
    assert len(read(path)) == 0 and aedat4_header.read_table(path, aedat4_header.read_layout(path)) == []


@pytest.mark.parametrize("x, size", [(1, (None, 8)), (1, (8, None)), (1, (1 << 15 | 1, 8))])
def test_what_the_format_cannot_hold(tmp_path: Path, x: int, size: tuple[int | None, ...]) -> None:
    with pytest.raises(DataError, match="aedat4: the sensor"):
        write(tmp_path / "a.aedat4", Events([1], [x], [1], [1], *size))


def test_the_table_of_packets_finds_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aedat4, "AT_ONCE", 1)
    events = _events()
    path = tmp_path / "a.aedat4"
    write(path, events)
    start = int(events.t[60_000])
    with open_recording(path) as recording:
        assert recording.between(start, start + 900).sha256 == events.between(start, start + 900).sha256
        begun = int(next(recording.columns(start))[0][0])
        assert events.t[60_000 - aedat4_write.PACKET - 9] <= begun <= start
        assert recording.between(0, int(events.t[9])).sha256 == events.between(0, int(events.t[9])).sha256
        assert len(recording.between(int(events.t[-1]) + 1, 2**62)) == 0


@pytest.mark.parametrize("lie", ["none", "first time", "order", "place", "beyond", "damaged", "far"])
def test_a_table_is_believed_only_where_it_is_right(
    tmp_path: Path, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aedat4, "AT_ONCE", 1)
    begin = len(io_header(EVENTS, table=0))
    packets = [packet(events_table([(10 * i + k, i, k, 1) for k in range(10)])) for i in range(9)]
    size = len(packets[0])
    entries = [(begin + size * i + 8, 0, size - 8, 10, 10 * i, 10 * i + 9) for i in range(9)]
    if lie == "first time":
        entries[7] = (*entries[7][:4], 61, 62)
        entries[8] = (*entries[8][:4], 63, 64)
    elif lie == "order":
        entries[3:6] = entries[5:2:-1]
    elif lie == "place":
        entries[6] = (entries[6][0] - 4, *entries[6][1:])
    elif lie == "beyond":
        entries[8] = (entries[8][0], 0, size, 10, 80, 89)
    table = packet_table(entries)
    table = b"\xff" * len(table) if lie == "damaged" else table
    place = 2**62 if lie == "far" else begin + 9 * size
    tail = b"" if lie == "far" else table
    path = tmp_path / "a.aedat4"
    path.write_bytes(io_header(EVENTS, table=place) + b"".join(packets) + tail)
    with open_recording(path) as recording:
        assert recording.between(62, 75).t.tolist() == list(range(62, 75))
        begun = int(next(recording.columns(62))[0][0])
        assert begun == (60 if lie == "none" else 0)
        assert recording.read().t.tolist() == list(range(90))


def test_an_earlier_pass_finds_a_time_where_there_is_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aedat4, "AT_ONCE", 1)
    monkeypatch.setattr(aedat4, "APART", 1)
    packets = [packet(events_table([(10 * i + k, i, k, 1) for k in range(10)])) for i in range(9)]
    with open_recording(_file(tmp_path, *packets)) as recording:
        assert next(recording.columns(62))[0][0] == 0
        assert len(recording.read()) == 90
        assert next(recording.columns(62))[0].tolist() == list(range(60, 70))
        assert recording.between(62, 75).t.tolist() == list(range(62, 75))


def test_damaged_files(tmp_path: Path) -> None:
    events = _events(300)
    path = tmp_path / "a.aedat4"
    write(path, events)
    whole, random = path.read_bytes(), np.random.default_rng(1)
    kept = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for at in random.integers(0, len(whole), int(random.integers(1, 4))):
            damaged[at] = int(random.choice([0, 1, 0x7F, 0x80, 0xFF, random.integers(0, 256)]))
        del damaged[int(random.integers(20, 2 * len(whole))) :]
        path.write_bytes(damaged)
        try:
            with open_recording(path, strict=False) as recording:
                kept += len(recording.read()) + len(recording.between(int(events.t[100]), int(events.t[200])))
        except SpikeflowError:
            pass
    assert kept


def test_real_file(data_folder: Path) -> None:
    # numbers from dv_processing 2.0.4 and aedat 2.3.0, which agree
    path = data_folder / "recordings" / "dvxplorer_lite_320x240.aedat4"
    events = read(path)
    rows = events.structured()
    assert (len(events), events.width, events.height) == (111954, 320, 240)
    assert rows[0].tolist() == (1605537493718345, 154, 204, 0)
    assert rows[-1].tolist() == (1605537494308262, 88, 237, 1)
    assert events.sha256 == "d7dac50b4cb58e39a5d572a5ed3ae9d4cd3cca7b8cdc5c8325667500c306ac15"
    assert dict(events.dropped) == {"other packets": 59}
    start = 1605537494000000
    with open_recording(path) as recording:
        assert recording.between(start, start + 50_000).sha256 == events.between(start, start + 50_000).sha256
        assert next(recording.columns(start))[0][0] >= start - 20_000
