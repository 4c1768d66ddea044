"""Fewer pixels, ticks and events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.transforms import Decimate, SpatialDownsample, TemporalDownsample
from spikeflow.errors import DataError
from spikeflow.events import Events
from tests.datasets.transforms.recordings import counted, made, recordings, rows


def test_space_by_hand() -> None:
    events = made([0, 1, 2], [0, 3, 2], [2, 2, 1])
    small = SpatialDownsample(2, 2)(events)
    assert rows(small) == [(0, 0, 1, 1), (1, 1, 1, 1), (2, 1, 0, 1)]
    assert (small.width, small.height) == (2, 2)  # of 4x3: the lower blocks are half as high
    unknown = SpatialDownsample(2, 1)(made([0], [3], [2], width=None, height=None))
    assert (rows(unknown), unknown.width) == ([(0, 1, 2, 1)], None)


@given(events=recordings(start=0), across=st.integers(1, 5), down=st.integers(1, 5))
def test_space_sums_blocks(events: Events, across: int, down: int) -> None:
    frames = counted(events, 20, 4)
    height, width = frames.shape[2:]
    padded = np.pad(frames, ((0, 0), (0, 0), (0, -height % down), (0, -width % across)))
    blocks = padded.reshape(4, 2, padded.shape[2] // down, down, padded.shape[3] // across, across).sum(
        (3, 5)
    )
    np.testing.assert_array_equal(SpatialDownsample(across, down).dense(frames), blocks)
    np.testing.assert_array_equal(counted(SpatialDownsample(across, down)(events), 20, 4), blocks)


def test_time_rounds_down() -> None:
    assert TemporalDownsample(1000)(made([-1, 0, 999, 1000, 2**40])).t.tolist() == [
        -1,
        0,
        0,
        1,
        2**40 // 1000,
    ]


def slow_decimate(events: Events, every: int) -> list[tuple[int, int, int, int]]:
    seen: dict[tuple[int, int, int], int] = {}
    kept = []
    for t, x, y, p in rows(events):
        seen[x, y, p] = seen.get((x, y, p), 0) + 1
        if seen[x, y, p] % every == 0:
            kept.append((t, x, y, p))
    return kept


@given(events=recordings(sides=3), every=st.integers(1, 5))
def test_decimate_by_definition(events: Events, every: int) -> None:
    assert rows(Decimate(every)(events)) == slow_decimate(events, every)


def test_decimate_tells_far_pixels_and_polarities_apart() -> None:
    events = Events([0, 1, 2, 3], [65535, 0, 65535, 65535], [0, 65535, 65535, 0], [1, 1, 1, 0], 65536, 65536)  # type: ignore[arg-type]
    assert len(Decimate(2)(events)) == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: SpatialDownsample(0, 1),
        lambda: TemporalDownsample(-2),
        lambda: Decimate(0),
        lambda: Decimate(1.5),
    ],
)
def test_refused(make: object) -> None:
    with pytest.raises(DataError, match="whole number from 1"):
        make()  # type: ignore[operator]
