"""Prophesee EVT 3.0 RAW: a header in text, then words of 16 bits, each of which changes one thing or is an
event.

Source: docs.prophesee.ai, "EVT 3.0 Format"; the layout of the words stands in ``src/events/evt3.hpp``.
"""

from __future__ import annotations

from dataclasses import dataclass
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

ADDR_Y, ADDR_X, BASE_X, VECT_12, VECT_8, TIME_LOW, TIME_HIGH = (
    kind << 12 for kind in (0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x8)
)
COLUMNS = 32  # of the three vector words that sensors send together, and the maker's reader wants together
WORTH = 5  # events from which on they are shorter than single ones


def recognise(head: Head) -> bool:
    """The header names the encoding."""
    return evt.text_header(head.start).encoding == "EVT3"


def open_recording(path: Path, options: Options) -> Recording:
    """The recording; a file without a header is one of words alone."""
    header, text = evt.raw_header(path, "evt3")
    return DecodedRecording(path, header, options, _decode.evt3, text.size)


def write(file: BinaryIO, events: Events) -> None:
    """Write a RAW file; rows of many events become vectors.

    Raises
    ------
    DataError
        Where a time is negative, a pixel outside 2048 x 2048, or a span without events too long.
    """
    evt.check_limits("evt3", events, evt.SIDE)
    before: Before | None = None
    file.write(evt.header_text("evt3", events))
    for piece in evt.pieces(events):
        items = _items(piece)
        evt.save(file, _words(items, before))
        before = Before(int(items.t[-1]), int(items.y[-1]))


@dataclass(frozen=True)
class Before:
    """What a reader knows from the words before: the last time and row."""

    t: int
    y: int


@dataclass(frozen=True)
class Items:
    """What is written one after the other: single events, and vectors of 32 columns.

    Parameters
    ----------
    t, y : of the item.
    base : the word that tells x and polarity.
    columns : one bit for each column; 0 for a single event.
    follows : whether it is a vector right behind the one before it, so that x need not be told again.
    """

    t: Array
    y: Array
    base: Array
    columns: Array
    follows: Array


def _items(events: Events) -> Items:
    t, x, y, p = (column.astype(np.int64) for column in (events.t, events.x, events.y, events.p))
    # a run: one time, row and polarity, x growing; its windows of 32 columns are counted from its first x
    in_run = (np.diff(t) == 0) & (np.diff(y) == 0) & (np.diff(p) == 0) & (np.diff(x) > 0)
    new_run = np.append(True, ~in_run)
    run = np.cumsum(new_run) - 1
    offset = x - x[new_run][run]
    window = offset // COLUMNS
    new_window = new_run | (np.diff(window, prepend=-1) != 0)
    size = np.diff(np.append(np.flatnonzero(new_window), len(x)))
    is_vector = np.repeat(size >= WORTH, size)
    first = np.flatnonzero(new_window | ~is_vector)
    vector = is_vector[first]
    columns = np.bitwise_or.reduceat(np.int64(1) << (offset % COLUMNS), first) * vector
    start = np.where(vector, x[first] - offset[first] % COLUMNS, x[first])
    follows = vector & np.append(
        False, vector[:-1] & (np.diff(run[first]) == 0) & (np.diff(window[first]) == 1)
    )
    base = np.where(vector, BASE_X, ADDR_X) | p[first] << 11 | start
    return Items(t[first], y[first], base, columns, follows)


def _words(items: Items, before: Before | None) -> Array:
    high = items.t >> 12
    time = evt.time_words("evt3", high, None if before is None else before.t >> 12, 12)
    low = np.diff(items.t, prepend=-1 if before is None else before.t) != 0
    row = np.diff(items.y, prepend=-1 if before is None else before.y) != 0
    told, vector = ~items.follows, items.columns != 0
    counts = time.counts + low + row + told + 3 * vector
    words = np.empty(int(counts.sum()), np.uint16)
    at = np.cumsum(counts) - counts
    at = evt.place(words, at, time.counts, TIME_HIGH | time.values)
    at = evt.place(words, at, low.astype(int), TIME_LOW | items.t[low] & 0xFFF)
    at = evt.place(words, at, row.astype(int), ADDR_Y | items.y[row])
    at = evt.place(words, at, told.astype(int), items.base[told])[vector]
    columns = items.columns[vector]
    words[at] = VECT_12 | columns & 0xFFF
    words[at + 1] = VECT_12 | columns >> 12 & 0xFFF
    words[at + 2] = VECT_8 | columns >> 24
    return words


FORMAT = Format("evt3", "Prophesee EVT 3.0 RAW", (".raw",), recognise, open_recording, write)
