"""The header of an AEDAT 4 file, and its table of packets: FlatBuffers, the first with a description in XML.

Source: docs.inivation.com, "AEDAT 4.0"; ioheader.fbs and file_data_table.fbs of dv-processing.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spikeflow.datasets.formats import compression, flatbuffer
from spikeflow.datasets.formats.compression import Compression
from spikeflow.datasets.formats.flatbuffer import Table
from spikeflow.errors import FileError
from spikeflow.files.opened import reading

MAGIC = b"#!AER-DAT4.0\r\n"
MOST = 1 << 22  # bytes of a header; some kilobytes are usual
EVENTS = "EVTS"
PACKET_HEADER = 8  # bytes: stream and size


@dataclass(frozen=True)
class Stream:
    """One stream of a file: of events, frames, inertial samples, triggers.

    Parameters
    ----------
    number : as its packets name it.
    name : as its module called it, usually ``events``.
    kind : four letters; `EVENTS` are pixel events.
    width, height : of the sensor, or None.
    source : the camera, or nothing.
    """

    number: int
    name: str
    kind: str
    width: int | None = None
    height: int | None = None
    source: str = ""


@dataclass(frozen=True)
class Layout:
    """What lies where in a file.

    Parameters
    ----------
    compression : of packets and table.
    streams : by their number.
    begin, end : of the packets.
    table : byte at which the table of packets begins, or None.
    """

    compression: Compression
    streams: Mapping[int, Stream]
    begin: int
    end: int
    table: int | None


def read_layout(path: Path) -> Layout:
    """Read the header of an AEDAT 4 file.

    Raises
    ------
    FileError
        Where it is cut or damaged.
    """
    try:
        with reading(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = _content(path, file, size)
            return _layout(content, len(MAGIC) + 4 + len(content), size)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(path, str(error.strerror)) from None
    except (flatbuffer.Damaged, ElementTree.ParseError, ValueError) as error:
        raise FileError(path, f"its header is damaged: {error}") from None


def _content(path: Path, file: BinaryIO, size: int) -> bytes:
    start = file.read(len(MAGIC) + 4)
    if len(start) < len(MAGIC) + 4 or not start.startswith(MAGIC):
        raise FileError(path, "the file ends within the header, or is no AEDAT 4 file")
    count = int.from_bytes(start[len(MAGIC) :], "little")
    if count > min(MOST, size - file.tell()):
        raise FileError(path, f"its header claims {count} bytes, of which {size - file.tell()} follow")
    return file.read(count)


def _layout(content: bytes, begin: int, size: int) -> Layout:
    header = Table.root(content, "IOHE")
    packing = Compression(header.numbers(0, "i")[0])
    table = header.numbers(1, "q", (-1,))[0]
    # a table beyond the file is one that a cut file has lost; the packets are then read to the end
    table = table if begin <= table < size else None
    return Layout(packing, _streams(header.text(2)), begin, size if table is None else table, table)


def _streams(xml: str) -> dict[int, Stream]:
    if "<!" in xml:  # entities could grow without end; a header has none
        raise ValueError("its XML has a document type or a comment")
    found = ElementTree.fromstring(xml.rstrip("\0")).find("node[@name='outInfo']")
    nodes = [] if found is None else found.findall("node")
    streams = (_stream(node) for node in nodes if node.get("name", "").isdecimal())
    return {stream.number: stream for stream in streams}


def _stream(node: ElementTree.Element) -> Stream:
    told = _attributes(node)
    info = node.find("node[@name='info']")
    more = {} if info is None else _attributes(info)
    width, height = (int(more[name]) if name in more else None for name in ("sizeX", "sizeY"))
    return Stream(
        int(node.get("name", "")),
        told.get("originalOutputName", ""),
        told.get("typeIdentifier", ""),
        width,
        height,
        more.get("source", ""),
    )


def _attributes(node: ElementTree.Element) -> dict[str, str]:
    return {child.get("key", ""): child.text or "" for child in node.findall("attr")}


@dataclass(frozen=True)
class Packet:
    """One packet, as the table tells: where its content lies, the times of its first and last element."""

    at: int
    stream: int
    size: int
    first: int
    last: int


def read_table(path: Path, layout: Layout) -> list[Packet]:
    """The packets by the table at the end of the file; empty where there is none that can be believed.

    The table is only a help to find a time, so a damaged one is no error.
    """
    if layout.table is None:
        return []
    with reading(path) as file:
        file.seek(layout.table)
        data = file.read(compression.MOST)
    try:
        content = compression.unpack(data, layout.compression)
        entries = Table.root(content[4:], "FTAB").tables(0)
        if len(entries) > (layout.end - layout.begin) // PACKET_HEADER:
            return []  # more packets than there is room for
        packets = [_packet(entry) for entry in entries]
    except (compression.Damaged, flatbuffer.Damaged):
        return []
    return packets if _believable(packets, layout) else []


def _packet(entry: Table) -> Packet:
    stream, size = entry.numbers(1, "ii", (0, 0))
    return Packet(entry.numbers(0, "q")[0], stream, size, entry.numbers(3, "q")[0], entry.numbers(4, "q")[0])


def _believable(packets: list[Packet], layout: Layout) -> bool:
    """Whether packets follow each other within the file, and those of each stream in time."""
    at, last = layout.begin, dict[int, int]()
    for packet in packets:
        if not (at + PACKET_HEADER <= packet.at and 0 <= packet.size <= layout.end - packet.at):
            return False
        if packet.first > packet.last or packet.first < last.get(packet.stream, packet.first):
            return False
        at, last[packet.stream] = packet.at + packet.size, packet.last
    return True
