"""NumPy's files from strangers: headers that lie, objects, bad rows, every kind of damage; nothing is run, nothing made."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets import read
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

COUNT = 5000


@pytest.fixture(scope="module")
def events() -> Events:
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 10**6, COUNT))
    p = rng.integers(0, 2, COUNT, dtype=np.uint8)
    return Events(t, rng.integers(0, 300, COUNT), rng.integers(0, 200, COUNT), p)


def _matrix(events: Events, order: str = "txyp") -> np.ndarray:
    return np.stack([getattr(events, name).astype(np.int64) for name in order], axis=1)


def _npy(path: Path, array: np.ndarray) -> Path:
    np.save(path / "a.npy", array, allow_pickle=True)
    return path / "a.npy"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((5, 0, np.nan), "no time"),
        ((5, 0, np.inf), "no time"),
        ((5, 0, 1e30), "no time"),
        ((5, 1, -1), "outside the sensor"),
        ((5, 1, 65536), "outside the sensor"),
        ((5, 2, np.nan), "outside the sensor"),
        ((5, 2, 0.5), "a fraction of a pixel"),
        ((5, 3, 2), "unknown polarity"),
        ((5, 0, -7), "time going backwards"),
    ],
)
def test_a_bad_row(tmp_path: Path, events: Events, change: tuple[int, int, float], reason: str) -> None:
    matrix = _matrix(events).astype(np.float64)
    row, column, value = change
    matrix[row, column] = value
    path = _npy(tmp_path, matrix)
    with pytest.raises(FileError, match=f"{reason} at event 5"):
        read(path, columns="txyp")
    found = read(path, columns="txyp", strict=False)
    kept = np.arange(COUNT) != 5
    assert found.sha256 == events[kept].sha256 and found.dropped == {reason: 1}


def test_times_that_go_back_are_dropped_until_they_catch_up(tmp_path: Path) -> None:
    rows = np.array([(0, 1), (9, 2), (3, 3), (8, 4), (9, 5), (12, 6)], [("t", "i8"), ("x", "i2")])
    found = read(_npy(tmp_path, rows), strict=False)
    assert found.x.tolist() == [1, 2, 5, 6] and found.dropped == {"time going backwards": 2}


def _header(shape: tuple[int, ...], fortran: bool = False) -> bytes:
    out = io.BytesIO()
    said = {"descr": "<i8", "fortran_order": fortran, "shape": shape}
    np.lib.format.write_array_header_1_0(out, said)  # type: ignore[arg-type]
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        _header((1, 10**15)) + b"\0" * 64,
        _header((10, 10**10)) + b"\0" * 64,
        _header((2**62, 2**62)) + b"\0" * 64,
        _header((-5, 4)) + b"\0" * 64,
        _header((10**15, 0)),
        _header((100, 4), fortran=True) + b"\0" * 64,
        _header(()),
        b"\x93NUMPY\x09\x00\x76\x00" + b" " * 118,
        b"\x93NUMPY\x01\x00\x76\x00" + b"(" * 118,
        b"\x93NUMPY\x02\x00\x28\x23\x00\x00" + b"-" * 9000,
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"-" * 9000,
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_a_hostile_header_allocates_nothing(tmp_path: Path, data: bytes, strict: bool) -> None:
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises((FileError, DataError)):
        read(tmp_path / "a.npy", columns="txyp", strict=strict)


def test_rows_that_are_not_there_are_counted_not_made(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(_header((10**15, 4)))
    with pytest.raises(FileError, match="truncated"):
        read(tmp_path / "a.npy", columns="txyp")
    found = read(tmp_path / "a.npy", columns="txyp", strict=False)
    assert len(found) == 0 and found.dropped == {"truncated": 10**15}


def test_truncated_anywhere(tmp_path: Path, events: Events) -> None:
    whole = _npy(tmp_path, events.structured()).read_bytes()
    for end in [*range(10, 300, 29), len(whole) - 1]:
        (tmp_path / "b.npy").write_bytes(whole[:end])
        with pytest.raises((FileError, DataError)):
            read(tmp_path / "b.npy")
    found = read(tmp_path / "b.npy", strict=False)
    assert found.sha256 == events[: COUNT - 1].sha256 and found.dropped == {"truncated": 1}


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/spikeflow-array-ran"),))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_objects_are_never_loaded(tmp_path: Path, suffix: str) -> None:
    path, array = tmp_path / f"a{suffix}", np.array([_Bomb()], object)
    (np.save if suffix == ".npy" else np.savez)(path, array, allow_pickle=True)
    with pytest.raises(FileError, match="Python objects"):
        read(path)
    assert not Path("/tmp/spikeflow-array-ran").exists()


def test_npz_damaged_anywhere(tmp_path: Path, events: Events) -> None:
    np.savez_compressed(tmp_path / "a.npz", t=events.t, x=events.x, y=events.y, p=events.p)
    whole = (tmp_path / "a.npz").read_bytes()
    for at in range(60, len(whole) - 300, len(whole) // 20):
        (tmp_path / "b.npz").write_bytes(whole[:at])
        with pytest.raises(FileError):
            read(tmp_path / "b.npz")
        (tmp_path / "b.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        with pytest.raises((FileError, DataError)):
            read(tmp_path / "b.npz")


def test_npz_of_a_gigantic_size(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in "tx":
            archive.writestr(f"{name}.npy", _header((10**13,)))
    with pytest.raises(FileError, match="declares"):
        read(tmp_path / "a.npz")
