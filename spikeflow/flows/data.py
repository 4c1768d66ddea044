"""The data of a recipe: three splits, and what a file has to say of how samples enter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikeflow.datasets.base import Dataset
from spikeflow.datasets.loading.loader import DataLoader
from spikeflow.datasets.loading.settings import Loading
from spikeflow.datasets.sets import catalog
from spikeflow.datasets.sets.images import ImageDataset
from spikeflow.datasets.sets.splits import held_out
from spikeflow.errors import DataError, FileError, MissingPackage
from spikeflow.files import mat
from spikeflow.flows import keywords, own, sounds
from spikeflow.flows.loaded import Loaded
from spikeflow.flows.recipe_file import Data
from spikeflow.flows.splits import FOLDED, TENTH, parted
from spikeflow.ir.preprocessing import Frames, Normalise, Step, applied
from spikeflow.train.batches import Arrays, Batch, Batches, Coding, Splits
from spikeflow.typing import Array

DIGITS_TEST = 500  # of the 1,797 digits, drawn once
ECG = "ecg_qtdb"
__all__ = ["Loaded", "load"]


def load(data: Data, seed: int) -> Loaded:
    """The splits of a recipe; the order of batches, the held-out samples and spikes follow from the seed.

    Raises
    ------
    DataError, FileError
        For a set that there is not, or whose samples the coding does not fit; as the data sets do.
    """
    if data.coding == "mel":
        return sounds.load(data, seed)
    if data.set == keywords.SET:
        return keywords.load(data, seed)
    if data.fold >= 0 and data.set not in FOLDED:
        raise DataError("recipe: data.fold", data.fold, f"-1: {data.set} has no folds")
    if data.set == "digits":
        return _digits(data, seed)
    if data.set == own.SET:
        return own.load(data, seed)
    if data.set == ECG:
        return _ecg(data, seed)
    try:
        kind = catalog.dataset_class(data.set)
    except DataError as error:
        known = f"digits, {ECG}, {keywords.SET}, {own.SET}, or {error.expected}"
        raise DataError("data set", data.set, known) from None
    train, test = (
        catalog.load(data.set, data.folder or None, split, data.partial) for split in ("train", "test")
    )
    parts = tuple(_limited(part, data.limit) for part in parted(data, train, test, seed))
    facts = {name: part.facts() for name, part in zip(("train", "valid", "test"), parts, strict=True)}
    if issubclass(kind, ImageDataset) and data.coding != "frames":
        return _pictures(data, seed, parts, facts)
    return _events(data, seed, parts, facts)


def _limited(part: Dataset[Any], limit: int) -> Dataset[Any]:
    if not limit or limit >= len(part):
        return part
    # spread over the set, whose classes may come one after the other
    return part.subset(np.linspace(0, len(part) - 1, limit).astype(int), f"{limit}, evenly spread")


def _arrays(data: Data, coding: Coding, seed: int, parts: list[tuple[Array, Array]]) -> Splits:
    codings = (replace(coding, augment=data.augment), coding, coding)
    made = [
        Arrays(x, y, how, data.batch_size, seed, shuffle=how is codings[0])
        for how, (x, y) in zip(codings, parts, strict=True)
    ]
    return Splits(*made)


def _digits(data: Data, seed: int) -> Loaded:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingPackage("scikit-learn>=1.5", "the digits", error) from error
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].reshape(-1, 1, 8, 8), y[order]
    rest, labels = x[DIGITS_TEST:], y[DIGITS_TEST:]
    chosen = held_out(labels, None, data.valid or TENTH, seed)
    limit = data.limit or len(x)
    parts = [
        (rest[~chosen][:limit], labels[~chosen][:limit]),
        (rest[chosen][:limit], labels[chosen][:limit]),
        (x[:DIGITS_TEST][:limit], y[:DIGITS_TEST][:limit]),
    ]
    facts = {name: len(part[1]) for name, part in zip(("train", "valid", "test"), parts, strict=True)}
    return _still(
        data, seed, parts, {"dataset": "digits of scikit-learn", **facts}, (tuple("0123456789"), 16)
    )


def _pictures(data: Data, seed: int, parts: tuple[Any, ...], facts: dict[str, Any]) -> Loaded:
    arrays = []
    for part in parts:
        x, y = part.arrays()
        arrays.append((x[:, None] if x.ndim == 3 else np.moveaxis(x, 3, 1), y))
    return _still(data, seed, arrays, facts, (parts[0].metadata.classes, 255))


def _still(
    data: Data,
    seed: int,
    parts: list[tuple[Array, Array]],
    facts: dict[str, Any],
    about: tuple[tuple[str, ...], float],
) -> Loaded:
    """Pictures whose values go from 0 to a largest one."""
    labels, largest = about
    if data.coding == "frames":
        raise DataError("recipe: data.coding", "frames", "direct or rate: the samples are still pictures")
    steps: tuple[Step, ...] = (Normalise(std=(largest,)),)
    prepared = [(applied(steps, x.astype(np.float32), 1), y) for x, y in parts]
    splits = _arrays(data, Coding(data.coding, data.steps), seed, prepared)
    kind = "current" if data.coding == "direct" else "spikes"
    return Loaded(
        splits, prepared[0][0].shape[1:], labels, data.coding, kind, data.steps, steps, {"data": facts}
    )


def _events(data: Data, seed: int, parts: tuple[Any, ...], facts: dict[str, Any]) -> Loaded:
    if data.coding != "frames":
        raise DataError("recipe: data.coding", data.coding, f"frames: {data.set} holds events")
    frames = Frames(dt_us=data.dt_us, steps=data.steps, start="zero", clip=data.clip)
    if data.workers:
        made: list[Batches] = [_Whole(part, data, seed, index == 0) for index, part in enumerate(parts)]
        splits, shape = Splits(*made), frames.shape(parts[0][0][0])
    else:
        arrays = [(np.stack([frames(part[i][0]) for i in range(len(part))]), part.labels) for part in parts]
        splits, shape = _arrays(data, Coding(), seed, arrays), arrays[0][0].shape[2:]
    kind = "spikes" if data.clip else "current"
    classes = parts[0].metadata.classes
    return Loaded(splits, shape, classes, "spikes", kind, data.steps, (frames,), {"data": facts})


class _Whole:
    """Batches that workers make, of which every step counts: as a run of so many steps reads them."""

    def __init__(self, part: Dataset[Any], data: Data, seed: int, shuffle: bool) -> None:
        loading = Loading(data.batch_size, shuffle, seed, workers=data.workers)
        frames = Frames(dt_us=data.dt_us, steps=data.steps, start="zero", clip=data.clip)
        self.loader, self.labels = DataLoader(part, loading, frames), part.labels

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, number: int) -> Iterator[Batch]:
        for batch in self.loader.epoch(number):
            yield Batch(batch.x, batch.labels, torch.ones(batch.x.shape[:2], dtype=torch.bool))


def _ecg(data: Data, seed: int) -> Loaded:
    """Electrocardiograms of the QT database, every step labelled: the last 62 training sequences select."""
    folder = Path(data.folder) if data.folder else catalog.data_folder()
    root = next((f for f in (folder, folder / ECG) if (f / "QTDB_train.mat").is_file()), None)
    if root is None:
        raise FileError(folder, "holds no QTDB_train.mat", f"data.folder: the folder that holds {ECG}")
    x, y = _steps(root / "QTDB_train.mat", data.steps)
    test = _steps(root / "QTDB_test.mat", data.steps)
    valid = max(1, round((data.valid or TENTH) * len(x)))
    parts = [(x[:-valid], y[:-valid]), (x[-valid:], y[-valid:]), test]
    parts = [(a[: data.limit or None], b[: data.limit or None]) for a, b in parts]
    labels = ("P", "PQ", "QR", "RS", "ST", "TP")
    facts: dict[str, Any] = {
        "dataset": ECG,
        **{n: len(p[1]) for n, p in zip(("train", "valid", "test"), parts, strict=True)},
        "selection": f"train the first {len(x) - valid} of the training file, valid its last {valid}, "
        "test the test file",
        "limit": data.limit,
    }
    splits = _arrays(data, Coding(), seed, parts)
    return Loaded(splits, parts[0][0].shape[2:], labels, "spikes", "current", data.steps, (), {"data": facts})


def _steps(path: Path, steps: int) -> tuple[Array, Array]:
    """Sequences ``(N, T, 4)`` and the class of each step, -1 where it has none."""
    held = mat.read(path)
    x, marks = (np.asarray(held[name]) for name in ("x", "y"))
    y = np.where(marks.any(-1), marks.argmax(-1), -1)
    return x[:, :steps].astype(np.float32), y[:, :steps]
