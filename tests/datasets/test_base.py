"""Data sets: counting, partial copies, labels, subsets, honest validation."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.base import Dataset, Index, Metadata, PartialCopy
from spikeflow.datasets.sets import catalog
from spikeflow.datasets.sets.metadata import KINDS
from spikeflow.datasets.sets.splits import _groups, held_out, numbered
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

METADATA = Metadata(
    name="dots",
    title="Dots",
    kind="events",
    citation="nobody 2000",
    licence="CC0",
    homepage="https://example.org",
    classes=("one", "two"),
    counts={"train": 40, "test": 6},
    split="official",
    width=8,
    height=8,
)


class Dots(Dataset[Events]):
    """Sample n of class c is n + 1 events at x = c; who made it is n % people."""

    metadata = METADATA
    people = 0
    have = {"train": 40, "test": 6}

    def find(self, folder: Path, split: str) -> Index | None:
        if not (folder / split).exists():
            return None
        n = np.arange(self.have[split])
        groups = n % self.people if self.people else None
        return Index(folder, "plain", [f"{split}/{i}" for i in n], (n % 2), groups)

    def read(self, place: str) -> Events:
        i = int(place.rsplit("/", 1)[-1])
        n = np.arange(i + 1)
        return Events(n, np.full(i + 1, i % 2), n * 0, n * 0, 8, 8)


class Spoken(Dots):
    people = 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        (tmp_path / split).touch()
    return tmp_path


def test_items(folder: Path) -> None:
    data = Dots(folder)
    events, label = data[3]
    assert len(data) == 40 and len(events) == 4 and label == 1 and type(label) is int
    assert data[-1][1] == 1 and data.locate(-1) == "train/39" and data.path(-1) == folder / "train/39"
    assert [label for _, label in data] == data.labels.tolist()
    assert data.groups is None and data.root == folder and not data.labels.flags.writeable
    with pytest.raises(IndexError, match="40 of 40"):
        data[40]


def test_transform_is_of_the_sample_alone(folder: Path) -> None:
    data = Dots(folder, transform=len)
    assert data[5] == (6, 1) and isinstance(data.sample(5), Events)


def test_the_set_may_lie_below_its_name(folder: Path) -> None:
    (folder / "dots").mkdir()
    (folder / "dots" / "test").touch()
    (folder / "test").unlink()
    assert Dots(folder, "test").root == folder / "dots"


def test_nothing_and_no_such_split(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="holds nothing of Dots, train.*data prepare dots"):
        Dots(tmp_path)
    with pytest.raises(FileError, match="no such folder"):
        Dots(tmp_path / "none")
    with pytest.raises(DataError, match="one of train, test"):
        Dots(tmp_path, "validation")


def test_incomplete(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dots, "have", {"train": 39, "test": 7})
    with pytest.raises(DataError, match="got 39, expected 40.*partial=True"):
        Dots(folder)
    with pytest.warns(PartialCopy, match="found 39, a complete copy has 40") as caught:
        data = Dots(folder, partial=True)
    assert len(caught) == 1 and caught[0].filename == __file__
    facts = data.facts()
    assert (facts["found"], facts["expected"], facts["complete"], facts["samples"]) == (39, 40, False, 39)
    with pytest.raises(DataError, match="got 7, expected 6"):  # more than all is no partial copy
        Dots(folder, "test", partial=True)


def test_a_complete_copy_does_not_warn(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Dots(folder, partial=True).facts()["complete"]


def test_labels_outside_the_classes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dots, "find", lambda *_: Index(folder, "plain", ["a"] * 40, np.full(40, 2)))
    with pytest.raises(DataError, match="label.*2 to 2.*0 to 1"):
        Dots(folder)
    with pytest.raises(DataError, match="labels"):
        Index(folder, "plain", ["a", "b"], np.zeros(3))


def test_subset(folder: Path) -> None:
    data = Dots(folder)
    part = data.subset([5, 2, -1])
    assert [len(events) for events, _ in part] == [6, 3, 40] and part.labels.tolist() == [1, 0, 1]
    assert len(data.subset(data.labels == 1)) == 20 and len(data.subset([])) == 0 and len(data) == 40
    assert part.subset([0], "first").facts()["selection"] == "subset, first"
    for wrong in ([40], [-41]):
        with pytest.raises(DataError, match="0 to 39"):
            data.subset(wrong)
    assert data.facts()["selection"] == "all" and part.facts()["samples"] == 3


def test_pickles_for_workers(folder: Path) -> None:
    data = pickle.loads(pickle.dumps(Dots(folder).subset([7])))
    assert len(data[0][0]) == 8


def test_validation_by_class(folder: Path) -> None:
    data = Dots(folder)
    train, held = data.validation(0.2, seed=1)
    assert np.bincount(held.labels).tolist() == [4, 4] and len(train) == 32
    assert not set(train.index.places) & set(held.index.places)
    assert data.validation(0.2, seed=1)[1].index.places == held.index.places
    assert data.validation(0.2, seed=2)[1].index.places != held.index.places
    assert "fraction=0.2, seed=1" in held.facts()["selection"]


def test_validation_keeps_people_apart(folder: Path) -> None:
    train, held = Spoken(folder).validation(0.2)
    assert train.groups is not None and held.groups is not None
    assert not set(train.groups) & set(held.groups)
    assert len(held) == 8 and len(train) == 32


def test_validation_refuses(folder: Path) -> None:
    with pytest.raises(DataError, match="training split"):
        Dots(folder, "test").validation()
    for fraction in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(DataError, match="between 0 and 1"):
            Dots(folder).validation(fraction)
    with pytest.raises(DataError, match="at least two"):
        Spoken(folder).subset(np.arange(40) % 5 == 2).validation()


def test_official_validation(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = Metadata(**{**METADATA.__dict__, "counts": {"train": 40, "validation": 6}})
    monkeypatch.setattr(Dots, "metadata", metadata)
    monkeypatch.setattr(Dots, "have", {"train": 40, "validation": 6})
    (folder / "validation").touch()
    data = Dots(folder, transform=len)
    train, held = data.validation(0.5)
    assert train is data and len(held) == 6 and held.split == "validation" and held[0] == (1, 0)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=2, max_size=60),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_a_group_is_never_divided(samples: list[tuple[int, int]], fraction: float, seed: int) -> None:
    labels, groups = np.array(samples).T
    if len(set(groups.tolist())) < 2:
        return
    held = held_out(labels, groups, fraction, seed)
    assert held.any() and not held.all()
    assert not set(groups[held].tolist()) & set(groups[~held].tolist())


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.floats(0.01, 0.99), st.integers(0, 5))
def test_without_groups_the_fast_way_is_the_slow_way(labels: list[int], fraction: float, seed: int) -> None:
    slow = _groups(np.array(labels), np.arange(len(labels)), fraction, seed)
    assert (held_out(labels, None, fraction, seed) == slow).all()


def test_the_declared_split_of_a_class() -> None:
    held = numbered(3, 200, 0.2)
    assert held.sum() == 40 and (held == numbered(3, 200, 0.2)).all()
    assert (held != numbered(4, 200, 0.2)).any() and (held != numbered(3, 200, 0.2, seed=1)).any()
    assert np.flatnonzero(numbered(0, 30, 0.2)).tolist() == DRAWN  # the same on every machine, for ever


DRAWN = [3, 9, 16, 20, 26, 28]


def test_a_card_of_an_unknown_kind() -> None:
    with pytest.raises(DataError, match="smells"):
        Metadata(**{**METADATA.__dict__, "kind": "smells"})


@pytest.mark.parametrize("name", catalog.names())
def test_every_card(name: str) -> None:
    metadata = catalog.metadata(name)
    assert metadata.name == name and metadata.kind in KINDS and metadata.citation and metadata.licence and metadata.split
    assert metadata.homepage.startswith("http") and all(n > 0 for n in metadata.counts.values())
    assert len(set(metadata.classes)) == len(metadata.classes) > 0
    for archive in metadata.archives:
        assert archive.url.startswith("http") and "/" not in archive.name
        assert archive.md5 is None or len(bytes.fromhex(archive.md5)) == 16
        assert archive.sha256 is None or len(bytes.fromhex(archive.sha256)) == 32
    json: dict[str, Any] = metadata.to_json()
    assert json["counts"] == dict(metadata.counts)


def test_names_in_any_spelling() -> None:
    assert catalog.dataset_class("N-MNIST") is catalog.dataset_class("nmnist")
    assert catalog.dataset_class("DVS Gesture").metadata.name == "dvs_gesture"
    with pytest.raises(DataError, match="one of nmnist"):
        catalog.metadata("imagenet")


def test_where_data_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIKEFLOW_DATA", str(tmp_path))
    assert catalog.data_folder() == tmp_path
    monkeypatch.delenv("SPIKEFLOW_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "x"))
    assert catalog.data_folder() == tmp_path / "x" / "spikeflow"
