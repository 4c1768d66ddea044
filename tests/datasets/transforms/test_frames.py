"""Frames and spikes: against counting one event after the other; nothing lost, nothing twice."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.transforms import Frames, ToSpikes
from spikeflow.errors import DataError
from spikeflow.events import Events, Spikes
from spikeflow.ir.binning import Binning
from tests.datasets.transforms.recordings import counted, made, recordings, rows

STARTS = ("first", "zero")
binnings = st.one_of(
    st.fixed_dictionaries({"dt_us": st.integers(1, 70)}),
    st.fixed_dictionaries({"dt_us": st.integers(1, 70), "steps": st.integers(1, 9)}),
    st.fixed_dictionaries({"steps": st.integers(1, 70)}),
    st.fixed_dictionaries({"events_per_frame": st.integers(1, 12)}),
    st.fixed_dictionaries({"events_per_frame": st.integers(1, 12), "steps": st.integers(1, 9)}),
)


def steps_of(frames: Binning, events: Events) -> list[list[int]]:
    """For each step the indices of its events, by the definition, in Python's whole numbers."""
    t = events.t.tolist()
    origin = (t[0] if frames.start == "first" else 0) if t else 0
    if frames.events_per_frame is not None:
        length, position, span = frames.events_per_frame, list(range(len(t))), len(t)
    else:
        span = t[-1] - origin + 1 if t else 0
        position = [each - origin for each in t]
        if frames.dt_us is None:
            assert frames.steps is not None
            return [
                [i for i, at in enumerate(position) if at * frames.steps // span == k]
                for k in range(frames.steps)
            ]
        length = frames.dt_us
    hop = length - frames.overlap
    needed = max(0, ceil((span - length) / hop)) + 1 if span else 0
    count = needed if frames.steps is None else frames.steps
    return [[i for i, at in enumerate(position) if k * hop <= at < k * hop + length] for k in range(count)]


def slow(frames: Frames, events: Events) -> np.ndarray:
    """Frames by the definition."""
    assert events.width is not None and events.height is not None
    chosen = steps_of(frames, events)
    out = np.zeros((len(chosen), 2 if frames.polarity else 1, events.height, events.width), np.float32)
    for k, step in enumerate(chosen):
        for i in step:
            out[k, events.p[i] if frames.polarity else 0, events.y[i], events.x[i]] += 1
    return np.minimum(out, 1) if frames.clip else out


@given(
    events=recordings(start=0),
    fields=binnings,
    start=st.sampled_from(STARTS),
    polarity=st.booleans(),
    clip=st.booleans(),
)
def test_frames_by_definition(
    events: Events, fields: dict[str, int], start: str, polarity: bool, clip: bool
) -> None:
    frames = Frames(**fields, start=start, polarity=polarity, clip=clip)  # type: ignore[arg-type]
    found = frames(events)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, slow(frames, events))
    sparse = ToSpikes(**fields, start=start, polarity=polarity, clip=clip)(events)  # type: ignore[arg-type]
    expected = Spikes.from_dense(found[:, None])
    assert (sparse.samples, sparse.steps, sparse.shape) == (1, len(found), found.shape[1:])
    for name in ("sample", "step", "neuron", "value"):
        np.testing.assert_array_equal(getattr(sparse, name), getattr(expected, name))


@given(events=recordings(), length=st.integers(2, 30), data=st.data(), by_count=st.booleans())
def test_overlap_by_definition(events: Events, length: int, data: st.DataObject, by_count: bool) -> None:
    overlap = data.draw(st.integers(1, length - 1))
    steps = data.draw(st.none() | st.integers(1, 9))
    fields = {"events_per_frame" if by_count else "dt_us": length, "overlap": overlap, "steps": steps}
    frames = Frames(**fields)  # type: ignore[arg-type]
    np.testing.assert_array_equal(frames(events), slow(frames, events))
    if steps is None:
        assert {i for step in steps_of(frames, events) for i in step} == set(range(len(events)))


@given(events=recordings(), fields=binnings)
def test_no_event_is_lost_or_doubled(events: Events, fields: dict[str, int]) -> None:
    if len(fields) == 2:
        fields = {name: value for name, value in fields.items() if name != "steps"}
    assert Frames(**fields)(events).sum() == len(events)  # type: ignore[arg-type]
    assert ToSpikes(**fields)(events).value.sum() == len(events)  # type: ignore[arg-type]


def test_borders_belong_to_the_later_step() -> None:
    events = made([100, 109, 110, 119, 120])
    assert Frames(dt_us=10)(events).sum(axis=(1, 2, 3)).tolist() == [2, 2, 1]
    assert Frames(steps=3)(events).sum(axis=(1, 2, 3)).tolist() == [1, 2, 2]
    assert Frames(dt_us=10, start="zero")(events).sum(axis=(1, 2, 3)).tolist() == [0] * 10 + [2, 2, 1]
    assert Frames(events_per_frame=2)(events).sum(axis=(1, 2, 3)).tolist() == [2, 2, 1]


def test_late_times_are_exact() -> None:
    late = 2**40
    events = made([late, late + 1, 2 * late - 1, 2 * late])
    assert Frames(dt_us=late)(events).sum(axis=(1, 2, 3)).tolist() == [3, 1]
    assert Frames(steps=late.bit_length())(events).sum() == 4
    # products of more than 63 bits: ceil(6 2^61 / 7) is the first time of part 6
    border = -(-6 * 2**61 // 7)
    far = made([0, border - 1, border, 2**61 - 1])
    assert Frames(steps=7)(far).sum(axis=(1, 2, 3)).tolist() == [1, 0, 0, 0, 0, 1, 2]
    assert Frames(dt_us=2**60, steps=2**24 - 1, start="zero").ranges(far).stop[:3].tolist() == [1, 4, 4]


def test_late_events() -> None:
    events = made([0, 10, 20, 21])
    assert Frames(dt_us=10, steps=2)(events).sum() == 2
    assert Frames(dt_us=10, steps=2)(events).shape == (2, 2, 3, 4)
    assert Frames(dt_us=10, steps=3, late="refuse")(events).sum() == 4
    for late in (
        Frames(dt_us=10, steps=2, late="refuse"),
        Frames(events_per_frame=1, steps=3, late="refuse"),
    ):
        with pytest.raises(DataError, match='at most [23]. Try: late="cut"'):
            late(events)


def test_empty_and_short_recordings() -> None:
    nothing = made([])
    assert Frames(dt_us=10)(nothing).shape == (0, 2, 3, 4)
    assert Frames(steps=5)(nothing).shape == Frames(dt_us=1, steps=5)(nothing).shape == (5, 2, 3, 4)
    assert Frames(events_per_frame=3)(nothing).shape == (0, 2, 3, 4)
    assert ToSpikes(dt_us=10, steps=3)(nothing).dense().shape == (3, 1, 2, 3, 4)
    one = made([77])
    assert Frames(steps=4)(one).sum(axis=(1, 2, 3)).tolist() == [1, 0, 0, 0]
    assert Frames(dt_us=2**61)(one).shape == (1, 2, 3, 4)


def test_neurons_are_in_c_order() -> None:
    events = made([0, 5], [3, 1], [2, 0], p=[0, 1])
    spikes = ToSpikes(dt_us=5)(events)
    assert spikes.neuron.tolist() == [2 * 4 + 3, 3 * 4 + 1] and spikes.step.tolist() == [0, 1]


def test_sensor_without_rows() -> None:
    events = Events(np.array([0, 9]), np.array([699, 0]), np.zeros(2, int), np.ones(2, int), 700, 1)
    frames = Frames(dt_us=5, polarity=False)(events)
    assert frames.shape == (2, 1, 1, 700) and frames[0, 0, 0, 699] == frames[1, 0, 0, 0] == 1


def test_agrees_with_counting(data_folder: object) -> None:
    from spikeflow.datasets import read

    path = sorted((data_folder / "NMNIST" / "Train" / "0").glob("*.bin"))[0]  # type: ignore[operator]
    events = read(path, width=34, height=34)
    steps = int(events.t[-1]) // 1000 + 1
    np.testing.assert_array_equal(Frames(dt_us=1000, start="zero")(events), counted(events, 1000, steps))
    assert len(rows(events)) == ToSpikes(dt_us=1000)(events).value.sum()


@pytest.mark.parametrize(
    "fields, word",
    [
        ({}, "no length of a step"),
        ({"dt_us": 5, "events_per_frame": 5}, "one of the two"),
        ({"dt_us": 0}, "dt_us"),
        ({"dt_us": 1.5}, "whole number"),
        ({"dt_us": True}, "whole number"),
        ({"steps": -1}, "steps"),
        ({"steps": 2**24 + 1}, "steps"),
        ({"events_per_frame": 0}, "events_per_frame"),
        ({"dt_us": 5, "overlap": 5}, "0 to 4"),
        ({"dt_us": 5, "overlap": -1}, "overlap"),
        ({"steps": 5, "overlap": 1}, "overlap"),
        ({"dt_us": 5, "start": "last"}, "first, zero"),
        ({"dt_us": 5, "late": "keep"}, "cut, refuse"),
    ],
)
def test_refused_fields(fields: dict[str, object], word: str) -> None:
    with pytest.raises(DataError, match=word):
        Frames(**fields)  # type: ignore[arg-type]


def test_refused_events() -> None:
    with pytest.raises(DataError, match="--sensor"):
        Frames(dt_us=5)(made([1], width=None))
    with pytest.raises(DataError, match='-5 us.*start="first"'):
        Frames(dt_us=5, start="zero")(made([-5, 7]))
    assert Frames(dt_us=5)(made([-5, 7])).sum(axis=(1, 2, 3)).tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="steps"):
        Frames(dt_us=1, start="zero")(made([2**40]))
    with pytest.raises(DataError, match="longer steps"):
        Frames(dt_us=1)(made([0, 2**23], width=1000, height=1000))
    with pytest.raises(DataError, match="times up to"):
        Frames(dt_us=1)(made([0, 2**62]))


def test_counts_beyond_float32_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikeflow.ir.binning.EXACT", 4)
    assert Frames(steps=1)(made([0, 1, 2])).max() == 3
    with pytest.raises(DataError, match="4 or more events"):
        Frames(steps=1)(made([0, 1, 2, 3]))
    assert Frames(steps=1, clip=True)(made([0, 1, 2, 3])).max() == 1
