"""The sensor that a transform works on: its size must be known, and counts must have its shape."""

from __future__ import annotations

import numpy as np

from spikeflow.errors import DataError
from spikeflow.ir.binning import Sensor, sensor_of
from spikeflow.typing import Array

__all__ = ["Sensor", "checked_frames", "sensor_of", "sensor_of_frames"]


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
