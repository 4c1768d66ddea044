"""Data sets on the real files that are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets.base import PartialCopy
from spikeflow.datasets.fetch.prepare import prepare
from spikeflow.datasets.sets import catalog
from spikeflow.errors import DataError


@pytest.mark.parametrize("split, found, expected", [("train", 1000, 60_000), ("test", 60, 10_000)])
def test_nmnist(data_folder: Path, split: str, found: int, expected: int) -> None:
    with pytest.raises(DataError, match=f"got {found}, expected {expected}"):
        catalog.load("nmnist", data_folder, split)
    with pytest.warns(PartialCopy, match=f"found {found}, a complete copy has {expected}"):
        data = catalog.load("nmnist", data_folder, split, partial=True)
    facts = data.facts()
    assert (facts["found"], facts["expected"], facts["complete"]) == (found, expected, False)
    for i in range(0, found, 50):
        events, label = data[i]
        assert 1000 < len(events) < 15_000 and label == int(data.locate(i).split("/")[1])
        assert 200_000 < events.duration_us < 320_000


@pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")
def test_labels_of_nmnist_are_those_of_mnist(data_folder: Path) -> None:
    import gzip

    raw = gzip.decompress((data_folder / "MNIST/raw/train-labels-idx1-ubyte.gz").read_bytes())
    truth = np.frombuffer(raw, np.uint8, offset=8)
    data = catalog.load("nmnist", data_folder, partial=True)
    numbers = [int(place.rsplit("/", 1)[-1][:-4]) for place in data.index.places]
    assert (truth[np.array(numbers) - 1] == data.labels).all()  # sample n is image n - 1
    train, held = data.validation(0.1)
    assert len(held) == 100 or abs(len(held) - 100) <= 5  # each of ten classes is rounded
    assert not set(train.index.places) & set(held.index.places)


def test_poker_dvs_is_complete(data_folder: Path) -> None:
    for split, each in (("train", 12), ("test", 5)):
        data = catalog.load("poker_dvs", data_folder, split)
        assert data.facts()["complete"] and np.bincount(data.labels).tolist() == [each] * 4
        for events, _ in data:
            assert len(events) > 100 and events.width == 35
    prepared = prepare("poker_dvs", data_folder)
    assert prepared.complete and {s: c.found for s, c in prepared.splits.items()} == {"train": 48, "test": 20}


def test_poker_dvs_from_its_archives(data_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("pips_train.tar.gz", "pips_test.tar.gz"):
        (tmp_path / "mine" / name).symlink_to(data_folder / "POKERDVS" / name)
    prepared = prepare("poker_dvs", tmp_path / "mine", tmp_path / "sets")
    assert prepared.complete and len(prepared.done) == 2
    here, there = catalog.load("poker_dvs", prepared.folder), catalog.load("poker_dvs", data_folder)
    assert here.index.places == there.index.places
    for i in (0, 47):
        assert here[i][0].sha256 == there[i][0].sha256


@pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")
def test_dvs_gesture_recordings(data_folder: Path) -> None:
    data = catalog.load("dvs_gesture", data_folder, partial=True)
    assert data.labels.tolist() == [0, 1, 2, 3, 4, 7, 8] and data.expected == 1176
    assert [len(events) for events, _ in data] == [
        63_471,
        84_260,
        113_063,
        151_879,
        181_179,
        101_288,
        141_773,
    ]


@pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")
def test_ncars_sample(data_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "n-cars_train/cars").mkdir(parents=True)
    (tmp_path / "n-cars_train/cars/obj_004396_td.dat").symlink_to(
        data_folder / "recordings/ncars_sample_td.dat"
    )
    events, label = catalog.load("ncars", tmp_path, partial=True)[0]
    assert len(events) == 2009 and label == 1 and events.duration_us < 100_000
