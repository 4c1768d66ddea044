"""npz files from strangers."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spikeflow.errors import DataError, FileError
from spikeflow.samples import read_arrays, read_npz, samples_of


def _save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def test_read(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.npz", x=np.ones((3, 2), np.uint8), y=np.arange(3, dtype=np.int8))
    samples = read_npz(path)
    assert samples.x.dtype == np.float32 and samples.y is not None and samples.y.tolist() == [0, 1, 2]
    assert samples.first(2).x.shape == (2, 2)


def test_compressed_and_without_labels(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((4, 1, 8, 8)))
    assert read_npz(tmp_path / "a.npz").y is None


@pytest.mark.parametrize(
    "arrays, word",
    [
        ({"z": np.ones((2, 2))}, "no array x"),
        ({"x": np.ones(3)}, "samples"),
        ({"x": np.ones((0, 3))}, "at least one"),
        ({"x": np.full((2, 2), np.nan)}, "NaN"),
        ({"x": np.ones((2, 2)), "y": np.ones(3, int)}, "labels"),
        ({"x": np.ones((2, 2)), "y": np.array(["a", "b"])}, "labels"),
        ({"x": np.full((2, 2), "a")}, "numbers"),
    ],
)
def test_refused(tmp_path: Path, arrays: dict[str, np.ndarray], word: str) -> None:
    with pytest.raises((FileError, DataError), match=word):
        read_npz(_save(tmp_path / "a.npz", **arrays))


def test_missing_and_not_a_zip(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_npz(tmp_path / "none.npz")
    (tmp_path / "a.npz").write_bytes(b"not a zip at all")
    with pytest.raises(FileError, match="not a readable"):
        read_npz(tmp_path / "a.npz")


class _Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("/tmp/spikeflow-was-here"),))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([_Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(FileError, match="Python objects"):
        read_npz(path)
    assert not Path("/tmp/spikeflow-was-here").exists()
    assert pickle.dumps(_Bomb())


def test_a_declared_size_is_not_believed(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", buffer.getvalue() + b"0" * 64)
    with pytest.raises(FileError, match="declares"):
        read_npz(tmp_path / "a.npz")


def test_truncated_anywhere(tmp_path: Path) -> None:
    whole = _save(tmp_path / "a.npz", x=np.random.default_rng(0).random((20, 5))).read_bytes()
    for end in range(0, len(whole), 37):
        (tmp_path / "b.npz").write_bytes(whole[:end])
        with pytest.raises(FileError):
            read_npz(tmp_path / "b.npz")


def test_named_arrays_within_a_limit(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=np.arange(4, dtype=np.int64), two=np.zeros(3))
    held = read_arrays(tmp_path / "a.npz", ("one", "three"))
    assert list(held) == ["one"] and held["one"].tolist() == [0, 1, 2, 3]
    with pytest.raises(FileError, match="the limit is 31"):
        read_arrays(tmp_path / "a.npz", ("one",), limit=31)


def test_arrays_that_are_not_read_are_told(tmp_path: Path) -> None:
    """Labels under another name than y were passed over, and accuracy was not measured, without a word."""
    x = np.ones((4, 3))
    found = read_npz(_save(tmp_path / "a.npz", x=x, labels=np.arange(4), x_test=x))
    assert found.y is None and found.warnings[-1].endswith("not read: labels, x_test")
    assert not read_npz(_save(tmp_path / "a.npz", x=x, y=np.arange(4))).warnings
    bytes_too = read_npz(_save(tmp_path / "a.npz", x=np.full((4, 3), 200, np.uint8), z=x))
    assert len(bytes_too.warnings) == 2
    for arrays in ({"X": x, "Y": np.arange(4)}, {"x_train": x, "y_train": np.arange(4)}, {"a": x}):
        with pytest.raises(FileError, match=f"holds no array x, but {', '.join(arrays)}"):
            read_npz(_save(tmp_path / "a.npz", **arrays))


def test_samples_of_a_folder_have_the_names_of_their_files(tmp_path: Path) -> None:
    """10.npy comes before 2.npy: an answer without its name went to another sample."""
    for i in range(12):
        np.save(tmp_path / f"{i}.npy", np.full(3, float(i)))
    found = samples_of(tmp_path)
    assert [float(Path(name).stem) for name in found.names] == found.x[:, 0].tolist()
    assert found.names[2].endswith("10.npy")
