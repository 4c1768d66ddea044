"""Splits by rule: which recordings train, select and test, disjoint, and told in the record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import NMNIST
from spikeflow.datasets.sets.braille import Braille
from spikeflow.errors import DataError
from spikeflow.flows.data import load
from spikeflow.flows.recipe_file import Data
from spikeflow.flows.splits import FOLDS, parted


def _numbers(tmp_path: Path, count: int = 60) -> Path:
    """A copy of N-MNIST of so many recordings of one event each, spread over the classes."""
    for split in ("Train", "Test"):
        for number in range(1, count + 1):
            file = tmp_path / split / str(number % 10) / f"{number:05d}.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(bytes([number % 34, 3, 128, 0, number]))
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*a complete copy has")
def test_the_folds_of_nmnist_are_numbers_modulo_five(tmp_path: Path) -> None:
    folder = _numbers(tmp_path)
    train, test = NMNIST(folder, "train", True), NMNIST(folder, "test", True)
    tested: list[int] = []
    for fold in range(FOLDS):
        parts = parted(Data("nmnist", fold=fold), train, test, 0)
        numbers = [[int(Path(part.locate(i)).stem) for i in range(len(part))] for part in parts]
        assert sorted(n for part in numbers for n in part) == list(range(1, 61))
        assert {n % 5 for n in numbers[2]} == {fold}
        rest = [n for n in range(1, 61) if n % 5 != fold]
        assert sorted(numbers[1]) == rest[9::10]
        assert all(str(fold) in part.facts()["selection"] for part in parts)
        tested += numbers[2]
    assert sorted(tested) == list(range(1, 61))
    fitting, valid, last = parted(Data("nmnist"), train, test, 0)
    assert (len(fitting), len(valid), len(last)) == (54, 6, 60) and last is test
    with pytest.raises(DataError, match=r"data\.fold: got 5"):
        parted(Data("nmnist", fold=5), train, test, 0)
    with pytest.raises(DataError, match=r"data\.valid: got 0\.2.*laid down"):
        parted(Data("nmnist", valid=0.2), train, test, 0)


def test_a_fold_of_a_set_without_folds_is_refused() -> None:
    with pytest.raises(DataError, match=r"data\.fold: got 1.*digits has no folds"):
        load(Data("digits", fold=1), 0)


def test_the_splits_of_real_sets_are_those_laid_down(data_folder: Path) -> None:
    braille = load(Data("braille", str(data_folder), "frames", 78, 25_000, partial=True), 0)
    counts = [len(part.labels) for part in (braille.splits.train, braille.splits.valid, braille.splits.test)]  # type: ignore[union-attr]
    assert counts == [27 * 25, 27 * 3, 27 * 7]
    whole = Braille(data_folder, "train", True)
    assert np.array_equal(np.unique(whole.repetitions(28, 34).labels, return_counts=True)[1], [7] * 27)
    ecg = load(Data("ecg_qtdb", str(data_folder), "frames", 20), 0)
    assert [len(p.labels) for p in (ecg.splits.train, ecg.splits.valid, ecg.splits.test)] == [556, 62, 141]  # type: ignore[union-attr]
    fashion = Data("fashion_mnist", str(data_folder), limit=50)
    selections = [load(fashion, 0).facts["data"][name]["selection"] for name in ("train", "valid")]
    assert "first 55000" in selections[0] and "last 5000" in selections[1]
    with pytest.raises(DataError, match="laid down"):
        load(replace(fashion, valid=0.1), 0)
