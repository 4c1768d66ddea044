"""Recordings of compiled decoders: streams, seeking with checkpoints, memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets import open_recording, read, write
from spikeflow.datasets.formats import decoded
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

FORMATS = ("evt2", "evt21", "evt3", "dat")


def _events(n: int, seed: int = 0) -> Events:
    """Many events at equal times, in bursts between silences; times turn the 24 bits of EVT 3.0."""
    random = np.random.default_rng(seed)
    t = np.cumsum(random.choice([0, 0, 0, 1, 700, 90_000], n))
    return Events(
        t, random.integers(0, 640, n), random.integers(0, 480, n), random.integers(0, 2, n), 640, 480
    )


def _same(a: Events, b: Events) -> bool:
    return all((getattr(a, name) == getattr(b, name)).all() and len(a) == len(b) for name in "txyp")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are read, and checkpoints laid down, every few records, and in the middle of them."""
    monkeypatch.setattr(decoded, "READ", 61)
    monkeypatch.setattr(decoded, "APART", 100)


@pytest.mark.parametrize("format", FORMATS)
def test_between_is_the_same_before_and_after_a_full_pass(tmp_path: Path, small: None, format: str) -> None:
    write(path := tmp_path / "a.raw", _events(600), format)
    everything = read(path, format)
    times = everything.t

    @given(st.data())
    def check(data: st.DataObject) -> None:
        near = st.sampled_from(sorted({int(t) + d for t in times[::7] for d in (-1, 0, 1)}))
        start, stop = data.draw(near), data.draw(near)
        expected = everything.between(start, stop)
        with open_recording(path, format) as recording:
            assert _same(recording.between(start, stop), expected)
            assert recording.read().sha256 == everything.sha256
            assert _same(recording.between(start, stop), expected)
            assert _same(recording.between(stop, start), everything.between(stop, start))

    check()


def test_checkpoints_among_equal_times(tmp_path: Path, small: None) -> None:
    t = np.repeat([5, 6, 7], 100)
    write(path := tmp_path / "a.dat", Events(t, np.arange(300), t * 0, t * 0))
    with open_recording(path) as recording:
        recording.read()
        for start in range(4, 9):
            assert len(recording.between(start, 100)) == (t >= start).sum()


def test_seeking_does_not_decode_what_lies_before(tmp_path: Path, small: None) -> None:
    events = _events(2000)
    write(path := tmp_path / "a.raw", events, "evt3")
    last = int(events.t[-1])
    with open_recording(path) as recording:
        before = sum(len(columns[0]) for columns in recording.columns(last))
        recording.read()
        after = sum(len(columns[0]) for columns in recording.columns(last))
    assert before == 2000 and after < 200


def test_seeking_counts_what_was_dropped_before(tmp_path: Path, small: None) -> None:
    content = np.zeros((200, 2), "<u4")
    content[:, 0] = np.arange(200)
    content[20:30, 1] = 1 << 30
    path = tmp_path / "a.dat"
    path.write_bytes(b"% Version 2\n\x0c\x08" + content.tobytes())
    with open_recording(path, strict=False) as recording:
        assert dict(recording.read().dropped) == {"unknown words": 10}
        assert len(recording.between(150, 160)) == 10
        assert sum(len(columns[0]) for columns in recording.columns(150)) < 70
        assert dict(recording.dropped) == {"unknown words": 10}


def test_an_error_names_the_byte_of_the_file_after_seeking(tmp_path: Path, small: None) -> None:
    content = np.stack([np.arange(200), np.zeros(200)], 1).astype("<u4")
    content[190] = 5
    path = tmp_path / "a.dat"
    path.write_bytes(header := b"% Version 2\n\x0c\x08" + content.tobytes())
    fault = f"time going backwards at byte {14 + 8 * 190}"
    with open_recording(path) as recording:
        assert len(header) > 1500
        for _ in range(2):
            with pytest.raises(FileError, match=fault):
                recording.between(180, 250)
        assert len(recording.between(0, 50)) == 50


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [1, 7, 600, 601, 10_000])
def test_pieces(tmp_path: Path, small: None, format: str, size: int) -> None:
    write(path := tmp_path / "a.raw", _events(600), format)
    with open_recording(path, format) as recording:
        parts = list(recording.pieces(size))
        whole = recording.read()
    assert {len(part) for part in parts[:-1]} <= {size} and 0 < len(parts[-1]) <= size
    assert all(
        (np.concatenate([getattr(p, name) for p in parts]) == getattr(whole, name)).all() for name in "txyp"
    )


def test_two_passes_at_once(tmp_path: Path, small: None) -> None:
    write(path := tmp_path / "a.raw", _events(600))
    with open_recording(path) as recording:
        firsts, seconds = recording.columns(), recording.columns()
        next(seconds)
        rest = [len(columns[0]) for columns in firsts]
        assert sum(rest) == 600
        assert sum(len(columns[0]) for columns in seconds) == 600 - rest[0]
        assert len(recording.between(0, 1 << 60)) == 600


def test_pieces_need_a_size(tmp_path: Path) -> None:
    write(path := tmp_path / "a.raw", _events(10))
    with open_recording(path) as recording, pytest.raises(DataError, match="at least one"):
        list(recording.pieces(0))


def test_a_file_that_goes_away(tmp_path: Path) -> None:
    write(path := tmp_path / "a.raw", _events(10))
    with open_recording(path) as recording:
        path.unlink()
        with pytest.raises(FileError, match="(?i)no such file"):
            recording.read()


MEMORY = """
import resource, sys
from spikeflow.datasets import open_recording

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

with open_recording(sys.argv[1]) as recording:
    pieces = recording.pieces(1 << 16)
    count = len(next(pieces))
    before = peak()
    for piece in pieces:
        count += len(piece)
    print(count, peak() - before)
"""


@pytest.mark.parametrize("format", ["evt3", "dat"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, format: str) -> None:
    n = 4_000_000
    t = np.arange(n) // 10
    x, y = (t * 7 % 1280).astype(np.uint16), (t % 720).astype(np.uint16)
    write(path := tmp_path / "a.raw", Events(t, x, y, np.zeros(n, np.uint8)), format)
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    count, grown_kib = map(int, run.stdout.split())
    # all events together are 52 MB
    assert count == n and grown_kib < 12_000
