"""A bank of gammatone filters, spaced evenly on the scale of the ear's bandwidths.

Equivalent rectangular bandwidth of the ear's filter at frequency f, and the scale on which each is one wide:

    ERB(f) = 24.7 (4.37 f / 1000 + 1)  Hz,    E(f) = 21.4 log10(4.37 f / 1000 + 1)

Sources: Glasberg and Moore 1990, "Derivation of auditory filter shapes from notched-noise data" (both
formulas); Patterson et al. 1992, "Complex sounds and auditory images" (the gammatone filter, bandwidth 1.019
ERB); Slaney 1993, "An efficient implementation of the Patterson-Holdsworth auditory filter bank", Apple
report 35 (its four sections).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.signal import sosfilt

from spikeflow.typing import Array

WIDTH = 1.019  # of a gammatone of order 4 in ERB


def bandwidth_hz(frequency_hz: npt.ArrayLike) -> Array:
    """ERB(f)."""
    return 24.7 * (4.37e-3 * np.asarray(frequency_hz, np.float64) + 1)


def centres_hz(channels: int, low_hz: float, high_hz: float) -> Array:
    """Centre frequencies, rising, evenly spaced in E from low to high, both included; float64,
    ``(channels,)``.
    """
    low, high = (21.4 * np.log10(4.37e-3 * f + 1) for f in (low_hz, high_hz))
    return (10 ** (np.linspace(low, high, channels) / 21.4) - 1) / 4.37e-3


def sections(centre_hz: float, rate_hz: int) -> Array:
    """The four second-order sections ``(4, 6)`` of one gammatone filter, as scipy takes them; gain 1 at its
    centre.
    """
    turn = 2 * np.pi * centre_hz / rate_hz
    fall = np.exp(-2 * np.pi * WIDTH * bandwidth_hz(centre_hz) / rate_hz)
    out = np.zeros((4, 6))
    for row, (sign, other) in enumerate(((1, 1), (-1, 1), (1, -1), (-1, -1))):
        zero = np.cos(turn) + sign * np.sqrt(3 + other * 2**1.5) * np.sin(turn)
        out[row] = 1, -fall * zero, 0, 1, -2 * fall * np.cos(turn), fall**2
    out[0, :3] /= response(out, centre_hz, rate_hz)
    return out


def response(sos: Array, frequency_hz: npt.ArrayLike, rate_hz: int) -> Array:
    """Gain of these sections at these frequencies."""
    z = np.exp(-2j * np.pi * np.asarray(frequency_hz, np.float64) / rate_hz)[..., None]
    above = sos[:, 0] + sos[:, 1] * z + sos[:, 2] * z**2
    below = sos[:, 3] + sos[:, 4] * z + sos[:, 5] * z**2
    return np.abs(np.prod(above / below, axis=-1))


@lru_cache(maxsize=8)
def bank(channels: int, low_hz: float, high_hz: float, rate_hz: int) -> Array:
    """Sections of all filters, ``(channels, 4, 6)``, read-only; one bank is made once."""
    out = np.stack([sections(float(f), rate_hz) for f in centres_hz(channels, low_hz, high_hz)])
    out.setflags(write=False)
    return out


def filtered(filters: Array, samples: Array) -> Array:
    """The samples ``(n,)`` through every filter, float64, ``(channels, n)``."""
    out = np.empty((len(filters), len(samples)))
    if not len(samples):
        return out
    for channel, sos in enumerate(filters):
        out[channel] = sosfilt(sos.copy(), samples)  # scipy asks for sections it could write to
    return out
