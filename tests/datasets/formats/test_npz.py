"""Several arrays in a zip file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets import read, write
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

EVENTS = Events(np.array([5, 5, 9]), np.array([1, 30, 3]), np.array([20, 2, 4]), np.array([1, 0, 1]), 40, 30)
COLUMNS = {"t": EVENTS.t, "x": EVENTS.x, "y": EVENTS.y, "p": EVENTS.p}


def _saved(tmp_path: Path, **arrays: Any) -> Path:
    np.savez(path := tmp_path / "a.npz", **arrays)
    return path


def test_written_and_read_under_a_wrong_suffix(tmp_path: Path) -> None:
    for events in (EVENTS, EVENTS[:0]):
        write(path := tmp_path / "a.raw", events, "npz")
        found = read(path)
        assert found.sha256 == events.sha256 and (found.width, found.height) == (40, 30)


@pytest.mark.parametrize("names", ["ts xs ys ps", "timestamps x y polarity", "Time X Y Pol", "t_us x y p"])
def test_names_of_columns(tmp_path: Path, names: str) -> None:
    arrays = dict(zip(names.split(), COLUMNS.values(), strict=True))
    assert read(_saved(tmp_path, **arrays, other=np.arange(7))).sha256 == EVENTS.sha256
    turned = {name: column[:, None] for name, column in arrays.items()}
    assert read(_saved(tmp_path, **turned)).sha256 == EVENTS.sha256


def test_one_array(tmp_path: Path) -> None:
    assert read(_saved(tmp_path, events=EVENTS.structured())).sha256 == EVENTS.sha256
    rows = np.stack([c.astype(float) for c in COLUMNS.values()], 1)
    assert read(_saved(tmp_path, arr=rows), columns="txyp").sha256 == EVENTS.sha256


def test_several_arrays_need_a_key(tmp_path: Path) -> None:
    path = _saved(tmp_path, one=EVENTS.structured(), two=EVENTS[:1].structured())
    with pytest.raises(DataError, match=r"one, two.*--key"):
        read(path)
    assert len(read(path, key="two")) == 1
    with pytest.raises(DataError, match="no 'three', but one, two"):
        read(path, key="three")


@pytest.mark.parametrize(
    "change",
    [
        {"x": EVENTS.x[:2]},
        {"p": np.array(["on", "off", "on"])},
        {"t": np.zeros((3, 2))},
        {"t": np.array([1, 2, 3], object)},
        {"time": EVENTS.t},
        {"width": np.array([40, 41])},
        {"width": np.array(0)},
        {"height": np.array(1.5)},
    ],
)
def test_columns_that_are_none(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises((DataError, FileError)):
        read(_saved(tmp_path, **{**COLUMNS, **change}))


def test_damaged(tmp_path: Path) -> None:
    write(path := tmp_path / "a.npz", EVENTS)
    whole = path.read_bytes()
    for content in (whole[:-30], whole[: len(whole) // 2], whole[:200] + bytes(20) + whole[220:], b"PK\3\4"):
        path.write_bytes(content)
        with pytest.raises(FileError):
            read(path, "npz")


def test_declared_sizes_are_checked(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<i8", "fortran_order": False, "shape": (1 << 40,)}
    )
    with zipfile.ZipFile(path := tmp_path / "a.npz", "w") as archive:
        for name in "txyp":
            archive.writestr(f"{name}.npy", header.getvalue() + bytes(80))
    with pytest.raises(FileError, match="declares"):
        read(path)
