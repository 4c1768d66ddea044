"""Pixels to frequencies: every pixel spikes at regular times, the more often the brighter it is; exact whole
numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.encode import uniform
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array

GREY = np.array([299, 587, 114], np.int64)  # thousandths of R, G, B in the luminance (ITU-R BT.601)
FULL = 255 * 1000 * 1_000_000  # white, in thousandths of a grey level, times a second in microseconds
MAX_EVENTS = 1 << 28


@dataclass(frozen=True)
class PixelFrequency:
    """A regular spike train of ``max_hz * luminance / 255`` for each pixel of a uint8 image.

    Up to and with microsecond t a pixel of luminance L (whole thousandths of a grey level) has spiked

        N(t) = floor((L max_hz t + phase) / (255 000 * 10^6))  times, and N = 0 before t = 0,

    so that spike k falls on the first microsecond with ``N(t) >= k``. The phase is 0, or, with a seed, drawn
    for each pixel, evenly between 0 and one period. No rounding anywhere: events and `frames` have the same
    counts.

    The events are those of a sensor of the image's size, on; times run from 0 to ``duration_us - 1``.

    Parameters
    ----------
    max_hz : frequency of white, whole Hz, 1 to 1 000 000.
    duration_us : how long the image is shown.
    seed : of the phases; None: all pixels begin together, and the first spike comes after one period.

    Raises
    ------
    DataError
        Where a parameter is out of range, or ``max_hz * duration_us`` is above 10^13.
    """

    max_hz: int = 200
    duration_us: int = 100_000
    seed: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.max_hz <= 1_000_000:
            raise DataError("pixel frequency: max_hz", self.max_hz, "1 to 1000000")
        # 255 000 * 10^13 fits into 63 bits with room for the phase
        if not 1 <= self.duration_us <= 10**13 // self.max_hz:
            raise DataError("pixel frequency: duration_us", self.duration_us, f"1 to {10**13 // self.max_hz}")

    def __call__(self, image: Array, sample: int = 0) -> Events:
        """Events of an image ``(H, W)`` or ``(H, W, 3)``, uint8; `sample` numbers the draw of the phases."""
        speed, phase, (height, width) = self._trains(image, sample)
        counts = (speed * (self.duration_us - 1) + phase) // FULL
        total = int(counts.sum())
        if total > MAX_EVENTS:
            raise DataError("pixel frequency", f"{total} events", f"at most {MAX_EVENTS}", "a lower max_hz")
        pixel = np.repeat(np.arange(counts.size), counts)
        before = np.repeat(np.cumsum(counts) - counts, counts)
        number = np.arange(total) - before + 1
        t = -((phase[pixel] - number * FULL) // speed[pixel])  # rounded up
        order = np.argsort(t, kind="stable")
        pixel = pixel[order]
        on = np.ones(total, np.uint8)
        return Events(t[order], pixel % width, pixel // width, on, width, height)

    def frames(self, image: Array, step_us: int, sample: int = 0) -> Array:
        """Counts of the same spikes, int64, ``(T, H, W)`` with ``T = ceil(duration_us / step_us)``."""
        if step_us < 1:
            raise DataError("pixel frequency: step_us", step_us, "at least 1")
        speed, phase, size = self._trains(image, sample)
        ends = np.minimum(np.arange(step_us, self.duration_us + step_us, step_us), self.duration_us)
        total = (speed * (ends[:, None] - 1) + phase) // FULL  # up to the last microsecond of each step
        return np.diff(total, axis=0, prepend=0).reshape(-1, *size)

    def _trains(self, image: Array, sample: int) -> tuple[Array, Array, tuple[int, int]]:
        """Speed (of the numerator, a microsecond) and phase of each pixel, int64, and the image's size."""
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
            raise DataError(
                "pixel frequency", f"{image.dtype} of {image.shape}", "uint8, (H, W) or (H, W, 3)"
            )
        bright = image.astype(np.int64) * 1000 if image.ndim == 2 else image.astype(np.int64) @ GREY
        speed = bright.ravel() * self.max_hz
        phase = np.zeros(speed.size, np.int64)
        if self.seed is not None:
            phase = (uniform(self.seed, [sample], 0, speed.size)[0] * FULL).astype(np.int64)
        return speed, phase, (image.shape[0], image.shape[1])
