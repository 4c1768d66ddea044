"""Level crossing: the level follows the signal to within delta, and is the one that a loop finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.transforms.level_crossing import LevelCrossing, follow
from spikeflow.errors import DataError


def followed_slowly(signal: np.ndarray) -> list[int]:
    level, levels = 0, []
    for u in signal:
        if u >= level + 1:
            level = math.floor(u)
        elif u <= level - 1:
            level = math.ceil(u)
        levels.append(level)
    return levels


@given(st.lists(st.one_of(st.floats(-5, 5), st.integers(-5, 5).map(float)), min_size=1, max_size=70))
def test_fast_is_slow(values: list[float]) -> None:
    assert follow(np.array(values)[:, None])[:, 0].tolist() == followed_slowly(np.array(values))


@given(st.integers(0, 1000), st.sampled_from([0.01, 0.25, 3.0]), st.sampled_from([100, 360, 8000, 44_100]))
def test_the_signal_is_within_delta_of_the_level(seed: int, delta: float, rate: int) -> None:
    signal = np.cumsum(np.random.default_rng(seed).normal(size=(200, 3)), axis=0)
    encoder = LevelCrossing(delta)
    events = encoder(signal, rate)
    level = encoder.reconstruct(events, signal[0], 200, rate)
    assert np.abs(level - signal).max() < delta * (1 + 1e-9)
    assert (events.width, events.height) == (3, 1) and not events.y.any()


def test_by_hand() -> None:
    events = LevelCrossing(1.0)([0.0, 0.9, 2.5, 2.0, 1.5, 1.0, 1.9], 1000)
    # up by two at once; 2.0 and 1.5 are less than one from the level 2; down to 1; 1.9 is less than one above it
    assert events.t.tolist() == [2000, 2000, 5000]
    assert events.p.tolist() == [1, 1, 0]


def test_a_constant_signal_sends_nothing() -> None:
    assert len(LevelCrossing(0.1)(np.full((50, 2), 7.0), 100)) == 0
    assert len(LevelCrossing(0.1)(np.zeros(0), 100)) == 0
    assert LevelCrossing(0.1)(np.zeros((0, 4)), 100).width == 4


def test_rates_whose_times_are_not_whole_keep_every_sample_apart() -> None:
    signal = np.arange(1000.0)
    events = LevelCrossing(1.0)(signal, 44_100)
    assert events.t.tolist() == [i * 1_000_000 // 44_100 for i in range(1, 1000)]
    assert LevelCrossing(1.0).reconstruct(events, 0, 1000, 44_100)[:, 0].tolist() == signal.tolist()


@pytest.mark.parametrize("delta", [0, -1.0, float("nan"), float("inf")])
def test_deltas_that_cannot_be(delta: float) -> None:
    with pytest.raises(DataError, match="delta"):
        LevelCrossing(delta)


def test_too_many_events_are_refused_before_they_are_made() -> None:
    with pytest.raises(DataError, match="larger delta"):
        LevelCrossing(1e-300)([0.0, 1.0], 100)
    with pytest.raises(DataError, match="larger delta"):
        LevelCrossing(1.0)(np.tile([0.0, 2.0**27], 20), 100)


def test_signals_that_are_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        LevelCrossing(1.0)([0.0, float("inf")], 100)
