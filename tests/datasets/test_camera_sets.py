"""Each data set of event cameras, in each of its layouts: found, counted, labelled, split, read; damage named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets import write
from spikeflow.datasets.base import Dataset, PartialCopy
from spikeflow.datasets.sets import catalog
from spikeflow.datasets.sets.asl_dvs import ASLDVS
from spikeflow.datasets.sets.cifar10_dvs import CIFAR10DVS
from spikeflow.datasets.sets.dvs_gesture import METADATA as GESTURE
from spikeflow.datasets.sets.dvs_gesture import DVSGesture
from spikeflow.datasets.sets.dvs_lip import WORDS, DVSLip
from spikeflow.datasets.sets.ncaltech101 import SIZES, NCaltech101
from spikeflow.datasets.sets.ncars import NCars
from spikeflow.datasets.sets.nmnist import NMNIST
from spikeflow.datasets.sets.poker_dvs import PokerDVS
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from tests.datasets import made_files as made

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")


def _rows(events: Events) -> list[tuple[int, ...]]:
    columns = (events.t, events.x, events.y, events.p)
    return [tuple(row) for row in np.stack([c.astype(int) for c in columns], 1).tolist()]


def _complete(monkeypatch: pytest.MonkeyPatch, kind: type[Dataset[Any]], **counts: int) -> None:
    """Metadata that expects as few samples as a test makes."""
    monkeypatch.setattr(kind, "metadata", replace(kind.metadata, counts=counts))


@pytest.mark.parametrize("below", ["", "NMNIST/", "nmnist/"])
def test_nmnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str) -> None:
    for label, number in ((7, 10), (7, 9), (0, 22)):
        made.bin5(tmp_path / f"{below}Train/{label}/{number:05}.bin")
    made.bin5(tmp_path / f"{below}Test/3/00001.bin")
    (tmp_path / f"{below}Train/7/._00010.bin").write_bytes(b"what a Mac leaves")
    _complete(monkeypatch, NMNIST, train=3, test=1)
    train, test = NMNIST(tmp_path), NMNIST(tmp_path, "test")
    assert train.labels.tolist() == [0, 7, 7] and test.labels.tolist() == [3]
    assert [p.rsplit("/")[-1] for p in train.index.places] == ["00022.bin", "00009.bin", "00010.bin"]
    events, label = train[0]
    assert _rows(events) == list(made.ROWS) and (events.width, events.height, label) == (34, 34, 0)


def test_nmnist_partial_and_damaged(tmp_path: Path) -> None:
    path = made.bin5(tmp_path / "Train/7/00001.bin")
    with pytest.raises(DataError, match="got 1, expected 60000"):
        NMNIST(tmp_path)
    with pytest.warns(PartialCopy, match="found 1, a complete copy has 60000"):
        data = NMNIST(tmp_path, partial=True)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(FileError, match=r"Train/7/00001\.bin"):
        data[0]
    path.unlink()
    with pytest.raises(FileError, match=r"Train/7/00001\.bin"):
        data[0]
    made.bin5(path, [(1, 40, 0, 1)])
    with pytest.raises((FileError, DataError), match="x|outside|sensor"):
        data[0]


def test_poker_dvs(tmp_path: Path) -> None:
    for split, each in (("train", 12), ("test", 5)):
        for suit in ("cl", "he", "di", "sp"):
            for number in range(each):
                made.npy(tmp_path / f"POKERDVS/pips_{split}/{suit}/{number}.npy")
    train, test = PokerDVS(tmp_path), PokerDVS(tmp_path, "test")
    assert len(train) == 48 and len(test) == 20 and np.bincount(test.labels).tolist() == [5] * 4
    assert train.locate(2).endswith("cl/2.npy") and train.metadata.classes[train.labels[12]] == "heart"
    events, _ = train[20]
    assert _rows(events) == list(made.ROWS) and events.width == 35
    made.npy(tmp_path / "POKERDVS/pips_test/sp/5.npy")
    with pytest.raises(DataError, match="got 21, expected 20"):
        PokerDVS(tmp_path, "test", partial=True)


@pytest.mark.parametrize(
    "below", ["n-cars_train", "n-cars_train/train", "Prophesee_Dataset_n_cars/n-cars_train"]
)
def test_ncars(tmp_path: Path, below: str) -> None:
    made.dat(tmp_path / below / "cars/obj_004396_td.dat")
    made.dat(tmp_path / below / "background/obj_000000_td.dat")
    data = NCars(tmp_path, partial=True)
    assert data.labels.tolist() == [0, 1] and data.locate(1).endswith("cars/obj_004396_td.dat")
    assert _rows(data[0][0]) == list(made.ROWS)
    (tmp_path / below / "cars/obj_004396_td.dat").write_bytes(b"% Data\n")
    with pytest.raises(FileError, match="obj_004396_td"):
        data[1]


def test_ncaltech101_splits_by_number(tmp_path: Path) -> None:
    sizes = {"ant": 42, "wrench": 39}
    for name, size in sizes.items():
        for number in range(1, size + 1):
            made.bin5(tmp_path / f"Caltech101/{name}/image_{number:04}.bin", [(5, 200, 150, 1)])
    data = {split: NCaltech101(tmp_path, split, partial=True) for split in ("all", "train", "test")}
    assert [len(data[s]) for s in ("all", "train", "test")] == [81, 65, 16]
    train, test = set(data["train"].index.places), set(data["test"].index.places)
    assert not train & test and train | test == set(data["all"].index.places)
    assert [NCaltech101.metadata.classes[n] for n in np.unique(data["test"].labels)] == ["ant", "wrench"]
    assert _rows(data["all"][0][0]) == [(5, 200, 150, 1)]
    for place in data["all"].index.places[::2]:  # a partial copy: nothing changes sides
        (tmp_path / place).unlink()
    assert set(NCaltech101(tmp_path, "test", partial=True).index.places) < test
    made.bin5(tmp_path / "Caltech101/ant/image_0043.bin")
    with pytest.raises(FileError, match=r"image_0043\.bin.*1 to 42"):
        NCaltech101(tmp_path, "train", partial=True)


def test_ncaltech101_is_caltech101_without_faces() -> None:
    metadata = NCaltech101.metadata
    assert len(SIZES) == 101 and metadata.counts["all"] == 8709  # as its paper says: 100 objects and a background
    assert metadata.counts["train"] + metadata.counts["test"] == 8709 and "Faces" not in SIZES


@pytest.mark.parametrize("layout", ["original", "tonic"])
def test_cifar10_dvs(tmp_path: Path, layout: str) -> None:
    for number in (0, 899, 900, 999):
        path = tmp_path / f"CIFAR10DVS/ship/cifar10_ship_{number}.aedat"
        if layout == "original":
            made.aedat2(path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            t, x, y, p = np.array(made.ROWS).T
            write(path.with_suffix(".aedat4"), Events(t, x, y, p, 128, 128))
    data = {split: CIFAR10DVS(tmp_path, split, partial=True) for split in ("all", "train", "test")}
    assert [len(d) for d in data.values()] == [4, 2, 2] and data["all"].facts()["layout"] == layout
    assert ["_899." in data["train"].locate(1), "_900." in data["test"].locate(0)] == [True, True]
    events, label = data["test"][0]
    assert _rows(events) == list(made.ROWS) and (label, events.width) == (8, 128)


def test_asl_dvs(tmp_path: Path) -> None:
    for letter in "ky":
        for number in range(1, 41):
            made.mat(tmp_path / f"ICCV2019_DVS_dataset/{letter}/{letter}_{number:04}.mat")
    data = {split: ASLDVS(tmp_path, split, partial=True) for split in ("all", "train", "test")}
    assert len(data["all"]) == 80 == len(data["train"]) + len(data["test"]) and len(data["test"])
    assert not set(data["train"].index.places) & set(data["test"].index.places)
    assert np.unique(data["all"].labels).tolist() == [9, 23]  # no j, no z
    assert _rows(data["all"][0][0]) == list(made.ROWS)
    for number in (0, 4201):
        path = made.mat(tmp_path / f"ICCV2019_DVS_dataset/a/a_{number}.mat")
        with pytest.raises(FileError, match="1 to 4200"):
            ASLDVS(tmp_path, "test", partial=True)
        path.unlink()


def test_declared_counts() -> None:
    asl, cifar = ASLDVS.metadata.counts, CIFAR10DVS.metadata.counts
    assert asl["all"] == 24 * 4200 == asl["train"] + asl["test"]
    assert cifar["all"] == 10_000 == cifar["train"] + cifar["test"]
    assert NCars.metadata.counts == {"train": 7940 + 7482, "test": 4396 + 4211}


def test_dvs_lip(tmp_path: Path) -> None:
    made.structured_npy(tmp_path / "DVSLip/DVS-Lip/train/young/3.npy")
    made.structured_npy(tmp_path / "DVSLip/DVS-Lip/test/accused/0.npy")
    train, test = DVSLip(tmp_path, partial=True), DVSLip(tmp_path, "test", partial=True)
    assert (train.labels.tolist(), test.labels.tolist()) == ([99], [0]) and len(WORDS) == 100
    assert _rows(train[0][0]) == list(made.ROWS) and train.expected == 14_896


TABLE = "class,startTime_usec,endTime_usec\n1,10,25\n8,25,30\n8,30,31\n"


def _trial(folder: Path, name: str, table: str = TABLE) -> None:
    made.aedat3(folder / f"{name}.aedat")
    (folder / f"{name}_labels.csv").write_text(table)


@pytest.mark.parametrize("lists", [True, False])
def test_dvs_gesture_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lists: bool) -> None:
    folder = tmp_path / "DvsGesture"
    for name in ("user01_fluorescent", "user02_led", "user24_lab"):
        _trial(folder, name)
    if lists:
        (folder / "trials_to_train.txt").write_text("user01_fluorescent.aedat\nuser02_led.aedat\n")
        (folder / "trials_to_test.txt").write_text("user24_lab.aedat\n../../user03_led.aedat\n")
    _complete(monkeypatch, DVSGesture, train=6, test=3)
    train, test = DVSGesture(tmp_path), DVSGesture(tmp_path, "test")
    assert train.labels.tolist() == [0, 7, 7] * 2 and train.groups is not None and test.groups is not None
    assert train.groups.tolist() == [1, 1, 1, 2, 2, 2] and test.groups.tolist() == [24] * 3
    assert [_rows(events) for events, _ in test] == [[made.ROWS[0], made.ROWS[1]], [], [made.ROWS[2]]]
    assert "user01_fluorescent.aedat" in train.files() and "user01_fluorescent_labels.csv" in train.files()
    fit, held = train.validation(0.5)
    assert not set(fit.index.places) & set(held.index.places) and len(held) == 3
    (folder / "user02_led.aedat").unlink()
    with pytest.raises(DataError, match="got 3, expected 6"):
        DVSGesture(tmp_path)


@pytest.mark.parametrize(
    "table, word",
    [
        ("class,startTime_usec,endTime_usec\n12,1,2\n", "class 12"),
        ("class,startTime_usec,endTime_usec\n0,1,2\n", "class 0"),
        ("class,startTime_usec,endTime_usec\n1,5,5\n", "from 5 to 5"),
        ("class,startTime_usec,endTime_usec\n1,5\n", "a row"),
        ("class,start,stop\n1,5,6\n", "a row"),
        ("class,startTime_usec,endTime_usec\n1,five,6\n", "a row"),
    ],
)
def test_dvs_gesture_damaged_tables(tmp_path: Path, table: str, word: str) -> None:
    _trial(tmp_path, "user01_lab", table)
    with pytest.raises(FileError, match=f"user01_lab_labels.csv.*{word}"):
        DVSGesture(tmp_path, partial=True)
    (tmp_path / "user01_lab_labels.csv").unlink()
    with pytest.raises(FileError, match=r"user01_lab_labels\.csv"):
        DVSGesture(tmp_path, partial=True)


def test_dvs_gesture_of_tonic(tmp_path: Path) -> None:
    rows = [(1, 2, 3, 1), (7, 100, 3, 0)]
    for trial, number in (("user02_fluorescent", 10), ("user02_fluorescent", 0), ("user10_led", 7)):
        made.npy(tmp_path / f"DVSGesture/ibmGestureTrain/{trial}/{number}.npy", rows, "xypt", np.float64)
    data = DVSGesture(tmp_path, partial=True)
    assert data.facts()["expected"] == 1077 and data.facts()["layout"] == "tonic"
    assert (
        data.labels.tolist() == [0, 10, 7] and data.groups is not None and data.groups.tolist() == [2, 2, 10]
    )
    assert _rows(data[0][0]) == [(1000, 2, 3, 1), (7000, 100, 3, 0)]


def test_dvs_gesture_of_spikingjelly(tmp_path: Path) -> None:
    made.npz(tmp_path / "DVS128Gesture/events_np/test/4/user25_natural_0.npz")
    data = DVSGesture(tmp_path, "test", partial=True)
    assert data.labels.tolist() == [4] and data.expected == 288 and _rows(data[0][0]) == list(made.ROWS)


def test_dvs_gesture_single_files(tmp_path: Path) -> None:
    for name in ("01_hand_clapping", "09_air_drums"):
        made.bin5(tmp_path / f"dvs128_gesture/{name}.bin")
    data = DVSGesture(tmp_path, partial=True)
    assert [GESTURE.classes[n] for n in data.labels] == ["hand clapping", "air drums"]
    assert _rows(data[1][0]) == list(made.ROWS) and data[1][0].width == 128
    with pytest.raises(FileError, match="holds nothing"):
        DVSGesture(tmp_path, "test", partial=True)


MAKE: dict[str, Callable[[Path], Path]] = {
    "nmnist": lambda f: made.bin5(f / "Train/0/1.bin"),
    "ncaltech101": lambda f: made.bin5(f / "Caltech101/emu/image_0001.bin"),
    "cifar10_dvs": lambda f: made.aedat2(f / "dog/cifar10_dog_0.aedat"),
    "dvs_lip": lambda f: made.structured_npy(f / "train/water/0.npy"),
    "asl_dvs": lambda f: made.mat(f / "b/b_0002.mat"),
    "poker_dvs": lambda f: made.npy(f / "pips_train/di/0.npy"),
    "ncars": lambda f: made.dat(f / "n-cars_train/cars/obj_1_td.dat"),
}


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("keep", [0, 1, 13])
def test_a_truncated_sample_names_its_file(tmp_path: Path, name: str, keep: int) -> None:
    path = MAKE[name](tmp_path)
    split = "all" if "all" in catalog.metadata(name).counts else "train"
    data = catalog.load(name, tmp_path, split, partial=True)
    assert _rows(data[0][0]) == list(made.ROWS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises((FileError, DataError), match=path.name):
        data[0]


def test_classes_by_their_names_in_the_package() -> None:
    import spikeflow.datasets as datasets

    assert datasets.NMNIST is NMNIST and datasets.PokerDVS is PokerDVS
    with pytest.raises(AttributeError, match="ImageNet"):
        _ = datasets.ImageNet
