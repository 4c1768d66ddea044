"""Sound to spikes, as an inner ear does it: gammatone filters, hair cells, integrate-and-fire neurons."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from spikeflow.datasets.transforms.filterbank import bank, centres_hz, filtered
from spikeflow.datasets.transforms.hair_cell import HairCell
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array

MAX_SAMPLES = 1 << 26  # of one sound, after resampling: above an hour at 16 kHz
MAX_CHANNELS = 1 << 12


@dataclass(frozen=True)
class Cochlea:
    """``Cochlea()(samples, rate_hz) -> Events``: x is the channel, low frequencies first; y = 0, p = 1.

    The sound is resampled to ``self.rate_hz`` (polyphase filter with a Kaiser window,
    `scipy.signal.resample_poly`; exact ratios of whole numbers), filtered (`filterbank`), turned to a drive
    and to spikes (`hair_cell`). A spike of step s has the time ``s * step_us``. Nothing is drawn, nothing
    depends on the rest of the sound to come, and the level is not normalised: a louder sound makes more
    spikes.

    Parameters
    ----------
    channels : filters, and width of the events' sensor.
    low_hz, high_hz : centres of the first and the last filter.
    rate_hz : at which the ear computes; `high_hz` must lie below half of it.
    step_us : time between two steps of the neurons; whole samples.
    hair_cell : compression, threshold, time constants.

    Raises
    ------
    DataError
        Where the numbers do not fit together.
    """

    channels: int = 64
    low_hz: float = 80.0
    high_hz: float = 7000.0
    rate_hz: int = 16_000
    step_us: int = 500
    hair_cell: HairCell = HairCell()

    def __post_init__(self) -> None:
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise DataError("cochlea: channels", self.channels, f"1 to {MAX_CHANNELS}")
        if self.rate_hz < 1 or self.step_us < 1 or self.rate_hz * self.step_us % 1_000_000:
            raise DataError(
                "cochlea: step_us", f"{self.step_us} at {self.rate_hz} Hz", "whole samples in a step", "500"
            )
        if not 0 < self.low_hz <= self.high_hz < self.rate_hz / 2:
            raise DataError(
                "cochlea: frequencies",
                f"{self.low_hz:g} to {self.high_hz:g} Hz",
                f"0 < low_hz <= high_hz < {self.rate_hz / 2:g}",
                "a higher rate_hz",
            )

    @property
    def centres_hz(self) -> Array:
        """Centre frequency of every channel, rising."""
        return centres_hz(self.channels, self.low_hz, self.high_hz)

    def __call__(self, samples: npt.ArrayLike, rate_hz: int) -> Events:
        """Events of a sound ``(n,)`` with amplitudes between -1 and 1.

        Raises
        ------
        DataError
            Where the sound is not one row of finite numbers, or longer than 2^26 samples at the ear's rate.
        """
        sound = self._resampled(checked_signal(samples, rate_hz), rate_hz)
        filters = bank(self.channels, self.low_hz, self.high_hz, self.rate_hz)
        drive = self.hair_cell.drive(filtered(filters, sound), self.rate_hz * self.step_us // 1_000_000)
        step, channel = np.nonzero(self.hair_cell.spikes(drive, self.step_us))
        on, row = np.ones(step.size, np.uint8), np.zeros(step.size, np.uint16)
        return Events(step * self.step_us, channel, row, on, self.channels, 1)

    def _resampled(self, sound: Array, rate_hz: int) -> Array:
        if sound.ndim != 1:
            raise DataError("cochlea", f"a signal of shape {sound.shape}", "one row of samples (n,)")
        common = gcd(self.rate_hz, rate_hz)
        up, down = self.rate_hz // common, rate_hz // common
        if len(sound) * up // down > MAX_SAMPLES or max(up, down) > MAX_SAMPLES:
            raise DataError(
                "cochlea",
                f"{len(sound)} samples at {rate_hz} Hz",
                f"at most {MAX_SAMPLES} at {self.rate_hz} Hz",
                "the sound in pieces",
            )
        return sound if up == down or not len(sound) else resample_poly(sound, up, down)


def checked_signal(samples: npt.ArrayLike, rate_hz: int) -> Array:
    """A signal as float64, ``(n,)`` or ``(n, channels)``.

    Raises
    ------
    DataError
        Where it has another shape, is not of finite numbers, or the rate is not a whole number above 0.
    """
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiu":
        raise DataError(
            "signal", f"{array.dtype} of shape {array.shape}", "numbers of shape (n,) or (n, channels)"
        )
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise DataError("signal", "NaN or infinite values", "finite values")
    if rate_hz != int(rate_hz) or rate_hz < 1:
        raise DataError("signal: rate_hz", rate_hz, "a whole number above 0")
    return array
