"""Pixel frequency: events and frames have the same counts, which are those of the formula in whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spikeflow.datasets.loading.batch import frames
from spikeflow.datasets.transforms.pixel_frequency import PixelFrequency
from spikeflow.errors import DataError
from spikeflow.ir.binning import Binning

IMAGES = st.one_of(arrays(np.uint8, (2, 3)), arrays(np.uint8, (2, 2, 3)))
ENCODERS = st.builds(
    PixelFrequency,
    st.sampled_from([1, 7, 200, 3333, 1_000_000]),
    st.integers(1, 3000),
    st.sampled_from([None, 0, 5]),
)


@given(IMAGES, ENCODERS, st.integers(1, 4000))
def test_events_and_frames_have_the_same_counts(
    image: np.ndarray, encoder: PixelFrequency, step_us: int
) -> None:
    dense = encoder.frames(image, step_us, sample=4)
    events = encoder(image, sample=4)
    assert dense.shape == (-(-encoder.duration_us // step_us), *image.shape[:2])
    binned = frames([events], Binning(step_us, len(dense), start="zero", polarity=False))
    assert (binned[:, 0, 0] == dense).all()
    assert len(events) == dense.sum() and (events.p == 1).all()


@given(arrays(np.uint8, (1, 4)), ENCODERS)
def test_frequency_is_proportional_to_intensity(image: np.ndarray, encoder: PixelFrequency) -> None:
    counted = np.bincount(encoder(image).x, minlength=4)
    for value, count in zip(image[0].tolist(), counted.tolist(), strict=True):
        periods = value * encoder.max_hz * (encoder.duration_us - 1) / (255 * 10**6)
        assert abs(count - periods) < 1 + 1e-9
        if encoder.seed is None:
            assert count == value * encoder.max_hz * (encoder.duration_us - 1) // (255 * 10**6)


def test_trains_are_regular() -> None:
    events = PixelFrequency(max_hz=100, duration_us=1_000_001)(np.array([[255, 51, 0]], np.uint8))
    assert np.array_equal(events.t[events.x == 0], np.arange(1, 101) * 10_000)
    assert np.array_equal(events.t[events.x == 1], np.arange(1, 21) * 50_000)
    assert not (events.x == 2).any()


def test_phases_are_drawn_by_seed_and_sample() -> None:
    image = np.full((8, 8), 200, np.uint8)
    encoder = PixelFrequency(seed=1)
    assert encoder(image, 3).sha256 == PixelFrequency(seed=1)(image, 3).sha256
    assert encoder(image, 3).sha256 != encoder(image, 4).sha256
    assert encoder(image, 3).sha256 != PixelFrequency(seed=2)(image, 3).sha256
    together = PixelFrequency()(image)
    assert len(np.unique(together.t)) * 64 == len(together)
    assert len(np.unique(encoder(image).t)) > len(np.unique(together.t))


def test_grey_and_colour_of_the_same_luminance_spike_alike() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    assert PixelFrequency(seed=0)(grey).sha256 == PixelFrequency(seed=0)(colour).sha256


def test_largest_numbers_do_not_overflow() -> None:
    encoder = PixelFrequency(max_hz=1, duration_us=10**13, seed=3)
    image = np.full((1, 1), 255, np.uint8)
    assert encoder.frames(image, 10**12).sum() in (10**7 - 1, 10**7)
    assert encoder.frames(image, 10**12).min() >= 0


@pytest.mark.parametrize(
    "settings",
    [{"max_hz": 0}, {"max_hz": 10**6 + 1}, {"duration_us": 0}, {"max_hz": 10, "duration_us": 10**12 + 1}],
)
def test_settings_that_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(DataError, match="pixel frequency"):
        PixelFrequency(**settings)


@pytest.mark.parametrize("image", [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros(4, np.uint8)])
def test_images_that_are_refused(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="uint8"):
        PixelFrequency()(image)


def test_too_many_events_and_steps_that_are_refused() -> None:
    with pytest.raises(DataError, match="lower max_hz"):
        PixelFrequency(max_hz=10**6, duration_us=10**7)(np.full((10, 10), 255, np.uint8))
    with pytest.raises(DataError, match="step_us"):
        PixelFrequency().frames(np.zeros((1, 1), np.uint8), 0)
