"""Prophesee EVT 2.1 RAW: a header in text, then words of 64 bits, up to 32 events of one row each.

The IMX636 sends the halves of each word the other way round; its header says ``endianness=legacy``.

Source: docs.prophesee.ai, "EVT 2.1 Format"; the layout of the words stands in ``src/events/evt21.hpp``.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

import spikeflow.datasets._decode as _decode
from spikeflow.datasets.formats import evt
from spikeflow.datasets.formats.decoded import DecodedRecording
from spikeflow.datasets.formats.evt import Array
from spikeflow.datasets.formats.format import Format, Head
from spikeflow.datasets.recording import Options, Recording
from spikeflow.events import Events

TIME_HIGH = 0x8
KINDS = (0x0, 0x1, TIME_HIGH, 0xA, 0xE, 0xF)


def recognise(head: Head) -> bool:
    """The header names the encoding."""
    return evt.text_header(head.start).encoding == "EVT21"


def open_recording(path: Path, options: Options) -> Recording:
    """The recording; a file without a header is one of words alone."""
    header, text = evt.raw_header(path, "evt21")
    said, legacy = _said(text), _is_legacy(path, text)
    recording = DecodedRecording(
        path, header, options, _decode.evt21_legacy if legacy else _decode.evt21, text.size
    )
    if said is None and legacy:
        recording.tell(
            f"{path}: no byte order is named: halves of words are taken as swapped (legacy), as only so "
            "they fit"
        )
    return recording


def _said(text: evt.TextHeader) -> str | None:
    return text.options.get("endianness", text.fields.get("endianness"))


def _is_legacy(path: Path, text: evt.TextHeader) -> bool:
    """As the header says.

    Old headers name only the version. Then the halves are swapped where only so all first words are of a
    known kind and a time is among them.
    """
    said = _said(text)
    if said is not None or "format" in text.fields:
        return said == "legacy"
    start = evt.read_start(path)[text.size :]
    halves = np.frombuffer(start[: len(start) // 8 * 8], "<u4").reshape(-1, 2) >> 28
    fits = np.isin(halves, KINDS).all(axis=0) & (halves == TIME_HIGH).any(axis=0)
    return bool(fits[0] and not fits[1])


def write(file: BinaryIO, events: Events) -> None:
    """Write a RAW file, of whole little-endian words.

    Raises
    ------
    DataError
        Where a time is negative, a pixel outside 2048 x 2048, or a span without events too long.
    """
    evt.check_limits("evt21", events, evt.SIDE)
    before: int | None = None
    file.write(evt.header_text("evt21", events))
    for piece in evt.pieces(events):
        evt.save(file, _words(piece, before))
        before = int(piece.t[-1]) >> 6


def _words(events: Events, before: int | None) -> Array:
    """One word for all that follow each other in a row of 32 aligned columns, from left to right."""
    t, x, y, p = (column.astype(np.int64) for column in (events.t, events.x, events.y, events.p))
    same = (
        (np.diff(t) == 0) & (np.diff(y) == 0) & (np.diff(p) == 0) & (np.diff(x) > 0) & (np.diff(x >> 5) == 0)
    )
    first = np.flatnonzero(np.append(True, ~same))
    columns = np.bitwise_or.reduceat(np.int64(1) << (x & 31), first).astype(np.uint64)
    t, x, y, p = t[first], x[first] & ~31, y[first], p[first]
    time = evt.time_words("evt21", t >> 6, before, 28)
    words = np.empty(len(first) + len(time.values), np.uint64)
    at = np.arange(len(first)) + np.cumsum(time.counts)
    evt.place(words, at - time.counts, time.counts, (TIME_HIGH << 28 | time.values).astype(np.uint64) << 32)
    words[at] = (p << 28 | (t & 63) << 22 | x << 11 | y).astype(np.uint64) << 32 | columns
    return words


FORMAT = Format("evt21", "Prophesee EVT 2.1 RAW", (".raw",), recognise, open_recording, write)
