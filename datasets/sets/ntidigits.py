"""N-TIDIGITS: spoken digits of TIDIGITS, played to a silicon cochlea."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from spikeflow.datasets.base import Archive, Dataset, Index, Metadata
from spikeflow.datasets.formats import hdf5_file
from spikeflow.datasets.stored.layouts import roots
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.files.hdf5_open import open_hdf5
from spikeflow.typing import Array

CHANNELS = 64
FILE = "n-tidigits.hdf5"
MAX_SPIKES = 1 << 26
DIGITS = (
    "o",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "z",
)  # as the file writes them, in the order of labels
METADATA = Metadata(
    name="ntidigits",
    title="N-TIDIGITS18",
    kind="spikes",
    citation="Anumula, Neil, Delbruck, Liu 2018, Feature representations for neuromorphic audio spike "
    "streams, Frontiers in Neuroscience 12:23",
    licence="not stated; TIDIGITS itself is under a licence of the Linguistic Data Consortium",
    homepage="https://docs.google.com/document/d/1Uxe7GsKKXcy6SlDUX4hoJVAC0-UkH-8kr5UXp0Ndi1M",
    classes=("oh", "1", "2", "3", "4", "5", "6", "7", "8", "9", "zero"),
    counts={"train": 2_464, "test": 2_486},
    split="official; no speaker is in both",
    width=CHANNELS,
    height=1,
    archives=(
        Archive(
            FILE,
            "https://www.dropbox.com/scl/fi/1x4lxt9yyw25sc3tez8oi/n-tidigits.hdf5?e=2&rlkey=w8gi5udvib2zqzosusa5tr3wq&dl=1",
            md5="360a2d11e5429555c9197381cf6b58e0",
            unpack=False,
        ),
    ),
    notes="The samples are the single digits; sequences of up to seven (8,623 and 8,700 utterances in all) "
    "are in the same file: utterances() and utterance(). Groups are the speakers.",
)


class Utterance(NamedTuple):
    """One utterance of the file, by its name."""

    path: str
    name: str


class NTIDIGITS(Dataset[Events]):
    """N-TIDIGITS18; layout ``n-tidigits.hdf5``: ``train_labels``, ``train_addresses/<name>``,
    ``train_timestamps/<name>``.

    A name is ``<man or woman>-<speaker>-<take>-<digits>``; spikes are on events with y = 0.
    """

    metadata = METADATA

    def find(self, folder: Path, split: str) -> Index | None:
        """The single digits in the order of the file."""
        for root in roots(folder, "NTIDIGITS18", "NTIDIGITS", "N-TIDIGITS", "ntidigits"):
            if (root / FILE).is_file():
                return _index(root, split)
        return None

    def _file(self) -> h5py.File:
        process = os.getpid()  # a file must not be shared with a forked worker
        if process not in self._kept:
            self._kept.clear()
            self._kept[process] = open_hdf5(self.root / FILE)
        return self._kept[process]

    def utterances(self) -> tuple[str, ...]:
        """Names of all utterances of the split, sequences included."""
        return _names(self._file(), self.split, self.root / FILE)

    def utterance(self, name: str) -> Events:
        """Spikes of the utterance of this name."""
        path = self.root / FILE
        t = _column(self._file(), f"{self.split}_timestamps", name, path)
        x = _column(self._file(), f"{self.split}_addresses", name, path)
        if t.shape != x.shape or not np.isfinite(t).all() or (x != np.floor(x)).any():
            raise FileError(path, f"{name}: {t.size} times and {x.size} addresses are not spikes")
        if t.size and (abs(t).max() >= 2**43 or x.min() < 0 or x.max() >= CHANNELS):
            raise DataError(
                f"{path}: {name}", f"addresses {x.min():g} to {x.max():g}", f"0 to {CHANNELS - 1}"
            )
        on = np.ones(t.size, np.uint8)
        t_us = np.rint(t.astype(np.float64) * 1e6).astype(np.int64)
        return Events.sorted(t_us, x.astype(np.int64), np.zeros_like(on), on, width=CHANNELS, height=1)

    def read(self, place: Utterance) -> Events:
        """Spikes of one digit."""
        return self.utterance(place.name)


def _index(root: Path, split: str) -> Index:
    with open_hdf5(root / FILE) as file:
        names = _names(file, split, root / FILE)
    places, labels, speakers = [], [], []
    for name in names:
        parts = name.split("-")
        if len(parts) != 4 or set(parts[3]) - set(DIGITS):
            raise FileError(root / FILE, f"the utterance {name!r} is not named who-speaker-take-digits")
        if len(parts[3]) == 1:
            places.append(Utterance(FILE, name))
            labels.append(DIGITS.index(parts[3]))
            speakers.append("-".join(parts[:2]))
    groups = np.unique(speakers, return_inverse=True)[1]
    return Index(root, "original", places, np.array(labels, np.int64), groups)


def _names(file: h5py.File, split: str, path: Path) -> tuple[str, ...]:
    try:
        with hdf5_file.damage(path):
            found = hdf5_file.member(file, f"{split}_labels")
            if not isinstance(found, h5py.Dataset) or found.ndim != 1 or found.dtype.kind not in "SO":
                raise FileError(path, f"no list {split}_labels", f"the file {FILE} of its makers")
            return tuple(name.decode("ascii") for name in hdf5_file.checked(found, path)[()])
    except UnicodeDecodeError:
        raise FileError(path, f"{split}_labels are not names") from None


def _column(file: h5py.File, group: str, name: str, path: Path) -> Array:
    found = hdf5_file.member(file, f"{group}/{name}")
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "iuf" or found.ndim != 1:
        raise FileError(path, f"no numbers {group}/{name}")
    if math.prod(found.shape) > MAX_SPIKES:
        raise FileError(path, f"{group}/{name} declares {found.shape[0]} values; the limit is {MAX_SPIKES}")
    with hdf5_file.damage(path):
        return hdf5_file.checked(found, path)[()]
