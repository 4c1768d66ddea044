"""Events moved a little at random in space or time; time scaled, shifted, reversed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikeflow.datasets.transforms.draw import below, numbers
from spikeflow.datasets.transforms.geometry import moved
from spikeflow.datasets.transforms.sensor import checked_frames, sensor_of
from spikeflow.datasets.transforms.slice import whole_steps
from spikeflow.datasets.transforms.transform import EventTransform
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array

FAR = 1 << 17  # pixels
MAX_TIME_US = 1 << 62


@dataclass(frozen=True)
class SpatialJitter(EventTransform):
    """Each event moves by normal numbers of this standard deviation in x and in y, rounded to pixels.

    What leaves the sensor is left out.
    """

    std_pixels: float
    seed: int = 0

    def __post_init__(self) -> None:
        _check_std("spatial jitter", self.std_pixels)

    def __call__(self, events: Events, draw: int = 0) -> Events:
        sensor = sensor_of(events, "spatial jitter")
        # farther than any sensor is wide makes no difference
        shift = np.clip(self.std_pixels * _normal(numbers(self, draw, 2 * len(events))), -FAR, FAR)
        dx, dy = np.rint(shift).astype(np.int64)
        return moved(events, events.x + dx, events.y + dy, sensor)


@dataclass(frozen=True)
class TimeJitter(EventTransform):
    """Each time moves by a normal number of this standard deviation, rounded, and is put in order again.

    Times stay between the recording's first and last, so that it starts and lasts as before; no event is
    lost.
    """

    std_us: float
    seed: int = 0

    def __post_init__(self) -> None:
        _check_std("time jitter", self.std_us)

    def __call__(self, events: Events, draw: int = 0) -> Events:
        if not len(events):
            return events
        shift = self.std_us * _normal(numbers(self, draw, 2 * len(events)))[0]
        span = events.duration_us
        # relative to the first event and cut to its duration either way, so that nothing overflows
        t = (events.t - events.t[0]) + np.rint(np.clip(shift, -span, span)).astype(np.int64)
        t = np.clip(t, 0, span) + events.t[0]
        order = np.argsort(t, kind="stable")
        return replace(events, t=t[order], x=events.x[order], y=events.y[order], p=events.p[order])


@dataclass(frozen=True)
class TimeScale(EventTransform):
    """``t' = first + floor(factor (t - first))``: slower (factor above 1) or faster, from the first event
    on.
    """

    factor: float

    def __post_init__(self) -> None:
        if not 0 < self.factor < np.inf:
            raise DataError("time scale: factor", self.factor, "a number above 0")

    def __call__(self, events: Events, draw: int = 0) -> Events:
        if not len(events):
            return events
        if self.factor * events.duration_us >= 2**53:
            raise DataError("time scale", f"{self.factor} times {events.duration_us} us", "less than 2^53 us")
        since = np.floor(self.factor * (events.t - events.t[0])).astype(np.int64)
        return replace(events, t=events.t[0] + since)


@dataclass(frozen=True)
class RandomTimeScale(EventTransform):
    """`TimeScale` by a factor between `low` and `high`, all equally likely."""

    low: float = 0.8
    high: float = 1.25
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high:
            raise DataError("random time scale", f"{self.low} to {self.high}", "0 < low <= high")

    def __call__(self, events: Events, draw: int = 0) -> Events:
        u = float(numbers(self, draw, 1)[0])
        return TimeScale(self.low + u * (self.high - self.low))(events)


@dataclass(frozen=True)
class TimeShift(EventTransform):
    """``t' = t + shift``."""

    shift_us: int

    def __call__(self, events: Events, draw: int = 0) -> Events:
        if len(events) and max(abs(int(events.t[i]) + self.shift_us) for i in (0, -1)) > MAX_TIME_US:
            raise DataError("time shift", f"{self.shift_us} us", f"times up to {MAX_TIME_US} us")
        return replace(events, t=events.t + self.shift_us) if len(events) else events

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts ``(T, P, H, W)`` in steps of `dt_us` from 0: steps without events go before, or
        away.

        Raises
        ------
        DataError
            Where the shift is no whole number of steps, or events would lie before 0.
        """
        frames = checked_frames(frames, "time shift")
        steps = whole_steps("time shift", self.shift_us, dt_us)
        if not len(frames):
            return frames
        if frames[: max(-steps, 0)].any():
            raise DataError("time shift", "events before 0", "a smaller shift")
        before = np.zeros((max(steps, 0), *frames.shape[1:]), frames.dtype)
        return np.concatenate([before, frames[max(-steps, 0) :]])


@dataclass(frozen=True)
class RandomTimeShift(EventTransform):
    """`TimeShift` by a whole number of steps of `grid_us`, from 0 to `most` of them, all equally likely."""

    most: int
    grid_us: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.most < 0 or self.grid_us < 1:
            raise DataError(
                "random time shift", f"{self.most} of {self.grid_us} us", "0 or more of 1 us or more"
            )

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return self.drawn(draw)(events)

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts; see `TimeShift.dense`."""
        return self.drawn(draw).dense(frames, 0, dt_us)

    def drawn(self, draw: int) -> TimeShift:
        """The shift of this draw."""
        return TimeShift(self.grid_us * below(numbers(self, draw, 1)[0], self.most + 1))


@dataclass(frozen=True)
class FromZero(EventTransform):
    """Times counted from the first event: the first time is 0."""

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return replace(events, t=events.t - events.t[0]) if len(events) else events


@dataclass(frozen=True)
class TimeReverse(EventTransform):
    """Backwards: ``t' = span - 1 - t``, or ``t' = first + last - t`` without a span; on and off are
    exchanged.

    What gets brighter gets darker when time runs backwards. Combine with `Sometimes` to draw it.

    Parameters
    ----------
    span_us : all times lie from 0 to ``span_us - 1``, before and after; None: the recording's own first and
        last.
    polarity : exchange on and off.
    """

    span_us: int | None = None
    polarity: bool = True

    def __call__(self, events: Events, draw: int = 0) -> Events:
        if not len(events):
            return events
        first, last = int(events.t[0]), int(events.t[-1])
        if self.span_us is not None and not 0 <= first <= last < self.span_us:
            raise DataError("time reverse", f"times {first} to {last} us", f"0 to {self.span_us - 1} us")
        mirror = first + last if self.span_us is None else self.span_us - 1
        p = 1 - events.p if self.polarity else events.p
        return replace(events, t=mirror - events.t[::-1], x=events.x[::-1], y=events.y[::-1], p=p[::-1])

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts ``(T, P, H, W)`` in steps of `dt_us` from 0.

        Raises
        ------
        DataError
            Where the frames do not last `span_us`.
        """
        frames = checked_frames(frames, "time reverse")
        if len(frames) * dt_us != self.span_us:
            raise DataError(
                "time reverse: frames", f"{len(frames) * dt_us} us", f"span_us, {self.span_us} us"
            )
        return np.flip(frames, (0, 1) if self.polarity else 0).copy()


def _normal(u: Array) -> Array:
    """Pairs of standard normal numbers ``(2, n)`` of 2 n uniform ones in [0, 1) (Box and Muller 1958); all
    finite.
    """
    radius, angle = np.sqrt(-2 * np.log1p(-u[: u.size // 2])), 2 * np.pi * u[u.size // 2 :]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)])


def _check_std(who: str, std: float) -> None:
    if not 0 <= std < np.inf:
        raise DataError(f"{who}: standard deviation", std, "a number from 0")
