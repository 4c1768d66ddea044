"""Prophesee EVT 2.0 RAW: a header in text, then words of 32 bits, an event each.

Source: docs.prophesee.ai, "EVT 2.0 Format"; the layout of the words stands in ``src/events/evt2.hpp``.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

import spikeflow.datasets._decode as _decode
from spikeflow.datasets.formats import evt
from spikeflow.datasets.formats.decoded import DecodedRecording
from spikeflow.datasets.formats.format import Format, Head
from spikeflow.datasets.recording import Options, Recording
from spikeflow.events import Events

TIME_HIGH = 0x8 << 28


def recognise(head: Head) -> bool:
    """The header names the encoding."""
    return evt.text_header(head.start).encoding == "EVT2"


def open_recording(path: Path, options: Options) -> Recording:
    """The recording; a file without a header is one of words alone."""
    header, text = evt.raw_header(path, "evt2")
    return DecodedRecording(path, header, options, _decode.evt2, text.size)


def write(file: BinaryIO, events: Events) -> None:
    """Write a RAW file.

    Raises
    ------
    DataError
        Where a time is negative, a pixel outside 2048 x 2048, or a span without events too long.
    """
    evt.check_limits("evt2", events, evt.SIDE)
    before: int | None = None
    file.write(evt.header_text("evt2", events))
    for piece in evt.pieces(events):
        high = piece.t >> 6
        time = evt.time_words("evt2", high, before, 28)
        before = int(high[-1])
        words = np.empty(len(piece) + len(time.values), np.uint32)
        at = np.arange(len(piece)) + np.cumsum(time.counts)
        evt.place(words, at - time.counts, time.counts, TIME_HIGH | time.values)
        low, x, y, p = (c.astype(np.uint32) for c in (piece.t & 63, piece.x, piece.y, piece.p))
        words[at] = p << 28 | low << 22 | x << 11 | y
        evt.save(file, words)


FORMAT = Format("evt2", "Prophesee EVT 2.0 RAW", (".raw",), recognise, open_recording, write)
