"""The loader: batches depend on their place alone; faults name the sample; nothing is left running."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.datasets.base import Dataset, Index, Metadata
from spikeflow.datasets.loading.batch import Batch, collate
from spikeflow.datasets.loading.cache import Cached
from spikeflow.datasets.loading.loader import DataLoader, Loading, Position
from spikeflow.datasets.read import read, write
from spikeflow.datasets.transforms.frames import Frames
from spikeflow.encode import uniform
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.ir.binning import Binning

METADATA = Metadata(
    "tiny", "Tiny", "events", "nobody", "none", "nowhere", ("a", "b"), {"train": 23}, "official", 8, 8
)
BINS = Binning(dt_us=100, steps=10, start="zero")


class Tiny(Dataset[Events]):
    """23 small recordings."""

    metadata = METADATA

    def find(self, folder: Path, split: str) -> Index | None:
        return Index(folder, "made", sorted(p.name for p in folder.glob("*.bin")), np.arange(23) % 2)

    def read(self, place: str) -> Events:
        return read(self.root / place, "bin5", width=8, height=8)


@dataclass(frozen=True)
class Thinned:
    """An augmentation: each event stays with probability one half."""

    seed: int = 0

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return events[uniform(self.seed, [draw], 0, len(events))[0] < 0.5]


@dataclass(frozen=True)
class Dying:
    """Ends the worker that touches sample 5."""

    hard: bool = True

    def __call__(self, events: Events, draw: int = 0) -> Events:
        if draw == 5 and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return events


class Numbers:
    """Arrays: sample i is one step of i."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return np.full((1, 2), i), i


def refusing(samples: list[tuple[Any, int]]) -> Batch:
    raise ValueError("no batch today")


def summed(samples: list[tuple[Any, int]]) -> int:
    return sum(label for _, label in samples)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("tiny")
    for i in range(23):
        r = np.random.default_rng(i)
        count = int(r.integers(0, 60))
        t = np.sort(r.integers(0, 1000, count))
        column = (r.integers(0, n, count) for n in (8, 8, 2))
        write(folder / f"{i:02}.bin", Events(t, *column, width=8, height=8))
    return Tiny(folder)


def children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def gone(before: list[int], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while set(children()) - set(before):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def collected(loader: DataLoader, epochs: int = 2) -> list[tuple[np.ndarray, list[int], list[int]]]:
    with loader:
        return [
            (b.x.numpy().copy(), b.labels.tolist(), b.lengths.tolist())
            for epoch in range(epochs)
            for b in loader.epoch(epoch)
        ]


def equal(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x[0], y[0]) and x[1:] == y[1:] for x, y in zip(a, b, strict=True)
    )


def test_batches_are_tensors_time_first(data: Tiny) -> None:
    loader = DataLoader(data, Loading(batch_size=5, shuffle=False), BINS)
    batches = list(loader.epoch(0))
    assert [len(b) for b in batches] == [5, 5, 5, 5, 3] and len(loader) == 5
    assert batches[0].x.shape == (10, 5, 2, 8, 8) and batches[0].x.dtype == torch.float32
    assert batches[0].labels.dtype == torch.int64 and batches[0].mask.shape == (10, 5)
    plain = collate([data[i] for i in range(5, 10)], BINS)
    assert np.array_equal(batches[1].x.numpy(), plain.x)
    assert np.array_equal(batches[1].mask.numpy(), plain.mask)


@pytest.mark.parametrize("workers, start", [(1, "fork"), (2, "fork"), (2, None)])
def test_workers_change_nothing(data: Tiny, workers: int, start: str | None) -> None:
    alone = collected(DataLoader(data, Loading(5, seed=3), BINS, Thinned()))
    shared = collected(DataLoader(data, Loading(5, seed=3, workers=workers, start=start), BINS, Thinned()))
    assert equal(alone, shared)


def test_spawned_workers_change_nothing(data: Tiny, tmp_path: Path) -> None:
    kept = Cached(data, tmp_path)
    alone = collected(DataLoader(kept, Loading(5, seed=3), BINS, Thinned()), 1)
    spawned = collected(DataLoader(kept, Loading(5, seed=3, workers=1, start="spawn"), BINS, Thinned()), 1)
    assert equal(alone, spawned)


def test_orders_differ_by_epoch_and_seed_and_hold_every_sample_once() -> None:
    orders = {
        (seed, epoch): [
            i for b in DataLoader(Numbers(), Loading(3, seed=seed)).epoch(epoch) for i in b.labels.tolist()
        ]
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    }
    assert all(sorted(order) == list(range(10)) for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) == 6
    again = DataLoader(Numbers(), Loading(3, seed=1)).epoch(2)
    assert [i for b in again for i in b.labels.tolist()] == orders[1, 2]


def test_draws_differ_by_epoch_and_sample(data: Tiny) -> None:
    loader = DataLoader(data, Loading(23, shuffle=False), BINS, Thinned())
    (first,), (second,) = list(loader.epoch(0)), list(loader.epoch(1))
    assert not torch.equal(first.x, second.x)
    for epoch, batch in ((0, first), (1, second)):
        wanted = collate([(Thinned()(data[i][0], epoch * 23 + i), 0) for i in range(23)], BINS)
        assert np.array_equal(batch.x.numpy(), wanted.x)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_goes_on_where_it_was_left(data: Tiny, workers: int) -> None:
    loading = Loading(4, seed=9, workers=workers)
    whole = collected(DataLoader(data, loading, BINS, Thinned()), 2)
    first = DataLoader(data, loading, BINS, Thinned())
    run = first.epoch(0)
    assert run.state() == (0, 0)
    for _ in range(2):
        next(run)
    state = run.state()
    assert state == Position(0, 2) and len(run) == 4
    first.close()
    with DataLoader(data, loading, BINS, Thinned()) as second:
        rest = [
            (b.x.numpy().copy(), b.labels.tolist(), b.lengths.tolist()) for b in second.start_at(tuple(state))
        ]
        assert equal(rest, whole[2:6])
        run = second.start_at((0, 5))
        next(run)
        assert run.state() == (1, 0)
        assert list(second.start_at((1, 6))) == []


def test_what_is_left_out_and_what_is_not() -> None:
    assert [len(b) for b in DataLoader(Numbers(), Loading(4)).epoch(0)] == [4, 4, 2]
    assert [len(b) for b in DataLoader(Numbers(), Loading(4, drop_last=True)).epoch(0)] == [4, 4]
    assert list(DataLoader(Numbers(), Loading(5, shuffle=False), summed).epoch(0)) == [10, 35]


def test_arrays_of_representations(data: Tiny) -> None:
    (batch,) = DataLoader(data, Loading(23, shuffle=False), None, Frames(dt_us=100, start="zero")).epoch(0)
    assert batch.x.shape[1:] == (23, 2, 8, 8)
    assert batch.lengths.tolist() == [len(Frames(dt_us=100, start="zero")(e)) for e, _ in data]


class Kinds:
    """Arrays of one kind: bytes, bytes as floats, fractions, negative, large, not a number."""

    def __init__(self, kind: int) -> None:
        small = np.arange(256.0)[:, None]
        self.x = (small.astype(np.uint8), small, small / 2, -small, small + 1, small + np.nan)[kind]

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.x, i


@pytest.mark.parametrize("kind", range(6))
def test_numbers_travel_exactly(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for pipe in (0, 1 << 20):
        monkeypatch.setattr("spikeflow.datasets.loading.loader.PIPE", pipe)
        with DataLoader(Kinds(kind), Loading(2, workers=1, start="fork")) as loader:
            for batch in loader.epoch(0):
                assert batch.x.dtype == torch.float32
                wanted = np.repeat(Kinds(kind).x[:, None], 2, axis=1).astype(np.float32)
                assert np.array_equal(batch.x.numpy(), wanted, equal_nan=True)


def test_the_users_random_numbers_are_left_alone() -> None:
    state = torch.get_rng_state()
    list(DataLoader(Numbers(), Loading(4, workers=1)).epoch(0))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_file_is_named(data: Tiny, tmp_path: Path, workers: int) -> None:
    broken = Tiny(data.folder)
    kept = (data.folder / "11.bin").read_bytes()
    try:
        (data.folder / "11.bin").write_bytes(b"\xff" * 13)
        before = children()
        loader = DataLoader(Cached(broken, tmp_path), Loading(4, shuffle=False, workers=workers), BINS)
        with pytest.raises(FileError, match=r"sample 11 of Tiny.*byte") as caught:
            list(loader.epoch(0))
        assert caught.value.path == str(data.folder / "11.bin") and "Traceback" in caught.value.__notes__[0]
        assert gone(before)
    finally:
        (data.folder / "11.bin").write_bytes(kept)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_transform_that_fails_is_named(data: Tiny, workers: int) -> None:
    def failing(events: Events, draw: int) -> Events:
        return events if draw != 6 else [][0]

    loader = DataLoader(
        data, Loading(4, shuffle=False, workers=workers, start="fork" if workers else None), BINS, failing
    )
    run = loader.epoch(0)
    next(run)
    with pytest.raises(DataError, match=r"sample 6 of Tiny \(.*06.bin\).*IndexError"):
        next(run)
    assert list(run) == []  # it has ended
    assert len(list(loader.start_at((1, 2)))) == 4  # and the loader has not


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_that_cannot_be_made_is_named(workers: int) -> None:
    loader = DataLoader(Numbers(), Loading(4, shuffle=False, workers=workers), refusing)
    with pytest.raises(DataError, match="the batch of sample 0 of Numbers and 3 more.*no batch today"):
        next(loader.epoch(0))


def test_a_killed_worker_is_an_error(data: Tiny) -> None:
    before = children()
    loader = DataLoader(data, Loading(4, shuffle=False, workers=2), BINS, Dying())
    with pytest.raises(DataError, match="workers that live"):
        list(loader.epoch(0))
    assert gone(before)


@pytest.mark.parametrize("how", ["break", "exception", "dropped", "close", "with"])
def test_nothing_is_left_running(data: Tiny, how: str) -> None:
    before = children()
    loader = DataLoader(data, Loading(4, workers=2), BINS)
    if how == "break":
        for _ in loader.epoch(0):
            break
    elif how == "exception":
        with pytest.raises(KeyboardInterrupt), loader:
            for _ in loader.epoch(0):
                raise KeyboardInterrupt
    elif how == "dropped":
        list(loader.epoch(0))
        assert set(children()) - set(before)
        del loader
        gc.collect()
    elif how == "close":
        list(loader.epoch(0))
        loader.close()
    else:
        with loader:
            list(loader.epoch(0))
    assert gone(before)


def test_workers_live_on_between_epochs(data: Tiny) -> None:
    before = children()
    with DataLoader(data, Loading(4, workers=2), BINS) as loader:
        list(loader.epoch(0))
        first = set(children()) - set(before)
        list(loader.epoch(1))
        assert set(children()) - set(before) == first and len(first) >= 2
    assert gone(before)


def test_a_new_epoch_ends_the_old_one(data: Tiny) -> None:
    with DataLoader(data, Loading(4, seed=1, workers=1), BINS) as loader:
        old = loader.epoch(0)
        next(old)
        new = [b.labels.tolist() for b in loader.epoch(1)]
        assert list(old) == []
    with DataLoader(data, Loading(4, seed=1), BINS) as loader:
        assert new == [b.labels.tolist() for b in loader.epoch(1)]


INTERRUPTED = """
import signal, sys, time
import numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from spikeflow.datasets.loading.loader import DataLoader, Loading
samples = [(np.zeros((1, 2)), 0)] * 1000
for batch in DataLoader(samples, Loading(2, workers=2)).epoch(0):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_an_interrupted_process_leaves_no_workers() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)  # to it alone: its workers are not told
    process.communicate(timeout=30)
    end = time.monotonic() + 10
    while _group(process.pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert process.returncode != 0 and not _group(process.pid)


def _group(pgid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(path.name)) == pgid and "State:\tZ" not in (path / "status").read_text():
                found.append(int(path.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    "settings", [{"batch_size": 0}, {"workers": -1}, {"seed": -1}, {"ahead": 0}, {"start": "vfork"}]
)
def test_settings_that_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="loader"):
        Loading(**settings)


def test_places_and_data_sets_that_are_refused() -> None:
    loader = DataLoader(Numbers(), Loading(4))
    for place in ((-1, 0), (0, -1), (0, 4)):
        with pytest.raises(DataError, match="position"):
            loader.start_at(place)
    with pytest.raises(DataError, match="0 samples"):
        DataLoader([], Loading(4))
    with pytest.raises(DataError, match="a batch of 11"):
        DataLoader(Numbers(), Loading(11, drop_last=True))
