"""The real spoken digits and Braille letters, where a data folder is."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets.sets.braille import Braille
from spikeflow.datasets.sets.spoken_digits import SPEAKERS, SpokenDigits

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")


def test_spoken_digits(data_folder: Path) -> None:
    train, test = (SpokenDigits(data_folder, split, partial=True) for split in ("train", "test"))
    assert (train.found, test.found) == (2_250, 250) and not train.facts()["complete"]
    assert (np.bincount(train.labels) == 225).all() and (np.bincount(test.labels) == 25).all()
    assert train.groups is not None and {SPEAKERS[g] for g in train.groups} == set(SPEAKERS) - {"lucas"}
    fit, held = train.validation(0.2)
    assert fit.groups is not None and held.groups is not None and not set(fit.groups) & set(held.groups)
    for i in (0, 1_000, 2_249):
        with wave.open(str(train.root / train.locate(i))) as file:
            theirs = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        np.testing.assert_array_equal(train.audio(i).samples * 32768, theirs)
    events, label = train[0]
    assert label == 0 and len(events) > 50 and events.width == SpokenDigits.ear.channels


def test_every_recording_is_readable(data_folder: Path) -> None:
    spoken = SpokenDigits(data_folder, "test", partial=True)
    lengths = [len(spoken.audio(i).samples) for i in range(len(spoken))]
    assert min(lengths) > 0.14 * 8_000 and max(lengths) < 2.3 * 8_000


def test_braille(data_folder: Path) -> None:
    train, test = (Braille(data_folder, split, partial=True) for split in ("train", "test"))
    assert (train.found, test.found) == (27 * 28, 27 * 7)
    assert (np.bincount(train.labels) == 28).all() and (np.bincount(test.labels) == 7).all()
    held = np.load(data_folder / "braille" / "braille_taxels.npz")
    begins = np.concatenate([[0], np.cumsum(held["length"])])
    changes = 0
    for data in (train, test):
        for i, (events, label) in enumerate(data):
            row = data.locate(i).row
            values = held["taxels"][begins[row] : begins[row + 1]].astype(int)
            step, taxel = np.nonzero(np.diff(values, axis=0))
            np.testing.assert_array_equal(events.t, (step + 1) * 25_000)
            np.testing.assert_array_equal(events.x, taxel)
            np.testing.assert_array_equal(events.p, np.diff(values, axis=0)[step, taxel] > 0)
            assert label == held["label"][row]
            changes += len(events)
    assert changes == 86_631
