"""Samples of a data set as one file that the other commands take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import synthetic
from spikeflow.datasets.loading.export import to_samples, write_samples
from spikeflow.datasets.transforms import Frames
from spikeflow.errors import DataError, FileError
from spikeflow.ir.binning import Binning
from spikeflow.samples import read_npz

BINNING = Binning(dt_us=20_000, steps=12, start="zero")


def test_samples_are_the_frames_of_each(tmp_path: Path) -> None:
    data = synthetic.twin("nmnist", 6)
    seen: list[tuple[int, int]] = []
    samples = to_samples(data, BINNING, progress=lambda done, total: seen.append((done, total)))
    assert samples.x.shape == (6, 12, 2, 34, 34) and seen[-1] == (6, 6)
    frames = Frames(dt_us=20_000, steps=12, start="zero")
    for i in range(6):
        assert np.array_equal(samples.x[i], frames(data[i][0])), i
    assert samples.y is not None and samples.y.tolist() == data.labels.tolist()
    write_samples(tmp_path / "x.npz", samples)
    again = read_npz(tmp_path / "x.npz")
    assert np.array_equal(again.x, samples.x) and np.array_equal(again.y, samples.y)


def test_fewer_samples() -> None:
    assert len(to_samples(synthetic.twin("nmnist", 6), BINNING, count=2).x) == 2


def test_no_samples_is_an_error() -> None:
    data = synthetic.twin("nmnist", 3)
    with pytest.raises(DataError):
        to_samples(data, BINNING, count=0)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    samples = to_samples(synthetic.twin("nmnist", 1), BINNING)
    with pytest.raises(FileError):
        write_samples(tmp_path / "none" / "x.npz", samples)
    assert not list(tmp_path.iterdir())
