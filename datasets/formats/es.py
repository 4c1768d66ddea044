"""Event Stream 2 (``.es``), as the tools of Paris and Sydney write it: a header, then events of 5 bytes or
more.

Streams of type DVS, and of type ATIS without their threshold crossings (exposure measurements), which are
left out and counted. Times begin at 0 and grow by what each event adds. Row 0 is the lowest; rows are as in
the file.

Source: github.com/neuromorphic-paris/event_stream, version 2.0.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

import spikeflow.datasets._decode as _decode
from spikeflow.datasets.formats.decoded import DecodedRecording
from spikeflow.datasets.formats.format import Format, Head
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.files.opened import reading

MAGIC = b"Event Stream"
HEADER = struct.Struct("<12s4BHH")  # magic, version (3 numbers), type, width, height
TYPES = {0: "generic", 1: "dvs", 2: "atis", 3: "asynchronous and modular display", 4: "color"}
DVS, ATIS = 1, 2
PASSES = 127  # microseconds that a byte 0xff stands for
MOST_PASSES = 1 << 28  # such bytes that we write: some nine hours without an event, 256 MiB
PIECE = 1 << 17  # events written at a time


def recognise(head: Head) -> bool:
    """By the first word."""
    return head.start.startswith(MAGIC)


def open_recording(path: Path, options: Options) -> Recording:
    """The recording.

    Raises
    ------
    FileError
        Where the version is not 2, or the stream is of another type than DVS or ATIS.
    """
    try:
        with reading(path) as file:
            start = file.read(HEADER.size)
    except FileError:
        raise
    except OSError as error:
        raise FileError(path, str(error.strerror)) from None
    if len(start) < len(MAGIC) + 4:
        raise FileError(path, "the file ends within the header")
    version, kind = ".".join(map(str, start[12:15])), start[15]
    if start[12] != 2:
        raise FileError(path, f"Event Stream version {version}; only version 2 is read")
    if kind not in (DVS, ATIS):
        raise FileError(
            path, f"an Event Stream of type {TYPES.get(kind, kind)}, which holds no changes of brightness"
        )
    if len(start) < HEADER.size:
        raise FileError(path, "the file ends within the header")
    *_, width, height = HEADER.unpack(start)
    if not width or not height:
        raise FileError(path, f"a sensor of {width}x{height} pixels")
    header = Header("es", width, height, {"version": version, "type": TYPES[kind]})
    return DecodedRecording(
        path, header, options, _decode.es_dvs if kind == DVS else _decode.es_atis, HEADER.size
    )


def write(file: BinaryIO, events: Events) -> None:
    """Write a stream of type DVS.

    Raises
    ------
    DataError
        Where the sensor's size is not known or needs more than 16 bits, or times are negative or so late that
        the file would hold little else than waiting: there is no word for the time of the first event.
    """
    if not events.width or not events.height or max(events.width, events.height) >= 1 << 16:
        raise DataError(
            "es: the sensor", f"{events.width}x{events.height}", "its width and height, up to 65535"
        )
    if len(events) and (events.t[0] < 0 or events.t[-1] >= PASSES * MOST_PASSES):
        raise DataError(
            "es: t",
            f"{events.t[0]} to {events.t[-1]}",
            f"0 to {PASSES * MOST_PASSES}",
            "times that begin at 0",
        )
    file.write(HEADER.pack(MAGIC, 2, 0, 0, DVS, events.width, events.height))
    before = 0
    for at in range(0, len(events), PIECE):
        piece = events[at : at + PIECE]
        file.write(_stream(piece, before).tobytes())
        before = int(piece.t[-1])


def _stream(events: Events, before: int) -> np.ndarray:
    """The bytes of these events; the one before them was at `before`."""
    passes, rest = np.divmod(np.diff(events.t, prepend=before), PASSES)
    begin = np.cumsum(passes + 5) - 5
    out = np.full(int(begin[-1]) + 5, 0xFF, np.uint8)
    columns = (rest << 1 | events.p, events.x & 0xFF, events.x >> 8, events.y & 0xFF, events.y >> 8)
    for offset, column in enumerate(columns):
        out[begin + offset] = column
    return out


FORMAT = Format("es", "Event Stream 2 (.es)", (".es",), recognise, open_recording, write)
