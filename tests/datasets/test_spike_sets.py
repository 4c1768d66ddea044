"""SHD, SSC, N-TIDIGITS and Braille: files laid out by hand, splits, speakers, and what is refused."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from spikeflow.datasets.sets.braille import NPZ, PICKLE, Braille, taxel_events
from spikeflow.datasets.sets.ntidigits import FILE, NTIDIGITS
from spikeflow.datasets.sets.shd import SHD
from spikeflow.datasets.sets.ssc import SSC
from spikeflow.errors import DataError, FileError, UnsafeFile

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")


def heidelberg(path: Path, labels: list[int], speakers: list[int], keys: list[str] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (len(labels),), h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (len(labels),), h5py.vlen_dtype(np.uint16))
        for row in range(len(labels)):
            times[row] = np.array([0.25, 0.5, 0.5 + row / 8], np.float16)
            units[row] = np.array([699, 3, row], np.uint16)
        file["labels"] = np.array(labels, np.uint16)
        file["extra/speaker"] = np.array(speakers, np.uint16)
        file["extra/keys"] = [word.encode() for word in keys or SHD.metadata.classes]


@pytest.mark.parametrize("below", ["", "SHD", "shd"])
def test_shd(tmp_path: Path, below: str) -> None:
    heidelberg(tmp_path / "top" / below / "shd_train.h5", [3, 19, 0], [1, 2, 1])
    words = SHD(tmp_path / "top", partial=True)
    assert list(words.labels) == [3, 19, 0] and words.groups is not None and list(words.groups) == [1, 2, 1]
    events, label = words[1]
    assert (label, words.metadata.classes[label]) == (19, "neun")
    assert list(events.t) == [250_000, 500_000, 625_000] and list(events.x) == [699, 3, 1]
    assert (events.width, events.height) == (700, 1) and events.p.all() and not events.y.any()
    again = pickle.loads(pickle.dumps(words))
    assert again[1][0].sha256 == events.sha256


def test_shd_validation_keeps_speakers_apart(tmp_path: Path) -> None:
    speakers = [0, 1, 2, 3, 6, 7, 8, 9, 10, 11] * 4
    heidelberg(tmp_path / "shd_train.h5", [row % 2 for row in range(40)], speakers)
    fit, held = SHD(tmp_path, partial=True).validation(0.2)
    assert fit.groups is not None and held.groups is not None
    assert not set(fit.groups) & set(held.groups) and len(fit) + len(held) == 40 and len(held) == 8


def test_ssc_has_its_own_validation_and_names(tmp_path: Path) -> None:
    keys = sorted(SSC.metadata.classes)
    for part, count in (("train", 3), ("valid", 2), ("test", 1)):
        heidelberg(tmp_path / f"ssc_{part}.h5", [34] * count, [0] * count, keys)
    fit, held = SSC(tmp_path, partial=True).validation()
    assert (len(fit), len(held), held.split) == (3, 2, "validation")
    assert fit.metadata.classes == tuple(keys) and SSC.metadata.classes != tuple(
        keys
    )  # this copy's names, not every copy's


def test_heidelberg_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="holds nothing"):
        SHD(tmp_path)
    (tmp_path / "shd_train.h5").write_bytes(b"no HDF5")
    with pytest.raises(FileError, match=r"shd_train\.h5"):
        SHD(tmp_path, partial=True)
    heidelberg(tmp_path / "shd_train.h5", [20], [0])
    with pytest.raises(DataError, match="label"):
        SHD(tmp_path, partial=True)
    heidelberg(tmp_path / "shd_train.h5", [1], [0])
    with pytest.raises(DataError, match="8156"):
        SHD(tmp_path)


def tidigits(folder: Path, names: list[str], **replaced: object) -> None:
    with h5py.File(folder / FILE, "w") as file:
        for split in ("train", "test"):
            file[f"{split}_labels"] = [name.encode() for name in names]
            for name in names:
                file[f"{split}_timestamps/{name}"] = replaced.get("t", np.array([0.1, 0.3, 0.200001]))
                file[f"{split}_addresses/{name}"] = replaced.get("x", np.array([0, 63, 5]))


def test_ntidigits(tmp_path: Path) -> None:
    tidigits(tmp_path, ["man-ae-a-z", "woman-bc-b-12z", "woman-bc-a-o", "man-ae-b-9"])
    digits = NTIDIGITS(tmp_path, partial=True)
    assert list(digits.labels) == [10, 0, 9] and digits.groups is not None
    assert digits.groups[0] == digits.groups[2] != digits.groups[1]
    events, label = digits[0]
    assert label == 10 and list(events.t) == [100_000, 200_001, 300_000] and list(events.x) == [0, 5, 63]
    assert digits.utterances()[1] == "woman-bc-b-12z" and len(digits.utterance("woman-bc-b-12z")) == 3
    assert pickle.loads(pickle.dumps(digits))[0][0].sha256 == events.sha256
    assert digits.files() == [FILE]


@pytest.mark.parametrize(
    "replaced, word",
    [
        ({"x": np.array([0, 64, 5])}, "0 to 63"),
        ({"x": np.array([0, 1])}, "2 addresses"),
        ({"t": np.array([0.1, np.nan, 0.2])}, "not spikes"),
        ({"t": np.array([0.1, 1e18, 0.2])}, "0 to 63"),
        ({"t": np.zeros((3, 1))}, "no numbers"),
        ({"x": np.array(["a", "b", "c"], "S1")}, "no numbers"),
    ],
)
def test_ntidigits_spikes_refused(tmp_path: Path, replaced: dict[str, object], word: str) -> None:
    tidigits(tmp_path, ["man-ae-a-z"], **replaced)
    with pytest.raises((FileError, DataError), match=word):
        NTIDIGITS(tmp_path, partial=True)[0]


def test_ntidigits_files_refused(tmp_path: Path) -> None:
    tidigits(tmp_path, ["zero"])
    with pytest.raises(FileError, match="who-speaker-take-digits"):
        NTIDIGITS(tmp_path, partial=True)
    with h5py.File(tmp_path / FILE, "w") as file:
        file["other"] = 1
    with pytest.raises(FileError, match="train_labels"):
        NTIDIGITS(tmp_path, partial=True)
    (tmp_path / FILE).write_bytes(b"\x89HDF")
    with pytest.raises(FileError, match="HDF5"):
        NTIDIGITS(tmp_path, partial=True)


TAXELS = np.full((4, 12), 255, np.uint8)
TAXELS[1:, 2], TAXELS[2:, 7] = (250, 240, 255), (254, 254)


def test_taxels_to_events_by_hand() -> None:
    events = taxel_events(TAXELS)
    got = list(zip(events.t.tolist(), events.x.tolist(), events.p.tolist(), strict=True))
    assert got == [(25_000, 2, 0), (50_000, 2, 0), (50_000, 7, 0), (75_000, 2, 1)]
    coarse = taxel_events(TAXELS, 6)  # 250 is not far enough from 255; 240 is
    assert list(zip(coarse.t.tolist(), coarse.p.tolist(), strict=True)) == [(50_000, 0), (75_000, 1)]
    assert len(taxel_events(TAXELS[:1])) == 0


def braille_npz(folder: Path, **replaced: np.ndarray) -> None:
    held = {
        "taxels": np.concatenate([TAXELS] * 10),
        "length": np.full(10, 4, np.int32),
        "label": np.repeat([0, 26], 5).astype(np.int16),
        "repetition": np.tile(np.arange(5), 2).astype(np.int16),
    }
    np.savez(folder / NPZ, **{**held, **replaced})


def test_braille_arrays(tmp_path: Path) -> None:
    braille_npz(tmp_path)
    train, test = Braille(tmp_path, partial=True), Braille(tmp_path, "test", partial=True, threshold=6)
    assert list(train.labels) == [0] * 4 + [26] * 4 and list(test.labels) == [0, 26]
    assert train.metadata.classes[26] == "Z" and len(train[0][0]) == 4 and len(test[1][0]) == 2
    np.testing.assert_array_equal(train.taxels(3), TAXELS)
    with pytest.raises(DataError, match="threshold"):
        Braille(tmp_path, partial=True, threshold=0)


def test_braille_pickle_is_read_and_not_run(tmp_path: Path) -> None:
    trials = [{"taxel_data": TAXELS.astype(float), "letter": "A"} for _ in range(27 * 50)]
    (tmp_path / PICKLE).write_bytes(gzip.compress(pickle.dumps(trials, 4)))
    train, test = Braille(tmp_path), Braille(tmp_path, "test")
    assert (len(train), len(test)) == (1080, 270) and train.facts()["complete"]
    assert (np.bincount(test.labels) == 10).all() and len(train[100][0]) == 4

    class Evil:
        def __reduce__(self):
            return Path.mkdir, (tmp_path / "made",)

    (tmp_path / PICKLE).write_bytes(gzip.compress(pickle.dumps([Evil()], 4)))
    with pytest.raises(UnsafeFile):
        Braille(tmp_path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "replaced, word",
    [
        ({"length": np.full(10, 5, np.int32)}, "do not fit"),
        ({"length": np.full(9, 4, np.int32)}, "one whole number a trial"),
        ({"length": np.zeros(10, np.int32), "taxels": TAXELS[:0]}, "do not fit"),
        ({"taxels": np.concatenate([TAXELS] * 10)[:, :11]}, "do not fit"),
        ({"label": np.full(10, 27, np.int16)}, "labels outside"),
        ({"repetition": np.full(10, -1, np.int16)}, "repetitions below"),
        ({"label": np.array([object()] * 10)}, "Python objects"),
    ],
)
def test_braille_refused(tmp_path: Path, replaced: dict[str, np.ndarray], word: str) -> None:
    braille_npz(tmp_path, **replaced)
    with pytest.raises(FileError, match=word):
        Braille(tmp_path, partial=True)


@pytest.mark.parametrize(
    "trials, word",
    [
        ([{"taxel_data": TAXELS}], "1350 trials"),
        ([{"taxel_data": TAXELS[:, :3]}] * 1350, "without taxel_data"),
        ([{"taxel_data": TAXELS + 0.5}] * 1350, "whole numbers"),
        ([{}] * 1350, "without taxel_data"),
        ("x", "1350 trials"),
    ],
)
def test_braille_pickles_refused(tmp_path: Path, trials: object, word: str) -> None:
    (tmp_path / PICKLE).write_bytes(gzip.compress(pickle.dumps(trials, 4)))
    with pytest.raises(FileError, match=word):
        Braille(tmp_path, partial=True)


def test_counts_of_the_cards() -> None:
    assert SHD.metadata.counts == {"train": 8_156, "test": 2_264}
    assert SSC.metadata.counts == {"train": 75_466, "validation": 9_981, "test": 20_382}
    assert NTIDIGITS.metadata.counts == {"train": 2_464, "test": 2_486}
    assert [len(k.metadata.classes) for k in (SHD, SSC, NTIDIGITS, Braille)] == [20, 35, 11, 27]
