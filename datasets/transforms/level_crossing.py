"""Signals to events by level crossing (send on delta): an event for every change by delta, on where it
rises.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeflow.datasets.transforms.cochlea import checked_signal
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array

MAX_EVENTS = 1 << 28


@dataclass(frozen=True)
class LevelCrossing:
    """``LevelCrossing(delta)(samples, rate_hz) -> Events`` of a signal ``(n,)`` or ``(n, channels)``.

    A level starts at the first sample. Where the signal lies k deltas or more above (below) the level, k on
    (off) events are sent at once and the level moves by them, so that after every sample the signal is less
    than one delta away from the level. The events of sample i have the time ``i * 10^6 / rate_hz``, rounded
    down; x is the channel, y = 0.

    Source: Miskowicz 2006, "Send-on-delta concept: an event-based data reporting strategy", Sensors 6:49-63.

    Parameters
    ----------
    delta : distance of two levels, in the signal's unit.

    Raises
    ------
    DataError
        Where delta is not a number above 0.
    """

    delta: float

    def __post_init__(self) -> None:
        if not 0 < self.delta < np.inf:
            raise DataError("level crossing: delta", self.delta, "a number above 0")

    def __call__(self, samples: npt.ArrayLike, rate_hz: int) -> Events:
        """Events of a signal; a signal of rate 1000 Hz has events at whole milliseconds.

        Raises
        ------
        DataError
            Where the signal is not of finite numbers or sends more than 2^28 events.
        """
        signal = checked_signal(samples, rate_hz)
        columns = signal[:, None] if signal.ndim == 1 else signal
        n, channels = columns.shape
        if not n:
            return _events(np.empty((0, channels), np.int64), rate_hz)
        with np.errstate(over="ignore"):
            levels = (columns - columns[0]) / self.delta
        # a sum of events can be no less than the largest excursion
        if not (np.abs(levels) < MAX_EVENTS).all():
            raise DataError("level crossing", "2^28 events or more", "fewer", "a larger delta")
        return _events(np.diff(follow(levels), axis=0, prepend=0), rate_hz)

    def reconstruct(self, events: Events, first: npt.ArrayLike, count: int, rate_hz: int) -> Array:
        """The level after each of `count` samples, float64, ``(count, channels)``; `first` is the first
        sample.
        """
        moved = np.zeros((count, events.width or 1))
        index = -(-events.t * rate_hz // 1_000_000)  # the sample whose time, rounded down, this is
        np.add.at(moved, (index, events.x), events.p * 2.0 - 1)
        return np.asarray(first, np.float64) + self.delta * np.cumsum(moved, axis=0)


def follow(levels: Array) -> Array:
    """Where the level stands after every sample, whole deltas, int64; for signals ``(n, channels)`` in
    deltas.

    A sample u moves the level m only if it must: ``m <- clamp(m, floor(u), ceil(u))``. One clamp after
    another is a clamp again, so all of them are joined in log2(n) rounds, pairs, then fours, then eights,
    instead of n steps.
    """
    low, high = np.floor(levels).astype(np.int64), np.ceil(levels).astype(np.int64)
    reach = 1
    while reach < len(levels):
        before_low, before_high = low[:-reach], high[:-reach]
        joined = (np.clip(before, low[reach:], high[reach:]) for before in (before_low, before_high))
        low[reach:], high[reach:] = tuple(joined)
        reach *= 2
    return np.clip(0, low, high)


def _events(moves: Array, rate_hz: int) -> Events:
    """Events of moves ``(n, channels)``, whole deltas."""
    index, channel = np.nonzero(moves)
    many = np.abs(moves[index, channel])
    total = int(many.sum())
    if total > MAX_EVENTS:
        raise DataError("level crossing", f"{total} events", f"at most {MAX_EVENTS}", "a larger delta")
    t = index.astype(np.int64) * 1_000_000 // rate_hz
    up = (moves[index, channel] > 0).astype(np.uint8)
    columns = (np.repeat(column, many) for column in (t, channel, np.zeros(index.size, np.uint16), up))
    return Events(*columns, width=moves.shape[1], height=1)
