"""Twins of recorded words: three tones that glide, as formants do; the tones are those of the class, their
pitch of the speaker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.datasets.twins.draws import Draws, of_class, of_group
from spikeflow.sound import Sound

TONES = 3
LOUDEST = 0.6


@dataclass(frozen=True)
class Voice:
    """What recordings are like: rate, and of their length mean, relative deviation and limits."""

    rate_hz: int
    duration_s: float
    duration_spread: float
    shortest_s: float
    longest_s: float

    def make(self, name: str, label: int, group: int, draws: Draws) -> Sound:
        """The sound of one word of one speaker, in steps of 1 / 32768."""
        seconds = draws.spread(
            "duration", self.duration_s, self.duration_spread, self.shortest_s, self.longest_s
        )
        count = round(seconds * self.rate_hz)
        word, at = of_class(name, label), np.arange(count) / count
        ends = 0.03 + 0.37 * word.uniform("ends", TONES, 2)  # in shares of the rate; half is the highest tone
        pitch = 1 + 0.05 * of_group(name, group).normal("pitch", 1)[0] + 0.01 * draws.normal("pitch", 1)[0]
        out = np.zeros(count)
        for tone, (first, last) in enumerate(np.clip(ends * pitch, 0.01, 0.48)):
            phase = np.cumsum(first + (last - first) * at) + draws.uniform("phase", TONES)[tone]
            centre = word.uniform("centre", TONES)[tone]
            out += np.exp(-(((at - centre) / 0.35) ** 2)) * np.sin(2 * np.pi * phase)
        out *= LOUDEST * (0.5 + 0.5 * draws.uniform("loud", 1)[0]) / TONES
        out += 0.01 * draws.normal("noise", count)
        return Sound((np.rint(np.clip(out, -1, 1) * 32767) / 32768).astype(np.float32), self.rate_hz)
