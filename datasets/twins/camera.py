"""Twins of event cameras: a figure of blobs moves in a direction; place, figure and direction are those of
the class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.datasets.twins.draws import Draws, of_class
from spikeflow.events import Events
from spikeflow.typing import Array

BLOBS = 5
NOISE = 0.1  # share of the events that lie anywhere
ON_AHEAD = 0.85  # probability that an event on the leading side of a blob is on


@dataclass(frozen=True)
class Camera:
    """What a camera's recordings are like.

    Parameters
    ----------
    width, height : of the sensor, or the largest where `narrowest` lets them differ.
    duration_us, duration_spread : mean, and deviation over mean, of a sample's length.
    events, events_spread : the same of its number of events.
    narrowest : smallest share of width and height that a sample has; 1 where all are alike.
    """

    width: int
    height: int
    duration_us: int
    events: int
    duration_spread: float = 0.0
    events_spread: float = 0.3
    narrowest: float = 1.0

    def make(self, name: str, label: int, draws: Draws) -> Events:
        """The events of one sample."""
        width, height = self.size(draws)
        duration = draws.spread("duration", self.duration_us, self.duration_spread, 1000, 8.3e6)
        count = round(
            draws.spread("events", self.events, self.events_spread, self.events / 4, self.events * 4)
        )
        t = np.sort(draws.uniform("t", count))
        x, y, p = _moving(t, figure(name, label), draws)
        anywhere = draws.uniform("noise", count) < NOISE
        x = np.where(anywhere, draws.uniform("noise x", count), x)
        y = np.where(anywhere, draws.uniform("noise y", count), y)
        known = (width, height) if self.narrowest == 1 else (None, None)
        return Events(
            (t * duration).astype(np.int64), _pixels(x, width), _pixels(y, height), p.astype(np.uint8), *known
        )

    def size(self, draws: Draws) -> tuple[int, int]:
        """Width and height of a sample."""
        share = self.narrowest + (1 - self.narrowest) * draws.uniform("size", 2)
        return max(int(self.width * share[0]), 2), max(int(self.height * share[1]), 2)


def _pixels(share: Array, size: int) -> Array:
    return np.clip(share * size, 0, size - 1).astype(np.uint16)


@dataclass(frozen=True, eq=False)
class Figure:
    """Blobs of one class: centres ``(BLOBS, 2)`` and path ``(2,)``, in shares of the sensor."""

    centres: Array
    path: Array


def figure(name: str, label: int) -> Figure:
    """The figure of a class."""
    draws = of_class(name, label)
    angle, length = 2 * np.pi * draws.uniform("angle", 1)[0], 0.1 + 0.2 * draws.uniform("length", 1)[0]
    return Figure(
        0.15 + 0.7 * draws.uniform("centres", BLOBS, 2), length * np.array([np.cos(angle), np.sin(angle)])
    )


def _moving(t: Array, figure: Figure, draws: Draws) -> tuple[Array, Array, Array]:
    """x and y in shares of the sensor and polarity of events at the times t from 0 to 1."""
    blob = (draws.uniform("blob", t.size) * BLOBS).astype(int)
    offset = 0.035 * draws.normal("offset", t.size, 2)
    place = figure.centres[blob] + 0.03 * draws.normal("shift", 2) + (t - 0.5)[:, None] * figure.path + offset
    ahead = offset @ figure.path > 0
    agrees = draws.uniform("polarity", t.size) < ON_AHEAD
    return place[:, 0], place[:, 1], ahead == agrees
