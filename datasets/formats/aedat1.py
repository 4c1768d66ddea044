"""AEDAT 1.0, as jAER wrote it until 2008: text, then pairs of a 16-bit address and a 32-bit time, big-endian.

An address is one of a DVS128 (then called Tmpdiff128) as in AEDAT 2.0: x in bits 1 to 7, y in bits 8 to 14,
on where bit 0 is 0; where bit 15 is set it is no pixel event. The header names no camera, so that this one is
assumed and told; a file whose addresses can be no picture of it (a silicon cochlea's) is refused.

Source: docs.inivation.com, "AEDAT 1.0"; class Tmpdiff128 of jAER.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import spikeflow.datasets._decode as _decode
from spikeflow.datasets.formats import cameras
from spikeflow.datasets.formats.aedat_header import checked_version, read_header
from spikeflow.datasets.formats.decoded import DecodedRecording
from spikeflow.datasets.formats.format import Format, Head
from spikeflow.datasets.recording import Header, Options, Recording

RECORD = np.dtype([("address", ">u2"), ("t", ">u4")])


def recognise(head: Head) -> bool:
    """By the first line."""
    return head.start.startswith(b"#!AER-DAT1.")


def open_recording(path: Path, options: Options) -> Recording:
    """The recording.

    Raises
    ------
    FileError
        Where the version is not 1.0, or neither header nor user names a camera and addresses are none of a
        DVS128.
    """
    text = read_header(path)
    checked_version(path, text, ("1.0",))
    asked = cameras.Asked(path, text, RECORD, (options.width, options.height))
    camera, told = cameras.of_aedat(asked)
    header = Header("aedat1", camera.width, camera.height, text.fields)
    recording = DecodedRecording(path, header, options, _decode.aedat1_dvs128, text.begin)
    recording.tell(*told)
    return recording


FORMAT = Format("aedat1", "AEDAT 1.0 (jAER before 2008)", (".dat", ".aedat"), recognise, open_recording)
