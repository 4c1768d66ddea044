"""Braille: a robot's fingertip slides over letters in Braille; each change of a sensor is an event."""

from __future__ import annotations

import copy
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.datasets.base import Archive, Dataset, Index, Metadata
from spikeflow.datasets.stored.layouts import roots
from spikeflow.datasets.stored.pickled_arrays import load_pickled
from spikeflow.datasets.stored.rows import Row
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.files.opened import open_regular
from spikeflow.samples import read_arrays
from spikeflow.typing import Array

TAXELS = 12
REPETITIONS = 50
STEP_US = 25_000  # 40 Hz
REST = 255
MAX_BYTES = 64 << 20
NPZ, PICKLE = "braille_taxels.npz", "tutorial5_braille_spiking_data.pkl.gz"
METADATA = Metadata(
    name="braille",
    title="Tactile Braille Letters",
    kind="touch",
    citation="Müller-Cleve, Fra, Khacef, Pequeño-Zurro, Klepatsch, Forno, Ivanovich, Rastogi, Urgese, Zenke, "
    "Bartolozzi 2022, Braille letter reading: a benchmark for spatio-temporal pattern recognition on "
    "neuromorphic hardware, Frontiers in Neuroscience 16:951164",
    licence="CC BY 4.0",
    homepage="https://doi.org/10.5281/zenodo.6556273",
    classes=("Space", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    counts={"train": 27 * 40, "test": 27 * 10},
    split="no official one; this one takes every fifth repetition (4, 9, 14 ...) of each letter for the "
    "test. The literature draws 80:20 or 70:10:20 at random",
    width=TAXELS,
    height=1,
    archives=(
        Archive(
            PICKLE,
            "https://raw.githubusercontent.com/fzenke/spytorch/d363dbf93a04bf97b4819f1a41579bbbec17b1d2/notebooks/data/tutorial5_braille_spiking_data.pkl.gz",
            unpack=False,
        ),
    ),
    notes="27 letters, 50 repetitions each, 76 or 77 steps of 25 ms of 12 sensors (taxels) with whole "
    "numbers of 0 to 255; touch lowers them from 255. The pickle is read without running it. All trials are "
    "of one finger: no groups.",
)


@dataclass(frozen=True, eq=False)
class Trials:
    """All trials of a file.

    Parameters
    ----------
    taxels : uint8, ``(steps of all trials, 12)``.
    begins : of each trial, and the end of the last.
    labels, repetitions : of each trial.
    """

    taxels: Array
    begins: Array
    labels: Array
    repetitions: Array

    def trial(self, row: int) -> Array:
        """One trial, uint8, ``(steps, 12)``."""
        return self.taxels[self.begins[row] : self.begins[row + 1]]


class Braille(Dataset[Events]):
    """Braille letters; layouts ``braille_taxels.npz``, or the pickle of the SpyTorch tutorial.

    Events: x = taxel, y = 0, on where the stored value rose (the touch grew weaker), off where it fell; at
    most one of a taxel in each step of 25 ms.

    Parameters
    ----------
    threshold : a taxel makes an event when its value lies at least so far from that of its last event.
    others : as of `Dataset`.
    """

    metadata = METADATA

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        partial: bool = False,
        transform: Callable[[Events], Any] | None = None,
        threshold: int = 1,
    ) -> None:
        if threshold < 1:
            raise DataError("braille: threshold", threshold, "at least 1")
        self.threshold = threshold
        super().__init__(folder, split, partial, transform)

    def find(self, folder: Path, split: str) -> Index | None:
        """Trials in the order of the file: letter after letter, repetition after repetition."""
        for root in roots(folder, "braille", "Braille", "notebooks/data"):
            for name in (NPZ, PICKLE):
                if (root / name).is_file():
                    trials = _load(root / name)
                    chosen = np.flatnonzero((trials.repetitions % 5 == 4) == (split == "test"))
                    return Index(
                        root,
                        "npz" if name == NPZ else "pickle",
                        [Row(name, int(i)) for i in chosen],
                        trials.labels[chosen],
                    )
        return None

    def repetitions(self, first: int, last: int) -> Braille:
        """All trials of these repetitions, whichever the split, as a data set."""
        name = self.locate(0).path
        trials: Trials = self._once(self.root / name, _load)
        chosen = np.flatnonzero((trials.repetitions >= first) & (trials.repetitions <= last))
        if not len(chosen):
            raise DataError("braille: repetitions", f"{first} to {last}", f"0 to {trials.repetitions.max()}")
        part = copy.copy(self)
        part.split, part.selection = "both", f"repetitions {first} to {last} of each letter"
        places = [Row(name, int(i)) for i in chosen]
        part.index = replace(self.index, places=places, labels=trials.labels[chosen])
        return part

    def taxels(self, i: int) -> Array:
        """Values of trial i, uint8, ``(steps, 12)``."""
        return self._values(self.locate(i))

    def _values(self, place: Row) -> Array:
        trials: Trials = self._once(self.root / place.path, _load)
        return trials.trial(place.row)

    def read(self, place: Row) -> Events:
        """Events of one trial."""
        return taxel_events(self._values(place), self.threshold)


def taxel_events(values: Array, threshold: int = 1) -> Events:
    """Send on delta: an event where a value lies at least `threshold` from that of the taxel's last event, or
    start.
    """
    reported = values[0].astype(np.int64)
    t, x, p = [], [], []
    for step, now in enumerate(values[1:].astype(np.int64), 1):
        moved = np.flatnonzero(abs(now - reported) >= threshold)
        t.append(np.full(moved.size, step * STEP_US, np.int64))
        x.append(moved)
        p.append((now > reported)[moved])
        reported[moved] = now[moved]
    t_us, taxel, on = (np.concatenate(parts) if parts else np.empty(0, np.int64) for parts in (t, x, p))
    return Events(t_us, taxel, np.zeros_like(taxel), on.astype(np.uint8), width=values.shape[1], height=1)


def _load(path: Path) -> Trials:
    trials = _from_arrays(path) if path.suffix == ".npz" else _from_pickle(path)
    letters, count = len(METADATA.classes), len(trials.labels)
    ok = trials.taxels.dtype == np.uint8 and trials.taxels.shape[1:] == (TAXELS,) and count
    if not ok or np.diff(trials.begins).min() < 1 or trials.begins[-1] != len(trials.taxels):
        raise FileError(
            path, f"taxels of shape {trials.taxels.shape} do not fit {count} trials of {TAXELS} taxels"
        )
    if not (trials.labels.min() >= 0 and trials.labels.max() < letters and trials.repetitions.min() >= 0):
        raise FileError(path, f"labels outside 0 to {letters - 1}, or repetitions below 0")
    return trials


def _from_arrays(path: Path) -> Trials:
    names = ("taxels", "length", "label", "repetition")
    held = read_arrays(path, names, MAX_BYTES)
    if missing := [name for name in names if name not in held]:
        raise FileError(path, f"holds no array {missing[0]}")
    counts = {held[name].shape for name in ("length", "label", "repetition")}
    if len(counts) != 1 or len(*counts) != 1 or any(held[n].dtype.kind not in "iu" for n in held):
        raise FileError(path, "length, label and repetition are not one whole number a trial")
    begins = np.concatenate([[0], np.cumsum(held["length"].astype(np.int64))])
    return Trials(held["taxels"], begins, held["label"].astype(np.int64), held["repetition"].astype(np.int64))


def _from_pickle(path: Path) -> Trials:
    """A list of ``{"taxel_data": (steps, 12), ...}``, letter after letter, 50 repetitions each."""
    packed, _ = open_regular(path)
    try:
        with packed, gzip.GzipFile(fileobj=packed) as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(path, f"damaged gzip data ({error})") from None
    if len(raw) > MAX_BYTES:
        raise FileError(path, f"larger than {MAX_BYTES} bytes")
    held = load_pickled(raw, path)
    held = list(held.values()) if isinstance(held, dict) else held
    if not isinstance(held, list) or len(held) != len(METADATA.classes) * REPETITIONS:
        raise FileError(path, f"no list of {len(METADATA.classes) * REPETITIONS} trials")
    trials = [_trial(path, entry) for entry in held]
    begins = np.concatenate([[0], np.cumsum([len(trial) for trial in trials])])
    row = np.arange(len(trials))
    return Trials(np.concatenate(trials), begins, row // REPETITIONS, row % REPETITIONS)


def _trial(path: Path, entry: Any) -> Array:
    values = np.asarray(entry.get("taxel_data") if isinstance(entry, dict) else None)
    if values.dtype.kind not in "iuf" or values.ndim != 2 or values.shape[1] != TAXELS or not len(values):
        raise FileError(path, f"a trial without taxel_data of steps x {TAXELS}")
    if values.min() < 0 or values.max() > REST or (values != np.floor(values)).any():
        raise FileError(path, f"taxels that are no whole numbers of 0 to {REST}")
    return values.astype(np.uint8)
