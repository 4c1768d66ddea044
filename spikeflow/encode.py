"""Static data to input of a spiking network: direct currents, rate spikes, on/off rate spikes.

Random numbers come from a counter: the draw for (seed, sample, step, index) is one hash of these four, so it
does not depend on the batch, on threads, or on what was drawn before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError
from spikeflow.events import Spikes

Array = npt.NDArray[Any]


def _mix(x: Array) -> Array:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection that spreads every bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(seed: int, sample: npt.ArrayLike, step: int, size: int) -> Array:
    """Uniform numbers in [0, 1) of shape ``(samples, size)``, each a function of (seed, sample, step, index)."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        key = _mix(np.uint64(seed % 2**64) + golden + np.zeros(1, np.uint64))
        key = _mix(key + np.asarray(sample, np.uint64) * golden)
        key = _mix(key + np.uint64(step) * golden)
        bits = _mix(key[:, None] + (np.arange(size, dtype=np.uint64) + np.uint64(1)) * golden)
    return (bits >> np.uint64(11)) * 2.0**-53


def rate(x: npt.ArrayLike, steps: int, scale: float, seed: int = 0, first_sample: int = 0) -> Spikes:
    """One spike with probability min(x / scale, 1) in every step, from ``(B, *shape)``.

    Raises
    ------
    DataError
        Where x is negative (use `onoff`) or not finite.
    """
    array = _checked(x)
    if array.size and array.min() < 0:
        raise DataError("rate coding", f"a value of {array.min():g}", "values >= 0", "--input onoff")
    flat = array.reshape(array.shape[0], -1) / scale
    samples = np.arange(first_sample, first_sample + array.shape[0])
    fired = np.stack([uniform(seed, samples, t, flat.shape[1]) < flat for t in range(steps)])
    return Spikes.from_dense(fired.reshape((steps, *array.shape)))


def split_signs(x: npt.ArrayLike) -> Array:
    """max(x, 0) and max(-x, 0), one after the other along the first axis of each sample."""
    array = _checked(x)
    return np.concatenate([np.maximum(array, 0), np.maximum(-array, 0)], axis=1)


def onoff(x: npt.ArrayLike, steps: int, scale: float, seed: int = 0, first_sample: int = 0) -> Spikes:
    """Two rate channels for max(x, 0) and max(-x, 0): ``(B, C, ...)`` becomes spikes of ``(2 C, ...)``."""
    return rate(split_signs(x), steps, scale, seed, first_sample)


def _checked(x: npt.ArrayLike) -> Array:
    array = np.asarray(x, np.float64)
    if array.ndim < 2 or array.shape[0] == 0:
        raise DataError("input data", f"shape {array.shape}", "(samples, ...) with at least one sample")
    if not np.isfinite(array).all():
        raise DataError("input data", "NaN or infinite values", "finite values")
    return array
