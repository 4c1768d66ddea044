"""Flip, roll, rotate, crop: single events by hand, and numpy's own functions on counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.transforms import (
    CentreCrop,
    Crop,
    Flip,
    RandomCrop,
    RandomFlip,
    RandomRoll,
    RandomRotate,
    Roll,
    Rotate,
    Sometimes,
    TimeReverse,
)
from spikeflow.datasets.transforms.sensor import Sensor
from spikeflow.errors import DataError
from spikeflow.events import Events
from tests.datasets.transforms.recordings import counted, made, recordings, rows

CORNER = made([1, 2], [0, 3], [0, 1], p=[1, 0])  # on a sensor 4 wide, 3 high


@pytest.mark.parametrize(
    "transform, expected",
    [
        (Flip("x"), [(1, 3, 0, 1), (2, 0, 1, 0)]),
        (Flip("y"), [(1, 0, 2, 1), (2, 3, 1, 0)]),
        (Flip("p"), [(1, 0, 0, 0), (2, 3, 1, 1)]),
        (Roll(1, -1), [(1, 1, 2, 1), (2, 0, 0, 0)]),
        (Roll(1, -1, wrap=False), []),
        (Roll(-3, 1, wrap=False), [(2, 0, 2, 0)]),
        (Rotate(0), [(1, 0, 0, 1), (2, 3, 1, 0)]),
        (Rotate(180), [(1, 3, 2, 1), (2, 0, 1, 0)]),
        (Crop(1, 1, 3, 2), [(2, 2, 0, 0)]),
        (CentreCrop(3, 1), []),
        (CentreCrop(4, 1), [(2, 3, 0, 0)]),
    ],
)
def test_by_hand(transform: Flip, expected: list[tuple[int, int, int, int]]) -> None:
    assert rows(transform(CORNER)) == expected


@given(events=recordings(start=0), turns=st.integers(-5, 5))
def test_quarter_turns_of_a_square(events: Events, turns: int) -> None:
    side = max(events.width or 0, events.height or 0)
    square = Events(events.t, events.x, events.y, events.p, side, side)
    frames = counted(square, 10, 7)
    expected = np.rot90(frames, turns, (2, 3))
    np.testing.assert_array_equal(Rotate(90 * turns).dense(frames), expected)
    np.testing.assert_array_equal(counted(Rotate(90 * turns)(square), 10, 7), expected)


def test_rotation_goes_to_the_nearest_pixel() -> None:
    # 45 degrees counter-clockwise on 5x5: (4, 2) is 2 right of the centre; 2 cos 45 = 1.41 right and up, so (3, 1)
    right = made([0], [4], [2], width=5, height=5)
    assert rows(Rotate(45)(right)) == [(0, 3, 1, 1)]
    corner = made([0], [4], [4], width=5, height=5)
    assert rows(Rotate(45)(corner)) == []  # 2.8 to the right of the centre: beyond the sensor
    # a quarter turn of an even by odd sensor falls between pixels: halves go up
    between = made([0, 1, 2], [0, 1, 2], [1, 1, 0])
    assert rows(Rotate(90)(between)) == [(1, 2, 2, 1), (2, 1, 1, 1)]


@given(events=recordings(start=0), dx=st.integers(-12, 12), dy=st.integers(-12, 12))
def test_roll_and_flip_as_numpy_does(events: Events, dx: int, dy: int) -> None:
    frames = counted(events, 10, 7)
    np.testing.assert_array_equal(counted(Roll(dx, dy)(events), 10, 7), np.roll(frames, (dy, dx), (2, 3)))
    np.testing.assert_array_equal(counted(Flip("y")(events), 10, 7), frames[:, :, ::-1])
    padded = np.pad(frames, ((0, 0), (0, 0), (12, 12), (12, 12)))
    height, width = frames.shape[2:]
    shifted = padded[:, :, 12 - dy : 12 - dy + height, 12 - dx : 12 - dx + width]
    np.testing.assert_array_equal(counted(Roll(dx, dy, wrap=False)(events), 10, 7), shifted)


@given(events=recordings(start=0), data=st.data())
def test_crop_is_a_part(events: Events, data: st.DataObject) -> None:
    assert events.width is not None and events.height is not None
    x, y = data.draw(st.integers(0, events.width - 1)), data.draw(st.integers(0, events.height - 1))
    width, height = data.draw(st.integers(1, events.width - x)), data.draw(st.integers(1, events.height - y))
    cropped = Crop(x, y, width, height)(events)
    assert (cropped.width, cropped.height) == (width, height)
    np.testing.assert_array_equal(
        counted(cropped, 10, 7), counted(events, 10, 7)[:, :, y : y + height, x : x + width]
    )


@given(events=recordings())
def test_there_and_back(events: Events) -> None:
    for there, back in (
        (Flip("x"), Flip("x")),
        (Flip("p"), Flip("p")),
        (Roll(5, 3), Roll(-5, -3)),
        (Rotate(180), Rotate(180)),
    ):
        assert back(there(events)).sha256 == events.sha256


def test_random_ones_draw_what_they_say() -> None:
    sensor = Sensor(10, 8)
    flips = [RandomFlip("x", 0.3).drawn(draw, sensor) for draw in range(1000)]
    assert 250 < sum(isinstance(f, Flip) for f in flips) < 350
    rolls = [RandomRoll(2, 1).drawn(draw, sensor) for draw in range(300)]
    assert {(r.dx, r.dy) for r in rolls if isinstance(r, Roll)} == {
        (x, y) for x in range(-2, 3) for y in range(-1, 2)
    }
    angles = [
        r.degrees for r in (RandomRotate(30).drawn(d, sensor) for d in range(300)) if isinstance(r, Rotate)
    ]
    assert -30 <= min(angles) < -25 and 25 < max(angles) <= 30
    crops = [RandomCrop(9, 6).drawn(draw, sensor) for draw in range(200)]
    assert {(c.x, c.y) for c in crops if isinstance(c, Crop)} == {(x, y) for x in range(2) for y in range(3)}


def test_sometimes() -> None:
    events = made([0, 5])
    done = [Sometimes(TimeReverse(), 0.25, 1)(events, draw).p[0] == 0 for draw in range(1000)]
    assert 200 < sum(done) < 300
    assert rows(Sometimes(Flip("p"), 0)(events)) == rows(events) != rows(Sometimes(Flip("p"), 1)(events))


def test_dense_forms_can_go_to_torch() -> None:
    frames = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3)
    for transform in (Flip("x"), Flip("p"), TimeReverse(2)):
        assert all(stride > 0 for stride in transform.dense(frames).strides)


@pytest.mark.parametrize(
    "transform", [Flip("x"), Flip("y"), Roll(1, 1), Rotate(3), Crop(0, 0, 1, 1), CentreCrop(1, 1)]
)
def test_unknown_sensors_are_refused(transform: Flip) -> None:
    with pytest.raises(DataError, match="--sensor"):
        transform(made([1], width=None, height=None))


def test_polarity_flips_without_a_sensor() -> None:
    assert Flip("p")(made([1], width=None, height=None)).p.tolist() == [0]


@pytest.mark.parametrize(
    "make, word",
    [
        (lambda: Flip("z"), "x, y or p"),  # type: ignore[arg-type]
        (lambda: RandomFlip("x", 1.5), "0 to 1"),
        (lambda: RandomFlip("t"), "x, y or p"),  # type: ignore[arg-type]
        (lambda: RandomRoll(-1, 0), "0 or more"),
        (lambda: RandomRotate(-1), "0 or more"),
        (lambda: RandomCrop(0, 1), "one pixel"),
        (lambda: Crop(-1, 0, 1, 1), "corner"),
        (lambda: Crop(0, 0, 0, 1), "one pixel"),
        (lambda: Crop(2, 0, 3, 1)(CORNER), "part of the sensor 4x3"),
        (lambda: CentreCrop(1, 4)(CORNER), "part of the sensor 4x3"),
        (lambda: RandomCrop(5, 1)(CORNER), "part of the sensor 4x3"),
        (lambda: Crop(2, 0, 3, 1).dense(np.zeros((1, 2, 3, 4))), "part of the sensor"),
        (lambda: Flip("x").dense(np.zeros((2, 3, 4))), "T, P, H, W"),
        (lambda: Sometimes(Flip("x"), -0.1), "0 to 1"),
    ],
)
def test_refused(make: object, word: str) -> None:
    with pytest.raises(DataError, match=word):
        make()  # type: ignore[operator]
