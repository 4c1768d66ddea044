"""The compiled filters against loops over events; whole and in pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets import _decode
from spikeflow.datasets.transforms import BackgroundActivity, Integrate, Refractory
from spikeflow.datasets.transforms.denoise import PixelFilter
from spikeflow.errors import DataError
from spikeflow.events import Events
from tests.datasets.transforms.recordings import made, recordings, rows

Row = tuple[int, int, int, int]


def slow_background(events: Events, window: int, itself: bool) -> list[Row]:
    last: dict[tuple[int, int], int] = {}
    kept = []
    around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if itself or (i, j) != (0, 0)]
    for t, x, y, p in rows(events):
        if any((x + i, y + j) in last and t - last[x + i, y + j] < window for i, j in around):
            kept.append((t, x, y, p))
        last[x, y] = t
    return kept


def slow_refractory(events: Events, period: int) -> list[Row]:
    last: dict[tuple[int, int], int] = {}
    kept = []
    for t, x, y, p in rows(events):
        if (x, y) not in last or t - last[x, y] >= period:
            kept.append((t, x, y, p))
            last[x, y] = t
    return kept


def slow_integrate(events: Events, threshold: int) -> list[Row]:
    total: dict[tuple[int, int], int] = {}
    kept = []
    for t, x, y, p in rows(events):
        total[x, y] = total.get((x, y), 0) + (1 if p else -1)
        if abs(total[x, y]) >= threshold:
            kept.append((t, x, y, p))
            total[x, y] = 0
    return kept


@given(events=recordings(sides=6), window=st.integers(1, 70), itself=st.booleans())
def test_background_activity(events: Events, window: int, itself: bool) -> None:
    assert rows(BackgroundActivity(window, itself)(events)) == slow_background(events, window, itself)


@given(events=recordings(sides=3), period=st.integers(1, 70))
def test_refractory(events: Events, period: int) -> None:
    assert rows(Refractory(period)(events)) == slow_refractory(events, period)


@given(events=recordings(sides=2), threshold=st.integers(1, 4))
def test_integrate(events: Events, threshold: int) -> None:
    assert rows(Integrate(threshold)(events)) == slow_integrate(events, threshold)


@pytest.mark.parametrize("filter", [BackgroundActivity(20), Refractory(7), Integrate(2)], ids=repr)
@given(events=recordings(sides=4), size=st.integers(1, 15))
def test_in_pieces_as_whole(filter: PixelFilter, events: Events, size: int) -> None:
    pieces = [events[at : at + size] for at in range(0, len(events), size)]
    found = [row for piece in filter.pieces(pieces) for row in rows(piece)]
    assert found == rows(filter(events))


def test_by_hand() -> None:
    events = made([0, 10, 10, 19, 20], [0, 1, 3, 1, 2], [0, 1, 1, 1, 0])
    assert rows(BackgroundActivity(10)(events)) == [
        (20, 2, 0, 1)
    ]  # by (1, 1) at 19; at 10 only the one at 0 is near
    assert rows(BackgroundActivity(11)(events))[0] == (10, 1, 1, 1)
    assert Refractory(9)(made([0, 8, 9, 17, 18])).t.tolist() == [0, 9, 18]


def test_edges_of_the_sensor_have_no_neighbours_on_the_other_side() -> None:
    events = made([0, 1], [0, 3], [0, 1])
    assert len(BackgroundActivity(100)(events)) == 0
    assert len(BackgroundActivity(100)(made([0, 1], [0, 0], [0, 0], width=1, height=1))) == 0
    assert len(BackgroundActivity(100, itself=True)(made([0, 1], width=1, height=1))) == 1


def test_extreme_times() -> None:
    ends = made([-(2**63) + 1, 2**63 - 1], [0, 1])
    assert len(BackgroundActivity(2**61)(ends)) == 0
    assert len(Refractory(2**61)(made([-(2**63) + 1, 2**63 - 1]))) == 2


def test_the_compiled_filter_checks_what_it_is_given() -> None:
    events = made([0], [3], [2])
    with pytest.raises(IndexError, match="outside"):
        _decode.refractory(events.t, events.x, events.y, events.p, np.zeros((5, 5), np.int64), 1)
    with pytest.raises(IndexError, match="outside"):
        _decode.refractory(events.t, events.x, events.y, events.p, np.zeros((0, 0), np.int64), 1)
    with pytest.raises(ValueError, match="lengths"):
        _decode.refractory(events.t, events.x[:0], events.y, events.p, np.zeros((5, 6), np.int64), 1)
    with pytest.raises(TypeError):  # a converted copy would forget
        _decode.refractory(events.t, events.x, events.y, events.p, np.zeros((5, 6), np.int32), 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [lambda: BackgroundActivity(0), lambda: Refractory(-3), lambda: Integrate(0), lambda: Refractory(2**62)],
)
def test_refused(make: object) -> None:
    with pytest.raises(DataError, match="from 1"):
        make()  # type: ignore[operator]


def test_unknown_sensor() -> None:
    with pytest.raises(DataError, match="--sensor"):
        Refractory(5)(made([0], width=None))
    with pytest.raises(DataError, match="--sensor"):
        list(Refractory(5).pieces([made([0], width=None)]))
