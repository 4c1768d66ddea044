"""Spikes: to and from dense arrays, and what is refused."""

from __future__ import annotations

import hashlib
import pickle
import struct

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


def _events(**change: object) -> Events:
    fields: dict[str, object] = {"t": [1, 5, 5, 9], "x": [0, 2, 1, 0], "y": [1, 0, 1, 1], "p": [1, 0, 1, 1]}
    return Events(**{**fields, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change, word",
    [
        ({"x": [0, 1]}, "x"),
        ({"t": [[1, 5], [5, 9]]}, "t"),
        ({"t": [1, 5, 4, 9]}, "decrease"),
        ({"p": [1, 0, 2, 1]}, "0 or 1"),
        ({"x": [0, 2, -1, 0]}, "x"),
        ({"y": [0, 2, 65536, 0]}, "y"),
        ({"t": [1.0, 5.0, 5.0, 9.0]}, "whole numbers"),
        ({"width": 2}, "0 to 1"),
        ({"height": 1}, "0 to 0"),
    ],
)
def test_events_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(DataError, match=word):
        _events(**change)


def test_events_copy_only_what_could_change_and_are_read_only() -> None:
    t = np.array([1, 5, 5, 9])
    assert not np.shares_memory(_events(t=t).t, t) and t.flags.writeable
    t.setflags(write=False)
    events = _events(t=t)
    assert np.shares_memory(events.t, t) and not events.t.flags.writeable
    assert np.shares_memory(events[1:3].t, t)
    assert [column.dtype for column in (events.t, events.x, events.y, events.p)] == ["i8", "u2", "u2", "u1"]


def test_a_stretch_a_slice_and_a_mask() -> None:
    events = _events(width=3, height=2)
    assert events.between(5, 9).t.tolist() == [5, 5] and events.between(2, 5).t.tolist() == []
    assert events[1:3].x.tolist() == [2, 1] and events[events.p == 0].t.tolist() == [5]
    assert events[1:].width == 3 and events.duration_us == 8 and events[:0].duration_us == 0


def test_events_in_any_order_of_time() -> None:
    events = Events.sorted([9, 5, 1, 5], [0, 1, 2, 3], [0, 0, 0, 0], [1, 1, 1, 0], width=4)
    assert events.x.tolist() == [2, 1, 3, 0] and events.width == 4  # equal times keep their order


def test_one_structured_array_and_back() -> None:
    events = _events()
    again = Events.from_structured(events.structured(), 3, 2)
    assert again.sha256 == events.sha256 and (again.width, again.height) == (3, 2)
    flat = Events.from_structured(np.array([(3, 7, True)], [("t", "i4"), ("x", "i2"), ("p", "?")]))
    assert flat.y.tolist() == [0] and flat.p.tolist() == [1]
    with pytest.raises(DataError, match="also p"):
        Events.from_structured(np.zeros(2, [("t", "i8"), ("x", "i8")]))


def test_the_checksum_by_hand() -> None:
    # t of 8 bytes, x and y of 2, p of 1, little-endian, column after column
    data = struct.pack("<4q4H4H4B", 1, 5, 5, 9, 0, 2, 1, 0, 1, 0, 1, 1, 1, 0, 1, 1)
    assert _events().sha256 == hashlib.sha256(data).hexdigest()
    assert _events(t=np.array([1, 5, 5, 9], ">i4")).sha256 == _events().sha256
    assert _events(p=[1, 1, 1, 1]).sha256 != _events().sha256


def test_what_was_dropped_is_told_without_noughts() -> None:
    assert dict(_events(dropped={"truncated": 2, "outside": 0}).dropped) == {"truncated": 2}


@pytest.mark.parametrize("wrong", ({"step": [0.5, 1.7]}, {"neuron": [0.9, 1.2]}, {"step": [0, 2**32 + 1]}, {"sample": [0, float("nan")]}))
def test_columns_of_no_whole_numbers_of_32_bits_are_refused(wrong: dict[str, list[float]]) -> None:
    """Times given as they come were cut to steps, and large numbers wrapped, without a word."""
    columns: dict[str, list[float]] = {"sample": [0, 0], "step": [0, 1], "neuron": [0, 1], **wrong}
    with pytest.raises(DataError, match=f"spikes: {next(iter(wrong))}: got numbers of .* expected whole numbers"):
        Spikes(**columns, value=[1, 1], samples=1, steps=3, shape=(2,))  # type: ignore[arg-type]
    assert Spikes([0, 0], [0.0, 1.0], [0, 1], [1, 1], 1, 3, (2,)).step.tolist() == [0, 1]  # type: ignore[arg-type]
