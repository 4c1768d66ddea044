"""AEDAT 3.1 and 3.0, as cAER writes them (DVS128 Gesture): text, then packets of records, little-endian.

Only the format RAW. Each packet counts the turns of its 31-bit times. Records without the valid bit, packets
that are not of polarity events, and those of other sources than the one asked for are left out and counted.
In version 3.0 row 0 is the lowest, in 3.1 the topmost: rows are as in the file.

Source: docs.inivation.com, "AEDAT 3.1" and "AEDAT 3.0".
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

import spikeflow.datasets._decode as _decode
from spikeflow.datasets.formats import cameras
from spikeflow.datasets.formats.aedat_header import TextHeader, checked_version, read_header
from spikeflow.datasets.formats.decoded import DecodedRecording
from spikeflow.datasets.formats.format import KEY, Format, Head
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

PACKET = 1 << 16  # most events in a packet that we write
PACKET_HEADER = np.dtype(
    [
        ("type", "<i2"),
        ("source", "<i2"),
        *((name, "<i4") for name in ("size", "offset", "overflow", "most", "number", "valid")),
    ]
)
RECORD = np.dtype([("word", "<u4"), ("t", "<u4")])
POLARITY, SOURCE = 1, 1


def recognise(head: Head) -> bool:
    """By the first line."""
    return head.start.startswith((b"#!AER-DAT3.1", b"#!AER-DAT3.0"))


def open_recording(path: Path, options: Options) -> Recording:
    """The recording; ``key`` is the number of a source, where the file has several.

    Raises
    ------
    FileError
        Where the format is not RAW.
    DataError
        Where there are several sources and `key` does not name one.
    """
    text = read_header(path)
    checked_version(path, text, ("3.0", "3.1"))
    coding = text.fields.get("Format", "RAW")
    if coding != "RAW":
        raise FileError(path, f"AEDAT 3 in the format {coding}", "cAER, which writes it as RAW")
    sources = _sources(text)
    number = _chosen(path, sources, options.key)
    camera = cameras.by_name(sources.get(number, ""))
    size = (camera.width, camera.height) if camera else (None, None)
    header = Header("aedat3", *size, {"version": text.version, **text.fields})
    # where there is but one source, packets of another number can only be its own
    make = partial(_decode.aedat3, source=number) if len(sources) > 1 else _decode.aedat3
    return DecodedRecording(path, header, options, make, text.begin)


def _sources(text: TextHeader) -> dict[int, str]:
    """Devices by their number; lines ``#-Source`` tell of an earlier file and do not count."""
    lines = ((name.split(), device) for name, device in text.fields.items())
    return {int(n[1]): device for n, device in lines if len(n) == 2 and n[0] == "Source" and n[1].isdecimal()}


def _chosen(path: Path, sources: dict[int, str], key: str | None) -> int:
    named = {str(number): number for number in sources}
    if key is None and len(sources) <= 1:
        return next(iter(sources), 0)
    if key not in named:
        told = ", ".join(f"{number} ({device})" for number, device in sources.items())
        raise DataError(f"{path}: source", key or "several", f"one of {told or 'none'}", "key= (--key)")
    return named[key]


def write(file: BinaryIO, events: Events) -> None:
    """Write AEDAT 3.1 of the camera with this sensor.

    Raises
    ------
    DataError
        Where no camera has a sensor of this size, or a time is negative or needs more than 62 bits.
    """
    camera = cameras.by_size(events.width, events.height)
    if camera is None:
        raise DataError("aedat3: the sensor", f"{events.width}x{events.height}", f"one of {cameras.SIZES}")
    if len(events) and (events.t[0] < 0 or events.t[-1] >= 1 << 62):
        raise DataError("aedat3: t", f"{events.t[0]} to {events.t[-1]}", "0 to 2^62 - 1", "--format aedat4")
    # the specification wants a start time; ours is always the same, so that equal events are equal files
    lines = (
        "#!AER-DAT3.1",
        "#Format: RAW",
        f"#Source {SOURCE}: {camera.name}",
        "#Start-Time: 1970-01-01 00:00:00 (TZ+0000)",
        "#!END-HEADER",
    )
    turns = np.flatnonzero(np.diff(events.t >> 31)) + 1  # a packet has one count of turns
    file.write("".join(f"{line}\r\n" for line in lines).encode())
    for begin, end in zip((0, *turns), (*turns, len(events)), strict=True):
        for at in range(begin, end, PACKET):
            file.write(_packet(events[at : min(at + PACKET, end)]))


def _packet(events: Events) -> bytes:
    count = len(events)
    header = np.array(
        (POLARITY, SOURCE, RECORD.itemsize, 4, int(events.t[0]) >> 31, count, count, count), PACKET_HEADER
    )
    x, y, p = (column.astype(np.uint32) for column in (events.x, events.y, events.p))
    records = np.empty(count, RECORD)
    records["word"] = x << 17 | y << 2 | p << 1 | 1
    records["t"] = events.t & 0x7FFFFFFF
    return header.tobytes() + records.tobytes()


FORMAT = Format("aedat3", "AEDAT 3.1 (cAER)", (".aedat3", ".aedat"), recognise, open_recording, write, KEY)
