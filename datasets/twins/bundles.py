"""Twins of sets that keep many samples in one file, or tell their labels and splits in tables beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from spikeflow.datasets.read import write as write_events
from spikeflow.datasets.sets.catalog import metadata
from spikeflow.datasets.sets.heidelberg import FILE_SPLITS
from spikeflow.datasets.sets.mnist import FILES
from spikeflow.datasets.sets.ntidigits import DIGITS, FILE
from spikeflow.datasets.sets.speech_commands import LISTS
from spikeflow.datasets.sets.spoken_digits import EACH, SPEAKERS, TEST
from spikeflow.datasets.stored.idx import write_idx
from spikeflow.datasets.stored.wave import write_wave
from spikeflow.datasets.twins.sample import Sample, Splits
from spikeflow.errors import DataError
from spikeflow.events import Events

PAUSE_US = 100_000  # between two gestures of a recording


def dvs_gesture(folder: Path, splits: Splits) -> None:
    """One recording a user, with its table of stretches; the list of each split."""
    for split, samples in splits.items():
        users: dict[int, list[Sample]] = {}
        for sample in samples:
            users.setdefault(sample.group, []).append(sample)
        names = [f"user{user + 1:02d}_fluorescent" for user in users]
        for name, gestures in zip(names, users.values(), strict=True):
            _trial(folder / name, gestures)
        (folder / f"trials_to_{split}.txt").write_text("".join(f"{name}.aedat\n" for name in names))


def _trial(stem: Path, gestures: list[Sample]) -> None:
    rows, columns, start = ["class,startTime_usec,endTime_usec"], [], PAUSE_US
    for sample in gestures:
        events: Events = sample.content
        stop = start + int(events.t[-1]) + 1
        rows.append(f"{sample.label + 1},{start},{stop}")
        columns.append((events.t + start, events.x, events.y, events.p))
        start = stop + PAUSE_US
    t, x, y, p = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    shape = gestures[0].content
    write_events(stem.with_suffix(".aedat"), Events(t, x, y, p, shape.width, shape.height), "aedat3")
    Path(f"{stem}_labels.csv").write_text("\n".join(rows) + "\n")


def heidelberg(name: str) -> Callable[[Path, Splits], None]:
    """What writes SHD or SSC: times in seconds as 16-bit floats, units, labels, speakers, names of
    classes.
    """

    def write(folder: Path, splits: Splits) -> None:
        for split, samples in splits.items():
            held = list(samples)
            with h5py.File(folder / f"{name}_{FILE_SPLITS[split]}.h5", "w") as file:
                times = file.create_dataset("spikes/times", (len(held),), h5py.vlen_dtype(np.float16))
                units = file.create_dataset("spikes/units", (len(held),), h5py.vlen_dtype(np.uint16))
                for row, sample in enumerate(held):
                    times[row] = (sample.content.t / 1e6).astype(np.float16)
                    units[row] = sample.content.x
                file["labels"] = np.array([sample.label for sample in held], np.uint16)
                file["extra/speaker"] = np.array([sample.group for sample in held], np.uint16)
                file["extra/keys"] = [word.encode() for word in metadata(name).classes]

    return write


def ntidigits(folder: Path, splits: Splits) -> None:
    """One file for both splits: of each utterance times in seconds and addresses."""
    with h5py.File(folder / FILE, "w") as file:
        for split, samples in splits.items():
            names = []
            for sample in samples:
                who, take = f"man-{sample.group:03d}", chr(ord("a") + sample.number // 111)
                names.append(f"{who}-{take}-{DIGITS[sample.label]}")
                file[f"{split}_timestamps/{names[-1]}"] = sample.content.t / 1e6
                file[f"{split}_addresses/{names[-1]}"] = sample.content.x
            file[f"{split}_labels"] = [name.encode() for name in names]


def spoken_digits(folder: Path, splits: Splits) -> None:
    """``recordings/<digit>_<speaker>_<number>.wav``; numbers below 5 are the test set."""
    (folder / "recordings").mkdir()
    for split, samples in splits.items():
        first, stop = (0, TEST) if split == "test" else (TEST, EACH)
        for sample in samples:
            number = first + sample.number // len(SPEAKERS)
            if number >= stop:
                most = (stop - first) * len(SPEAKERS)
                raise DataError(f"twin: samples of a digit, {split}", sample.number + 1, f"at most {most}")
            name = f"{sample.label}_{SPEAKERS[sample.group]}_{number}.wav"
            write_wave(folder / "recordings" / name, sample.content)


def speech_commands(folder: Path, splits: Splits) -> None:
    """``<word>/<speaker>_nohash_<number>.wav``, and the lists of two splits."""
    for split, samples in splits.items():
        seen: dict[tuple[int, int], int] = {}
        paths = []
        for sample in samples:
            take = seen[key] = seen.get(key := (sample.label, sample.group), -1) + 1
            word = metadata("speech_commands").classes[sample.label]
            paths.append(f"{word}/{sample.group:08x}_nohash_{take}.wav")
            (folder / word).mkdir(exist_ok=True)
            write_wave(folder / paths[-1], sample.content)
        if split in LISTS:
            (folder / LISTS[split]).write_text("".join(f"{path}\n" for path in paths))


def braille(folder: Path, splits: Splits) -> None:
    """``braille_taxels.npz``; every fifth repetition is of the test set."""
    trials = []
    for split, samples in splits.items():
        for sample in samples:
            k = sample.number
            repetition = 5 * k + 4 if split == "test" else 5 * (k // 4) + k % 4
            trials.append((sample.label, repetition, sample.content))
    trials.sort(key=lambda trial: trial[:2])
    np.savez_compressed(
        folder / "braille_taxels.npz",
        taxels=np.concatenate([values for _, _, values in trials]),
        length=np.array([len(values) for _, _, values in trials], np.int32),
        label=np.array([label for label, _, _ in trials], np.int16),
        repetition=np.array([repetition for _, repetition, _ in trials], np.int16),
        letters=np.array(metadata("braille").classes),
    )


def idx(folder: Path, splits: Splits) -> None:
    """The four files of MNIST or Fashion-MNIST."""
    for split, samples in splits.items():
        held = list(samples)
        images, labels = FILES[split]
        write_idx(folder / f"{images}.gz", np.stack([sample.content for sample in held]))
        write_idx(folder / f"{labels}.gz", np.array([sample.label for sample in held], np.uint8))


def cifar10(folder: Path, splits: Splits) -> None:
    """The binary version, with one batch for each split."""
    for split, samples in splits.items():
        name = "test_batch.bin" if split == "test" else "data_batch_1.bin"
        planes = ((sample.label, sample.content.transpose(2, 0, 1)) for sample in samples)
        (folder / name).write_bytes(b"".join(bytes((label,)) + plane.tobytes() for label, plane in planes))
