"""Spikes: to and from dense arrays, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from spikeflow.errors import DataError
from spikeflow.events import Events, Spikes


def test_round_trip() -> None:
    x = np.random.default_rng(0).integers(-1, 3, (5, 4, 2, 3)).astype(np.float32)
    spikes = Spikes.from_dense(x)
    np.testing.assert_array_equal(spikes.dense(), x)
    assert spikes.count == np.count_nonzero(x)
    assert (spikes.samples, spikes.steps, spikes.shape) == (4, 5, (2, 3))


def test_empty() -> None:
    assert Spikes.from_dense(np.zeros((3, 2, 4))).dense().shape == (3, 2, 4)


@pytest.mark.parametrize(
    "change, word",
    [
        ({"sample": [0, 2]}, "sample"),
        ({"step": [0, 9]}, "step"),
        ({"neuron": [0, -1]}, "neuron"),
        ({"value": [1, np.nan]}, "value"),
        ({"step": [1, 0]}, "sorted"),
        ({"step": [1, 1], "neuron": [3, 3]}, "twice"),
        ({"value": [1]}, "sample"),
    ],
)
def test_refused(change: dict[str, list[float]], word: str) -> None:
    fields = {"sample": [0, 0], "step": [0, 1], "neuron": [0, 1], "value": [1, 1]} | change
    with pytest.raises(DataError, match=word):
        Spikes(**fields, samples=1, steps=3, shape=(4,))  # type: ignore[arg-type]


def test_records_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Spikes.from_dense(np.ones((1, 1, 1))).value[0] = 2


def test_a_dense_array_without_steps() -> None:
    assert Spikes.from_dense(np.zeros((0, 2, 3))).dense().shape == (0, 2, 3)


def test_events_go_to_another_process() -> None:
    events = Events([1, 5], [0, 2], [1, 0], [1, 0], 3, 2, {"truncated": 4})  # type: ignore[arg-type]
    back = pickle.loads(pickle.dumps(events))
    assert back.sha256 == events.sha256 and not back.t.flags.writeable
    assert (back.width, back.height, dict(back.dropped)) == (3, 2, {"truncated": 4})
