"""The sensor that a transform works on: its size must be known, and counts must have its shape."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError
from spikeflow.events import Events

Array = npt.NDArray[Any]


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


def checked_frames(frames: Array, who: str) -> Array:
    """Counts of shape ``(T, P, H, W)``.

    Raises
    ------
    DataError
        Where the shape is another.
    """
    array = np.asarray(frames)
    if array.ndim != 4:
        raise DataError(f"{who}: frames", f"shape {array.shape}", "(T, P, H, W)")
    return array


def sensor_of_frames(frames: Array, who: str) -> Sensor:
    """The sensor of counts ``(T, P, H, W)``."""
    height, width = checked_frames(frames, who).shape[2:]
    return Sensor(width, height)
