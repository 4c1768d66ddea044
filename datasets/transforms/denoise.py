"""Noise left out: background activity, refractory pixels, and sums that have to reach a threshold.

Each filter is one pass in the order of the recording, with one number of memory for each pixel; compiled.
`pieces` filters a recording of any length piece by piece, with the same result as the whole at once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

import spikeflow.datasets._decode as _decode
from spikeflow.datasets.transforms.sensor import Sensor, sensor_of
from spikeflow.datasets.transforms.transform import EventTransform
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array

NEVER = np.iinfo(np.int64).min


class PixelFilter(EventTransform):
    """Keeps some of the events, by what their pixels remember of earlier ones.

    Raises
    ------
    DataError
        When called, where the size of the sensor is unknown.
    """

    @abstractmethod
    def memory(self, sensor: Sensor) -> Array:
        """What the pixels remember before the first event; int64, ``(height + 2, width + 2)``, with a
        border.
        """

    @abstractmethod
    def kept(self, events: Events, memory: Array) -> Array:
        """Which events are kept, bool, ``(events,)``; what the pixels remember is brought up to date."""

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return events[self.kept(events, self.memory(sensor_of(events, type(self).__name__)))]

    def pieces(self, pieces: Iterable[Events]) -> Iterator[Events]:
        """The same for a recording in pieces, in order: ``filter.pieces(recording.pieces())``."""
        memory = None
        for piece in pieces:
            if memory is None:
                memory = self.memory(sensor_of(piece, type(self).__name__))
            yield piece[self.kept(piece, memory)]


@dataclass(frozen=True)
class BackgroundActivity(PixelFilter):
    """Keeps an event if one of the 8 pixels around it had an event less than `window_us` before, of any
    polarity.

    "Before" is in the order of the recording, so events of the same time count. Every event is remembered,
    kept or not.

    Source: Delbruck 2008, "Frame-free dynamic digital vision", Proc. Int. Symp. Secure-Life Electronics,
    pages 21-26.

    Parameters
    ----------
    window_us : how old the neighbour's event may be.
    itself : an event of the pixel itself counts, too.
    """

    window_us: int
    itself: bool = False

    def __post_init__(self) -> None:
        _check_time("background activity: window", self.window_us)

    def memory(self, sensor: Sensor) -> Array:
        """No event so far."""
        return _memory(sensor, NEVER)

    def kept(self, events: Events, memory: Array) -> Array:
        """Those with a neighbour."""
        keep = _decode.background_activity(
            events.t, events.x, events.y, events.p, memory, self.window_us, self.itself
        )
        return keep.view(bool)


@dataclass(frozen=True)
class Refractory(PixelFilter):
    """Keeps an event if the last kept event of its pixel, of any polarity, is at least `period_us` ago."""

    period_us: int

    def __post_init__(self) -> None:
        _check_time("refractory filter: period", self.period_us)

    def memory(self, sensor: Sensor) -> Array:
        """No event so far."""
        return _memory(sensor, NEVER)

    def kept(self, events: Events, memory: Array) -> Array:
        """Those after the period."""
        keep = _decode.refractory(events.t, events.x, events.y, events.p, memory, self.period_us)
        return keep.view(bool)


@dataclass(frozen=True)
class Integrate(PixelFilter):
    """Each pixel adds up its events, +1 for on and -1 for off, and lets the event through that brings the sum
    to `threshold` or `-threshold`; then it starts from 0 again. After `SpatialDownsample`, blocks of pixels
    integrate.

    `Decimate` adds up each polarity alone, and so has a form for counts.

    Source: Gruel, Martinet, Serrano-Gotarredona, Linares-Barranco 2022, "Event Data Downscaling for Embedded
    Computer Vision" (of which this is the idea of a threshold on the log-luminance, counted in events).
    """

    threshold: int

    def __post_init__(self) -> None:
        _check_time("integration: threshold", self.threshold)

    def memory(self, sensor: Sensor) -> Array:
        """All sums 0."""
        return _memory(sensor, 0)

    def kept(self, events: Events, memory: Array) -> Array:
        """Those that reach the threshold."""
        keep = _decode.integrate(events.t, events.x, events.y, events.p, memory, self.threshold)
        return keep.view(bool)


def _memory(sensor: Sensor, value: int) -> Array:
    return np.full((sensor.height + 2, sensor.width + 2), value, np.int64)


def _check_time(who: str, value: int) -> None:
    if value != int(value) or not 1 <= value < 2**62:
        raise DataError(who, value, "a whole number from 1")
