"""Events left out at random: how many, and which."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.datasets.transforms import DropArea, DropEvents, DropPixels, DropTime, EventDrop
from spikeflow.errors import DataError
from spikeflow.events import Events
from tests.datasets.transforms.recordings import made, rows


def grid(side: int = 20) -> Events:
    """One event a pixel, in order of time."""
    y, x = np.indices((side, side)).reshape(2, -1)
    return Events(np.arange(side * side), x, y, (x + y) % 2, side, side)


def test_drop_events() -> None:
    left = [len(DropEvents(0.3)(grid(), draw)) for draw in range(50)]
    assert abs(np.mean(left) / 400 - 0.7) < 0.02 and len(set(left)) > 5
    assert len(DropEvents(0)(grid())) == 400 and len(DropEvents(1)(grid())) == 0


def test_drop_time_leaves_out_one_stretch() -> None:
    starts = set()
    for draw in range(100):
        missing = sorted(set(range(400)) - set(DropTime(0.25)(grid(), draw).t.tolist()))
        assert missing == list(range(missing[0], missing[0] + 100))
        starts.add(missing[0])
    assert min(starts) < 30 and max(starts) > 270 and len(starts) > 50


def test_drop_time_on_a_grid() -> None:
    for draw in range(20):
        left = DropTime(0.5, grid_us=100)(made([3, 99, 100, 250, 399]), draw)
        assert left.t.tolist() in ([250, 399], [3, 99, 399], [3, 99, 100])
    with pytest.raises(DataError, match="whole number of steps"):
        DropTime(0.5, 100).dense(np.ones((4, 2, 1, 1)), 0, 30)


def test_drop_time_extremes() -> None:
    assert len(DropTime(1.0)(grid())) == 0 and len(DropTime(0.0)(grid())) == 400
    assert len(DropTime(0.5)(made([]))) == 0
    assert len(DropTime(0.4)(made([7]))) == 1


def test_drop_area_leaves_out_one_rectangle() -> None:
    corners = set()
    for draw in range(100):
        left = DropArea(0.25)(grid(), draw)
        missing = sorted({(x, y) for _, x, y, _ in rows(grid())} - {(x, y) for _, x, y, _ in rows(left)})
        (x0, y0), (x1, y1) = missing[0], missing[-1]
        assert len(missing) == 25 and (x1 - x0, y1 - y0) == (4, 4)
        corners.add((x0, y0))
    assert {min(c) for c in zip(*corners, strict=True)} == {0} and {
        max(c) for c in zip(*corners, strict=True)
    } == {15}


def test_drop_pixels() -> None:
    events = Events(np.arange(800), np.tile(grid().x, 2), np.tile(grid().y, 2), np.ones(800, int), 20, 20)
    left = DropPixels(0.25, seed=2)(events)
    alive = {(x, y) for _, x, y, _ in rows(left)}
    assert len(left) == 2 * len(alive) and 0.68 < len(alive) / 400 < 0.82


def test_event_drop_does_each_of_four() -> None:
    drawn = [EventDrop(1).drawn(draw) for draw in range(2000)]
    kinds = {DropEvents: 0, DropTime: 0, DropArea: 0}
    nothing = 0
    for one in drawn:
        kinds[type(one)] += 1  # type: ignore[index]
        nothing += one == DropEvents(0.0, 1)
    assert all(
        abs(n - 500) < 80 for n in (nothing, kinds[DropTime], kinds[DropArea], kinds[DropEvents] - nothing)
    )
    assert {t.share for t in drawn if isinstance(t, DropTime)} == {k / 10 for k in range(1, 10)}
    assert {t.share for t in drawn if isinstance(t, DropArea)} == {k / 20 for k in range(1, 6)}


@pytest.mark.parametrize(
    "make",
    [
        lambda: DropEvents(1.1),
        lambda: DropTime(-0.1),
        lambda: DropArea(2),
        lambda: DropPixels(float("nan")),
        lambda: DropTime(0.1, 0),
    ],
)
def test_refused(make: object) -> None:
    with pytest.raises(DataError):
        make()  # type: ignore[operator]


def test_unknown_sensor() -> None:
    for transform in (DropArea(0.5), DropPixels(0.5)):
        with pytest.raises(DataError, match="--sensor"):
            transform(made([0], height=None))
