"""The 40-bit events of N-MNIST, N-Caltech101, and their like: no header, 5 bytes an event.

Each is x, y, then a big-endian word of 24 bits: polarity, and 23 bits of time in microseconds. The reader
that came with N-MNIST, and `tonic.io.read_mnist_file` after it, take an event of row 240 for a mark that
times from there on are 2^13 microseconds later, and leave it out. Here it is an event like any other, its
time as the file holds it: the 23 bits do not go round after 2^13, and none of these data sets has such a row.

Source: Orchard et al. 2015, "Converting static image datasets to spiking neuromorphic datasets using
saccades".
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

import spikeflow.datasets._decode as _decode
from spikeflow.datasets.formats.decoded import DecodedRecording
from spikeflow.datasets.formats.format import Format, Head
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.errors import DataError
from spikeflow.events import Events

RECORD = 5
TURN = 1 << 23  # of the time, in microseconds
LOOK = 1000  # events by which a file is recognised
LEAST = 20  # steps of time, in order: by chance one file in a million has them


def _steps(head: Head, events: int) -> int:
    """How often the time goes on among the first events."""
    decoder = _decode.bin5(strict=False)
    decoder.feed(np.frombuffer(head.start[: events * RECORD], np.uint8))
    t = decoder.take()[0]
    return int(np.count_nonzero(t[1:] != t[:-1]))


def recognise(head: Head) -> bool:
    """Whole records, the first of them with times in order; there is no magic word, so the suffix must allow
    it, too.

    What is no file of this layout passes with about one half for each event, so that `LOOK` of them are
    enough.
    """
    if head.suffix not in FORMAT.suffixes or head.size % RECORD:
        return False
    decoder = _decode.bin5(strict=False)
    decoder.feed(np.frombuffer(head.start[: LOOK * RECORD], np.uint8))
    return not decoder.counts["time going backwards"]


def open_recording(path: Path, options: Options) -> Recording:
    """The recording; its sensor is not in the file."""
    recording = DecodedRecording(path, Header("bin5"), options, _decode.bin5)
    recording.assume("no header: events of 5 bytes, times in microseconds, as N-MNIST has them")
    return recording


def unsure(head: Head, recording: Recording) -> str:
    """Few steps of time, in order, may be so by chance."""
    steps = _steps(head, 4 * LEAST)
    if steps < LEAST:
        steps = _steps(head, LOOK)
    few = (
        f"no header, and {steps + 1} different times, too few to tell that these are events of 5 bytes "
        "(assumed)"
    )
    return few if steps < LEAST else ""


def write(file: BinaryIO, events: Events) -> None:
    """Write 40-bit events.

    Raises
    ------
    DataError
        Where a time needs more than 23 bits or a pixel more than 8: the layout cannot hold it.
    """
    for name, limit in (("t", TURN), ("x", 256), ("y", 256)):
        column = getattr(events, name)
        if column.size and (column.min() < 0 or column.max() >= limit):
            raise DataError(
                f"bin5: {name}", f"{column.min()} to {column.max()}", f"0 to {limit - 1}", "--format npz"
            )
    records = np.empty((len(events), RECORD), np.uint8)
    records[:, 0], records[:, 1] = events.x, events.y
    records[:, 2] = (events.t >> 16).astype(np.uint8) | (events.p << 7)
    records[:, 3], records[:, 4] = (events.t >> 8) & 0xFF, events.t & 0xFF
    file.write(records.tobytes())


FORMAT = Format(
    "bin5",
    "40-bit events (N-MNIST .bin)",
    (".bin", ".bs2"),
    recognise,
    open_recording,
    write,
    sensor=False,
    unsure=unsure,
)
