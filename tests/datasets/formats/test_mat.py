"""MATLAB's variables: columns, a struct of columns, spike trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from spikeflow.datasets import open_recording, read, write
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

EVENTS = Events(np.array([5, 5, 9]), np.array([1, 30, 3]), np.array([20, 2, 4]), np.array([1, 0, 1]))
FIELDS = {"ts": EVENTS.t, "x": EVENTS.x, "y": EVENTS.y, "p": EVENTS.p}


def _saved(tmp_path: Path, **variables: Any) -> Path:
    savemat(path := tmp_path / "a.mat", variables, do_compression=True)
    return path


def test_written_and_read_under_a_wrong_suffix(tmp_path: Path) -> None:
    for events in (EVENTS, EVENTS[:1], EVENTS[:0]):
        write(path := tmp_path / "a.npy", events, "mat")
        assert read(path).sha256 == events.sha256


def test_columns_as_in_asl_dvs(tmp_path: Path) -> None:
    columns = {"ts": EVENTS.t[:, None], "x": EVENTS.x[:, None], "y": EVENTS.y[:, None], "pol": EVENTS.p[None]}
    assert read(_saved(tmp_path, **columns)).sha256 == EVENTS.sha256


def test_struct(tmp_path: Path) -> None:
    assert read(_saved(tmp_path, TD=FIELDS)).sha256 == EVENTS.sha256
    path = _saved(tmp_path, TD=FIELDS, other=np.arange(4))
    with pytest.raises(DataError, match=r"TD, other.*--key"):
        read(path)
    assert read(path, key="TD").sha256 == EVENTS.sha256
    with pytest.raises(DataError, match="but TD, other"):
        read(path, key="XY")


def test_spike_trains(tmp_path: Path) -> None:
    trains = np.array([[0, 1, 0, -1], [1, 1, 0, 0], [0.0, 0.001, 0.002, 0.0035]])
    with open_recording(_saved(tmp_path, spiketrain=trains)) as recording:
        events = recording.read()
    assert events.structured().tolist() == [(0, 1, 0, 1), (1000, 0, 0, 1), (1000, 1, 0, 1), (3500, 0, 0, 0)]
    assert (events.width, events.height) == (2, 1)
    with pytest.raises(DataError, match="other than"):
        read(_saved(tmp_path, spiketrain=trains + 0.5))


def test_version_7_3_is_hdf5(tmp_path: Path) -> None:
    with h5py.File(path := tmp_path / "a.mat", "w", userblock_size=512) as file:
        for name, column in FIELDS.items():
            file[name] = column[None]  # MATLAB's columns, turned
    content = bytearray(path.read_bytes())
    content[:19] = b"MATLAB 7.3 MAT-file"
    path.write_bytes(content)
    with open_recording(path) as recording:
        assert recording.header.format == "hdf5"
        assert recording.read().sha256 == EVENTS.sha256


@pytest.mark.parametrize(
    "variables",
    [
        {"t": EVENTS.t, "x": EVENTS.x[:2]},
        {"t": np.array(["a", "b"]), "x": np.array([1, 2])},
        {"t": EVENTS.t, "ts": EVENTS.t, "x": EVENTS.x},
        {"TD": {"a": 1, "b": 2}},
        {"TD": np.array([1, "a"], object)},
        {"word": "events"},
        {"z": np.arange(4.0)},
        {"TD": {"t": np.array([1, "a"], object), "x": 1}},
    ],
)
def test_variables_that_are_no_events(tmp_path: Path, variables: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        read(_saved(tmp_path, **variables))


def test_damaged(tmp_path: Path) -> None:
    write(path := tmp_path / "a.mat", EVENTS)
    whole = path.read_bytes()
    for content in (whole[:130], whole[:-5], whole[:140] + b"\xff" * 40 + whole[180:]):
        path.write_bytes(content)
        with pytest.raises((FileError, DataError)):
            read(path)
