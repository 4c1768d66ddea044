"""What holds for every event transform: order of time, the sensor, counts of the dropped, seeds; event form = dense form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.datasets.transforms import (
    BackgroundActivity,
    CentreCrop,
    Compose,
    Crop,
    Decimate,
    DropArea,
    DropEvents,
    DropPixels,
    DropTime,
    EventDrop,
    Flip,
    Frames,
    FromZero,
    Integrate,
    RandomCrop,
    RandomFlip,
    RandomRoll,
    RandomRotate,
    RandomTimeScale,
    RandomTimeShift,
    Refractory,
    Roll,
    Rotate,
    Sometimes,
    SpatialDownsample,
    SpatialJitter,
    TemporalDownsample,
    TimeJitter,
    TimeReverse,
    TimeScale,
    TimeShift,
    TimeWindow,
)
from spikeflow.datasets.transforms.transform import EventTransform
from spikeflow.events import COLUMNS, Events
from tests.datasets.transforms.recordings import recordings

# (transform, keeps every event)
SPACE = [
    (Flip("x"), True),
    (Flip("y"), True),
    (Flip("p"), True),
    (Roll(3, -2), True),
    (Roll(-1, 20), True),
    (Roll(2, 1, wrap=False), False),
    (Roll(0, -40, wrap=False), False),
    (Rotate(90), False),
    (Rotate(33.3), False),
    (Rotate(-180), True),
    (Crop(0, 0, 1, 1), False),
    (CentreCrop(1, 1), False),
    (RandomCrop(1, 1, seed=2), False),
    (RandomFlip("x", 0.5, 4), True),
    (RandomRoll(3, 5, wrap=False, seed=1), False),
    (RandomRotate(60, 9), False),
    (SpatialDownsample(2, 2), True),
    (SpatialDownsample(3, 1), True),
    (SpatialDownsample(100_000, 7), True),
    (DropArea(0.5, 3), False),
    (DropPixels(0.3, 8), False),
    (Decimate(2), False),
    (Decimate(1), True),
    (Sometimes(Roll(1, 1, wrap=False), 0.5, 6), False),
    (Compose((Flip("x"), SpatialDownsample(2, 3), Decimate(2), Roll(1, 0))), False),
]
TIME = [
    (TimeShift(10), True),
    (RandomTimeShift(5, 10, 3), True),
    (TemporalDownsample(3), True),
    (TimeWindow(10, 40), False),
    (DropTime(0.4, 10, 5), False),
    (TimeReverse(80), True),
    (TimeReverse(80, polarity=False), True),
]
EVENTS_ONLY = [
    (SpatialJitter(1.5, 2), False),
    (TimeJitter(20, 3), True),
    (TimeScale(0.3), True),
    (RandomTimeScale(0.5, 2, 4), True),
    (FromZero(), True),
    (TimeReverse(), True),
    (DropEvents(0.4, 6), False),
    (EventDrop(7), False),
    (BackgroundActivity(15), False),
    (Refractory(10), False),
    (Integrate(2), False),
]
ALL = SPACE + TIME + EVENTS_ONLY
names = [repr(transform) for transform, _ in ALL]


@pytest.mark.parametrize("transform, keeps_all", ALL, ids=names)
@settings(max_examples=25)
@given(events=recordings(start=0), draw=st.integers(0, 2**62))
def test_what_every_transform_keeps(
    transform: EventTransform, keeps_all: bool, events: Events, draw: int
) -> None:
    before = events.sha256
    # `Events` itself refuses times out of order and pixels outside the sensor
    after = transform(events, draw)
    assert events.sha256 == before
    assert dict(after.dropped) == {"truncated": 1}
    assert after.width is not None and after.height is not None
    assert len(after) == len(events) if keeps_all else len(after) <= len(events)
    assert not any(getattr(after, name).flags.writeable for name, _ in COLUMNS)
    assert transform(events, draw).sha256 == after.sha256  # and nothing is remembered from call to call
    assert isinstance(hash(transform), int) and transform.key() == type(transform)(**vars(transform)).key()


@pytest.mark.parametrize("transform, _", SPACE, ids=names[: len(SPACE)])
@settings(max_examples=40)
@given(events=recordings(), draw=st.integers(0, 1000), dt=st.integers(1, 30))
def test_dense_form_in_space(transform: EventTransform, _: bool, events: Events, draw: int, dt: int) -> None:
    events = FromZero()(events)
    count = Frames(dt_us=dt, steps=60 // dt + 1, start="zero", late="refuse")
    np.testing.assert_array_equal(count(transform(events, draw)), transform.dense(count(events), draw, dt))  # type: ignore[attr-defined]


@pytest.mark.parametrize("transform, _", SPACE, ids=names[: len(SPACE)])
@settings(max_examples=10)
@given(events=recordings(start=2**40), draw=st.integers(0, 1000))
def test_dense_form_late(transform: EventTransform, _: bool, events: Events, draw: int) -> None:
    count = Frames(dt_us=2**38, steps=5, start="zero", late="refuse")
    np.testing.assert_array_equal(count(transform(events, draw)), transform.dense(count(events), draw))  # type: ignore[attr-defined]


@pytest.mark.parametrize("transform, _", TIME, ids=[repr(t) for t, _ in TIME])
@settings(max_examples=60)
@given(events=recordings(start=0), draw=st.integers(0, 1000), dt=st.sampled_from([1, 2, 5, 10]))
def test_dense_form_in_time(transform: EventTransform, _: bool, events: Events, draw: int, dt: int) -> None:
    before = Frames(dt_us=dt, steps=80 // dt, start="zero", late="refuse")
    dense = transform.dense(before(events), draw, dt)  # type: ignore[attr-defined]
    after = Frames(dt_us=dt, steps=len(dense), start="zero", late="refuse")
    np.testing.assert_array_equal(after(transform(events, draw)), dense)


@pytest.mark.parametrize("transform, _", TIME, ids=[repr(t) for t, _ in TIME])
def test_dense_form_of_times_on_the_borders_of_steps(transform: EventTransform, _: bool) -> None:
    edges = np.array([0, 0, 9, 10, 10, 19, 20, 39, 40, 59, 60])
    events = Events(edges, edges % 3, edges % 2, edges % 2, 3, 2)
    frames = Frames(dt_us=10, steps=8, start="zero")(events)
    dense = transform.dense(frames, 3, 10)  # type: ignore[attr-defined]
    after = Frames(dt_us=10, steps=len(dense), start="zero")(transform(events, 3))
    np.testing.assert_array_equal(after, dense)


RANDOM = [
    t
    for t, _ in ALL
    if type(t).__name__.startswith(("Random", "Drop", "Sometimes", "EventDrop"))
    or "Jitter" in type(t).__name__
]


@pytest.mark.parametrize("transform", RANDOM, ids=map(repr, RANDOM))
def test_draws_differ_between_samples_and_not_between_orders(transform: EventTransform) -> None:
    rng = np.random.default_rng(1)
    events = Events(
        np.arange(64), rng.integers(0, 16, 64), rng.integers(0, 16, 64), rng.integers(0, 2, 64), 16, 16
    )
    forwards = {draw: transform(events, draw).sha256 for draw in range(30)}
    backwards = {draw: transform(events, draw).sha256 for draw in reversed(range(30))}
    assert forwards == backwards and len(set(forwards.values())) > 1
