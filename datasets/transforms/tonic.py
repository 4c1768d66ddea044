"""Tonic's transforms on our events, and ours in a pipeline of tonic's.

Tonic itself (GPL) is not needed and never imported: the caller brings its objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow.datasets.transforms.draw import numbers
from spikeflow.datasets.transforms.transform import Transform, transform_key
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array

# what tonic's own readers deliver, and its transforms expect: signed coordinates, which may be computed with
# in place
TONIC = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])


@dataclass(frozen=True)
class FromTonic(Transform):
    """A transform that takes tonic's structured arrays, as one of ours: it gives events where it gives such
    an array, and what it gives otherwise (frames, voxel grids).

    Such transforms draw from numpy's global generator. Here that is seeded by (seed, draw) before the call
    and put back after it, so that the result depends on these alone; not for several threads at once.

    Parameters
    ----------
    transform : a callable, such as ``tonic.transforms.Denoise(filter_time=10000)``.
    width, height : of the sensor afterwards, where the transform changes it; None: as before.
    seed : of its random numbers.

    Raises
    ------
    DataError
        When called, where a coordinate does not fit 15 bits, or the transform gives events that are none (a
        pixel outside the sensor, times that are not whole). `key` raises it where the transform is no frozen
        dataclass.
    """

    transform: Callable[[Array], Any]
    width: int | None = None
    height: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not callable(self.transform):
            raise DataError(
                "FromTonic", f"a {type(self.transform).__name__}", "a callable of a structured array"
            )

    def __call__(self, events: Events, draw: int = 0) -> Any:
        given = _to_array(events)
        state = np.random.get_state()
        np.random.seed(self._words(draw))
        try:
            made = self.transform(given)
        finally:
            np.random.set_state(state)
        if not isinstance(made, np.ndarray) or made.dtype.names is None:
            return made
        return self._to_events(made, events)

    def _words(self, draw: int) -> Array:
        return (numbers(_Seed(self.seed), draw, 4) * 2**32).astype(np.uint32)

    def _to_events(self, made: Array, before: Events) -> Events:
        width = before.width if self.width is None else self.width
        height = before.height if self.height is None else self.height
        missing = [name for name in ("t", "x", "p") if name not in (made.dtype.names or ())]
        if missing:
            raise DataError("FromTonic", f"events without {', '.join(missing)}", "the fields t, x, p")
        y = made["y"] if "y" in (made.dtype.names or ()) else np.zeros(made.shape, np.uint16)
        events = Events.sorted(_whole(made["t"]), made["x"], y, made["p"], width=width, height=height)
        return Events(events.t, events.x, events.y, events.p, width, height, before.dropped)


@dataclass(frozen=True)
class ToTonic:
    """A transform of ours as tonic's pipelines call theirs: with a structured array, and without a draw.

    The draw is taken from numpy's global generator, as tonic's transforms take theirs, so `numpy.random.seed`
    makes it repeatable. Events come back as an array of the fields and types that came in.

    Parameters
    ----------
    transform : one of ours, or a `Compose` of them.
    sensor_size : tonic's (width, height, polarities).
    """

    transform: Callable[[Events, int], Any]
    sensor_size: tuple[int, int, int]

    def __call__(self, array: Array) -> Any:
        width, height, _ = self.sensor_size
        draw = int(np.random.randint(0, 2**63, dtype=np.int64))
        made = self.transform(Events.from_structured(array, width, height), draw)
        if not isinstance(made, Events):
            return made
        out = np.empty(len(made), array.dtype)
        for name in array.dtype.names or ():
            out[name] = getattr(made, name)
        return out


def to_tonic(transform: Callable[[Events, int], Any], sensor_size: tuple[int, int, int]) -> ToTonic:
    """A transform of ours for ``tonic.transforms.Compose`` and for the ``transform=`` of tonic's data
    sets.
    """
    return ToTonic(transform, sensor_size)


@dataclass(frozen=True)
class _Seed:
    """What the numbers of a wrapped transform depend on: not on its name, for it may have none."""

    seed: int

    def key(self) -> str:
        return transform_key(self)


def _to_array(events: Events) -> Array:
    records = events.structured()
    for name in ("x", "y"):
        if len(events) and (most := int(records[name].max())) > np.iinfo(np.int16).max:
            raise DataError(f"FromTonic: {name}", most, f"at most {np.iinfo(np.int16).max}")
    out = np.empty(len(events), TONIC)
    for name in TONIC.names or ():
        out[name] = records[name]
    return out


def _whole(t: Array) -> Array:
    if t.dtype.kind in "iu":
        return t
    if not np.isfinite(t).all() or (t != np.floor(t)).any():
        raise DataError(
            "FromTonic: t", "times that are not whole", "microseconds", "a transform that rounds them"
        )
    return t.astype(np.int64)
