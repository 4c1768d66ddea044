"""Random numbers of a transform: each a function of (the transform, draw, index) and of nothing else.

They come from the counter-based generator of `spikeflow.encode`, so they depend neither on the worker, nor on
the order of samples, nor on the batch. Different transforms with the same seed draw independently: the key of
the transform is part of the counter.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import Protocol

import numpy as np

from spikeflow.datasets.transforms.sensor import Sensor, sensor_of, sensor_of_frames
from spikeflow.datasets.transforms.transform import EventTransform
from spikeflow.encode import uniform
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array


class Seeded(Protocol):
    """A transform that draws."""

    @property
    def seed(self) -> int:
        """Of its random numbers."""
        ...

    def key(self) -> str:
        """Its name and fields."""
        ...


def numbers(transform: Seeded, draw: int, size: int) -> Array:
    """Uniform numbers in [0, 1), ``(size,)``.

    Raises
    ------
    DataError
        Where the draw is negative.
    """
    if draw < 0:
        raise DataError("draw", draw, "a number from 0")
    stream = int.from_bytes(hashlib.sha256(transform.key().encode()).digest()[:8], "little")
    return uniform(transform.seed, [draw % 2**64], stream, size)[0]


def below(number: float, limit: int) -> int:
    """A whole number from 0 to ``limit - 1`` of a uniform number in [0, 1)."""
    return min(int(number * limit), limit - 1)


def check_chance(who: str, chance: float) -> None:
    """Refuse what is no probability."""
    if not 0 <= chance <= 1:
        raise DataError(f"{who}: probability", chance, "0 to 1")


class DenseForm(Protocol):
    """An event transform with a form for counts."""

    def __call__(self, events: Events, draw: int = 0) -> Events:
        """The transformed events."""
        ...

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The transformed counts ``(T, P, H, W)``."""
        ...


class Drawn(EventTransform):
    """A transform that draws which transform to apply; both forms apply the same one."""

    @abstractmethod
    def drawn(self, draw: int, sensor: Sensor) -> DenseForm:
        """The transform of this draw on this sensor."""

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return self.drawn(draw, sensor_of(events, type(self).__name__))(events)

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts ``(T, P, H, W)``."""
        return self.drawn(draw, sensor_of_frames(frames, type(self).__name__)).dense(
            np.asarray(frames), 0, dt_us
        )
