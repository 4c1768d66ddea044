"""Events left out at random: single ones, a stretch of time, a rectangle, or some pixels.

Source: Gu, Sng, Hu, Yu 2021, "EventDrop: Data Augmentation for Event-based Learning", IJCAI.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.datasets.transforms.draw import below, check_chance, numbers
from spikeflow.datasets.transforms.sensor import Sensor, checked_frames, sensor_of, sensor_of_frames
from spikeflow.datasets.transforms.slice import whole_steps
from spikeflow.datasets.transforms.transform import EventTransform
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array


@dataclass(frozen=True)
class DropEvents(EventTransform):
    """Each event is left out with probability p, independently."""

    p: float
    seed: int = 0

    def __post_init__(self) -> None:
        check_chance("drop events", self.p)

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return events[numbers(self, draw, len(events)) >= self.p]


@dataclass(frozen=True)
class DropTime(EventTransform):
    """All events of one stretch are left out: `share` of the recording's time, anywhere in it.

    Parameters
    ----------
    share : of the time from the first event to the last.
    grid_us : the stretch begins and ends at multiples of this.
    seed : of its place.
    """

    share: float
    grid_us: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_chance("drop time: share instead of", self.share)
        if self.grid_us < 1:
            raise DataError("drop time: grid", f"{self.grid_us} us", "at least 1 us")

    def __call__(self, events: Events, draw: int = 0) -> Events:
        if not len(events):
            return events
        start, stop = self._stretch(int(events.t[0]) // self.grid_us, int(events.t[-1]) // self.grid_us, draw)
        first, last = np.searchsorted(events.t, [start * self.grid_us, stop * self.grid_us])
        keep = np.ones(len(events), bool)
        keep[first:last] = False
        return events[keep]

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts ``(T, P, H, W)`` in steps of `dt_us` from 0.

        Raises
        ------
        DataError
            Where the grid is no whole number of steps.
        """
        frames = checked_frames(frames, "drop time")
        steps = whole_steps("drop time: grid", self.grid_us, dt_us)
        active = np.flatnonzero(frames.any(axis=(1, 2, 3)))
        if not active.size:
            return frames
        start, stop = self._stretch(int(active[0]) // steps, int(active[-1]) // steps, draw)
        frames = frames.copy()
        frames[start * steps : stop * steps] = 0
        return frames

    def _stretch(self, first: int, last: int, draw: int) -> tuple[int, int]:
        cells = last - first + 1
        length = min(int(self.share * cells + 0.5), cells)
        start = first + below(numbers(self, draw, 1)[0], cells - length + 1)
        return start, start + length


@dataclass(frozen=True)
class DropArea(EventTransform):
    """All events of one rectangle are left out; its sides are `share` of the sensor's, it lies anywhere on
    it.
    """

    share: float
    seed: int = 0

    def __post_init__(self) -> None:
        check_chance("drop area: share instead of", self.share)

    def __call__(self, events: Events, draw: int = 0) -> Events:
        left, right, top, bottom = self._box(sensor_of(events, "drop area"), draw)
        inside = (events.x >= left) & (events.x < right) & (events.y >= top) & (events.y < bottom)
        return events[~inside]

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts ``(T, P, H, W)``."""
        left, right, top, bottom = self._box(sensor_of_frames(frames, "drop area"), draw)
        frames = np.array(frames)
        frames[:, :, top:bottom, left:right] = 0
        return frames

    def _box(self, sensor: Sensor, draw: int) -> tuple[int, int, int, int]:
        width, height = (min(int(self.share * side + 0.5), side) for side in sensor)
        u = numbers(self, draw, 2)
        left, top = below(u[0], sensor.width - width + 1), below(u[1], sensor.height - height + 1)
        return left, left + width, top, top + height


@dataclass(frozen=True)
class DropPixels(EventTransform):
    """Each pixel is dead with probability p: all its events are left out."""

    p: float
    seed: int = 0

    def __post_init__(self) -> None:
        check_chance("drop pixels", self.p)

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return events[self._alive(sensor_of(events, "drop pixels"), draw)[events.y, events.x]]

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts ``(T, P, H, W)``."""
        alive = self._alive(sensor_of_frames(frames, "drop pixels"), draw)
        return np.where(alive, frames, 0).astype(np.asarray(frames).dtype)

    def _alive(self, sensor: Sensor, draw: int) -> Array:
        u = numbers(self, draw, sensor.width * sensor.height)
        return (u >= self.p).reshape(sensor.height, sensor.width)


@dataclass(frozen=True)
class EventDrop(EventTransform):
    """One of four, equally likely: nothing, `DropTime`, `DropArea`, `DropEvents`, as Gu et al. (2021) mix
    them.

    The share is drawn for each sample: 1 to 9 tenths of the time or of the events, 1 to 5 twentieths of the
    sides.
    """

    seed: int = 0

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return self.drawn(draw)(events, draw)

    def drawn(self, draw: int) -> EventTransform:
        """What is left out in this draw."""
        which, share = numbers(self, draw, 2)
        tenths, twentieths = (1 + below(share, 9)) / 10, (1 + below(share, 5)) / 20
        return (
            DropEvents(0.0, self.seed),
            DropTime(tenths, seed=self.seed),
            DropArea(twentieths, self.seed),
            DropEvents(tenths, self.seed),
        )[below(which, 4)]
