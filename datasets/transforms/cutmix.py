"""Cut-mix in time: a stretch of one recording is replaced by the same stretch of another, and the label by
both.

Sources: Yun et al. 2019, "CutMix" (the idea, for images); Shen, Zhao, Zeng 2023, "EventMix: An efficient data
augmentation strategy for event-based learning" (for events, with shares by events).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from spikeflow.datasets.transforms.draw import below, check_chance, numbers
from spikeflow.datasets.transforms.sensor import checked_frames
from spikeflow.datasets.transforms.slice import whole_steps
from spikeflow.datasets.transforms.transform import transform_key
from spikeflow.errors import DataError
from spikeflow.events import COLUMNS, Events
from spikeflow.typing import Array


class Mixed(NamedTuple):
    """Events of two recordings, and the weight of the first one's label; the second one's is ``1 -
    share``.
    """

    events: Events
    share: float


class MixedFrames(NamedTuple):
    """The same for counts ``(T, P, H, W)``."""

    frames: Array
    share: float


@dataclass(frozen=True)
class CutMix:
    """Two recordings of the same sensor become one: outside a drawn stretch the first, inside it the second.

    Time counts from 0 in both (`FromZero` makes it so). The stretch has any length from nothing to the time
    of the longer one and lies anywhere in it, all equally likely.

    Parameters
    ----------
    p : how often anything is mixed; else the first recording stays, with share 1.
    by : the share is the first one's part of the time, or of the events (1 where there are none).
    grid_us : the stretch begins and ends at multiples of this.
    seed : of the stretch.

    Raises
    ------
    DataError
        When called, where the sensors differ or times lie before 0.
    """

    p: float = 1.0
    by: Literal["time", "events"] = "time"
    grid_us: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_chance("cut-mix", self.p)
        if self.by not in ("time", "events"):
            raise DataError("cut-mix: by", self.by, "time or events")
        if self.grid_us < 1:
            raise DataError("cut-mix: grid", f"{self.grid_us} us", "at least 1 us")

    def key(self) -> str:
        """Its name and fields."""
        return transform_key(self)

    def __call__(self, first: Events, second: Events, draw: int = 0) -> Mixed:
        _check_alike(first, second)
        cells = max((int(e.t[-1]) // self.grid_us + 1 for e in (first, second) if len(e)), default=0)
        start, stop = (cell * self.grid_us for cell in self._stretch(cells, draw))
        if start == stop:
            return Mixed(first, 1.0)
        a, b = np.searchsorted(first.t, [start, stop])
        inner = second.between(start, stop)
        mixed = {
            name: np.concatenate([getattr(first, name)[:a], getattr(inner, name), getattr(first, name)[b:]])
            for name, _ in COLUMNS
        }
        outside = len(first) - int(b - a)
        share = self._share(1 - (stop - start) / (cells * self.grid_us), outside, len(inner))
        return Mixed(replace(first, **mixed), share)

    def dense(self, first: Array, second: Array, draw: int = 0, dt_us: int = 1) -> MixedFrames:
        """The same for counts ``(T, P, H, W)`` in steps of `dt_us` from 0; the shorter one is filled up with
        nothing.

        Raises
        ------
        DataError
            Where the grid is no whole number of steps, or the shapes differ.
        """
        per_cell = whole_steps("cut-mix: grid", self.grid_us, dt_us)
        steps = max(len(first), len(second))
        mixed, other = _filled(first, steps), _filled(second, steps)
        if mixed.shape != other.shape:
            raise DataError("cut-mix: second frames", np.shape(second), f"as the first, {np.shape(first)}")
        active = np.flatnonzero(mixed.any(axis=(1, 2, 3)) | other.any(axis=(1, 2, 3)))
        cells = int(active[-1]) // per_cell + 1 if active.size else 0
        start, stop = self._stretch(cells, draw)
        if start == stop:
            return MixedFrames(mixed, 1.0)
        inside = slice(start * per_cell, stop * per_cell)
        mixed[inside] = 0
        outside = int(mixed.sum())
        mixed[inside] = other[inside]
        share = self._share(1 - (stop - start) / cells, outside, int(other[inside].sum()))
        return MixedFrames(mixed, share)

    def _stretch(self, cells: int, draw: int) -> tuple[int, int]:
        mixes, length, place = numbers(self, draw, 3)
        if not cells or mixes >= self.p:
            return 0, 0
        taken = below(length, cells + 1)
        start = below(place, cells - taken + 1)
        return start, start + taken

    def _share(self, of_time: float, outside: int, inside: int) -> float:
        if self.by == "time":
            return of_time
        return outside / (outside + inside) if outside + inside else 1.0


def _check_alike(first: Events, second: Events) -> None:
    if (first.width, first.height) != (second.width, second.height):
        raise DataError(
            "cut-mix",
            f"sensors {first.width}x{first.height} and {second.width}x{second.height}",
            "two recordings of the same size",
        )
    for events in (first, second):
        if len(events) and events.t[0] < 0:
            raise DataError("cut-mix", f"an event at {events.t[0]} us", "times from 0", "FromZero()")


def _filled(frames: Array, steps: int) -> Array:
    """A copy with this many steps."""
    frames = checked_frames(frames, "cut-mix")
    rest = np.zeros((steps - len(frames), *frames.shape[1:]), frames.dtype)
    return np.concatenate([frames, rest])
