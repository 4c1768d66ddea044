"""Damaged files through the front door: events or one of our errors, never anything else.

The decoders alone are fuzzed with sanitizers in C++ (``src/events/fuzz.cpp``); here are headers and recognition, too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import open_recording, read, write
from spikeflow.datasets.formats import FORMATS
from spikeflow.errors import SpikeflowError
from spikeflow.events import Events

WRITABLE = [
    format
    for format in FORMATS
    if format.write is not None and format.open.__module__.startswith("spikeflow")
]
ROUNDS = 60


def _damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Bytes changed, cut out, repeated, put in, or the end cut off."""
    out = bytearray(content)
    for _ in range(int(random.integers(1, 5))):
        # half of the time near the beginning, where headers are
        at = int(random.integers(0, min(len(out), 200) if random.random() < 0.5 else len(out))) if out else 0
        length = int(random.choice([1, 2, 4, 16, 100]))
        action = random.integers(0, 5)
        if action == 0 and out:
            out[at] = int(random.choice([0, 1, 0x7F, 0x80, 0xFF, random.integers(0, 256)]))
        elif action == 1:
            del out[at : at + length]
        elif action == 2:
            out[at:at] = out[at : at + length]
        elif action == 3:
            out[at:at] = random.bytes(length)
        else:
            del out[at + length :]
    return bytes(out)


@pytest.mark.parametrize("format", [format.name for format in WRITABLE])
def test_damaged_files(tmp_path: Path, format: str) -> None:
    n = 60
    t = np.cumsum(np.arange(n) % 3)
    good = Events(t, t % 30, t % 20, t % 2, 128, 128)
    suffix = next(known for known in WRITABLE if known.name == format).suffixes[0]
    write(path := tmp_path / f"a{suffix}", good, format)
    content, random = path.read_bytes(), np.random.default_rng(len(format))
    for _ in range(ROUNDS):
        path.write_bytes(_damaged(content, random))
        for options in ({}, {"strict": False}, {"width": 128, "height": 128, "strict": False}):
            for name in (None, format):
                try:
                    events = read(path, name, **options)
                    with open_recording(path, name, **options) as recording:
                        parts = list(recording.pieces(7))
                except SpikeflowError:
                    continue
                assert sum(map(len, parts)) == len(events)
