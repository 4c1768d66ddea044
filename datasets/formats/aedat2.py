"""AEDAT 2.0 and 2.1, as jAER writes them: text, then pairs of a 32-bit address and a 32-bit time, big-endian.

What the bits of an address mean depends on the camera, which the header names (``# AEChip:``). A DVS128 (also
CIFAR10-DVS) has x in bits 1 to 7, y in bits 8 to 14, and is on where bit 0 is 0; `tonic.io.read_dvs_128`
takes x and y the other way round and on where bit 0 is 1. A DAVIS has x in bits 12 to 21, y in bits 22 to 30,
and is on where bit 11 is 1; its frames, inertial samples and external inputs are left out and counted.
Nothing is flipped. Times are unsigned microseconds; a turn of their 32 bits goes on above them.

Source: docs.inivation.com, "AEDAT 2.0"; classes DVS128 and DavisChip of jAER.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

import spikeflow.datasets._decode as _decode
from spikeflow.datasets.formats import cameras
from spikeflow.datasets.formats.aedat_header import checked_version, read_header
from spikeflow.datasets.formats.decoded import DecodedRecording
from spikeflow.datasets.formats.format import Format, Head
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.errors import DataError
from spikeflow.events import Events

RECORD = np.dtype([("address", ">u4"), ("t", ">u4")])
PIECE = 1 << 17  # records looked at or written at a time


def recognise(head: Head) -> bool:
    """By the first line."""
    return head.start.startswith((b"#!AER-DAT2.0", b"#!AER-DAT2.1"))


def open_recording(path: Path, options: Options) -> Recording:
    """The recording.

    Raises
    ------
    FileError
        Where the version is another, or the camera is not known: neither the header nor the user says it, and
        addresses are not those of a DVS128, which is else assumed and told.
    """
    text = read_header(path)
    checked_version(path, text, ("2.0", "2.1"))
    camera, told = cameras.of_aedat(cameras.Asked(path, text, RECORD, (options.width, options.height)))
    header = Header("aedat2", camera.width, camera.height, text.fields)
    make = _decode.aedat2_davis if camera.is_davis else _decode.aedat2_dvs128
    recording = DecodedRecording(path, header, options, make, text.begin)
    recording.tell(*told)
    return recording


def write(file: BinaryIO, events: Events) -> None:
    """Write events of a DVS128 or a DAVIS; the sensor's size tells which.

    Raises
    ------
    DataError
        Where no camera has a sensor of this size, or a time needs more than 32 bits.
    """
    camera = cameras.by_size(events.width, events.height)
    if camera is None:
        raise DataError("aedat2: the sensor", f"{events.width}x{events.height}", f"one of {cameras.SIZES}")
    if len(events) and (events.t[0] < 0 or events.t[-1] >= 1 << 32):
        raise DataError(
            "aedat2: t", f"{events.t[0]} to {events.t[-1]}", f"0 to {(1 << 32) - 1}", "--format aedat4"
        )
    if len(events) and events.y.max() >= 512:
        raise DataError("aedat2: y", int(events.y.max()), "0 to 511", "--format aedat4")
    lines = ("#!AER-DAT2.0", "# Timestamps tick is 1 us", f"# AEChip: {camera.chip}", "#End Of ASCII Header")
    file.write("".join(f"{line}\r\n" for line in lines).encode())
    for at in range(0, len(events), PIECE):
        file.write(_records(events[at : at + PIECE], camera).tobytes())


def _records(events: Events, camera: cameras.Camera) -> np.ndarray:
    x, y, p = (column.astype(np.uint32) for column in (events.x, events.y, events.p))
    records = np.empty(len(events), RECORD)
    records["address"] = x << 12 | y << 22 | p << 11 if camera.is_davis else x << 1 | y << 8 | 1 - p
    records["t"] = events.t
    return records


FORMAT = Format("aedat2", "AEDAT 2.0 (jAER)", (".aedat", ".aedat2"), recognise, open_recording, write)
