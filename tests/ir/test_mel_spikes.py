"""Sound to spikes of mel bands: the equations against numpy's own transforms, the same bits everywhere."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.signal import resample_poly

from spikeflow import encode
from spikeflow.errors import DataError, SpikeflowWarning
from spikeflow.ir.mel_spikes import WHOLE, MelSpikes, log2, resampled
from spikeflow.sound import Sound

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000)


def word(seed: int = 0, rate_hz: int = 8_000, seconds: float = 0.45) -> Sound:
    """Something like a vowel: harmonics of a falling voice, under formants that move, with a breath before."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    pitch = 2 * np.pi * np.cumsum(140 - 60 * t) / rate_hz
    formant = 500 + 900 * rng.random() * (t / seconds) + 200 * rng.random()
    parts = sum(
        np.sin(n * pitch) * np.exp(-(((n * (140 - 60 * t) - formant) / 300) ** 2)) for n in range(1, 22)
    )
    shape = np.sin(np.pi * t / seconds)
    return Sound((0.4 * shape * np.asarray(parts) / 4).astype(np.float32), rate_hz)


def plainly(step: MelSpikes, frames: np.ndarray) -> np.ndarray:
    """L of frames by numpy's FFT, logarithm and matrix product."""
    size = frames.shape[1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)
    power = np.abs(np.fft.rfft(frames * window, 512)) ** 2
    hz = np.arange(257) * step.rate_hz / 512
    mel = 2595 * np.log10(1 + hz * step.warp / 700)
    low, high = (2595 * np.log10(1 + f / 700) for f in (step.low_hz, step.high_hz))
    feet = np.linspace(low, high, step.bands + 2)
    rows = []
    for left, top, right in zip(feet, feet[1:], feet[2:], strict=False):
        rows.append(np.clip(np.minimum((mel - left) / (top - left), (right - mel) / (right - top)), 0, None))
    energy = power @ (np.array(rows) * (hz / 1000) ** step.tilt).T
    return np.maximum(np.log2(np.maximum(energy / energy.max(), 1e-30)) + step.depth, 0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step", [MelSpikes(), MelSpikes(bands=24, warp=0.9, tilt=0.0, depth=8.0)])
def test_levels_are_those_of_the_equations(seed: int, step: MelSpikes) -> None:
    sound = word(seed, seconds=0.7)
    x = np.rint(sound.samples.astype(np.float64) * WHOLE)
    x = (x - np.rint(x.mean())) / WHOLE
    padded = np.pad(x, (100, 8000))
    every = np.stack([padded[80 * t : 80 * t + 200] for t in range(80)])
    # the shape rises slowly: the first loud frame is looked for here, the numbers are compared
    found = step.levels(sound)
    gaps = [np.abs(plainly(step, every[first : first + step.steps]) - found).max() for first in range(30)]
    assert min(gaps) < 2e-3 and found.max() == step.depth


def test_the_bits_are_the_same_on_every_machine() -> None:
    rng = np.random.default_rng(5)
    whole = rng.integers(-9000, 9000, 5000) * (np.arange(5000) % 977 > 300)
    sounds = [Sound((whole / 32768).astype(np.float32), rate) for rate in (8_000, 16_000, 44_100)]
    bits = b"".join(np.packbits(MelSpikes()(sound).astype(np.uint8)).tobytes() for sound in sounds)
    assert hashlib.sha256(bits).hexdigest() == DIGEST


DIGEST = "f580b44090716294f9b6596f3528d2ad7f61e2452bc5146e90b191c841947867"


@pytest.mark.parametrize("gain", [0.5, 0.125, 0.031, 2.0])
def test_gain_does_not_count(gain: float) -> None:
    for seed in range(5):
        sound = word(seed)
        spikes = MelSpikes()(sound)
        other = MelSpikes()(Sound((sound.samples * np.float32(gain)).clip(-1, 1), 8_000))
        assert (spikes != other).mean() < 2e-3


@pytest.mark.parametrize("silence", [400, 4_000, 40_000])
def test_silence_before_and_behind_does_not_count(silence: int) -> None:
    for seed in range(5):
        sound = word(seed)
        spikes = MelSpikes()(sound)
        other = MelSpikes()(Sound(np.pad(sound.samples, (silence, silence)), 8_000))
        # what lies before the first loud frame is heard in the three steps before it, or is silence
        late = [np.abs(np.roll(other, -shift, 0)[:40] - spikes[:40]).mean() for shift in range(4)]
        assert min(late) < 0.01


@pytest.mark.parametrize("rate", RATES[1:])
def test_other_rates_give_nearly_the_same_spikes(rate: int) -> None:
    for seed in range(3):
        one, other = MelSpikes()(word(seed)), MelSpikes()(word(seed, rate))
        assert one.sum() > 200 and (one != other).mean() < 0.03


@pytest.mark.parametrize("rate", [*RATES[1:], 8_001, 12_345, 384_000])
def test_resampling_is_scipys_up_to_its_taps(rate: int) -> None:
    x = np.rint(word(1, rate, 0.2).samples.astype(np.float64) * WHOLE)
    common = np.gcd(rate, 8_000)
    wanted = resample_poly(x, 8_000 // common, rate // common)
    found = resampled(x, rate, 8_000)
    assert found.shape == wanted.shape and np.array_equal(found, np.rint(found))
    assert np.abs(found - wanted).max() < 1e-4 * WHOLE


def test_the_logarithm_is_numpys() -> None:
    x = np.concatenate([np.random.default_rng(0).lognormal(0, 30, 20_000), 2.0 ** np.arange(-90, 90)])
    np.testing.assert_allclose(log2(x), np.log2(x), rtol=0, atol=2e-12 * 90)
    assert (log2(2.0 ** np.arange(-90, 90)) == np.arange(-90, 90)).all()


@pytest.mark.parametrize("threshold", [0.25, 0.5, 1.0, 3.0])
def test_without_follow_it_is_delta_modulation_from_silence(threshold: float) -> None:
    step = MelSpikes(threshold=threshold, follow=0.0)
    levels = np.random.default_rng(1).integers(0, 25, (50, 40)) / 2  # with ties
    dense = encode.delta(np.concatenate([np.zeros((1, 40)), levels])[:, None], threshold).dense()[1:, 0]
    np.testing.assert_array_equal(step.coded(levels), dense)


def test_full_follow_reaches_the_signal() -> None:
    step = MelSpikes(threshold=1.0, follow=1.0)
    levels = np.array([[0.5], [5.0], [4.5], [0.0]])
    np.testing.assert_array_equal(step.coded(levels), [[0, 0], [1, 0], [0, 0], [0, 1]])


def test_a_warp_is_another_voice() -> None:
    low = MelSpikes().levels(word(2)).argmax(1)
    high = MelSpikes(warp=1.2).levels(word(2)).argmax(1)
    assert (high[10:40] >= low[10:40]).all() and (high[10:40] > low[10:40]).mean() > 0.8


def test_what_is_longer_is_cut_and_told() -> None:
    long = Sound(np.concatenate([word(s).samples for s in range(4)]), 8_000)
    with pytest.warns(SpikeflowWarning, match="goes on behind the 0.5 s"):
        found = MelSpikes()(long)
    assert found.shape == (50, 80)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert MelSpikes()(word(0, seconds=0.15)).shape == (50, 80)
        assert MelSpikes(steps=20)(word(0, seconds=0.15)).shape == (20, 80)


@pytest.mark.parametrize(
    ("samples", "rate", "words"),
    [
        (np.zeros(4000, np.float32), 8_000, "silence"),
        (np.full(4000, 0.25, np.float32), 8_000, "silence"),  # an offset is no sound
        (np.zeros(0, np.float32), 8_000, "samples at 8000 Hz"),
        (np.ones(50, np.float32) * np.arange(50) % 2, 8_000, "at least 200"),
        (np.random.default_rng(0).random(4000), 4_000, "8000 to 384000"),
        (np.random.default_rng(0).random(4000), 400_000, "8000 to 384000"),
        (np.random.default_rng(0).random(4000), 8_000.5, "whole number"),
        (np.random.default_rng(0).random((4000, 2)), 8_000, "one row"),
        (np.array([0.5, np.nan] * 2000), 8_000, "finite"),
        (np.random.default_rng(0).random(4000) * 3, 8_000, "beyond -1 to 1"),
        (np.random.default_rng(0).random(8_000 * 601), 8_000, "at most 600 s"),
        (np.array(["a"] * 400), 8_000, "one row"),
    ],
)
def test_what_is_no_sound_is_refused(samples: Any, rate: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        MelSpikes()(Sound(samples, rate))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_hz": 0}, {"bands": 0}, {"bands": 200}, {"steps": 0}, {"step_us": 0}, {"step_us": 33},
        {"window_us": 100}, {"window_us": 10**6}, {"low_hz": 0.0}, {"low_hz": 4000.0}, {"high_hz": 4001.0},
        {"tilt": -1.0}, {"depth": 0.0}, {"threshold": 0.0}, {"follow": 1.5}, {"warp": 0.1}, {"warp": float("nan")},
        {"rate_hz": 8000.0}, {"steps": True},
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        replace(MelSpikes(), **wrong)
