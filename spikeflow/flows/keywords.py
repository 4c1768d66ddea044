"""Keywords of Speech Commands as 49 x 10 cepstral coefficients, in five folds by position."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeflow.datasets.sets import catalog
from spikeflow.errors import DataError, FileError
from spikeflow.files import npz
from spikeflow.flows.loaded import Loaded
from spikeflow.flows.recipe_file import Data
from spikeflow.ir.preprocessing import Normalise, Step, applied
from spikeflow.train.batches import Arrays, Coding, Splits
from spikeflow.typing import Array

SET, FILE, FOLDS = "keywords", "kws_mfcc.npz", 5
FOLDERS = ("", "speech_commands_mfcc")
ARRAYS = ("mfcc_int8", "label", "classes")


def load(data: Data, seed: int) -> Loaded:
    """The splits of a fold: its recordings test, of the others every tenth selects.

    Samples are the integers of the file; the network's file brings each coefficient to mean 0 and deviation 1
    of those that train.

    Raises
    ------
    DataError
        Where no fold is named, or one that there is not.
    FileError
        Where the file is missing, or holds other arrays.
    """
    if not 0 <= data.fold < FOLDS or data.valid:
        raise DataError("recipe: data.fold", data.fold, f"0 to {FOLDS - 1}: it has folds alone", "valid = 0")
    x, y, classes, path = _read(data)
    rows = parted(len(x), data.fold)
    seen = x[rows["train"]].reshape(-1, x.shape[2])
    mean, std = seen.mean(0), np.maximum(seen.std(0), 1e-3)
    steps: tuple[Step, ...] = (Normalise(tuple(map(float, mean)), tuple(map(float, std))),)
    found = {name: applied(steps, x[chosen][: data.limit or None], 2) for name, chosen in rows.items()}
    labels = {name: y[chosen][: data.limit or None] for name, chosen in rows.items()}
    train = Jittered(found["train"], labels["train"], data, seed)
    others = [
        Arrays(found[part], labels[part], Coding(), data.batch_size, seed, False)
        for part in ("valid", "test")
    ]
    facts = {
        "dataset": path.name,
        **{name: len(part) for name, part in labels.items()},
        "selection": f"positions {data.fold} modulo {FOLDS} test, every tenth of the others selects",
    }
    classes = tuple(name.lower() for name in classes)
    splits = Splits(train, *others)
    return Loaded(splits, x.shape[2:], classes, "spikes", "current", data.steps, steps, {"data": facts})


def _read(data: Data) -> tuple[Array, Array, tuple[str, ...], Path]:
    folder = Path(data.folder) if data.folder else catalog.data_folder()
    path = next((folder / f / FILE for f in FOLDERS if (folder / f / FILE).is_file()), None)
    if path is None:
        raise FileError(folder, f"holds no {FILE}", "data.folder: the folder that holds speech_commands_mfcc")
    held = npz.read(path, npz.Wanted(ARRAYS))
    missing = set(ARRAYS) - set(held)
    if missing:
        raise FileError(path, f"holds no array {sorted(missing)[0]}")
    x, y, classes = (held[name] for name in ARRAYS)
    if x.ndim != 3 or x.shape[1] < data.steps or len(y) != len(x) or y.max() >= len(classes):
        raise FileError(path, f"arrays of shapes {x.shape} and {y.shape}", f"at least {data.steps} steps")
    return x[:, : data.steps].astype(np.float32), y.astype(np.int64), tuple(map(str, classes)), path


def parted(samples: int, fold: int) -> dict[str, Array]:
    """Positions that train, select and test."""
    every = np.arange(samples)
    left = every[every % FOLDS != fold]
    selects = np.arange(len(left)) % 10 == 9
    return {"train": left[~selects], "valid": left[selects], "test": every[every % FOLDS == fold]}


class Jittered(Arrays):
    """The split that trains: moved by up to `hearing.steps` steps, what enters repeats the edge, with normal
    noise of `hearing.noise` deviations, drawn anew in every epoch.
    """

    def __init__(self, x: Array, y: Array, data: Data, seed: int) -> None:
        super().__init__(x, y, Coding(), data.batch_size, seed)
        self.hearing = data.hearing

    def _samples(self, chosen: Array, draw: int, changes: Array | None) -> Array:
        numbers = np.random.Generator(np.random.PCG64([self.seed, draw, int(chosen[0]), 3]))
        far = numbers.integers(-self.hearing.steps, self.hearing.steps, len(chosen), endpoint=True)
        at = np.clip(np.arange(self.x.shape[1]) - far[:, None], 0, self.x.shape[1] - 1)
        x = self.x[chosen[:, None], at]
        noise = numbers.standard_normal(x.shape).astype(np.float32)
        return x + np.float32(self.hearing.noise) * noise
