"""Events moved on the sensor: flip, roll, rotate, crop. Each also for counts ``(T, P, H, W)``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, radians, sin
from typing import Literal

import numpy as np

from spikeflow.datasets.transforms.sensor import Sensor, checked_frames, sensor_of, sensor_of_frames
from spikeflow.datasets.transforms.transform import EventTransform
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array

Axis = Literal["x", "y", "p"]
AXES: dict[str, int] = {"p": 1, "y": 2, "x": 3}  # of (T, P, H, W)


def check_axis(axis: str) -> None:
    """Refuse what is no axis of events in space."""
    if axis not in AXES:
        raise DataError("flip: axis", axis, "x, y or p")


def moved(events: Events, x: Array, y: Array, sensor: Sensor) -> Events:
    """The events at new pixels (whole numbers, ``(events,)``); those outside the sensor are left out."""
    width, height = sensor
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    kept = replace(
        events,
        x=np.where(inside, x, 0).astype(np.uint16),
        y=np.where(inside, y, 0).astype(np.uint16),
        width=width,
        height=height,
    )
    return kept if inside.all() else kept[inside]


@dataclass(frozen=True)
class Flip(EventTransform):
    """Mirrored in x or y, or on and off exchanged (p).

    Raises
    ------
    DataError
        Where x or y is flipped and the size of the sensor is unknown.
    """

    axis: Axis = "x"

    def __post_init__(self) -> None:
        check_axis(self.axis)

    def __call__(self, events: Events, draw: int = 0) -> Events:
        if self.axis == "p":
            return replace(events, p=1 - events.p)
        width, height = sensor_of(events, f"flip {self.axis}")
        if self.axis == "x":
            return replace(events, x=np.uint16(width - 1) - events.x)
        return replace(events, y=np.uint16(height - 1) - events.y)

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts."""
        # a copy, since torch takes no array that runs backwards
        return np.flip(checked_frames(frames, "flip"), AXES[self.axis]).copy()


@dataclass(frozen=True)
class Roll(EventTransform):
    """Shifted by whole pixels.

    Parameters
    ----------
    dx, dy : how far to the right and down.
    wrap : what leaves the sensor enters on the other side; else it is left out.
    """

    dx: int = 0
    dy: int = 0
    wrap: bool = True

    def __call__(self, events: Events, draw: int = 0) -> Events:
        sensor = sensor_of(events, "roll")
        x, y = events.x.astype(np.int64) + self.dx, events.y.astype(np.int64) + self.dy
        if self.wrap:
            x, y = x % sensor.width, y % sensor.height
        return moved(events, x, y, sensor)

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts."""
        frames = checked_frames(frames, "roll")
        rolled = np.roll(frames, (self.dy, self.dx), (2, 3))
        if self.wrap:
            return rolled
        height, width = frames.shape[2:]
        came_from = (np.arange(height)[:, None] - self.dy, np.arange(width) - self.dx)
        real = (came_from[0] >= 0) & (came_from[0] < height) & (came_from[1] >= 0) & (came_from[1] < width)
        return rolled * real.astype(frames.dtype)


@dataclass(frozen=True)
class Rotate(EventTransform):
    """Turned about the centre of the sensor, each event to the nearest pixel; what leaves the sensor is left
    out.

    ``x' = c + cos(a) (x - c) + sin(a) (y - d)`` and ``y' = d - sin(a) (x - c) + cos(a) (y - d)``, with the
    centre ``(c, d) = ((width - 1) / 2, (height - 1) / 2)``; y points down, so a positive angle turns
    counter-clockwise as one sees it. Halves go up. Pixels that meet add up; by other than quarter turns some
    pixels receive nothing.
    """

    degrees: float

    def __call__(self, events: Events, draw: int = 0) -> Events:
        sensor = sensor_of(events, "rotate")
        return moved(events, *self._turned(events.x, events.y, sensor), sensor)

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts."""
        width, height = sensor_of_frames(frames, "rotate")
        y, x = np.indices((height, width)).reshape(2, -1)
        to_x, to_y = self._turned(x, y, Sensor(width, height))
        inside = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
        flat = np.asarray(frames).reshape(-1, height * width)
        out = np.zeros_like(flat)
        np.add.at(out.T, (to_y * width + to_x)[inside], flat.T[inside])
        return out.reshape(np.shape(frames))

    def _turned(self, x: Array, y: Array, sensor: Sensor) -> tuple[Array, Array]:
        across, down = (sensor.width - 1) / 2, (sensor.height - 1) / 2
        c, s = _quarter(self.degrees) or (cos(radians(self.degrees)), sin(radians(self.degrees)))
        dx, dy = x - across, y - down
        return _nearest(across + c * dx + s * dy), _nearest(down - s * dx + c * dy)


@dataclass(frozen=True)
class Crop(EventTransform):
    """A rectangle of the sensor; its upper left pixel becomes (0, 0), events outside are left out.

    Raises
    ------
    DataError
        Where the rectangle does not lie on the sensor.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise DataError("crop", self._text(), "a corner from (0, 0) and at least one pixel")

    def __call__(self, events: Events, draw: int = 0) -> Events:
        self._check(sensor_of(events, "crop"))
        x, y = events.x.astype(np.int64) - self.x, events.y.astype(np.int64) - self.y
        return moved(events, x, y, Sensor(self.width, self.height))

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts."""
        self._check(sensor_of_frames(frames, "crop"))
        return frames[:, :, self.y : self.y + self.height, self.x : self.x + self.width]

    def _check(self, sensor: Sensor) -> None:
        if self.x + self.width > sensor.width or self.y + self.height > sensor.height:
            raise DataError("crop", self._text(), f"a part of the sensor {sensor.width}x{sensor.height}")

    def _text(self) -> str:
        return f"{self.width}x{self.height} at ({self.x}, {self.y})"


@dataclass(frozen=True)
class CentreCrop(EventTransform):
    """The middle of the sensor; where it cannot be the exact middle, half a pixel to the upper left.

    Raises
    ------
    DataError
        Where the sensor is smaller.
    """

    width: int
    height: int

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return self._crop(sensor_of(events, "crop"))(events)

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts."""
        return self._crop(sensor_of_frames(frames, "crop")).dense(frames)

    def _crop(self, sensor: Sensor) -> Crop:
        if self.width > sensor.width or self.height > sensor.height:
            raise DataError(
                "crop", f"{self.width}x{self.height}", f"a part of the sensor {sensor.width}x{sensor.height}"
            )
        left, top = (sensor.width - self.width) // 2, (sensor.height - self.height) // 2
        return Crop(left, top, self.width, self.height)


def _quarter(degrees: float) -> tuple[float, float] | None:
    """Cosine and sine of a quarter turn, exactly."""
    turns = {0.0: (1.0, 0.0), 90.0: (0.0, 1.0), 180.0: (-1.0, 0.0), 270.0: (0.0, -1.0)}
    return turns.get(degrees % 360.0)


def _nearest(x: Array) -> Array:
    """The nearest whole number, halves up; what floating point leaves of a half (1e-9) does not decide."""
    return np.floor(np.round(x, 9) + 0.5).astype(np.int64)
