"""Random flip, roll, rotation and crop: what is done is drawn once for a sample and the same in both
forms.
"""

from __future__ import annotations

from dataclasses import dataclass

from spikeflow.datasets.transforms.draw import DenseForm, Drawn, below, check_chance, numbers
from spikeflow.datasets.transforms.geometry import Axis, Crop, Flip, Roll, Rotate, check_axis
from spikeflow.datasets.transforms.sensor import Sensor
from spikeflow.datasets.transforms.transform import Compose
from spikeflow.errors import DataError


@dataclass(frozen=True)
class RandomFlip(Drawn):
    """`Flip` with probability p."""

    axis: Axis = "x"
    p: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        check_axis(self.axis)
        check_chance("random flip", self.p)

    def drawn(self, draw: int, sensor: Sensor) -> DenseForm:
        """The flip, or nothing."""
        return Flip(self.axis) if numbers(self, draw, 1)[0] < self.p else Compose(())


@dataclass(frozen=True)
class RandomRoll(Drawn):
    """`Roll` by a whole number of pixels from ``-most`` to ``most`` in each direction, all equally likely."""

    most_x: int
    most_y: int
    wrap: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.most_x, self.most_y) < 0:
            raise DataError("random roll", f"{self.most_x} and {self.most_y} pixels", "0 or more")

    def drawn(self, draw: int, sensor: Sensor) -> DenseForm:
        """The roll."""
        u = numbers(self, draw, 2)
        dx, dy = (below(u[i], 2 * most + 1) - most for i, most in enumerate((self.most_x, self.most_y)))
        return Roll(dx, dy, self.wrap)


@dataclass(frozen=True)
class RandomRotate(Drawn):
    """`Rotate` by an angle from ``-degrees`` to ``degrees``, all equally likely."""

    degrees: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.degrees >= 0:
            raise DataError("random rotation", f"{self.degrees} degrees", "0 or more")

    def drawn(self, draw: int, sensor: Sensor) -> DenseForm:
        """The rotation."""
        return Rotate(float((2 * numbers(self, draw, 1)[0] - 1) * self.degrees))


@dataclass(frozen=True)
class RandomCrop(Drawn):
    """`Crop` of this size anywhere on the sensor, all places equally likely.

    Raises
    ------
    DataError
        When called, where the sensor is smaller.
    """

    width: int
    height: int
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1:
            raise DataError("random crop", f"{self.width}x{self.height}", "at least one pixel")

    def drawn(self, draw: int, sensor: Sensor) -> DenseForm:
        """The crop."""
        free = sensor.width - self.width, sensor.height - self.height
        if min(free) < 0:
            raise DataError(
                "random crop",
                f"{self.width}x{self.height}",
                f"a part of the sensor {sensor.width}x{sensor.height}",
            )
        u = numbers(self, draw, 2)
        return Crop(below(u[0], free[0] + 1), below(u[1], free[1] + 1), self.width, self.height)
