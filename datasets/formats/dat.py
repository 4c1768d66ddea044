"""Prophesee DAT: a header in text, two bytes for kind and size of an event, then events of 8 bytes.

Before version 2, x, y and polarity have fewer bits; a header that tells no version is of such a file, unless
its events have bits that only version 2 has.

Source: docs.prophesee.ai, "DAT File Format"; for older files the makers' reader ``load_atis_data.m``.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

import spikeflow.datasets._decode as _decode
from spikeflow.datasets.formats import evt
from spikeflow.datasets.formats.decoded import DecodedRecording
from spikeflow.datasets.formats.evt import TextHeader
from spikeflow.datasets.formats.format import Format, Head
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

RECORD = 8
SIDE = {1: 512, 2: 1 << 14}  # the largest sensor of each version
KINDS = {0: "2D events", 12: "contrast events"}
OLD_BITS = 18  # that the second word of an event uses before version 2
TRIGGER = 14
TIMES = 1 << 32


def recognise(head: Head) -> bool:
    """The header speaks of a data file or its version and of no encoding, or the suffix allows what two bytes
    say.
    """
    text = evt.text_header(head.start)
    if not text.fields or "evt" in text.fields or "format" in text.fields:
        return False
    if "Version" in text.fields or text.fields.get("Data", "").startswith("file containing"):
        return True
    kind_and_size = head.start[text.size : text.size + 2]
    return head.suffix in FORMAT.suffixes and len(kind_and_size) == 2 and kind_and_size[1] == RECORD


def open_recording(path: Path, options: Options) -> Recording:
    """The recording; a file without any header is one of events alone.

    Raises
    ------
    FileError
        Where the events are of another kind, size or version, or the header says a sensor that there cannot
        be.
    """
    start = evt.read_start(path)
    text = evt.text_header(start)
    start, begin = start[text.size :], text.size
    if text.fields:
        _check_kind(path, start[:2])
        start, begin = start[2:], begin + 2
    version = _version(path, text, start)
    width, height = (_side(path, text, name, SIDE[version]) for name in ("Width", "Height"))
    decoder = _decode.dat if version == 2 else _decode.dat1
    recording = DecodedRecording(path, Header("dat", width, height, text.fields), options, decoder, begin)
    if "Version" not in text.fields:
        recording.assume(
            f"no version of DAT is named: taken as version {version}, as the bits of its events are"
        )
    return recording


def _check_kind(path: Path, kind_and_size: bytes) -> None:
    if len(kind_and_size) < 2:
        raise FileError(path, "the file ends within its header")
    kind, size = kind_and_size
    if kind == TRIGGER:
        raise FileError(path, "external triggers, no pixel events")
    if kind not in KINDS or size != RECORD:
        kinds = ", ".join(f"{number} ({name})" for number, name in KINDS.items())
        raise FileError(
            path, f"events of kind {kind} and {size} bytes; known are the kinds {kinds} of {RECORD} bytes"
        )


def unsure(head: Head, recording: Recording) -> str:
    """Without a word on the version, the bits that events use tell it."""
    return "; ".join(recording.assumed)


def _version(path: Path, text: TextHeader, start: bytes) -> int:
    said = text.fields.get("Version")
    if said is not None:
        if said not in ("0", "1", "2"):
            raise FileError(path, f"DAT version {said!r}; known are 1 and 2")
        return 2 if said == "2" else 1
    second = np.frombuffer(start[: len(start) // RECORD * RECORD], "<u4")[1::2]
    return 2 if (second >> OLD_BITS).any() else 1


def _side(path: Path, text: TextHeader, name: str, most: int) -> int | None:
    value = text.fields.get(name)
    return None if value is None else evt.side(path, name.lower(), value, most)


def write(file: BinaryIO, events: Events) -> None:
    """Write a file of version 2.

    Raises
    ------
    DataError
        Where a time is negative, a pixel outside 16384 x 16384, or a span without events longer than 35
        minutes.
    """
    evt.check_limits("dat", events, SIDE[2])
    # a reader takes for each time the nearest of its possible meanings, the first one from 0 to 2^32
    if len(events) and (int(events.t[0]) >= TIMES or int(np.diff(events.t).max(initial=0)) >= TIMES // 2):
        raise DataError(
            "dat: t", "a span that 32 bits cannot tell", "shorter ones", "times shifted to begin at 0"
        )
    sides = [f"Width {events.width}"] * (events.width is not None) + [f"Height {events.height}"] * (
        events.height is not None
    )
    lines = ("Data file containing CD events", "Version 2", *sides)
    file.write("".join(f"% {line}\n" for line in lines).encode() + bytes((12, RECORD)))
    for piece in evt.pieces(events):
        words = np.empty((len(piece), 2), np.uint32)
        words[:, 0] = piece.t & (TIMES - 1)
        words[:, 1] = piece.x | piece.y.astype(np.uint32) << 14 | piece.p.astype(np.uint32) << 28
        evt.save(file, words)


FORMAT = Format("dat", "Prophesee DAT", (".dat",), recognise, open_recording, write, unsure=unsure)
