"""Recordings cut into pieces: by time, by number of events, by labelled stretches; and one stretch of time
alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikeflow.datasets.transforms.sensor import checked_frames
from spikeflow.datasets.transforms.transform import EventTransform, Transform
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.ir.binning import Binning, Start
from spikeflow.typing import Array


@dataclass(frozen=True)
class SliceByTime(Transform):
    """Windows of equal time: window k holds ``start + k hop <= t < start + k hop + window``, hop = window -
    overlap.

    There are as many as hold all events; windows without events are there, too, and empty. Times are not
    shifted.

    Parameters
    ----------
    window_us : length of a window.
    overlap_us : by how much it reaches into the next.
    start : ``"first"`` counts from the first event, ``"zero"`` from 0.
    incomplete : keep a last window that ends after the last event.
    """

    window_us: int
    overlap_us: int = 0
    start: Start = "first"
    incomplete: bool = True

    def __post_init__(self) -> None:
        self._binning()

    def __call__(self, events: Events, draw: int = 0) -> tuple[Events, ...]:
        first, stop = self._binning().ranges(events)
        pieces = _pieces(events, first, stop)
        if not pieces or self.incomplete:
            return pieces
        origin = int(events.t[0]) if self.start == "first" else 0
        end = origin + (len(pieces) - 1) * (self.window_us - self.overlap_us) + self.window_us
        return pieces if end <= int(events.t[-1]) + 1 else pieces[:-1]

    def _binning(self) -> Binning:
        return Binning(dt_us=self.window_us, overlap=self.overlap_us, start=self.start)


@dataclass(frozen=True)
class SliceByCount(Transform):
    """Pieces of equally many events, in order.

    Parameters
    ----------
    count : events in a piece.
    overlap : how many of them the next piece has, too.
    incomplete : keep a last piece with fewer events.
    """

    count: int
    overlap: int = 0
    incomplete: bool = True

    def __post_init__(self) -> None:
        self._binning()

    def __call__(self, events: Events, draw: int = 0) -> tuple[Events, ...]:
        pieces = _pieces(events, *self._binning().ranges(events))
        if not pieces or self.incomplete or len(pieces[-1]) == self.count:
            return pieces
        return pieces[:-1]

    def _binning(self) -> Binning:
        return Binning(events_per_frame=self.count, overlap=self.overlap)


class Stretch(NamedTuple):
    """A labelled stretch of a recording: ``start_us <= t < stop_us``."""

    start_us: int
    stop_us: int
    label: int


class Labelled(NamedTuple):
    """Events and their label."""

    events: Events
    label: int


def slice_by_label(events: Events, stretches: Iterable[Stretch]) -> tuple[Labelled, ...]:
    """The events of each stretch with its label, as the tables beside a long recording give them (DVS128
    Gesture).

    Stretches may overlap and be in any order; times are not shifted.

    Raises
    ------
    DataError
        Where a stretch ends before it starts.
    """
    found = []
    for stretch in stretches:
        if stretch.stop_us < stretch.start_us:
            raise DataError(
                "stretch", f"{stretch.start_us} to {stretch.stop_us} us", "a stop after the start"
            )
        found.append(Labelled(events.between(stretch.start_us, stretch.stop_us), stretch.label))
    return tuple(found)


@dataclass(frozen=True)
class TimeWindow(EventTransform):
    """The events with ``start_us <= t < stop_us``; times are not shifted."""

    start_us: int
    stop_us: int

    def __post_init__(self) -> None:
        if self.stop_us < self.start_us:
            raise DataError("time window", f"{self.start_us} to {self.stop_us} us", "a stop after the start")

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return events.between(self.start_us, self.stop_us)

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The counts ``(T, P, H, W)`` in steps of `dt_us` from 0, with nothing outside the window.

        Raises
        ------
        DataError
            Where the window's ends are no whole steps.
        """
        frames = checked_frames(frames, "time window")
        first = whole_steps("time window", self.start_us, dt_us)
        stop = whole_steps("time window", self.stop_us, dt_us)
        step = np.arange(len(frames))[:, None, None, None]
        return np.where((first <= step) & (step < stop), frames, 0).astype(frames.dtype)


def whole_steps(who: str, time_us: int, dt_us: int) -> int:
    """How many steps of `dt_us` a time is.

    Raises
    ------
    DataError
        Where it is no whole number of them.
    """
    steps, rest = divmod(time_us, dt_us)
    if rest:
        raise DataError(who, f"{time_us} us in steps of {dt_us} us", "a whole number of steps")
    return steps


def _pieces(events: Events, first: Array, stop: Array) -> tuple[Events, ...]:
    return tuple(events[a:b] for a, b in zip(first.tolist(), stop.tolist(), strict=True))
