"""The cache: what comes out of it is what would be made; damage, change, death and full disks are survived."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets.base import Dataset, Index, Metadata
from spikeflow.datasets.loading import entry
from spikeflow.datasets.loading.cache import Cached, CacheWarning
from spikeflow.datasets.read import read, write
from spikeflow.datasets.transforms.frames import Frames
from spikeflow.datasets.transforms.transform import Compose
from spikeflow.errors import DataError
from spikeflow.events import Events, Spikes

METADATA = Metadata("tiny", "Tiny", "events", "nobody", "none", "nowhere", ("a", "b"), {"train": 6}, "official", 8, 8)


def events(seed: int, count: int = 50) -> Events:
    r = np.random.default_rng(seed)
    t = np.sort(r.integers(0, 1000, count))
    return Events(t, r.integers(0, 8, count), r.integers(0, 8, count), r.integers(0, 2, count), 8, 8)


class Tiny(Dataset[Events]):
    """Six small recordings; counts how often one is read."""

    metadata = METADATA
    reads = 0
    gain = 1

    def find(self, folder: Path, split: str) -> Index | None:
        return Index(folder, "made", sorted(p.name for p in folder.glob("*.bin")), np.arange(6) % 2)

    def read(self, place: str) -> Events:
        type(self).reads += 1
        return read(self.root / place, "bin5", width=8, height=8)


@dataclass(frozen=True)
class Shifted:
    """A transform of this test."""

    by: int = 1

    def __call__(self, sample: Events, draw: int = 0) -> Events:
        return Events(sample.t + self.by, sample.x, sample.y, sample.p, 8, 8)


@dataclass(frozen=True)
class Noisy:
    """A transform that says that it draws."""

    seed: int = 0

    def __call__(self, sample: Events, draw: int = 0) -> Events:
        return sample


@pytest.fixture
def data(tmp_path: Path) -> Tiny:
    folder = tmp_path / "data"
    folder.mkdir()
    for i in range(6):
        write(folder / f"{i}.bin", events(i))
    Tiny.reads = 0
    return Tiny(folder)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Events):
        return a.sha256 == b.sha256 and (a.width, a.height, a.dropped) == (b.width, b.height, b.dropped)
    return bool(np.array_equal(a, b)) and a.dtype == b.dtype


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.entry"))


@pytest.mark.parametrize(
    "transform", [None, Shifted(), Frames(dt_us=100), Compose((Shifted(3), Frames(dt_us=100)))]
)
def test_a_second_pass_reads_nothing_and_gives_the_same(data: Tiny, tmp_path: Path, transform: Any) -> None:
    kept = Cached(data, tmp_path / "cache", transform)
    first = [kept[i] for i in range(6)]
    assert Tiny.reads == 6 and len(entries(tmp_path / "cache")) == 6
    again = [Cached(data, tmp_path / "cache", transform)[i] for i in range(6)]
    assert Tiny.reads == 6
    for (a, label), (b, again_label), i in zip(first, again, range(6), strict=True):
        plain = data.sample(i)
        assert same(a, b) and same(a, transform(plain, 0) if transform else plain)
        assert label == again_label == data.labels[i]
    assert kept[-1][1] == first[5][1] and len(kept) == 6 and kept.labels is data.labels
    with pytest.raises(IndexError):
        kept[6]


def test_what_comes_out_may_be_written_to_and_changes_nothing(data: Tiny, tmp_path: Path) -> None:
    kept = Cached(data, tmp_path / "cache", Frames(dt_us=100))
    for _ in range(2):
        sample, _ = kept[0]
        sample[:] = -1
    assert same(kept[0][0], Frames(dt_us=100)(data.sample(0)))


def test_a_changed_transform_or_setting_is_made_anew(data: Tiny, tmp_path: Path) -> None:
    one = Cached(data, tmp_path / "cache", Shifted(1))[0][0]
    two = Cached(data, tmp_path / "cache", Shifted(2))[0][0]
    assert not same(one, two) and same(Cached(data, tmp_path / "cache", Shifted(1))[0][0], one)
    told = Tiny(data.folder)
    told.gain = 2
    reads = Tiny.reads
    Cached(told, tmp_path / "cache", Shifted(1))[0]
    assert Tiny.reads == reads + 1
    inner = Tiny(data.folder, transform=Shifted(5))
    assert same(Cached(inner, tmp_path / "cache")[0][0], inner[0][0])


def test_a_changed_file_is_made_anew(data: Tiny, tmp_path: Path) -> None:
    kept = Cached(data, tmp_path / "cache")
    before = kept[0][0]
    path = data.path(0)
    state = path.stat()
    write(path, events(99))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # as a tool that keeps times would leave it
    assert not same(kept[0][0], before) and same(kept[0][0], events(99))
    assert same(Cached(data, tmp_path / "cache")[0][0], events(99))


def test_a_moved_data_set_is_found_again(data: Tiny, tmp_path: Path) -> None:
    Cached(data, tmp_path / "cache")[0]
    os.rename(data.folder, tmp_path / "elsewhere")
    Tiny.reads = 0
    Cached(Tiny(tmp_path / "elsewhere"), tmp_path / "cache")[0]
    assert Tiny.reads == 0


def test_samples_without_files_are_known_by_their_content(tmp_path: Path) -> None:
    samples = [(events(0), 3), (events(1), 4)]
    kept = Cached(samples, tmp_path, Frames(dt_us=100))
    assert same(kept[1][0], kept[1][0]) and kept[1][1] == 4
    samples[1] = (events(2), 4)
    assert same(kept[1][0], Frames(dt_us=100)(events(2)))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "longer", "other"])
def test_damaged_entries_are_made_anew(data: Tiny, tmp_path: Path, damage: str) -> None:
    kept = Cached(data, tmp_path / "cache", Frames(dt_us=100))
    whole = kept[0][0]
    (path,) = entries(tmp_path / "cache")
    raw = bytearray(path.read_bytes())
    if damage == "flip":
        raw[len(raw) // 2] ^= 1
    changed = {
        "cut": raw[:-7],
        "flip": raw,
        "empty": b"",
        "longer": raw + b"\0",
        "other": b"not an entry" * 50,
    }
    path.write_bytes(bytes(changed[damage]))
    with pytest.warns(CacheWarning, match="damaged"):
        assert same(kept[0][0], whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(kept[0][0], whole)


def test_every_cut_and_every_flipped_byte_of_an_entry_is_noticed() -> None:
    raw = entry.to_bytes(events(0, 3), 1)
    for at in range(len(raw)):
        for wrong in (raw[:at], raw[:at] + bytes([raw[at] ^ 0x40]) + raw[at + 1 :]):
            with pytest.raises(entry.Damaged):
                entry.from_bytes(wrong)


def test_an_entry_with_a_true_checksum_and_a_false_head_is_refused() -> None:
    import struct
    import zlib

    for head in (b"{}", b"[1]", b"\xff", b'{"kind":"array","label":0,"arrays":[["<f4",[1000000000000]]]}',
                 b'{"kind":"array","label":0,"arrays":[["O",[0]]]}', b'{"kind":"what","label":0,"arrays":[]}'):  # fmt: skip
        body = entry.MAGIC + struct.pack("<I", len(head)) + head
        with pytest.raises(entry.Damaged):
            entry.from_bytes(body + struct.pack("<I", zlib.crc32(body)))


def test_entries_hold_events_spikes_and_arrays() -> None:
    dropped = Events([1], [2], [3], [1], 8, None, {"late": 2})
    back, label = entry.from_bytes(entry.to_bytes(dropped, 4))
    assert same(back, dropped) and label == 4
    spikes = Spikes([0, 0], [1, 2], [3, 0], [1, 2], 1, 4, (2, 2))
    back, _ = entry.from_bytes(entry.to_bytes(spikes, 0))
    assert np.array_equal(back.dense(), spikes.dense())
    for array in (np.zeros((0, 3)), np.arange(6, dtype=">i2").reshape(2, 3).T, np.array(3, np.float32)):
        back, _ = entry.from_bytes(entry.to_bytes(array, 0))
        assert np.array_equal(back, array) and back.shape == array.shape
    for sample, label in (("text", 0), (np.array([None]), 0), (np.zeros(2), 0.5)):
        with pytest.raises(DataError, match="cache"):
            entry.to_bytes(sample, label)  # type: ignore[arg-type]


def test_a_full_disk_is_a_warning(data: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = Cached(data, tmp_path / "cache", Shifted())
    monkeypatch.setattr("spikeflow.files.write._place", full)
    with pytest.warns(CacheWarning, match="No space left"):
        assert same(kept[0][0], Shifted()(data.sample(0)))
    assert not list((tmp_path / "cache").rglob("*.*"))  # no draft either
    monkeypatch.undo()
    kept[0]
    assert len(entries(tmp_path / "cache")) == 1


def test_a_folder_that_cannot_be_made_is_a_warning(data: Tiny, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(CacheWarning, match="kept"):
        assert same(Cached(data, tmp_path / "file")[0][0], data.sample(0))


def test_the_limit_is_kept_and_old_entries_stay(data: Tiny, tmp_path: Path) -> None:
    one = len(entry.to_bytes(*data[0]))
    kept = Cached(data, tmp_path / "cache", limit_bytes=3 * one + 20)
    for _ in range(2):
        assert [same(kept[i][0], data.sample(i)) for i in range(6)] == [True] * 6
    assert len(entries(tmp_path / "cache")) == 3 and kept.size() <= 3 * one + 20
    other = Cached(data, tmp_path / "cache", Shifted(), limit_bytes=3 * one + 20)
    other[5]
    assert len(entries(tmp_path / "cache")) == 3


def test_clear_deletes_entries_and_nothing_else(data: Tiny, tmp_path: Path) -> None:
    kept = Cached(data, tmp_path / "cache")
    for i in range(6):
        kept[i]
    other = tmp_path / "cache" / "notes.txt"
    other.write_text("mine")
    left, running = (entries(tmp_path / "cache")[0].parent / f"{name}.draft" for name in ("left", "running"))
    left.write_text("by a killed writer")
    os.utime(left, (0, 0))
    running.write_text("by one that is still at it")
    assert kept.clear() == 6 and not entries(tmp_path / "cache")
    assert other.exists() and running.exists() and not left.exists()
    assert same(kept[0][0], data.sample(0))


def test_transforms_that_draw_are_refused(data: Tiny, tmp_path: Path) -> None:
    for transform in (Noisy(), Compose((Shifted(), Compose((Noisy(3),))))):
        with pytest.raises(DataError, match="DataLoader"):
            Cached(data, tmp_path, transform)
    with pytest.raises(DataError, match="Noisy"):
        Cached(Tiny(data.folder, transform=Noisy()), tmp_path)


def test_transforms_without_a_key_are_refused(data: Tiny, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="key of a transform"):
        Cached(data, tmp_path, lambda sample, draw: sample)
    with pytest.raises(DataError, match="key of a transform"):
        Cached(Tiny(data.folder, transform=abs), tmp_path)


def _fill(folder: Path, cache: Path, seed: int) -> None:
    kept = Cached(Tiny(folder), cache, Frames(dt_us=10))
    for i in np.random.default_rng(seed).integers(0, 6, 200).tolist():
        assert same(kept[i][0], Frames(dt_us=10)(kept.dataset.sample(i)))
        if i == 0:
            kept.clear()


def test_several_processes_at_once(data: Tiny, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        workers = [context.Process(target=_fill, args=(data.folder, tmp_path / "cache", s)) for s in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]


KILLED = """
import sys, numpy as np
from spikeflow.datasets.loading.cache import Cached
samples = [(np.full(1 << 18, i, np.float32), i) for i in range(500)]
kept = Cached(samples, sys.argv[1])
print("ready", flush=True)
while True:
    for i in range(500):
        kept[i]
    kept.clear()
"""


def test_a_writer_killed_in_the_midst_leaves_only_whole_entries(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    process.stdout.close()
    for path in entries(tmp_path):
        sample, label = entry.from_bytes(path.read_bytes())
        assert sample.shape == (1 << 18,) and (sample == label).all()
