"""Recordings in a file or a folder, made into samples by the step with which a network begins.

A recording is one sample; those of a folder are taken in the order of their names. Where a folder holds
folders instead, each named as a label of the network or its number, their recordings have these labels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spikeflow.errors import FileError
from spikeflow.ir.answer import VALUE
from spikeflow.ir.preprocessing import First, MelSpikes
from spikeflow.ir.record import Network
from spikeflow.ir.show import one_line
from spikeflow.samples import Samples
from spikeflow.sim.joined import made

if TYPE_CHECKING:
    from spikeflow.events import Events
    from spikeflow.sim.evaluation import Evaluation
    from spikeflow.sound import Sound

WAVES = (".wav", ".wave")
SHOWN = 40  # answers that are printed


def holds_arrays(path: Path) -> bool:
    """Whether this is what a network takes as it is."""
    return path.suffix in (".npz", ".npy") or (path.is_dir() and any(path.glob("*.npy")))


def read(network: Network, step: First, path: Path) -> Samples:
    """The recordings, after the first step.

    Raises
    ------
    FileError
        Where there is none, one cannot be read, or a folder is named as no label.
    DataError
        Where one does not fit the step; it is named.
    """
    sound = isinstance(step, MelSpikes)
    told: list[str] = []
    found = _found(network, path, sound, told)
    read_one = _sound if sound else _events
    items = (
        read_one(network, file) if label < 0 else (read_one(network, file), label) for file, label in found
    )
    samples = made(items, step, [file for file, _ in found])
    return replace(samples, warnings=(*told, *samples.warnings))


def answered(network: Network, samples: Samples, evaluation: Evaluation) -> dict[str, str]:
    """The class that each recording was answered with, by its path; empty for samples without names and for
    answers that are no single class.
    """
    name = evaluation.chosen
    if not samples.names or not name or evaluation.kind(name, evaluation.y) == VALUE:
        return {}
    found, labels = evaluation.predictions(), network.record.labels
    if found.ndim != 1:
        return {}
    words = [labels[k] if k < len(labels) else str(k) for k in found.tolist()]
    return dict(zip(samples.names, words, strict=True))


def listed(answers: dict[str, str]) -> list[str]:
    """Answers of recordings as lines."""
    lines = [f"{one_line(name)}: {one_line(word)}" for name, word in list(answers.items())[:SHOWN]]
    more = len(answers) - SHOWN
    return [*lines, f"... and {more} more: --json tells all"] if more > 0 else lines


def _found(network: Network, path: Path, sound: bool, told: list[str]) -> list[tuple[Path, int]]:
    """Files with their labels, -1 where not known."""
    if not path.is_dir():
        return [(path, -1)]
    files = [(file, -1) for file in _files(path, sound, told)]
    folders = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    if files or not folders:
        if not files:
            raise FileError(path, "holds no recordings", f"a folder of {'.wav' if sound else 'event'} files")
        return files
    labels = network.record.labels
    for folder in folders:
        known = folder.name in labels or (folder.name.isdecimal() and int(folder.name) < len(labels))
        if not known:
            wanted = f"folders named {', '.join(labels[:12])}, or recordings" if labels else "recordings"
            raise FileError(folder, "is a folder named as no label of the network", wanted)
        label = labels.index(folder.name) if folder.name in labels else int(folder.name)
        files += [(file, label) for file in _files(folder, sound, told)]
    if not files:
        raise FileError(path, "holds no recordings in its folders")
    return files


def _files(folder: Path, sound: bool, told: list[str]) -> list[Path]:
    """The recordings of a folder; beside sounds other files may lie, which are told."""
    found = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    if not sound:
        return found
    waves = [p for p in found if p.suffix.lower() in WAVES]
    if left := [p.name for p in found if p not in waves]:
        told.append(f"{folder}: {len(left)} other files than .wav are left out, such as {left[0]}")
    return waves


def _sound(network: Network, path: Path) -> Sound:
    from spikeflow.datasets.stored.wave import read_wave

    return read_wave(path)


def _events(network: Network, path: Path) -> Events:
    """Events of a file; the sensor that a format has no place for is the one that the network looks at."""
    from spikeflow.datasets import read as read_events

    events = read_events(path)
    shape = network.record.input_shape or network.graph.shapes[network.graph.inputs[0]]
    if events.width is None and len(shape) == 3:
        return replace(events, width=shape[2], height=shape[1])
    return events
