"""AEDAT 2.0, as jAER writes it: text, then pairs of a 32-bit address and a 32-bit time, big-endian.

What the bits of an address mean depends on the camera, which the header names (``# AEChip:``). A DVS128 (also
CIFAR10-DVS) has x in bits 1 to 7, y in bits 8 to 14, and is on where bit 0 is 0; `tonic.io.read_dvs_128` takes x
and y the other way round and on where bit 0 is 1. A DAVIS has x in bits 12 to 21, y in bits 22 to 30, and is on
where bit 11 is 1; its frames, inertial samples and external inputs are left out and counted. Nothing is flipped.
Times are unsigned microseconds; a turn of their 32 bits goes on above them.

Source: docs.inivation.com, "AEDAT 2.0"; classes DVS128 and DavisChip of jAER.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from spikeflow.datasets import _decode
from spikeflow.datasets.decoded import DecodedRecording
from spikeflow.datasets.format import Format, Head
from spikeflow.datasets.formats import cameras
from spikeflow.datasets.formats.aedat_header import TextHeader, read_header
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

RECORD = np.dtype([("address", ">u4"), ("t", ">u4")])
PIECE = 1 << 17  # records looked at or written at a time
HINT = f"width= and height= (--sensor) of one of {cameras.SIZES}"


def recognise(head: Head) -> bool:
    """By the first line; version 1.0 is recognised to be refused."""
    return head.start.startswith((b"#!AER-DAT2.0", b"#!AER-DAT1.0"))


def open_recording(path: Path, options: Options) -> Recording:
    """The recording.

    Raises
    ------
    FileError
        Where the version is not 2.0, or the camera is not known: neither the header nor the user says it, and
        not every address is one of a DVS128.
    """
    text = read_header(path)
    if text.version != "2.0":
        raise FileError(
            path, f"AEDAT {text.version}, whose addresses have 16 bits", "jAER, which saves it as AEDAT 2.0"
        )
    camera = _camera(path, text, options)
    header = Header("aedat2", camera.width, camera.height, text.fields)
    make = _decode.aedat2_davis if camera.is_davis else _decode.aedat2_dvs128
    return DecodedRecording(path, header, options, make, text.begin)


def _camera(path: Path, text: TextHeader, options: Options) -> cameras.Camera:
    chip = text.fields.get("AEChip", "")
    camera = cameras.by_name(chip) or cameras.by_size(options.width, options.height)
    if camera is None and not chip and _all_dvs128(path, text.begin):
        camera = cameras.DVS128
    if camera is None:
        who = (
            f"the camera {chip}, whose addresses are not known here"
            if chip
            else "no word which camera made it"
        )
        raise FileError(path, who, HINT)
    return camera


def _all_dvs128(path: Path, begin: int) -> bool:
    """Whether no address has more than the 15 bits of a DVS128; as a DAVIS' they would all lie in row 0."""
    with open(path, "rb") as file:
        file.seek(begin)
        while (records := np.fromfile(file, RECORD, PIECE)).size:
            if records["address"].max() >> 15:
                return False
    return True


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
