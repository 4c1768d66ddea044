"""The ear: its filters by their formulas, its neurons against a loop written out, its spikes by what must hold."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import freqz, gammatone

from spikeflow.datasets.transforms.cochlea import Cochlea
from spikeflow.datasets.transforms.filterbank import (
    bandwidth_hz,
    bank,
    centres_hz,
    filtered,
    response,
    sections,
)
from spikeflow.datasets.transforms.hair_cell import HairCell
from spikeflow.errors import DataError
from spikeflow.events import Events

RATE = 16_000
EAR = Cochlea(channels=24)


def tone(
    frequency_hz: float, amplitude: float = 0.3, seconds: float = 0.2, rate_hz: int = RATE
) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(int(seconds * rate_hz)) / rate_hz)


def noise(seed: int, count: int = 2400) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, count)


def counts(events: Events) -> np.ndarray:
    return np.bincount(events.x, minlength=events.width or 0)


def test_bandwidths_and_centres_are_those_of_the_paper() -> None:
    # Glasberg and Moore 1990: 24.7 (4.37 + 1) = 132.639 Hz at 1 kHz
    assert bandwidth_hz(1000) == pytest.approx(132.639)
    centres = centres_hz(5, 100, 4000)
    assert centres[[0, -1]] == pytest.approx([100, 4000])
    on_the_scale = 21.4 * np.log10(4.37e-3 * centres + 1)
    assert np.diff(on_the_scale) == pytest.approx(np.full(4, np.diff(on_the_scale)[0]))


@pytest.mark.parametrize("centre", [100.0, 1000.0, 5000.0])
def test_filter_is_a_gammatone(centre: float) -> None:
    """Of order 4 with bandwidth b its gain is (1 + ((f - centre) / b)^2)^-2, to half a decibel around the centre."""
    b = 1.019 * bandwidth_hz(centre)
    frequencies = centre + b * np.linspace(-1, 1.5, 11)
    gain = response(sections(centre, RATE), frequencies, RATE)
    wanted = (1 + ((frequencies - centre) / b) ** 2) ** -2
    assert np.abs(20 * np.log10(gain / wanted)).max() < 0.5


@pytest.mark.parametrize("centre", [1000.0, 5000.0])
def test_filter_is_that_of_scipy(centre: float) -> None:
    """scipy has the same filter as one quotient of polynomials, which is exact enough above some 500 Hz."""
    above, below = gammatone(centre, "iir", fs=RATE)
    frequencies = np.linspace(0.5, 1.5, 21) * centre
    theirs = np.abs(freqz(above, below, frequencies, fs=RATE)[1])
    ours = response(sections(centre, RATE), frequencies, RATE)
    assert ours / ours.max() == pytest.approx(theirs / theirs.max(), rel=1e-4)


def test_filtered_sound_has_the_gain_of_the_filter() -> None:
    filters = bank(3, 200, 3000, RATE)
    for frequency in (200.0, 700.0, 3000.0):
        heard = filtered(filters, tone(frequency, 1.0, 0.5))[:, 4000:]
        gains = [float(response(sos, frequency, RATE)) for sos in filters]
        assert np.abs(heard).max(1) == pytest.approx(gains, rel=0.02, abs=1e-3)


def test_neurons_are_those_of_the_equation() -> None:
    cell, step_us = HairCell(threshold=0.2, tau_us=4000, refractory_us=1500), 500
    drive = np.random.default_rng(0).random((200, 7)) * np.linspace(0, 2, 7)
    fired = cell.spikes(drive, step_us)
    leak = math.exp(-step_us / 4000)
    for channel in range(7):
        v, last = 0.0, -100
        for step in range(200):
            v = v * leak + drive[step, channel] * ((1 - leak) / 0.2) if step - last >= 3 else 0.0
            assert fired[step, channel] == (v >= 1), (channel, step)
            if v >= 1:
                v, last = 0.0, step
    assert fired.any() and not fired.all()


def test_drive_at_the_threshold_never_spikes() -> None:
    cell = HairCell()
    assert not cell.spikes(np.full((2000, 1), 0.999 * cell.threshold), 500).any()
    assert cell.spikes(np.full((2000, 1), 1.1 * cell.threshold), 500).any()


def test_drive_is_the_mean_of_rectified_compressed_samples() -> None:
    drive = HairCell(exponent=0.5).drive(np.array([[4.0, -9.0, 16.0, 1.0, 9.0]]), 2)
    assert drive[:, 0].tolist() == [1.0, 2.5, 1.5]  # the last step is filled with a zero


def test_silence_makes_no_spikes() -> None:
    for silence in (np.zeros(8000), np.zeros(0), np.zeros(3)):
        events = EAR(silence, RATE)
        assert len(events) == 0 and (events.width, events.height) == (24, 1)


@pytest.mark.parametrize("channel", [3, 8, 14, 20])
def test_a_tone_spikes_most_at_its_channel(channel: int) -> None:
    events = EAR(tone(float(EAR.centres_hz[channel]), 0.02), RATE)
    found = counts(events)
    # refractory neurons may spike equally often: the tone's own channel is in the middle of them
    best = np.flatnonzero(found == found.max())
    assert found[channel] == found.max() > 0 and abs(best.mean() - channel) <= 1
    assert (events.p == 1).all() and (events.y == 0).all()


@given(st.integers(0, 50), st.sampled_from([2.0, 4.0, 16.0]))
def test_louder_is_not_fewer(seed: int, factor: float) -> None:
    sound = noise(seed) * 0.05
    quiet, loud = counts(EAR(sound, RATE)), counts(EAR(sound * factor, RATE))
    assert (loud >= quiet).all()


@given(st.integers(0, 50), st.integers(0, 200))
def test_a_shift_in_time_shifts_the_spikes(seed: int, steps: int) -> None:
    sound = noise(seed)
    late = np.concatenate([np.zeros(steps * 8), sound])
    here, there = EAR(sound, RATE), EAR(late, RATE)
    assert len(here) and (there.t - steps * EAR.step_us).tolist() == here.t.tolist()
    assert there.x.tolist() == here.x.tolist()


def test_what_comes_later_changes_nothing_before() -> None:
    sound = noise(1)
    whole, start = EAR(sound, RATE), EAR(sound[:1200], RATE)
    until = 1200 // 8 * 500
    assert whole.between(0, until).sha256 == start.between(0, until).sha256


def test_same_sound_same_events() -> None:
    assert EAR(noise(3), RATE).sha256 == Cochlea(channels=24)(noise(3).copy(), RATE).sha256


def test_resampled_sound_is_heard_as_the_same_tone() -> None:
    frequency = float(EAR.centres_hz[10])
    at_16k = counts(EAR(tone(frequency), RATE))
    for rate in (8000, 44_100, 48_000):
        other = counts(EAR(tone(frequency, rate_hz=rate), rate))
        assert np.abs(other - at_16k).sum() <= 0.05 * at_16k.sum()


def test_speed_of_an_utterance() -> None:
    """0.5 s at 8 kHz, 64 channels: about 10 to 17 ms of a processor's time, however busy the machine is."""
    ear, sound = Cochlea(), noise(0, 4000)
    ear(sound, 8000)
    took = []
    for _ in range(5):
        begun = time.process_time()
        ear(sound, 8000)
        took.append(time.process_time() - begun)
    assert min(took) < 0.1


def test_700_channels() -> None:
    events = Cochlea(channels=700, low_hz=50)(noise(0, 800), RATE)
    assert events.width == 700 and len(events)


@pytest.mark.parametrize(
    "settings, word",
    [
        ({"channels": 0}, "channels"),
        ({"channels": 10**6}, "channels"),
        ({"high_hz": 8000.0}, "frequencies"),
        ({"low_hz": 0.0}, "frequencies"),
        ({"low_hz": 500.0, "high_hz": 100.0}, "frequencies"),
        ({"step_us": 333}, "whole samples"),
        ({"step_us": 0}, "whole samples"),
    ],
)
def test_ears_that_cannot_be(settings: dict[str, float], word: str) -> None:
    with pytest.raises(DataError, match=word):
        Cochlea(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["exponent", "threshold", "tau_us"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_hair_cells_that_cannot_be(name: str, value: float) -> None:
    with pytest.raises(DataError, match=name):
        HairCell(**{name: value})  # type: ignore[arg-type]


def test_refractory_time_is_not_negative() -> None:
    with pytest.raises(DataError, match="refractory_us"):
        HairCell(refractory_us=-1)


@pytest.mark.parametrize(
    "sound, rate, word",
    [
        (np.full(10, np.nan), RATE, "finite"),
        (np.zeros((10, 2)), RATE, "one row"),
        (np.zeros((1, 2, 3)), RATE, "shape"),
        (np.array(["a"]), RATE, "numbers"),
        (np.zeros(10), 0, "rate_hz"),
        (np.zeros(10), 0.5, "rate_hz"),
        (np.zeros(1 << 14), 1, "at most"),
    ],
)
def test_sounds_that_are_refused(sound: np.ndarray, rate: int, word: str) -> None:
    with pytest.raises(DataError, match=word):
        EAR(sound, rate)


def test_real_digits(data_folder) -> None:
    from spikeflow.datasets.stored.wave import read_wave

    files = sorted((data_folder / "fsdd").rglob("0_*_0.wav")) + sorted(
        (data_folder / "fsdd").rglob("8_*_0.wav")
    )
    assert files
    for file in files:
        sound = read_wave(file)
        events = Cochlea()(sound.samples, sound.rate_hz)
        a_second = len(events) / 64 / (len(sound.samples) / sound.rate_hz)
        assert 1 < a_second < 400, file
