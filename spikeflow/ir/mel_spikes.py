"""Sound to spikes as a step of preprocessing: bands of the mel scale, their changes as on and off spikes.

The same bits on every machine: sums of products are of whole numbers that float64 holds exactly, so that no
order and no fused operation matters; all else is done element by element, in the one order written here.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Any

import numpy as np

from spikeflow.errors import DataError, SpikeflowWarning
from spikeflow.sound import Sound
from spikeflow.typing import Array

WHOLE = 2.0**23  # samples are whole numbers of 1 / WHOLE: 24 bits
BASIS = 2.0**16  # and so are the waves that they are multiplied with: 24 + 17 + 11 bits at most
TAPS = 2.0**18  # and the taps of the filter that resamples
WEIGHTS = 2.0**16
WAVES = 256  # frequencies from 0 to half the rate
LEAD = 3  # steps before the first loud one
QUIET = 0.1  # share of frames that are taken for background
SILENT = 2.0**-15  # the loudest sample of a sound that holds nothing: one step of 16 bits
MAX_WINDOW = 1 << 11
MAX_SECONDS = 600
MAX_RATE_HZ = 384_000
_WHOLE = {"rate_hz": 1 << 17, "bands": 128, "steps": 1 << 14, "step_us": 10**6, "window_us": 10**6}
_RANGES = {
    "low_hz": (1, 1 << 16),
    "high_hz": (1, 1 << 16),
    "tilt": (0, 8),
    "depth": (1, 60),
    "threshold": (0.01, 60),
    "follow": (0, 1),
    "warp": (0.5, 2),
    "onset": (0, 60),
}


@dataclass(frozen=True)
class MelSpikes:
    """``MelSpikes()(sound) -> (steps, 2 bands)``, 0 and 1, float32: on spikes of all bands, then off spikes.

    1. The sound is resampled to `rate_hz` (polyphase filter, Kaiser window, 20 zeros), its
       mean taken away before. Frame t holds the samples of ``window_us`` around ``t step_us``.
    2. The frames that count begin `LEAD` before the first whose power (of differences of samples) lies at
       most `onset` octaves below the loudest, and above the background, the 10th percentile, by a quarter of
       the way to the loudest in decibels.
       Behind the end of the sound there is silence.
    3. ``P[t, k] = |sum_n hann[n] x[t, n] exp(-i pi k n / 256)|^2``, k = 0 to 256.
    4. ``E[t, b] = sum_k w[b, k] P[t, k]``, triangles evenly spaced on the mel scale
       ``2595 log10(1 + f / 700)`` from `low_hz` to `high_hz`, times ``(f / 1000)^tilt``.
    5. ``L[t, b] = max(log2(E[t, b] / max E) + depth, 0)``: whatever the gain, 0 is `depth` octaves of power
       below the loudest.
    6. A level starts at 0. Where L lies at least `threshold` above (below) it, the on (off) channel spikes
       and the level moves by ``threshold + follow (|L - level| - threshold)`` towards L.

    Sources: Stevens, Volkmann and Newman 1937, "A scale for the measurement of the psychological magnitude
    pitch"; O'Shaughnessy 1987, "Speech communication" (the formula); Jaitly and Hinton 2013, "Vocal tract
    length perturbation improves speech recognition" (the warp).

    Parameters
    ----------
    rate_hz : at which the ear computes; sound of a lower rate is refused, of a higher one resampled.
    bands : of the mel scale; twice as many channels.
    steps, step_us : of the spikes; what is longer is cut.
    window_us : of a frame.
    low_hz, high_hz : feet of the first and the last triangle.
    tilt : 1 raises power by 3 dB an octave; the power of a voice falls.
    depth : octaves of power, of 3 dB each, that are heard.
    threshold : in octaves of power.
    follow : 0 to 1; 0 is delta modulation by one threshold a step.
    onset : octaves of power below the loudest; 0 for the background alone.
    warp : of the frequencies, for augmentation: a voice at f is heard as at ``warp f``.

    Raises
    ------
    DataError
        Where the numbers do not fit together; for a sound that is silent, shorter than a frame, longer than
        10 minutes, or of a rate too low for the bands.
    """

    rate_hz: int = 8_000
    bands: int = 40
    steps: int = 50
    step_us: int = 10_000
    window_us: int = 25_000
    low_hz: float = 60.0
    high_hz: float = 3_800.0
    tilt: float = 1.0
    depth: float = 12.0
    threshold: float = 0.5
    follow: float = 0.0
    warp: float = 1.0
    onset: float = 9.0

    def __post_init__(self) -> None:
        for name, most in _WHOLE.items():
            _check(name, type(getattr(self, name)) is int and 1 <= getattr(self, name) <= most, self)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            _check(name, isinstance(value, int | float) and low <= value <= high, self)
            object.__setattr__(self, name, float(value))
        _check("step_us", self.rate_hz * self.step_us % 1_000_000 == 0, self)
        _check("window_us", 8 <= self._window <= MAX_WINDOW, self)
        _check("low_hz", self.low_hz < self.high_hz <= self.rate_hz / 2, self)

    @property
    def _window(self) -> int:
        return self.rate_hz * self.window_us // 1_000_000

    @property
    def _hop(self) -> int:
        return self.rate_hz * self.step_us // 1_000_000

    @property
    def shape(self) -> tuple[int]:
        """Of a step: on channels, then off channels."""
        return (2 * self.bands,)

    def __call__(self, sound: Sound) -> Array:
        return self.coded(self.levels(sound))

    def levels(self, sound: Sound) -> Array:
        """L, float64, ``(steps, bands)``."""
        frames = self._frames(resampled(checked(sound), sound.rate_hz, self.rate_hz))
        parts = (frames @ _waves(self._window)) * (1 / (WHOLE * BASIS))  # exact: whole numbers below 2^53
        real, imaginary = parts[:, : WAVES + 1], parts[:, WAVES + 1 :]
        power = real * real + imaginary * imaginary
        energy = np.zeros((len(power), self.bands))
        for at, row in zip(*_triangles(self), strict=True):
            energy += power[:, at] * row
        most = float(energy.max())
        if most <= 0:
            raise DataError("sound", f"nothing between {self.low_hz:g} and {self.high_hz:g} Hz", "a voice")
        return np.maximum(log2(np.maximum(energy / most, 2.0**-100)) + self.depth, 0.0)

    def coded(self, levels: Array) -> Array:
        """The spikes of L."""
        level, found = np.zeros(levels.shape[1]), np.zeros((len(levels), 2, levels.shape[1]), np.float32)
        for spikes, now in zip(found, levels, strict=True):
            far = np.abs(now - level)
            fired = far >= self.threshold
            spikes[0], spikes[1] = fired & (now > level), fired & (now < level)
            move = np.where(fired, self.threshold + self.follow * (far - self.threshold), 0.0)
            level = level + np.where(now > level, move, -move)
        return found.reshape(len(levels), -1)

    def _frames(self, x: Array) -> Array:
        """The frames that count, ``(steps, window)``."""
        size, hop = self._window, self._hop
        if len(x) < size:
            raise DataError("sound", f"{len(x)} samples at {self.rate_hz} Hz", f"at least {size}, one frame")
        every = np.lib.stride_tricks.sliding_window_view(np.pad(x, (size // 2, size)), size)[::hop]
        loud = _loud(every, self.onset)
        first = max(0, int(np.argmax(loud)) - LEAD)
        if loud[first + self.steps :].sum() >= self.steps:
            heard = self.steps * self.step_us / 1e6
            text = f"a sound goes on behind the {heard:g} s that are heard: the rest is left out. "
            text += "Try: one word a recording"
            warnings.warn(text, SpikeflowWarning, stacklevel=4)
        chosen = every[first : first + self.steps]
        return np.pad(chosen, ((0, self.steps - len(chosen)), (0, 0)))

    def __str__(self) -> str:
        return f"spikes of {self.bands} mel bands, {self.steps} steps of {self.step_us / 1000:g} ms"


def checked(sound: Sound) -> Array:
    """The samples as whole numbers of 24 bits, float64, without their mean.

    Raises
    ------
    DataError
        For a sound that is not one row of finite numbers from -1 to 1, silent, or too long.
    """
    x = np.asarray(sound.samples)
    if x.ndim != 1 or x.dtype.kind not in "fiu":
        raise DataError("sound", f"{x.dtype} of shape {x.shape}", "one row of samples (n,)")
    if sound.rate_hz != int(sound.rate_hz) or not sound.rate_hz >= 1:
        raise DataError("sound: rate_hz", sound.rate_hz, "a whole number above 0")
    if len(x) > MAX_SECONDS * sound.rate_hz:
        raise DataError("sound", f"{len(x) / sound.rate_hz:.0f} s", f"at most {MAX_SECONDS} s", "pieces")
    x = x.astype(np.float64)
    if not np.isfinite(x).all() or (len(x) and np.abs(x).max() > 1):
        raise DataError("sound", "values beyond -1 to 1", "finite numbers between them", "x / abs(x).max()")
    x = np.rint(x * WHOLE)
    x -= np.rint(x.sum() / max(len(x), 1))  # the sum is exact
    if len(x) and np.abs(x).max() <= SILENT * WHOLE:
        raise DataError("sound", "silence", "a recording in which something is heard")
    return x


def resampled(x: Array, have_hz: int, want_hz: int) -> Array:
    """Whole numbers at another rate; exact products and sums, so that any order gives the same.

    Raises
    ------
    DataError
        For a rate below the wanted one, whose high frequencies are missing, or above 384 kHz.
    """
    if not want_hz <= have_hz <= MAX_RATE_HZ:
        wanted = f"{want_hz} to {MAX_RATE_HZ}: below there is nothing to hear in the upper bands"
        raise DataError("sound: rate_hz", have_hz, wanted)
    common = gcd(have_hz, want_hz)
    up, down = want_hz // common, have_hz // common
    if up == down or not len(x):
        return x
    from scipy.signal import firwin, upfirdn

    most = max(up, down)
    reach = 10 * most
    window: Any = ("kaiser", 5.0)
    taps = np.rint(np.asarray(firwin(2 * reach + 1, 1 / most, window=window)) * (most * TAPS))
    skip = -reach % down  # so that an output falls on the middle of the filter
    found = np.asarray(upfirdn(np.pad(taps, (skip, 0)), x, up, down))
    first = (reach + skip) // down
    return np.rint(found[first : first + -(-len(x) * up // down)] * (up / most / TAPS))


def log2(x: Array) -> Array:
    """Logarithm to base 2 of numbers above 0, to 1e-12, element by element: numpy's own differs by processor.

    ``m in [sqrt(1/2), sqrt 2)``, ``z = (m - 1) / (m + 1)``: ``ln m = 2 (z + z^3/3 + z^5/5 + ...)``.
    """
    part, exponent = np.frexp(x)
    low = part < math.sqrt(0.5)
    part, exponent = np.where(low, 2 * part, part), exponent - low
    z = (part - 1) / (part + 1)
    square, total = z * z, np.zeros_like(z)
    for n in range(15, 0, -2):
        total = total * square + 1 / n
    return total * z * (2 / math.log(2)) + exponent


def _loud(frames: Array, onset: float) -> Array:
    """Which frames stand out of the background."""
    loud = np.zeros(len(frames))
    for n in range(1, frames.shape[1]):
        step = frames[:, n] - frames[:, n - 1]
        loud += step * step
    known = log2(np.maximum(loud, 1.0))
    quiet = float(np.sort(known)[int(QUIET * len(known))])
    most = float(known.max())
    least = quiet + (most - quiet) * 0.25
    return known >= (max(least, most - onset) if onset else least)


@lru_cache(maxsize=4)
def _waves(size: int) -> Array:
    """Windowed waves ``(size, 2 (WAVES + 1))``, whole numbers: cosines, then sines."""
    n, k = np.arange(size)[:, None], np.arange(WAVES + 1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (n + 0.5) / size)
    turn = np.pi * k * n / WAVES
    waves = np.rint(np.concatenate([window * np.cos(turn), window * np.sin(turn)], axis=1) * BASIS)
    waves.setflags(write=False)
    return waves


@lru_cache(maxsize=256)
def _weights(step: MelSpikes) -> Array:
    """Triangles ``(WAVES + 1, bands)``, whole numbers of 1 / WEIGHTS."""
    feet = np.linspace(_mel(step.low_hz), _mel(step.high_hz), step.bands + 2)
    hz = np.arange(WAVES + 1) * (step.rate_hz / (2 * WAVES))
    at = _mel(hz * step.warp)[:, None]
    rise, fall = (at - feet[:-2]) / (feet[1:-1] - feet[:-2]), (feet[2:] - at) / (feet[2:] - feet[1:-1])
    triangles = np.maximum(np.minimum(rise, fall), 0) * ((hz / 1000) ** step.tilt)[:, None]
    weights = np.rint(triangles * WEIGHTS) / WEIGHTS
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=256)
def _triangles(step: MelSpikes) -> tuple[Array, Array]:
    """Of each band its frequencies with a weight, ascending, and these weights, ``(most, bands)``: a sum over
    them is that over all, bit for bit, as 0 added to a power changes nothing. Bands with fewer add 0 at last.
    """
    weights = _weights(step)
    at = np.argsort(weights == 0, axis=0, kind="stable")[: max(1, int((weights > 0).sum(0).max()))]
    return at, np.take_along_axis(weights, at, 0)


def _mel(hz: Any) -> Any:
    return 2595 * np.log10(1 + np.asarray(hz, np.float64) / 700)


def _check(name: str, fine: bool, step: MelSpikes) -> None:
    if not fine:
        wanted = "whole samples in a step, 8 to 2048 in a window, low_hz below high_hz up to half of the rate"
        raise DataError(f"mel spikes: {name}", getattr(step, name), wanted)
