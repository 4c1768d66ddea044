"""The Heidelberg layout, on a file made with h5py as the data sets' page describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spikeflow.datasets import read
from spikeflow.datasets.formats.hdf5_spikes import SpikeFile
from spikeflow.errors import DataError, FileError

TIMES = ([0.5, 0.25, 0.25], [], [1.0])
UNITS = ([699, 3, 2], [], [0])


def _file(tmp_path: Path, times: Any = TIMES, units: Any = UNITS, kind: str = "f2", **change: Any) -> Path:
    values = {"labels": np.array([4, 0, 19], "u1"), "extra/speaker": np.array([1, 2, 0], "u2"), **change}
    with h5py.File(path := tmp_path / "shd.h5", "w") as file:
        for name, rows, dtype in (("times", times, kind), ("units", units, "i4" if kind == "f2" else "u2")):
            held = file.create_dataset(f"spikes/{name}", (len(rows),), h5py.vlen_dtype(dtype))
            for i, row in enumerate(rows):
                held[i] = np.array(row, dtype)
        for name, value in values.items():
            if value is not None:
                file[name] = value
    return path


@pytest.mark.parametrize("kind", ["f2", "f4"])
def test_samples(tmp_path: Path, kind: str) -> None:
    keys = np.array([b"zero", b"eins"], "S4")
    spikes = SpikeFile(_file(tmp_path, kind=kind, **{"extra/keys": keys}))
    assert len(spikes) == 3 and spikes.labels.tolist() == [4, 0, 19] and spikes.keys == ("zero", "eins")
    assert spikes.speakers is not None and spikes.speakers.tolist() == [1, 2, 0]
    # in order of time; those of one time as in the file
    assert spikes[0].structured().tolist() == [(250000, 3, 0, 1), (250000, 2, 0, 1), (500000, 699, 0, 1)]
    assert len(spikes[1]) == 0 and (spikes[2].width, spikes[2].height) == (700, 1)
    for i in (-1, 3):
        with pytest.raises(DataError, match="sample"):
            spikes[i]
    spikes.close()


def test_times_are_rounded_to_the_nearest_microsecond(tmp_path: Path) -> None:
    spikes = SpikeFile(_file(tmp_path, times=([0.1], [], [0.3]), units=([0], [], [0]), kind="f2"))
    assert spikes[0].t[0] == round(float(np.float16(0.1)) * 1e6)
    spikes.close()


def test_read_takes_the_number_of_a_sample(tmp_path: Path) -> None:
    path = _file(tmp_path)
    assert len(read(path, key="0")) == 3 and len(read(path, key="1")) == 0
    for key in (None, "3", "-1", "x", "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 5000):
        with pytest.raises(DataError, match="key|sample"):
            read(path, key=key)
    with h5py.File(path, "a"):  # nothing has it open
        pass


@pytest.mark.parametrize(
    ("times", "units"),
    [
        ([[0.1], [], []], [[700], [], []]),
        ([[0.1], [], []], [[-1], [], []]),
        ([[0.1], [], []], [[1, 2], [], []]),
        ([[np.nan], [], []], [[1], [], []]),
        ([[np.inf], [], []], [[1], [], []]),
    ],
)
def test_damaged_samples(tmp_path: Path, times: Any, units: Any) -> None:
    spikes = SpikeFile(_file(tmp_path, times, units))
    with pytest.raises(FileError, match="sample 0"):
        spikes[0]
    assert len(spikes[1]) == 0
    spikes.close()


@pytest.mark.parametrize(
    "change", [{"labels": None}, {"labels": np.zeros(2, int)}, {"labels": np.zeros(3)}, {"extra/speaker": 5}]
)
def test_layouts_that_are_none(tmp_path: Path, change: dict[str, Any]) -> None:
    path = _file(tmp_path, **change)
    with pytest.raises(FileError):
        SpikeFile(path)
    with h5py.File(path, "a"):  # a failure lets go of the file
        pass
    with h5py.File(path, "w") as file:
        file["spikes/times"], file["spikes/units"], file["labels"] = b"a", [1], [1]
    with pytest.raises(FileError):
        SpikeFile(path)


def test_rows_of_words(tmp_path: Path) -> None:
    with h5py.File(path := tmp_path / "a.h5", "w") as file:
        file["spikes/times"], file["spikes/units"], file["labels"] = ["a", "b"], ["a", "b"], [1, 2]
    spikes = SpikeFile(path)
    with pytest.raises(FileError):
        spikes[0]
    spikes.close()
