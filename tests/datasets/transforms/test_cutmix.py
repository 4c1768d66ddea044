"""Cut-mix in time: what comes from which recording, its share, and the same for counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.transforms import CutMix, Frames, transform_key
from spikeflow.errors import DataError
from spikeflow.events import Events
from tests.datasets.transforms.recordings import made, rows

FIRST = made(list(range(0, 100, 2)), p=[0] * 50)
SECOND = made(list(range(1, 100, 2)), p=[1] * 50)
lists = st.lists(st.integers(0, 60), max_size=30).map(sorted)


def test_a_stretch_comes_from_the_second() -> None:
    shares = []
    for draw in range(300):
        mixed = CutMix()(FIRST, SECOND, draw)
        inner = mixed.events.t[mixed.events.p == 1]
        outer = mixed.events.t[mixed.events.p == 0]
        if inner.size:
            assert inner.tolist() == list(range(int(inner[0]), int(inner[-1]) + 1, 2))
            assert not ((outer > inner[0]) & (outer < inner[-1])).any()
        assert set(outer.tolist()) <= set(FIRST.t.tolist())
        assert abs(len(outer) / 50 - mixed.share) <= 0.03
        shares.append(mixed.share)
    assert 0.4 < np.mean(shares) < 0.6 and min(shares) < 0.05 and max(shares) > 0.95


@given(
    first=lists,
    second=lists,
    draw=st.integers(0, 10_000),
    dt=st.sampled_from([1, 2, 5, 10]),
    by=st.sampled_from(["time", "events"]),
    p=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_dense_form(first: list[int], second: list[int], draw: int, dt: int, by: str, p: float) -> None:
    a, b = made(first, p=[0] * len(first)), made(second, p=[1] * len(second))
    mix = CutMix(p=p, by=by, grid_us=10, seed=4)  # type: ignore[arg-type]
    mixed = mix(a, b, draw)
    count = Frames(dt_us=dt, start="zero")
    dense = mix.dense(count(a), count(b), draw, dt)
    expected = Frames(dt_us=dt, start="zero", steps=max(len(dense.frames), 1), late="refuse")(mixed.events)
    np.testing.assert_array_equal(dense.frames, expected[: len(dense.frames)])
    assert dense.share == mixed.share


def test_share_by_events() -> None:
    for draw in range(50):
        mixed = CutMix(by="events")(FIRST, SECOND, draw)
        assert mixed.share == np.mean(mixed.events.p == 0)
    nothing = made([])
    assert CutMix(by="events")(nothing, nothing) == (nothing, 1.0)


def test_repeats_and_probability() -> None:
    assert rows(CutMix(seed=1)(FIRST, SECOND, 5).events) == rows(CutMix(seed=1)(FIRST, SECOND, 5).events)
    never = CutMix(p=0)(FIRST, SECOND)
    assert never.share == 1 and never.events is FIRST
    mixed = [CutMix(p=0.2)(FIRST, SECOND, draw).share < 1 for draw in range(500)]
    assert 60 < sum(mixed) < 140
    assert CutMix().key() == transform_key(CutMix()) != CutMix(seed=1).key()


def test_the_recording_goes_on_with_the_first() -> None:
    dropped = Events(FIRST.t, FIRST.x, FIRST.y, FIRST.p, 4, 3, {"truncated": 2})
    assert dict(CutMix()(dropped, SECOND, 1).events.dropped) == {"truncated": 2}


def test_refused() -> None:
    with pytest.raises(DataError, match="4x3 and 5x3"):
        CutMix()(FIRST, made([1], width=5))
    with pytest.raises(DataError, match="FromZero"):
        CutMix()(FIRST, made([-1]))
    with pytest.raises(DataError, match="time or events"):
        CutMix(by="pixels")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="grid"):
        CutMix(grid_us=0)
    with pytest.raises(DataError, match="0 to 1"):
        CutMix(p=2)
    with pytest.raises(DataError, match="as the first"):
        CutMix().dense(np.zeros((2, 2, 3, 4)), np.zeros((2, 2, 3, 5)))
    with pytest.raises(DataError, match="whole number of steps"):
        CutMix(grid_us=10).dense(np.zeros((2, 2, 3, 4)), np.zeros((2, 2, 3, 4)), 0, 3)
