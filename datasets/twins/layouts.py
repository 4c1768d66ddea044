"""Twins on a disk: each data set's samples written where and how its makers have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from spikeflow.datasets.read import write_into
from spikeflow.datasets.sets import asl_dvs, cifar10_dvs, ncaltech101
from spikeflow.datasets.sets.catalog import metadata
from spikeflow.datasets.sets.ncars import FOLDERS as NCARS_FOLDERS
from spikeflow.datasets.sets.poker_dvs import FOLDERS as POKER_FOLDERS
from spikeflow.datasets.sets.splits import numbered
from spikeflow.datasets.stored.layouts import Array
from spikeflow.datasets.twins import bundles, drives
from spikeflow.datasets.twins.sample import Sample, Splits
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.files.write import drafted

Write = Callable[[Path, Events], None]


def _one_file_each(folder: Path, splits: Splits, place: Callable[[str, Sample], str], write: Write) -> None:
    for split, samples in splits.items():
        for sample in samples:
            path = folder / place(split, sample)
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, sample.content)


def _in_format(name: str) -> Write:
    def write(path: Path, events: Events) -> None:
        with drafted(
            path, durable=False
        ) as draft:  # one of thousands; the whole folder takes its place at the end
            write_into(draft.file, events, name)

    return write


def _free(held: Array, split: str, sample: Sample) -> int:
    """The file number, from 1, of the sample among those of its class that are in this split."""
    numbers = np.flatnonzero(held == (split == "test")) + 1
    if sample.number >= len(numbers):
        raise DataError(
            f"twin: samples of class {sample.label}, {split}", sample.number + 1, f"at most {len(numbers)}"
        )
    return int(numbers[sample.number])


def _nmnist(folder: Path, splits: Splits) -> None:
    def locate(split: str, sample: Sample) -> str:
        return f"{split.capitalize()}/{sample.label}/{sample.number * 10 + sample.label + 1:05d}.bin"

    _one_file_each(folder, splits, locate, _in_format("bin5"))


def _ncaltech101(folder: Path, splits: Splits) -> None:
    def locate(split: str, sample: Sample) -> str:
        name = ncaltech101.METADATA.classes[sample.label]
        held = numbered(sample.label, ncaltech101.SIZES[name], ncaltech101.TEST)
        return f"Caltech101/{name}/image_{_free(held, split, sample):04d}.bin"

    _one_file_each(folder, splits, locate, _in_format("bin5"))


def _cifar10_dvs(folder: Path, splits: Splits) -> None:
    held = np.arange(1000) >= cifar10_dvs.TRAIN

    def locate(split: str, sample: Sample) -> str:
        name = cifar10_dvs.METADATA.classes[sample.label]
        return f"{name}/cifar10_{name}_{_free(held, split, sample) - 1}.aedat"

    _one_file_each(folder, splits, locate, _in_format("aedat2"))


def _dvs_lip(folder: Path, splits: Splits) -> None:
    def locate(split: str, sample: Sample) -> str:
        return f"{split}/{metadata('dvs_lip').classes[sample.label]}/{sample.number}.npy"

    _one_file_each(folder, splits, locate, lambda path, events: np.save(path, events.structured()))


def _asl_dvs(folder: Path, splits: Splits) -> None:
    def locate(split: str, sample: Sample) -> str:
        letter = asl_dvs.METADATA.classes[sample.label]
        held = numbered(sample.label, asl_dvs.EACH, asl_dvs.TEST)
        return f"{letter}/{letter}_{_free(held, split, sample):04d}.mat"

    _one_file_each(folder, splits, locate, _mat)


def _mat(path: Path, events: Events) -> None:
    from scipy.io import savemat

    columns = {"ts": events.t, "x": events.x, "y": events.y, "pol": events.p}
    savemat(path, {name: values.reshape(-1, 1) for name, values in columns.items()})


def _poker_dvs(folder: Path, splits: Splits) -> None:
    def locate(split: str, sample: Sample) -> str:
        return f"pips_{split}/{POKER_FOLDERS[sample.label]}/{sample.number + 1:02d}.npy"

    _one_file_each(folder, splits, locate, _matrix)


def _matrix(path: Path, events: Events) -> None:
    np.save(path, np.stack([events.t, events.x, events.y, events.p], axis=1).astype(np.uint64))


def _ncars(folder: Path, splits: Splits) -> None:
    def locate(split: str, sample: Sample) -> str:
        return f"n-cars_{split}/{NCARS_FOLDERS[sample.label]}/obj_{sample.number + 1:06d}_td.dat"

    _one_file_each(folder, splits, locate, _in_format("dat"))


LAYOUTS: Mapping[str, Callable[[Path, Splits], None]] = {
    "nmnist": _nmnist,
    "ncaltech101": _ncaltech101,
    "cifar10_dvs": _cifar10_dvs,
    "dvs_gesture": bundles.dvs_gesture,
    "dvs_lip": _dvs_lip,
    "asl_dvs": _asl_dvs,
    "poker_dvs": _poker_dvs,
    "ncars": _ncars,
    "dsec": drives.dsec,
    "shd": bundles.heidelberg("shd"),
    "ssc": bundles.heidelberg("ssc"),
    "ntidigits": bundles.ntidigits,
    "spoken_digits": bundles.spoken_digits,
    "braille": bundles.braille,
    "speech_commands": bundles.speech_commands,
    "mnist": bundles.idx,
    "fashion_mnist": bundles.idx,
    "cifar10": bundles.cifar10,
}
