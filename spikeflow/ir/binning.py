"""Which events belong to which step: by time, by number, or a fixed number of equal parts; and their
counts as frames.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import Literal, NamedTuple

import numpy as np

from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array

Start = Literal["first", "zero"]
MAX_STEPS = 1 << 24
MAX_TIME_US = 1 << 61  # so that no sum of a time and a step overflows
MAX_BYTES = 1 << 32
EXACT = 1 << 24  # float32 counts by one up to here


class Sensor(NamedTuple):
    """Columns and rows of a sensor."""

    width: int
    height: int


def sensor_of(events: Events, who: str) -> Sensor:
    """The sensor of these events.

    Raises
    ------
    DataError
        Where the events do not know it.
    """
    if events.width is None or events.height is None:
        raise DataError(
            who,
            "events of a sensor of unknown size",
            "a width and a height",
            "--sensor WIDTHxHEIGHT, or read(path, width=..., height=...)",
        )
    return Sensor(events.width, events.height)


class Ranges(NamedTuple):
    """For each step the events ``first <= index < stop`` that belong to it; int64, ``(T,)``."""

    first: Array
    stop: Array


@dataclass(frozen=True)
class Binning:
    """How events are put into steps and pixels; `Frames` and `ToSpikes` are made of it.

    Without `steps` there are as many steps as hold all events, none for no events. Without `overlap` every
    event is in one step; with it in one or more.

    Parameters
    ----------
    dt_us : length of a step; step k holds the times ``start + k dt <= t < start + (k + 1) dt``.
    steps : how many; alone it cuts the time from the start to the last event into equal parts, part k holding
        the times with ``k = (t - start) steps // (last - start + 1)``.
    events_per_frame : a step holds this many events, whatever their time; the last one holds what is left.
    overlap : by how much a step reaches into the next, in microseconds with `dt_us`, in events with
        `events_per_frame`.
    start : ``"first"`` counts time from the first event of the recording, ``"zero"`` from 0.
    polarity : off and on events apart, in this order; else together.
    clip : no more than 1 a step and pixel.
    late : with `steps`, what happens to events after the last step: ``"cut"`` leaves them out, ``"refuse"``
        is an error.

    Raises
    ------
    DataError
        Where the fields contradict each other; when called, where times lie before the start or the steps are
        too many.
    """

    dt_us: int | None = None
    steps: int | None = None
    events_per_frame: int | None = None
    overlap: int = 0
    start: Start = "first"
    polarity: bool = True
    clip: bool = False
    late: Literal["cut", "refuse"] = "cut"

    def __post_init__(self) -> None:
        who = type(self).__name__
        if self.dt_us is not None and self.events_per_frame is not None:
            raise DataError(who, "dt_us and events_per_frame", "one of the two")
        if self.dt_us is None and self.events_per_frame is None and self.steps is None:
            raise DataError(who, "no length of a step", "dt_us, events_per_frame, or steps")
        for name, limit in (("dt_us", MAX_TIME_US), ("events_per_frame", MAX_TIME_US), ("steps", MAX_STEPS)):
            _check_whole(who, name, getattr(self, name), limit)
        length = self.dt_us or self.events_per_frame or 1
        if not 0 <= self.overlap < length:
            raise DataError(
                f"{who}: overlap",
                self.overlap,
                "0" if length == 1 else f"0 to {length - 1}, less than a step",
            )
        for name, words in (("start", ("first", "zero")), ("late", ("cut", "refuse"))):
            if getattr(self, name) not in words:
                raise DataError(f"{who}: {name}", getattr(self, name), f"one of {', '.join(words)}")

    def ranges(self, events: Events) -> Ranges:
        """The events of each step."""
        if self.events_per_frame is not None:
            size = self.events_per_frame
            found = _by_count(len(events), size, size - self.overlap, self._count(len(events), size))
        elif self.dt_us is not None:
            origin, span = self._time(events)
            found = _by_time(
                events.t, origin, self.dt_us, self.dt_us - self.overlap, self._count(span, self.dt_us)
            )
        else:
            assert self.steps is not None
            origin, span = self._time(events)
            found = _by_part(events.t, origin, span, self.steps)
        return self._padded(found, len(events))

    def shape(self, events: Events) -> tuple[int, int, int]:
        """``(P, H, W)``."""
        width, height = sensor_of(events, type(self).__name__)
        return (2 if self.polarity else 1), height, width

    def cells(self, events: Events) -> tuple[int, Array]:
        """Number of steps, and for each event in each of its steps the C-order index into ``(T, P, H,
        W)``.
        """
        polarities, height, width = self.shape(events)
        pixel = events.y.astype(np.int64) * width + events.x
        if polarities == 2:
            pixel += events.p * np.int64(height * width)
        first, stop = self.ranges(events)
        counts = stop - first
        step = np.repeat(np.arange(counts.size), counts)
        if self.overlap:
            # in each step the index runs on from its first event
            within = np.arange(step.size) - np.repeat(np.cumsum(counts) - counts, counts)
            pixel = pixel[np.repeat(first, counts) + within]
        else:
            pixel = pixel[: step.size]  # only events after the last step are left out
        return counts.size, step * (polarities * height * width) + pixel

    def _time(self, events: Events) -> tuple[int, int]:
        """Where time starts, and the time from there to just after the last event (0 where there are
        none).
        """
        if not len(events):
            return 0, 0
        first, last = int(events.t[0]), int(events.t[-1])
        origin = first if self.start == "first" else 0
        if first < origin:
            raise DataError(type(self).__name__, f"an event at {first} us", "times from 0", 'start="first"')
        if max(abs(first), abs(last)) > MAX_TIME_US:
            raise DataError(type(self).__name__, f"times up to {last} us", f"at most {MAX_TIME_US} us")
        return origin, last - origin + 1

    def _count(self, span: int, length: int) -> int:
        """The fewest steps that hold everything, or those of the wanted ones that begin before the end."""
        hop = length - self.overlap
        needed = max(0, -((length - span) // hop)) + 1 if span else 0
        if self.steps is not None:
            if needed > self.steps and self.late == "refuse":
                raise DataError(
                    type(self).__name__,
                    f"events in {needed} steps",
                    f"at most {self.steps}",
                    'late="cut", more steps, or longer ones',
                )
            return min(-(-span // hop), self.steps)
        if needed > MAX_STEPS:
            raise DataError(
                type(self).__name__,
                f"{needed} steps",
                f"at most {MAX_STEPS}",
                'longer steps, or start="first"',
            )
        return needed

    def _padded(self, ranges: Ranges, events: int) -> Ranges:
        missing = (self.steps or 0) - ranges.first.size
        if missing <= 0:
            return ranges
        rest = np.full(missing, events, np.int64)
        return Ranges(np.concatenate([ranges.first, rest]), np.concatenate([ranges.stop, rest]))


@dataclass(frozen=True)
class Frames(Binning):
    """Number of events in each step and pixel, float32, ``(T, P, H, W)``; fields as `Binning` has them.

    P is 2 (off, on) or 1 (both). Without `overlap`, `clip` and events after the last step the sum is the
    number of events. float32 is what networks take, and exact here: more than 2^24 events at once are
    refused.

    Raises
    ------
    DataError
        As `Binning`; where the sensor is unknown, or the frames would take more than 4 GiB.
    """

    def __str__(self) -> str:
        said = [
            f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default
        ]
        return f"frames of events ({', '.join(said)})"

    def __call__(self, events: Events, draw: int = 0) -> Array:
        steps, cell = self.cells(events)
        shape = (steps, *self.shape(events))
        if 4 * prod(shape) > MAX_BYTES:
            raise DataError("Frames", f"shape {shape}", f"at most {MAX_BYTES // 4} numbers", "longer steps")
        frames = np.zeros(shape, np.float32)
        flat = frames.reshape(-1)
        if self.clip:
            flat[cell] = 1
            return frames
        np.add.at(flat, cell, np.float32(1))
        if cell.size >= EXACT and frames.max() >= EXACT:
            raise DataError(
                "Frames", f"{EXACT} or more events in one pixel and step", "fewer", "shorter steps"
            )
        return frames


def _by_time(t: Array, origin: int, dt: int, hop: int, steps: int) -> Ranges:
    begin = origin + np.arange(steps, dtype=np.int64) * hop
    first = np.searchsorted(t, begin)
    if hop != dt:
        return Ranges(first, np.searchsorted(t, begin + (dt - 1), side="right"))
    after = np.searchsorted(t, [origin + steps * dt])
    return Ranges(first, np.concatenate([first[1:], after]) if steps else first)


def _by_count(events: int, size: int, hop: int, steps: int) -> Ranges:
    first = np.arange(steps, dtype=np.int64) * hop
    return Ranges(first, np.minimum(first + min(size, events), events))


def _by_part(t: Array, origin: int, span: int, steps: int) -> Ranges:
    # the first time of part k is ceil(k span / steps); taken apart so that no product overflows
    whole, rest = divmod(span, steps)
    k = np.arange(steps + 1, dtype=np.int64)
    edges = np.searchsorted(t, origin + k * whole - (-k * rest // steps))
    return Ranges(edges[:-1], edges[1:])


def _check_whole(who: str, name: str, value: object, limit: int) -> None:
    if value is None:
        return
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 1 <= value <= limit:
        raise DataError(f"{who}: {name}", value, f"a whole number from 1 to {limit}")
