"""Encoders of still images: how a picture becomes the events that a sensor of its size might have recorded.

Each is a frozen callable ``(image, sample) -> Events``; `image` is uint8, ``(height, width)`` or ``(height,
width, 3)``, of which the luminance is taken; `sample` numbers the draws, so that an image's spikes do not
depend on the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spikeflow import encode
from spikeflow.errors import DataError
from spikeflow.events import Events, Spikes
from spikeflow.typing import Array


class ImageEncoder(Protocol):
    """What turns an image into events."""

    def __call__(self, image: Array, sample: int = 0) -> Events: ...


def luminance(image: Array) -> Array:
    """Brightness from 0 to 1, float64, ``(height, width)``: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).

    Raises
    ------
    DataError
        Where the image is not bytes of shape ``(height, width)`` or ``(height, width, 3)``.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise DataError(
            "image", f"{image.dtype} of shape {image.shape}", "uint8, (height, width) or (height, width, 3)"
        )
    values = image / 255.0
    return values if image.ndim == 2 else values @ np.array([0.299, 0.587, 0.114])


def spikes_to_events(spikes: Spikes, step_us: int) -> Events:
    """Events of one sample of spikes ``(1 or 2, height, width)``; the first channel is on, the second off.

    Raises
    ------
    DataError
        Where there is more than one sample or another shape.
    """
    if spikes.samples != 1 or len(spikes.shape) != 3 or spikes.shape[0] > 2:
        raise DataError(
            "spikes as events", f"{spikes.samples} of {spikes.shape}", "one sample of (1 or 2, height, width)"
        )
    channel, y, x = np.unravel_index(spikes.neuron, spikes.shape)
    t = spikes.step.astype(np.int64) * step_us
    return Events(t, x, y, (channel == 0).astype(np.uint8), spikes.shape[2], spikes.shape[1])


@dataclass(frozen=True)
class Rate:
    """On events: a pixel spikes in each step with probability `peak` times its luminance.

    Parameters
    ----------
    steps, step_us : how many steps, and microseconds of one.
    peak : probability of white.
    seed : of the draws.
    """

    steps: int = 50
    step_us: int = 1000
    peak: float = 0.5
    seed: int = 0

    def __call__(self, image: Array, sample: int = 0) -> Events:
        # the spikes of encode.rate, without the way through Spikes: a loader calls this for every sample of
        # an epoch
        height, width = image.shape[:2]
        p = luminance(image).reshape(-1) * self.peak
        step, pixel = encode.rate_of_one(p, self.steps, self.seed, sample)
        on = np.ones(step.size, np.uint8)
        return Events(step * self.step_us, pixel % width, pixel // width, on, width, height)


@dataclass(frozen=True)
class OnOff:
    """On events where the image is brighter than its own mean, off events where it is darker.

    In each step a pixel spikes with probability ``peak |luminance - mean|``; parameters as of `Rate`.
    """

    steps: int = 50
    step_us: int = 1000
    peak: float = 1.0
    seed: int = 0

    def __call__(self, image: Array, sample: int = 0) -> Events:
        x = luminance(image)
        contrast = (x - x.mean())[None, None] * self.peak
        return spikes_to_events(encode.onoff(contrast, self.steps, 1.0, self.seed, sample), self.step_us)


@dataclass(frozen=True)
class Latency:
    """One on event a pixel, the earlier the brighter it is; none where the luminance is at or below
    `threshold`.
    """

    steps: int = 50
    step_us: int = 1000
    threshold: float = 0.05

    def __call__(self, image: Array, sample: int = 0) -> Events:
        x = luminance(image)[None, None]
        return spikes_to_events(encode.latency(x, self.steps, 1.0, self.threshold), self.step_us)


@dataclass(frozen=True)
class Saccades:
    """The image moves along a triangle, as those before the cameras of N-MNIST did; each pixel is delta
    modulated.

    Parameters
    ----------
    steps, step_us : of the whole triangle.
    reach : how far the image moves, pixels; right and down, right and up, and back to the left.
    threshold : change of luminance that makes an event; an edge that moves faster than this a step is
        followed late.
    """

    steps: int = 120
    step_us: int = 2500
    reach: float = 3.0
    threshold: float = 0.1

    def __call__(self, image: Array, sample: int = 0) -> Events:
        corners = np.array([(0, 0), (0.5, 1), (1, 0), (0, 0)]) * self.reach
        at = np.linspace(0, 3, self.steps)
        path = np.stack([np.interp(at, range(4), corners[:, axis]) for axis in (0, 1)], axis=1)
        x = luminance(image)
        moved = np.stack([shifted(x, dx, dy) for dx, dy in path])
        return spikes_to_events(encode.delta(moved[:, None, None], self.threshold), self.step_us)


def shifted(x: Array, dx: float, dy: float) -> Array:
    """The image moved right by dx and down by dy pixels, between pixels by bilinear weights; what comes in is
    black.
    """
    height, width = x.shape
    return _weights(height, dy) @ x @ _weights(width, dx).T


def _weights(size: int, by: float) -> Array:
    """The matrix that moves a row of `size` values by `by`."""
    source = np.arange(size) - by
    low = np.floor(source).astype(int)
    out = np.zeros((size, size))
    for at, share in ((low, low + 1 - source), (low + 1, source - low)):
        inside = (at >= 0) & (at < size)
        out[np.flatnonzero(inside), at[inside]] += share[inside]
    return out
