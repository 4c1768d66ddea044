"""Encoders of images: counts, times, channels, and independence of other images."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow import encode
from spikeflow.datasets.encoded import Latency, OnOff, Rate, Saccades, luminance, shifted, spikes_to_events
from spikeflow.errors import DataError
from spikeflow.events import Spikes

IMAGE = np.linspace(0, 255, 48).astype(np.uint8).reshape(6, 8)
ENCODERS = [Rate(), OnOff(), Latency(), Saccades()]


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("image", [IMAGE, np.stack([IMAGE] * 3, axis=-1)])
def test_events_of_the_image_s_size(encoder, image: np.ndarray) -> None:
    events = encoder(image, 3)
    assert (events.width, events.height) == (8, 6) and len(events)
    assert events.t.max() < encoder.steps * encoder.step_us
    assert events.sha256 == encoder(image, 3).sha256


def test_rate_follows_luminance() -> None:
    events = Rate(steps=2000, peak=0.5)(IMAGE)
    counts = np.zeros(IMAGE.shape)
    np.add.at(counts, (events.y, events.x), 1)
    np.testing.assert_allclose(counts / 2000, IMAGE / 255 * 0.5, atol=0.05)
    assert events.p.all()
    assert Rate()(IMAGE, 0).sha256 != Rate()(IMAGE, 1).sha256 != Rate(seed=1)(IMAGE, 1).sha256


def test_on_above_the_mean_off_below() -> None:
    events = OnOff()(IMAGE)
    bright = IMAGE[events.y, events.x] > IMAGE.mean()
    np.testing.assert_array_equal(events.p, bright)


def test_latency_one_event_a_pixel_bright_first() -> None:
    events = Latency(steps=100)(IMAGE)
    assert len(events) == (IMAGE > 0.05 * 255).sum()
    assert (np.diff(IMAGE[events.y, events.x].astype(int)) <= 3).all()  # within a step the order is by place


def test_saccades_come_back_and_leave_nothing() -> None:
    image = np.zeros((20, 20), np.uint8)
    image[8:12, 8:12] = 255
    events = Saccades()(image)
    net = np.zeros(image.shape)
    np.add.at(net, (events.y, events.x), np.where(events.p == 1, 1, -1))
    assert (
        np.abs(net).max() <= 2
    )  # the level of every pixel ends where it began, but for what delta coding lags
    assert 0.4 < events.p.mean() < 0.6


def test_shift_by_whole_and_half_pixels() -> None:
    x = IMAGE.astype(float)
    moved = shifted(x, 1, 2)
    np.testing.assert_array_equal(moved[2:, 1:], x[:-2, :-1])
    assert not moved[:2].any() and not moved[:, 0].any()
    np.testing.assert_allclose(shifted(x, 0.5, 0)[:, 1:], (x[:, 1:] + x[:, :-1]) / 2)


def test_luminance() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(luminance(colours), [[0.299, 0.587, 0.114, 1]])
    for wrong in (IMAGE.astype(float), IMAGE[0], np.zeros((2, 2, 4), np.uint8)):
        with pytest.raises(DataError, match="uint8"):
            luminance(wrong)


def test_only_one_sample_becomes_events() -> None:
    with pytest.raises(DataError, match="one sample"):
        spikes_to_events(Spikes.from_dense(np.ones((1, 2, 1, 2, 2))), 1000)


def test_rate_is_that_of_spikes() -> None:
    """Without the way through Spikes, and equal to it."""
    for image in (IMAGE, np.zeros((3, 2), np.uint8)):
        x = luminance(image)[None, None] * 0.7
        slowly = spikes_to_events(encode.rate(x, 30, 1.0, 5, 8), 200)
        assert Rate(30, 200, 0.7, 5)(image, 8).sha256 == slowly.sha256
    with pytest.raises(DataError, match="rate coding"):
        Rate(peak=-1.0)(IMAGE)
