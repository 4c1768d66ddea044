"""Jitter in space and time; time scaled, shifted, reversed."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.datasets.transforms import (
    FromZero,
    RandomTimeScale,
    RandomTimeShift,
    SpatialJitter,
    TimeJitter,
    TimeReverse,
    TimeScale,
    TimeShift,
)
from spikeflow.errors import DataError
from spikeflow.events import Events
from tests.datasets.transforms.recordings import made, rows


def test_spatial_jitter_is_normal_and_independent_in_x_and_y() -> None:
    many = 20_000
    centre = Events(np.arange(many), np.full(many, 50), np.full(many, 60), np.ones(many, int), 101, 121)
    moved = SpatialJitter(3.0)(centre)
    dx, dy = moved.x.astype(int) - 50, moved.y.astype(int) - 60
    # rounding adds 1/12 to the variance
    assert len(moved) == many and abs(dx.var() - 9 - 1 / 12) < 0.4 and abs(dy.var() - 9 - 1 / 12) < 0.4
    assert abs(dx.mean()) < 0.1 and abs(np.corrcoef(dx, dy)[0, 1]) < 0.03
    assert abs(np.mean(np.abs(dx) > 6) - 0.0303) < 0.006  # P(|N| > 6.5 / 3)


def test_spatial_jitter_leaves_out_what_leaves_the_sensor() -> None:
    edge = Events(np.arange(1000), np.zeros(1000, int), np.zeros(1000, int), np.ones(1000, int), 8, 8)
    assert 10 < len(SpatialJitter(20.0)(edge)) < 45  # P(-0.5 < 20 N < 7.5)^2 = 0.024
    assert len(SpatialJitter(1e300)(edge)) == 0
    assert SpatialJitter(0.0)(edge).sha256 == edge.sha256


def test_time_jitter() -> None:
    many = 20_000
    events = Events(
        np.arange(many) * 1000, np.arange(many) % 5, np.zeros(many, int), np.ones(many, int), 5, 1
    )
    moved = TimeJitter(100.0)(events)
    assert np.array_equal(moved.x, events.x)  # no two change places
    shift = moved.t - events.t
    assert abs(shift.std() - 100) < 3 and abs(shift.mean()) < 3
    wild = TimeJitter(1e9)(events)
    assert (wild.t[0], wild.t[-1]) == (0, events.t[-1]) and len(wild) == many
    late = made([2**61, 2**61 + 5])
    assert TimeJitter(1e30)(late).t.min() >= 2**61
    assert len(TimeJitter(5.0)(made([]))) == 0


def test_time_jitter_moves_events_whole() -> None:
    events = made([0, 100, 200, 300], [0, 1, 2, 3], p=[1, 0, 1, 0])
    assert {row[1:] for row in rows(TimeJitter(500.0)(events, 3))} == {row[1:] for row in rows(events)}


def test_time_scale() -> None:
    assert TimeScale(0.5)(made([10, 11, 12, 15])).t.tolist() == [10, 10, 11, 12]
    assert TimeScale(3)(made([2**40, 2**40 + 7])).t.tolist() == [2**40, 2**40 + 21]
    with pytest.raises(DataError, match="2\\^53"):
        TimeScale(2.0**30)(made([0, 2**40]))
    spans = [RandomTimeScale(0.5, 2)(made([0, 1000]), draw).duration_us for draw in range(200)]
    assert 500 <= min(spans) < 550 and 1950 < max(spans) <= 2000


def test_time_shift() -> None:
    assert TimeShift(-3)(made([3, 4])).t.tolist() == [0, 1]
    assert {RandomTimeShift(2, 10)(made([0]), draw).t[0] for draw in range(50)} == {0, 10, 20}
    assert FromZero()(made([2**40, 2**40 + 1])).t.tolist() == [0, 1] and len(FromZero()(made([]))) == 0
    with pytest.raises(DataError, match="time shift"):
        TimeShift(2**62)(made([1]))


def test_time_shift_dense() -> None:
    frames = np.arange(1, 5, dtype=np.float32).reshape(4, 1, 1, 1)
    assert TimeShift(20).dense(frames, 0, 10).ravel().tolist() == [0, 0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="before 0"):
        TimeShift(-10).dense(frames, 0, 10)
    frames[0] = 0
    assert TimeShift(-10).dense(frames, 0, 10).ravel().tolist() == [2, 3, 4]
    with pytest.raises(DataError, match="whole number of steps"):
        TimeShift(5).dense(frames, 0, 10)


def test_time_reverse() -> None:
    events = made([10, 12, 12, 20], [0, 1, 2, 3], p=[1, 0, 1, 1])
    assert rows(TimeReverse()(events)) == [(10, 3, 0, 0), (18, 2, 0, 0), (18, 1, 0, 1), (20, 0, 0, 0)]
    assert rows(TimeReverse(21, polarity=False)(events)) == [
        (0, 3, 0, 1),
        (8, 2, 0, 1),
        (8, 1, 0, 0),
        (10, 0, 0, 1),
    ]
    assert rows(TimeReverse()(TimeReverse()(events))) == rows(events)
    with pytest.raises(DataError, match="0 to 19"):
        TimeReverse(20)(events)
    with pytest.raises(DataError, match="span_us"):
        TimeReverse(20).dense(np.zeros((3, 2, 1, 1)), 0, 10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SpatialJitter(-1),
        lambda: TimeJitter(float("nan")),
        lambda: TimeJitter(float("inf")),
        lambda: TimeScale(0),
        lambda: RandomTimeScale(2, 1),
        lambda: RandomTimeShift(-1),
    ],
)
def test_refused(make: object) -> None:
    with pytest.raises(DataError):
        make()  # type: ignore[operator]
