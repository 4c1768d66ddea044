"""Twins of spikes of a cochlea: tracks that glide over the channels, as formants do; the tracks are those of
the class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.datasets.twins.draws import Draws, of_class, of_group
from spikeflow.events import Events

TRACKS = 4
NOISE = 0.1
WIDTH = 0.03  # of a track, in shares of all channels


@dataclass(frozen=True)
class CochleaSpikes:
    """What a cochlea's recordings are like: channels, and of length and number of spikes mean and relative
    deviation.
    """

    channels: int
    duration_us: int
    spikes: int
    duration_spread: float = 0.2
    spikes_spread: float = 0.3

    def make(self, name: str, label: int, group: int, draws: Draws) -> Events:
        """The spikes of one word of one speaker: on events with y = 0."""
        duration = draws.spread("duration", self.duration_us, self.duration_spread, 200_000, 1_400_000)
        count = round(
            draws.spread("spikes", self.spikes, self.spikes_spread, self.spikes / 4, self.spikes * 4)
        )
        word = of_class(name, label)
        ends = 0.1 + 0.8 * word.uniform("ends", TRACKS, 2)  # channel at which a track begins and ends
        span = np.sort(word.uniform("span", TRACKS, 2), axis=1) * [0.6, 1] + [0, 0.1]
        track = (draws.uniform("track", count) * TRACKS).astype(int)
        along = draws.uniform("along", count)
        t = span[track, 0] + along * (span[track, 1] - span[track, 0])
        channel = ends[track, 0] + along * (ends[track, 1] - ends[track, 0])
        channel += 0.03 * of_group(name, group).normal("voice", 1) + 0.01 * draws.normal("shift", 1)
        channel += WIDTH * draws.normal("width", count)
        anywhere = draws.uniform("noise", count) < NOISE
        channel = np.where(anywhere, draws.uniform("noise channel", count), channel)
        t = np.where(anywhere, draws.uniform("noise t", count), t)
        x = np.clip(channel * self.channels, 0, self.channels - 1).astype(np.uint16)
        t_us = (np.clip(t, 0, 1) * duration).astype(np.int64)
        return Events.sorted(
            t_us, x, np.zeros_like(x), np.ones(count, np.uint8), width=self.channels, height=1
        )
