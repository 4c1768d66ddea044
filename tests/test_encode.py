"""Rate coding: probabilities, independence of batch, signs."""

from __future__ import annotations

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
