"""Rate, latency and delta coding: probabilities, independence of batch, signs, times, reconstruction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spikeflow import encode
from spikeflow.errors import DataError


def test_probability_is_the_value_over_the_scale() -> None:
    x = np.linspace(0, 2, 11)[None].repeat(20, 0)
    counts = encode.rate(x, 500, scale=2.0).dense().mean(axis=(0, 1))
    np.testing.assert_allclose(counts, x[0] / 2, atol=4 * np.sqrt(0.25 / 10_000))
    assert counts[0] == 0 and counts[-1] == 1


def test_a_draw_depends_on_seed_sample_step_and_index_alone() -> None:
    x = np.random.default_rng(0).random((6, 3, 4))
    whole = encode.rate(x, 7, 1.0, seed=5).dense()
    for first in range(6):
        one = encode.rate(x[first : first + 1], 7, 1.0, seed=5, first_sample=first).dense()
        np.testing.assert_array_equal(one[:, 0], whole[:, first])
    longer = encode.rate(x, 9, 1.0, seed=5).dense()
    np.testing.assert_array_equal(longer[:7], whole)
    assert (encode.rate(x, 7, 1.0, seed=6).dense() != whole).any()


def test_draws_look_uniform_and_independent() -> None:
    draws = np.concatenate([encode.uniform(3, np.arange(50), t, 40).ravel() for t in range(10)])
    assert abs(draws.mean() - 0.5) < 0.01 and draws.min() >= 0 and draws.max() < 1
    assert len(np.unique(draws)) == draws.size
    steps = np.stack([encode.uniform(3, np.arange(50), t, 40).ravel() for t in range(10)])
    assert np.abs(np.corrcoef(steps) - np.eye(10)).max() < 0.1


def test_on_and_off_channels() -> None:
    x = np.array([[[-1.0, 1.0], [0.0, -1.0]]])
    dense = encode.onoff(x, 3, 1.0).dense()
    np.testing.assert_array_equal(dense[0, 0], [[0, 1], [0, 0], [1, 0], [0, 1]])


@pytest.mark.parametrize(
    "x, word",
    [
        (np.full((2, 3), -0.1), "onoff"),
        (np.full((2, 3), np.inf), "finite"),
        (np.zeros((0, 3)), "at least one"),
    ],
)
def test_refused(x: np.ndarray, word: str) -> None:
    with pytest.raises(DataError, match=word):
        encode.rate(x, 5, 1.0)


def test_latency_is_earlier_for_larger_values() -> None:
    spikes = encode.latency(np.array([[0.0, 0.25, 1.0, 3.0]]), steps=5, scale=1.0)
    dense = spikes.dense()[:, 0]
    np.testing.assert_array_equal(np.argwhere(dense), [[0, 2], [0, 3], [3, 1]])
    assert dense.sum() == 3  # zero never spikes, no value spikes twice


def test_latency_of_a_batch_is_sorted_and_above_the_threshold() -> None:
    x = np.random.default_rng(1).random((5, 2, 3))
    spikes = encode.latency(x, 9, 1.0, threshold=0.5)
    assert spikes.shape == (2, 3) and spikes.count == (x > 0.5).sum()
    alone = encode.latency(x[3:4], 9, 1.0, threshold=0.5).dense()
    np.testing.assert_array_equal(alone[:, 0], spikes.dense()[:, 3])


def test_delta_follows_a_signal_within_one_threshold() -> None:
    time = np.linspace(0, 1, 200)[:, None, None]
    x = np.sin(2 * np.pi * (time + np.arange(3)[None, :, None] / 7) + np.arange(2))
    threshold = 0.05
    dense = encode.delta(x, threshold).dense()
    assert dense.shape == (200, 3, 4)
    back = x[0] + threshold * (dense[:, :, :2] - dense[:, :, 2:]).cumsum(0)
    assert np.abs(back - x).max() < threshold * (1 + 1e-6)
    assert encode.delta(np.ones((4, 1, 1)), threshold).count == 0


def test_delta_spikes_on_and_off_by_hand() -> None:
    x = np.array([0, 1, 3, 3, 3, 1])[:, None, None]
    dense = encode.delta(x, 1.0).dense()[:, 0]
    np.testing.assert_array_equal(dense, [[0, 0], [1, 0], [1, 0], [1, 0], [0, 0], [0, 1]])


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda: encode.latency(np.ones((1, 2)), 0, 1.0), "at least one step"),
        (lambda: encode.latency(-np.ones((1, 2)), 4, 1.0), "split_signs"),
        (lambda: encode.delta(np.ones((3, 1, 1)), 0.0), "threshold"),
        (lambda: encode.delta(np.ones((3, 1)), 1.0), "T, B, C"),
        (lambda: encode.delta(np.full((3, 1, 1), np.nan), 1.0), "finite"),
    ],
)
def test_latency_and_delta_refuse(call: Callable[[], object], word: str) -> None:
    with pytest.raises(DataError, match=word):
        call()


@pytest.mark.parametrize("wrong", ({"seed": 1.5}, {"seed": True}, {"first_sample": 0.5}, {"steps": 2.5}))
def test_seeds_and_steps_are_whole_numbers(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError, match="encoding: .* expected a whole number"):
        encode.rate(np.full((2, 3), 0.5), **{"steps": 4, "scale": 1.0, **wrong})  # type: ignore[arg-type]
    for call in (lambda: encode.latency(np.ones((1, 3)), 4, 1.0, float("nan")), lambda: encode.delta(np.ones((4, 1, 2)), np.inf)):
        with pytest.raises(DataError, match="threshold: got"):
            call()
