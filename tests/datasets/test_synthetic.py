"""Twins: as the data sets in shape and rate, learnable, the same on every machine, and readable by the real loaders."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets import synthetic
from spikeflow.datasets.base import Dataset
from spikeflow.datasets.encoded import Latency
from spikeflow.datasets.sets import catalog
from spikeflow.datasets.sets.braille import Braille
from spikeflow.datasets.sets.dsec import DSEC
from spikeflow.datasets.sets.images import ImageDataset
from spikeflow.datasets.sets.nmnist import NMNIST
from spikeflow.datasets.sets.poker_dvs import PokerDVS
from spikeflow.datasets.sets.spoken_digits import SpokenDigits
from spikeflow.datasets.twins.draws import Draws, of_class
from spikeflow.datasets.twins.layouts import LAYOUTS
from spikeflow.datasets.twins.table import RECIPES
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")
NAMES = catalog.names()
PINNED = (0.3300355850547123, 0.7240510952944947)
LARGE = ("ncaltech101", "cifar10_dvs", "dvs_gesture")  # above 10^5 events a sample: fewer are made here
# published, or measured on real copies: mean length in us, and mean number of events
RATES = {
    "nmnist": (306_000, 4_172),
    "ncaltech101": (300_000, 115_116),
    "cifar10_dvs": (1_300_000, 204_979),
    "dvs_gesture": (6_000_000, 400_000),
    "asl_dvs": (100_000, 28_120),
    "poker_dvs": (17_400, 3_050),
    "ncars": (100_000, 4_000),
    "braille": (1_875_000, 92),
}


def some(name: str, split: str, each: int, classes: int) -> Dataset[Events]:
    """`each` samples of the first classes of a twin."""
    made = synthetic.twin(name, each * len(catalog.metadata(name).classes), split, seed=1)
    return made.subset(made.labels < classes)


def test_every_data_set_has_a_twin() -> None:
    assert set(RECIPES) == set(LAYOUTS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_shape_is_the_card_s(name: str) -> None:
    metadata, made = catalog.metadata(name), synthetic.twin(name, 3)
    events, label = made[1]
    assert label == 1 and len(events) and made.metadata.classes == metadata.classes
    assert (
        "synthetic" in made.metadata.title
        and made.facts()["layout"] == "synthetic"
        and not made.facts()["complete"]
    )
    if metadata.width:
        assert (events.width, events.height) == (metadata.width, metadata.height)
    assert set(RECIPES[name].groups) <= set(metadata.counts)


@pytest.mark.parametrize("name", RATES)
def test_rates_are_the_published_ones(name: str) -> None:
    made = synthetic.twin(name, 10 if name in LARGE else 40, seed=3)
    items = [events for events, _ in made]
    duration_us, count = RATES[name]
    assert np.mean([e.duration_us for e in items]) == pytest.approx(duration_us, rel=0.25)
    assert np.mean([len(e) for e in items]) == pytest.approx(count, rel=0.25)


@pytest.mark.parametrize(
    "kind, name, count",
    [
        (NMNIST, "nmnist", 60),
        (PokerDVS, "poker_dvs", 40),
        (Braille, "braille", 100),
        (SpokenDigits, "spoken_digits", 60),
    ],
)
def test_rates_are_those_of_real_files(data_folder: Path, kind: Any, name: str, count: int) -> None:
    real = kind(data_folder, partial=True)
    real = real.subset(np.linspace(0, len(real) - 1, count).astype(int))
    made = synthetic.twin(name, count)
    if name == "spoken_digits":
        here, there = ([len(d.audio(i).samples) for i in range(count)] for d in (made, real))
    else:
        here, there = ([len(events) for events, _ in d] for d in (made, real))
    assert np.mean(here) == pytest.approx(np.mean(there), rel=0.35)
    assert np.std(here) < 2.5 * np.std(there) + 1


@pytest.mark.parametrize("name", ["nmnist", "shd", "spoken_digits", "braille", "mnist", "cifar10"])
def test_a_sample_depends_on_its_number_alone(name: str) -> None:
    made = synthetic.twin(name, 30, seed=5)
    first = made[7][0].sha256
    assert all(len(made[i][0]) for i in range(3))
    assert made[7][0].sha256 == first == synthetic.twin(name, 8, seed=5)[7][0].sha256
    assert pickle.loads(pickle.dumps(made))[7][0].sha256 == first
    others = (synthetic.twin(name, 8, seed=6), synthetic.twin(name, 8, "test", seed=5))
    assert first not in {made[17][0].sha256, *(other[7][0].sha256 for other in others)}


def test_draws_are_pinned() -> None:
    # change these numbers only with a word in the change log: figures on twins change with them
    np.testing.assert_allclose(Draws(0, "x", 3).uniform("u", 2), PINNED, rtol=0, atol=1e-15)
    normal = Draws(1, "x", 0).normal("n", 20_000)
    assert abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.03
    drawn = [Draws(1, "x", i).spread("s", 10.0, 0.3, 0, 100) for i in range(2_000)]
    assert np.mean(drawn) == pytest.approx(10, rel=0.03) and np.std(drawn) == pytest.approx(3, rel=0.1)
    assert (of_class("x", 1).uniform("u", 3) != of_class("x", 2).uniform("u", 3)).all()


def features(events: Events) -> np.ndarray:
    """Square roots of counts on a coarse grid: two polarities of a picture, or eight times of channels."""
    flat = events.height == 1
    width, height = events.width or 240, events.height or 180
    columns, rows, times = min(48 if flat else 12, width), min(12, height), 8 if flat else 1
    grid = np.zeros((times, 2, rows, columns))
    time = np.minimum(events.t * times // max(int(events.t[-1]), 1), times - 1)
    np.add.at(
        grid,
        (time, events.p, events.y.astype(int) * rows // height, events.x.astype(int) * columns // width),
        1,
    )
    return np.sqrt(grid.ravel()) / np.sqrt(len(events))


def readout(train: Dataset[Events], test: Dataset[Events], classes: int) -> float:
    """Accuracy of a linear read-out by ridge regression."""
    x, x_test = (np.stack([features(events) for events, _ in d]) for d in (train, test))
    targets = np.eye(classes)[train.labels] * 2 - 1
    weights = np.linalg.solve(x @ x.T + 1e-2 * np.eye(len(x)), targets)
    return float(((x_test @ x.T @ weights).argmax(1) == test.labels).mean())


@pytest.mark.parametrize("name", NAMES)
def test_a_linear_readout_learns_it(name: str) -> None:
    large = name in LARGE
    few = large or catalog.metadata(name).kind == "audio"
    classes = min(4 if few else 12, len(catalog.metadata(name).classes))
    train, test = (
        some(name, "train", 3 if large else 8, classes),
        some(name, "test", 1 if large else 3, classes),
    )
    assert readout(train, test, classes) > min(0.6, 1 / classes + 0.4)


@dataclass(frozen=True)
class Peaks:
    """Quick spikes of a sound: one channel, wherever a sample is above 0.05."""

    def __call__(self, samples: np.ndarray, rate_hz: int) -> Events:
        t = np.flatnonzero(samples > 0.05) * 1_000_000 // rate_hz
        zero = np.zeros_like(t)
        return Events(t, zero, zero, zero + 1, 1, 1)


def content(data: Dataset[Any], name: str) -> Counter[Any]:
    """Every sample of a data set, but for its order, and for its clock where that begins elsewhere."""
    found: Counter[Any] = Counter()
    for events, label in data:
        t = events.t - events.t[0] if name == "dvs_gesture" else events.t
        if name in (
            "shd",
            "ssc",
        ):  # 16-bit floats of seconds: 1 ms at most; what a spike's unit is stays exact
            assert (t < 2_000_000).all()
            found[label, np.bincount(events.x, minlength=700).tobytes()] += 1
        else:
            found[label, t.tobytes(), events.x.tobytes(), events.y.tobytes(), events.p.tobytes()] += 1
    return found


def splits(name: str) -> Iterator[str]:
    return (split for split in catalog.metadata(name).counts if split != "all")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("dsec", *LARGE)])
def test_written_and_read_by_the_real_loader(tmp_path: Path, name: str) -> None:
    each = 1 if name in ("dvs_lip", "speech_commands") else 2
    options = {"encoder": Peaks()} if catalog.metadata(name).kind == "audio" else {}
    folder = synthetic.write(name, tmp_path / name, each, seed=4)
    for split in splits(name):
        real = catalog.load(name, folder, split, partial=True, **options)
        made = synthetic.twin(name, each * len(catalog.metadata(name).classes), split, seed=4, **options)
        assert content(real, name) == content(made, name)
        if made.groups is not None and real.groups is not None:
            assert len(set(real.groups)) == len(set(made.groups))


def test_gestures_written_and_read(tmp_path: Path) -> None:
    folder = synthetic.write("dvs_gesture", tmp_path / "g", 1)
    real, made = (
        catalog.load("dvs_gesture", folder, "test", partial=True),
        synthetic.twin("dvs_gesture", 11, "test"),
    )
    assert content(real.subset([0, 10]), "dvs_gesture") == content(made.subset([0, 10]), "dvs_gesture")
    assert real.groups is not None and set(real.groups) == {24}


def test_a_drive_agrees_with_its_flow(tmp_path: Path) -> None:
    drives = DSEC(synthetic.write("dsec", tmp_path / "d", 1), partial=True)
    drive, city = drives[1]
    begin = int(drive.flow_times()[0, 0])
    events = drive.events(begin, begin + 400_000)
    assert events.sha256 and len(events) == len(synthetic.twin("dsec", 3)[city][0])
    flow = drive.flow(0)
    assert flow.valid.all() and flow.stop_us - flow.start_us == 100_000
    early, late = (events.between(begin + at, begin + at + 100_000) for at in (0, 300_000))
    moved = np.array([late.x.mean() - early.x.mean(), late.y.mean() - early.y.mean()])
    np.testing.assert_allclose(
        moved, 0.9 * 3 * flow.displacement[0, 0], atol=6
    )  # a tenth of the events is noise
    assert drive.disparity(0).min() == drive.disparity(0).max() == 12.5
    assert set(np.unique(drive.mask(0))) == {0, 5, 8} and drive.rectify_map().shape == (480, 640, 2)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_images_as_arrays(tmp_path: Path, name: str) -> None:
    made = synthetic.twin(name, 20, encoder=Latency())
    real = catalog.load(name, synthetic.write(name, tmp_path / name, 2), partial=True)
    assert isinstance(made, ImageDataset) and isinstance(real, ImageDataset)
    np.testing.assert_array_equal(made.arrays()[0], real.arrays()[0])
    np.testing.assert_array_equal(made.arrays()[1], real.arrays()[1])
    np.testing.assert_array_equal(made.image(3), made.arrays()[0][3])
    assert made[3][0].sha256 == Latency()(made.image(3)).sha256


def test_validation_splits() -> None:
    fit, held = synthetic.twin("ssc", 70, transform=len).validation()
    assert held.split == "validation" and held.groups is not None and fit.groups is not None
    assert not set(held.groups) & set(fit.groups) and isinstance(held[0][0], int)
    fit, held = synthetic.twin("shd", 200).validation(0.2)
    assert held.groups is not None and fit.groups is not None and not set(held.groups) & set(fit.groups)
    assert not {4, 5} & set(np.concatenate([held.groups, fit.groups]))


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one of"):
        synthetic.twin("nothing")
    with pytest.raises(DataError, match="split"):
        synthetic.twin("nmnist", split="validation")
    with pytest.raises(DataError, match="at least one"):
        synthetic.twin("nmnist", 0)
    with pytest.raises(DataError, match="at most 30"):
        synthetic.write("spoken_digits", tmp_path / "s", 31)
    assert not list(tmp_path.iterdir())  # whole or not at all
    synthetic.write("poker_dvs", tmp_path / "p", 1)
    with pytest.raises(FileError, match="is there already"):
        synthetic.write("poker_dvs", tmp_path / "p", 1)
