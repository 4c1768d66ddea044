"""Recordings in pieces: by time, number, label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.transforms import (
    Frames,
    SliceByCount,
    SliceByTime,
    Stretch,
    TimeWindow,
    slice_by_label,
)
from spikeflow.errors import DataError
from spikeflow.events import Events
from tests.datasets.transforms.recordings import made, recordings, rows


@given(events=recordings(), window=st.integers(1, 70), data=st.data())
def test_slices_and_frames_agree(events: Events, window: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, window - 1))
    by_time = [Frames(steps=1)(e)[0] for e in SliceByTime(window, overlap)(events)]
    np.testing.assert_array_equal(
        np.array(by_time).reshape(-1, 2, events.height or 0, events.width or 0),
        Frames(dt_us=window, overlap=overlap)(events),
    )
    by_count = [Frames(steps=1)(e)[0] for e in SliceByCount(window, overlap)(events)]
    np.testing.assert_array_equal(
        np.array(by_count).reshape(-1, 2, events.height or 0, events.width or 0),
        Frames(events_per_frame=window, overlap=overlap)(events),
    )


@given(events=recordings(), size=st.integers(1, 50))
def test_slices_without_overlap_put_together_are_the_recording(events: Events, size: int) -> None:
    for slices in (SliceByTime(size)(events), SliceByCount(size)(events)):
        assert [row for piece in slices for row in rows(piece)] == rows(events)
        assert all(
            (p.width, p.height, dict(p.dropped)) == (events.width, events.height, {"truncated": 1})
            for p in slices
        )


def test_slices_by_time() -> None:
    events = made([5, 9, 15, 24])
    assert [e.t.tolist() for e in SliceByTime(10)(events)] == [[5, 9], [15, 24]]
    assert [e.t.tolist() for e in SliceByTime(10, start="zero")(events)] == [[5, 9], [15], [24]]
    assert [e.t.tolist() for e in SliceByTime(10, 5)(events)] == [[5, 9], [15], [15, 24]]
    assert [e.t.tolist() for e in SliceByTime(3)(made([0, 8]))] == [[0], [], [8]]
    assert SliceByTime(10)(made([])) == ()


def test_incomplete_windows() -> None:
    events = made([5, 9, 15, 24])
    assert (
        len(SliceByTime(10, incomplete=False)(events)) == 2
    )  # the last window ends just after the last event
    assert len(SliceByTime(11, incomplete=False)(events)) == 1
    assert len(SliceByTime(10, start="zero", incomplete=False)(events)) == 2
    assert SliceByTime(21, incomplete=False)(events) == ()
    assert [len(e) for e in SliceByCount(3, incomplete=False)(events)] == [3]
    assert [len(e) for e in SliceByCount(2, incomplete=False)(events)] == [2, 2]
    assert [len(e) for e in SliceByCount(3)(events)] == [3, 1]
    assert SliceByCount(5, incomplete=False)(events) == ()


def test_slices_by_label() -> None:
    events = made([0, 10, 20, 30])
    found = slice_by_label(events, [Stretch(10, 30, 4), Stretch(0, 11, 2), Stretch(50, 50, 1)])
    assert [(e.t.tolist(), label) for e, label in found] == [([10, 20], 4), ([0, 10], 2), ([], 1)]
    with pytest.raises(DataError, match="30 to 10"):
        slice_by_label(events, [Stretch(30, 10, 0)])


def test_time_window() -> None:
    assert TimeWindow(10, 20)(made([9, 10, 19, 20])).t.tolist() == [10, 19]
    with pytest.raises(DataError, match="stop"):
        TimeWindow(5, 4)
    with pytest.raises(DataError, match="whole number of steps"):
        TimeWindow(10, 25).dense(np.zeros((3, 2, 1, 1)), 0, 10)


@pytest.mark.parametrize(
    "make",
    [lambda: SliceByTime(0), lambda: SliceByTime(5, 5), lambda: SliceByCount(0), lambda: SliceByCount(2, 2)],
)
def test_refused(make: object) -> None:
    with pytest.raises(DataError):
        make()  # type: ignore[operator]
