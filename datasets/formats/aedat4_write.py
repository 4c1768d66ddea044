"""Writing AEDAT 4: one stream of events, compressed with LZ4, with the table of packets that players seek by.

The FlatBuffers are laid out here by hand, as each of them always looks the same: behind its size a step to
the root table, the kind, the list of the root's fields, the root.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import lz4.frame
import numpy as np

from spikeflow.datasets.formats.aedat4_header import EVENTS, MAGIC
from spikeflow.datasets.formats.compression import Compression
from spikeflow.errors import DataError
from spikeflow.events import Events

PACKET = 1 << 13  # most events in a packet
STREAM = 0
EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1"), ("pad", "V3")])
# step back to its fields, offset, stream, size, elements, first and last time; 4 bytes keep the next one
# aligned
ENTRY = np.dtype(
    [("back", "<i4"), ("at", "<i8"), ("stream", "<i4"), ("size", "<i4"), ("number", "<i8"), ("first", "<i8"),
     ("last", "<i8"), ("pad", "V4")]
)  # fmt: skip
ENTRY_FIELDS = struct.pack("<7H", 14, ENTRY.itemsize - 4, 4, 12, 20, 28, 36)
XML = """<dv version="2.0">
<node name="outInfo" path="/outInfo/">
<node name="{stream}" path="/outInfo/{stream}/">
<attr key="compression" type="string">LZ4</attr>
<attr key="originalModuleName" type="string">spikeflow</attr>
<attr key="originalOutputName" type="string">events</attr>
<attr key="typeDescription" type="string">Array of events (polarity ON/OFF).</attr>
<attr key="typeIdentifier" type="string">{kind}</attr>
<node name="info" path="/outInfo/{stream}/info/">
<attr key="sizeX" type="int">{width}</attr>
<attr key="sizeY" type="int">{height}</attr>
<attr key="source" type="string">spikeflow</attr>
</node>
</node>
</node>
</dv>
"""


def write(file: BinaryIO, events: Events) -> None:
    """Write an AEDAT 4 file.

    Raises
    ------
    DataError
        Where the sensor's size is not known, or a pixel needs more than 15 bits.
    """
    if not events.width or not events.height or max(events.width, events.height) > 1 << 15:
        raise DataError(
            "aedat4: the sensor", f"{events.width}x{events.height}", "its width and height, up to 32768"
        )
    table: list[tuple[int, ...]] = []
    file.write(MAGIC + _header(events, -1))
    for at in range(0, len(events), PACKET):
        piece = events[at : at + PACKET]
        content = _compressed(_packet(piece))
        file.write(struct.pack("<ii", STREAM, len(content)) + content)
        place = file.tell() - len(content), STREAM, len(content)
        table.append((*place, len(piece), int(piece.t[0]), int(piece.t[-1])))
    end = file.tell()
    file.write(_compressed(_table(table)))
    file.seek(0)
    file.write(MAGIC + _header(events, end))


def _compressed(content: bytes) -> bytes:
    return lz4.frame.compress(content)


def _sized(content: bytes) -> bytes:
    return struct.pack("<I", len(content)) + content


def _header(events: Events, table: int) -> bytes:
    """The size, a step to the root at 24, IOHE, at 14 its fields, then compression, step to the text,
    table.
    """
    text = XML.format(stream=STREAM, kind=EVENTS, width=events.width, height=events.height).encode()
    start = struct.pack("<I4s6x5H", 24, b"IOHE", 10, 20, 4, 12, 8)
    root = struct.pack("<iiIq", 10, Compression.LZ4, 12, table)
    return _sized(start + root + _sized(text) + b"\0" * (4 - len(text) % 4))


def _packet(events: Events) -> bytes:
    """The size, a step to the root at 16, EVTS, at 10 its one field, the step to the events, they."""
    records = np.zeros(len(events), EVENT)
    for name in ("t", "x", "y", "p"):
        records[name] = getattr(events, name)
    start = struct.pack("<I4s2x3HiI", 16, EVENTS.encode(), 6, 8, 4, 6, 4)
    return _sized(start + struct.pack("<I", len(events)) + records.tobytes())


def _table(packets: list[tuple[int, ...]]) -> bytes:
    """The size, a step to the root at 36, FTAB, the fields of an entry and of the root, steps, entries."""
    count = len(packets)
    fields, root, steps = 12, 36, 48  # where these lie
    first = steps + 4 * count + 4 * count % 8  # behind the size: an entry's 64-bit fields are then aligned
    entries = np.zeros(count, ENTRY)
    for i, name in enumerate(("at", "stream", "size", "number", "first", "last")):
        entries[name] = [packet[i] for packet in packets]
    place = first + ENTRY.itemsize * np.arange(count)
    entries["back"] = place - fields
    start = (
        struct.pack("<I4s4x", root, b"FTAB") + ENTRY_FIELDS + struct.pack("<3H4xiII", 6, 8, 4, 10, 4, count)
    )
    forward = (place - (steps + 4 * np.arange(count))).astype("<u4").tobytes()
    return _sized((start + forward).ljust(first, b"\0") + entries.tobytes())
