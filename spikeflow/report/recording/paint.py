"""Frames as coloured cells, the same in a still picture and in a film: one table of colours, one count for
full colour.
"""

from __future__ import annotations

import numpy as np

from spikeflow.report.recording.frames import Frames
from spikeflow.typing import Array

ON, OFF, PAPER, INK, LINE = "#0f6b75", "#b3541e", "#ffffff", "#1c2430", "#d8dce1"
SHADES = 8  # of each sign, none among them
INK_INDEX, LINE_INDEX = SHADES * SHADES, SHADES * SHADES + 1
FAINTEST = 0.45  # share of the full colour that a single event has
FULL = 0.97  # of the cells that saw an event have less than the full colour


def rgb(colour: str) -> Array:
    """``#0f6b75`` as three bytes."""
    return np.frombuffer(bytes.fromhex(colour[1:]), np.uint8)


def palette() -> Array:
    """Colours, uint8 ``(SHADES * SHADES + 2, 3)``: that of shade ``on * SHADES + off``, then ink, then
    lines.
    """
    share = np.arange(SHADES) / (SHADES - 1)
    on, off = np.meshgrid(share, share, indexing="ij")
    # how strong the colour is tells how many events there were, its hue how many of them were on
    hue = (on / np.maximum(on + off, 1 / SHADES))[..., None]
    strength = np.where(on + off, FAINTEST + (1 - FAINTEST) * np.minimum(1, on + off), 0)[..., None]
    shades = rgb(PAPER) + strength * (hue * rgb(ON) + (1 - hue) * rgb(OFF) - rgb(PAPER))
    return np.concatenate([shades.reshape(-1, 3).round().astype(np.uint8), [rgb(INK), rgb(LINE)]])


def shaded(counts: Array, most: int) -> Array:
    """Places in the palette, uint8 ``(height, width)``, of counts ``(2, height, width)``, off then on."""
    shade = np.ceil(np.minimum(counts, most) * ((SHADES - 1) / most)).astype(np.uint8)
    return shade[1] * SHADES + shade[0]


def full_count(frames: Frames, steps: int, shrunk: int = 1) -> int:
    """The count that gets the full colour, from a dozen windows spread over the recording."""
    found = [np.zeros(0, np.int64)]
    for step in range(0, frames.steps, max(1, frames.steps // 12)):
        counts = frames.dense(step, steps, shrunk)
        found.append(counts.sum(0)[counts.any(0)])
    seen = np.sort(np.concatenate(found))
    return max(1, int(seen[min(len(seen) - 1, int(len(seen) * FULL))])) if len(seen) else 1
