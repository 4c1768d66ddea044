"""Both adapters: with callables of tonic's kind written here, and with tonic itself where it is installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets.transforms import Compose, DropEvents, Flip, Frames, FromTonic, ToTonic, to_tonic
from spikeflow.errors import DataError
from spikeflow.events import Events
from tests.datasets.transforms.recordings import made, rows

TONIC = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)])


@dataclass(frozen=True)
class Mirror:
    """Like tonic's: a copy, changed in place, with signed coordinates."""

    width: int

    def __call__(self, events: np.ndarray) -> np.ndarray:
        events = events.copy()
        events["x"] = self.width - 1 - events["x"]
        return events


@dataclass(frozen=True)
class Shake:
    """Draws from numpy's global generator; times come out of order."""

    std: float

    def __call__(self, events: np.ndarray) -> np.ndarray:
        events = events.copy()
        events["t"] += np.random.normal(0, self.std, len(events)).astype(int)
        return events


EVENTS = Events(
    np.arange(50) * 10, np.arange(50) % 7, np.arange(50) % 5, np.arange(50) % 2, 7, 5, {"truncated": 3}
)


def test_events_go_in_as_tonic_has_them() -> None:
    seen: list[Any] = []
    FromTonic(lambda events: seen.append(events.copy()) or events)(EVENTS)
    assert seen[0].dtype == TONIC and seen[0]["t"].tolist() == EVENTS.t.tolist()
    assert seen[0].flags.writeable


def test_events_come_back() -> None:
    found = FromTonic(Mirror(7))(EVENTS)
    assert found.sha256 == Flip("x")(EVENTS).sha256
    assert (found.width, found.height, dict(found.dropped)) == (7, 5, {"truncated": 3})


def test_times_are_put_in_order_and_seeded() -> None:
    shake = FromTonic(Shake(30.0), seed=5)
    found = shake(EVENTS, 2)
    assert (np.diff(found.t) >= 0).all()
    assert found.sha256 == shake(EVENTS, 2).sha256 != shake(EVENTS, 3).sha256
    assert found.sha256 != FromTonic(Shake(30.0), seed=6)(EVENTS, 2).sha256


def test_the_global_generator_is_put_back() -> None:
    np.random.seed(1)
    expected = np.random.rand(3)
    np.random.seed(1)
    FromTonic(Shake(30.0))(EVENTS)
    np.testing.assert_array_equal(np.random.rand(3), expected)

    def broken(events: np.ndarray) -> np.ndarray:
        np.random.rand()
        raise KeyError("mine")

    np.random.seed(1)
    with pytest.raises(KeyError, match="mine"):
        FromTonic(broken)(EVENTS)
    np.testing.assert_array_equal(np.random.rand(3), expected)


def test_arrays_pass_through() -> None:
    frames = FromTonic(lambda events: np.bincount(events["x"], minlength=7))(EVENTS)
    np.testing.assert_array_equal(frames, np.bincount(EVENTS.x, minlength=7))


def test_another_sensor_afterwards() -> None:
    def half(events: np.ndarray) -> np.ndarray:
        events["x"] //= 2
        return events

    small = FromTonic(half, width=4)(EVENTS)
    assert small.width == 4 and small.height == 5
    with pytest.raises(DataError, match="on this sensor"):
        FromTonic(half, width=3)(EVENTS)


def test_events_that_are_none_are_refused() -> None:
    def outside(events: np.ndarray) -> np.ndarray:
        events["x"] -= 1
        return events

    with pytest.raises(DataError, match="events: x"):
        FromTonic(outside)(EVENTS)
    with pytest.raises(DataError, match="without p"):
        FromTonic(lambda events: events[["t", "x"]])(EVENTS)
    halves = np.dtype([("t", float), ("x", int), ("p", int)])
    with pytest.raises(DataError, match="not whole"):
        FromTonic(lambda events: np.array([(0.5, 0, 1)], halves))(EVENTS)
    assert rows(FromTonic(lambda events: np.array([(3.0, 0, 1)], halves))(EVENTS)) == [(3, 0, 0, 1)]
    with pytest.raises(DataError, match="32767"):
        FromTonic(Mirror(7))(made([0], [40_000], width=None))
    with pytest.raises(DataError, match="callable"):
        FromTonic(3)  # type: ignore[arg-type]


def test_keys() -> None:
    named = FromTonic(Mirror(7), seed=2).key()
    assert "test_tonic.Mirror(width=7)" in named and "seed=2" in named
    with pytest.raises(DataError, match="lambda"):
        FromTonic(lambda events: events).key()


def test_in_a_row_with_ours() -> None:
    row = Compose((FromTonic(Mirror(7)), Flip("x"), Frames(steps=1)))
    np.testing.assert_array_equal(row(EVENTS), Frames(steps=1)(EVENTS))


def array(dtype: np.dtype[Any] = TONIC) -> np.ndarray:
    out = np.empty(len(EVENTS), dtype)
    for name in out.dtype.names or ():
        out[name] = getattr(EVENTS, name)
    return out


@pytest.mark.parametrize(
    "dtype",
    [
        TONIC,
        np.dtype([("x", int), ("y", int), ("t", int), ("p", int)]),
        np.dtype([("t", int), ("x", int), ("p", int)]),
    ],
)
def test_ours_in_their_row(dtype: np.dtype[Any]) -> None:
    given = array(dtype)
    flipped = to_tonic(Flip("x"), (7, 5, 2))(given)
    assert (
        flipped.dtype == dtype
        and (flipped["x"] == 6 - given["x"]).all()
        and (flipped["t"] == given["t"]).all()
    )
    frames = to_tonic(Frames(steps=2), (7, 5, 2))(given)
    assert frames.shape == (2, 2, 5, 7) and frames.sum() == 50


def test_ours_draw_from_their_generator() -> None:
    drop = ToTonic(DropEvents(0.5), (7, 5, 2))
    np.random.seed(3)
    first, second = drop(array()), drop(array())
    np.random.seed(3)
    again = drop(array())
    assert first.tolist() == again.tolist() != second.tolist()


def test_times_out_of_order_are_refused() -> None:
    with pytest.raises(DataError, match="decrease"):
        to_tonic(Flip("x"), (7, 5, 2))(array()[::-1])


# with tonic itself (GPL: only where somebody has installed it)


def _theirs(transforms: Any, size: tuple[int, int, int]) -> list[Any]:
    return [
        transforms.Denoise(100),
        transforms.DropEvent(0.3),
        transforms.DropEventByTime(0.3),
        transforms.DropEventByArea(size, 0.3),
        transforms.DropPixel(coordinates=[(1, 1)]),
        transforms.RandomFlipLR(size, 0.5),
        transforms.RandomFlipUD(size, 0.5),
        transforms.RandomFlipPolarity(0.5),
        transforms.RandomTimeReversal(0.5),
        transforms.RefractoryPeriod(30),
        transforms.SpatialJitter(size, 1, 1, 0, True),
        transforms.TimeAlignment(),
        transforms.TimeJitter(20.0, clip_negative=True, sort_timestamps=True),
        transforms.TimeSkew(1.5, 3),
        transforms.MergePolarities(),
        transforms.Decimation(2),
    ]


def test_with_tonic_itself() -> None:
    transforms = pytest.importorskip("tonic.transforms", reason="tonic is not installed")
    for theirs in _theirs(transforms, (7, 5, 2)):
        wrapped = FromTonic(theirs)
        found = wrapped(EVENTS, 4)
        assert isinstance(found, Events) and found.sha256 == wrapped(EVENTS, 4).sha256
    frames = FromTonic(transforms.ToFrame(sensor_size=(7, 5, 2), time_window=100, include_incomplete=True))(
        EVENTS
    )
    np.testing.assert_array_equal(frames, Frames(dt_us=100)(EVENTS))
    row = transforms.Compose([to_tonic(Flip("x"), (7, 5, 2)), transforms.RandomFlipLR((7, 5, 2), 1.0)])
    assert row(array()).tolist() == array().tolist()
