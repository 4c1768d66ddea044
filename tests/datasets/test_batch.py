"""Batches: dense and sparse have the same counts, short samples end in zeros, misfits are refused."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.loading.batch import Batch, collate, frames, to_spikes
from spikeflow.datasets.transforms.frames import Frames
from spikeflow.errors import DataError
from spikeflow.events import Events, Spikes
from spikeflow.ir.binning import Binning


@st.composite
def recordings(draw: st.DrawFn) -> Events:
    count = draw(st.integers(0, 25))
    r = np.random.default_rng(draw(st.integers(0, 10**6)))
    t = np.sort(r.integers(0, 300, count))
    return Events(t, r.integers(0, 4, count), r.integers(0, 3, count), r.integers(0, 2, count), 4, 3)


BINNINGS = st.one_of(
    st.builds(
        Binning,
        dt_us=st.integers(10, 60),
        steps=st.sampled_from([None, 1, 6]),
        overlap=st.integers(0, 9),
        start=st.sampled_from(["first", "zero"]),
        polarity=st.booleans(),
        clip=st.booleans(),
    ),
    st.builds(Binning, steps=st.integers(1, 7), clip=st.booleans()),
    st.builds(Binning, events_per_frame=st.integers(2, 9), overlap=st.integers(0, 1)),
)


@given(st.lists(recordings(), min_size=1, max_size=4), BINNINGS)
def test_a_batch_holds_the_frames_of_each_sample(events: list[Events], binning: Binning) -> None:
    settings = {f.name: getattr(binning, f.name) for f in fields(Binning)}
    each = [Frames(**settings)(one) for one in events]
    if not any(len(one) for one in each):
        with pytest.raises(DataError, match="no events"):
            frames(events, binning)
        return
    batch = collate([(one, 0) for one in events], binning)
    assert batch.x.dtype == np.float32 and np.array_equal(batch.x, frames(events, binning))
    for b, one in enumerate(each):
        assert np.array_equal(batch.x[: len(one), b], one) and not batch.x[len(one) :, b].any()
        occupied = np.flatnonzero(one.reshape(len(one), -1).any(1)) if len(one) else []
        assert batch.lengths[b] == (occupied[-1] + 1 if len(occupied) else 0)


@given(st.lists(recordings(), min_size=1, max_size=4), BINNINGS)
def test_spikes_are_those_of_the_frames(events: list[Events], binning: Binning) -> None:
    if not any(binning.cells(one)[0] for one in events):
        with pytest.raises(DataError, match="no events"):
            to_spikes(events, binning)
        return
    sparse, dense = to_spikes(events, binning), Spikes.from_dense(frames(events, binning))
    assert (sparse.samples, sparse.steps, sparse.shape) == (dense.samples, dense.steps, dense.shape)
    for name in ("sample", "step", "neuron", "value"):
        assert np.array_equal(getattr(sparse, name), getattr(dense, name)), name


def test_collate_events() -> None:
    one = Events([0, 5, 25], [0, 0, 1], [0, 0, 2], [1, 1, 0], 4, 3)
    batch = collate([(one, 7), (one[:0], 3)], Binning(dt_us=10))
    assert batch.x.shape == (3, 2, 2, 3, 4) and len(batch) == 2
    assert batch.labels.tolist() == [7, 3] and batch.labels.dtype == np.int64
    assert batch.lengths.tolist() == [3, 0]
    assert batch.mask.tolist() == [[True, False]] * 3
    assert batch.x[0, 0, 1, 0, 0] == 2 and batch.x[:, 1].sum() == 0


def test_collate_arrays_of_any_length() -> None:
    samples = [(np.full((length, 2, 3), length, np.uint8), length) for length in (4, 0, 2)]
    batch = collate(samples)
    assert batch.x.shape == (4, 3, 2, 3) and batch.x.dtype == np.float32
    for b, length in enumerate((4, 0, 2)):
        assert (batch.x[:length, b] == length).all() and not batch.x[length:, b].any()
    assert batch.mask.sum(0).tolist() == batch.lengths.tolist() == [4, 0, 2]


def test_one_step_arrays_without_further_shape() -> None:
    assert collate([(np.ones(3), 0), (np.ones(2), 1)]).x.tolist() == [[1, 1], [1, 1], [1, 0]]


EVENTS = Events([1], [1], [1], [1], 4, 3)
ARRAY = np.zeros((2, 3))


@pytest.mark.parametrize(
    "samples, binning, word",
    [
        ([], None, "no samples"),
        ([(EVENTS, 0), (ARRAY, 0)], Binning(dt_us=10), "mixed"),
        ([(EVENTS, 0)], None, "bins for them"),
        ([(ARRAY, 0)], Binning(dt_us=10), "binning=None"),
        ([(ARRAY, 0), (np.zeros((2, 4)), 0)], None, "equal but for T"),
        ([(np.float32(3), 0)], None, "equal but for T"),
        ([(np.zeros((0, 3)), 0)], None, "at least one step"),
        ([(np.array(["a"]), 0)], None, "numbers"),
        ([("no sample", 0)], None, "equal but for T"),
        ([(EVENTS, 0.5)], Binning(dt_us=10), "labels"),
        ([(EVENTS, "three")], Binning(dt_us=10), "labels"),
        ([(EVENTS, [1, 2])], Binning(dt_us=10), "labels"),
        ([(EVENTS, 0), (Events([1], [1], [1], [1], 9, 9), 0)], Binning(dt_us=10), "sensors of"),
        ([(Events([10**7], [1], [1], [1], 600, 600), 0)], Binning(dt_us=1000, start="zero"), "longer steps"),
        ([(Events([1], [1], [1], [1]), 0)], Binning(dt_us=10), "width"),
        ([(EVENTS[:0], 0)], Binning(dt_us=10), "no events"),
    ],
)
def test_what_is_refused(samples: list[tuple[object, int]], binning: Binning | None, word: str) -> None:
    with pytest.raises(DataError, match=word):
        collate(samples, binning)


def test_a_batch_of_tensors_has_the_same_mask() -> None:
    torch = pytest.importorskip("torch")
    dense = collate([(np.ones((n, 2)), n) for n in (1, 3, 2)])
    tensors = Batch(*(torch.from_numpy(a) for a in (dense.x, dense.labels, dense.lengths)))
    assert tensors.mask.tolist() == dense.mask.tolist() and len(tensors) == 3


def test_real_digits(data_folder) -> None:
    from spikeflow.datasets.read import read

    files = sorted((data_folder / "NMNIST" / "Test").glob("*/*.bin"))[:20]
    events = [read(file, "bin5", width=34, height=34) for file in files]
    binning = Binning(dt_us=15_000, steps=21, start="zero")
    x = frames(events, binning)
    assert x.sum() == sum(len(one.between(0, 21 * 15_000)) for one in events)
    assert np.array_equal(to_spikes(events, binning).dense(), x)
    assert all(a.sha256 != b.sha256 for a, b in pairwise(events))
