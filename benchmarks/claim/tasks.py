"""The two tasks of the two-point claim: spikes of every sample, its class, and in which fold it trains, selects, tests."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikeflow.datasets import Braille, SpokenDigits
from spikeflow.datasets.sets.braille import taxel_events
from spikeflow.datasets.transforms import Frames
from spikeflow.files.write import replace_file
from spikeflow.ir.mel_spikes import MelSpikes
from spikeflow.sound import Sound
from spikeflow.train.batches import Arrays, Batch
from spikeflow.typing import Array

EAR = MelSpikes(bands=40, steps=50, step_us=10_000, onset=0.0)
Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True, eq=False)
class Task:
    """Samples with what a fold needs to know of them.

    Parameters
    ----------
    x : spikes ``(N, T, 2, bands)``, uint8, in a drawn order.
    y : classes.
    part : of each sample, by the names in `parts`: its speaker, or the split that it always belongs to.
    epochs, batch_size, shift : of training; `shift` is by how many bands a sample moves at most.
    """

    name: str
    x: Array
    y: Array
    part: Array
    parts: tuple[str, ...]
    epochs: int
    batch_size: int
    shift: int = 0

    @property
    def folds(self) -> tuple[str, ...]:
        """Test speakers, or the one fold of a task with splits."""
        return self.parts if self.name == "digits" else ("test",)

    @property
    def classes(self) -> int:
        return int(self.y.max()) + 1

    @property
    def inputs(self) -> int:
        return int(np.prod(self.x.shape[2:]))

    @cached_property
    def digest(self) -> str:
        """Of the samples, their classes and parts: two runs with the same one saw the same data."""
        seen = hashlib.sha256()
        for array in (self.x, self.y, self.part):
            seen.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return seen.hexdigest()[:16]

    def rows(self, fold: str) -> dict[str, Array]:
        """Numbers of the samples that train, select and test in a fold.

        The speaker who selects follows the test speaker in the alphabet, the first after the last.
        """
        names = np.array(self.parts)[self.part]
        if self.name != "digits":
            return {split: np.flatnonzero(names == split) for split in ("train", "valid", "test")}
        valid = self.parts[(self.parts.index(fold) + 1) % len(self.parts)]
        test = names == fold
        return {
            "train": np.flatnonzero(~test & (names != valid)),
            "valid": np.flatnonzero(names == valid),
            "test": np.flatnonzero(test),
        }


class Shifted:
    """Batches of a split; while training each sample moves up or down by a few bands, drawn from seed and epoch."""

    def __init__(self, task: Task, rows: Array, seed: int, train: bool) -> None:
        x = task.x[rows].astype(np.float32)
        self.arrays = Arrays(x, task.y[rows], batch_size=task.batch_size, seed=seed, shuffle=train)
        self.shift, self.seed, self.labels = task.shift if train else 0, seed, task.y[rows]

    def __len__(self) -> int:
        return len(self.arrays)

    def epoch(self, number: int) -> Iterator[Batch]:
        """All batches of an epoch; moments are flat, ON and OFF bands side by side."""
        drawn = np.random.Generator(np.random.PCG64([self.seed, number, 1]))
        for batch in self.arrays.epoch(number):
            moves = drawn.integers(-self.shift, self.shift + 1, batch.x.shape[1])
            yield Batch(shifted(batch.x, moves).flatten(2), batch.labels, batch.mask)


def shifted(x: torch.Tensor, moves: Array) -> torch.Tensor:
    """Samples ``(T, B, 2, bands)``, each moved up by so many bands; what comes in is silent."""
    bands = x.shape[3]
    source = torch.arange(bands)[None] - torch.from_numpy(moves)[:, None]
    index = source.clamp(0, bands - 1).expand(x.shape[0], x.shape[2], *source.shape).transpose(1, 2)
    inside = (source >= 0) & (source < bands)
    return x.gather(3, index) * inside[None, :, None]


def _drawn(name: str, x: Array, y: Array, part: Array, parts: tuple[str, ...], **training: int) -> Task:
    # in a drawn order, so that neighbours in a batch have nothing to do with each other
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(y))
    return Task(name, x[order], y[order], part[order], parts, **training)


def heard(sound: Sound) -> Array:
    """ON and OFF spikes of 40 bands, ``(50, 2, 40)``."""
    return EAR(sound).reshape(EAR.steps, 2, EAR.bands).astype(np.uint8)


def spoken_digits(folder: Path, mapped: Map = map) -> Task:
    """FSDD, all recordings of its speakers: 50 steps of 10 ms of ON and OFF spikes of 40 log-mel bands."""
    sounds, y, speakers = list[Sound](), list[int](), list[str]()
    for split in ("train", "test"):
        recordings = SpokenDigits(folder, split, partial=True)
        sounds += [recordings.audio(i) for i in range(len(recordings))]
        y += recordings.labels.tolist()
        speakers += [Path(recordings.locate(i)).stem.split("_")[1] for i in range(len(recordings))]
    parts, part = np.unique(speakers, return_inverse=True)
    x = np.stack(list(mapped(heard, sounds)))
    return _drawn("digits", x, np.array(y), part, tuple(map(str, parts)), epochs=10, batch_size=64, shift=3)


def braille(folder: Path, mapped: Map = map) -> Task:
    """Braille letters by touch: rises and falls of 12 sensors, 25 ms a step; repetitions 0-24, 25-27 and 28-34."""
    root = Braille(folder, "train", partial=True).root
    with np.load(root / "braille_taxels.npz") as held:
        taxels, length, y, repetition = (held[n] for n in ("taxels", "length", "label", "repetition"))
    frames = Frames(dt_us=25_000, steps=77, start="zero", clip=True)
    trials = np.split(taxels, np.cumsum(length)[:-1])
    # nothing changes in the first step; channels are (off and on, 1, 12)
    x = np.stack([frames(taxel_events(trial))[1:, :, 0] for trial in trials]).astype(np.uint8)
    part = np.digitize(repetition, [25, 28])
    parts = ("train", "valid", "test")
    return _drawn("braille", x, y.astype(np.int64), part, parts, epochs=30, batch_size=32)


TASKS = {"digits": spoken_digits, "braille": braille}
ARRAYS = ("x", "y", "part")


def prepared(name: str, folder: Path, cache: Path, mapped: Map = map) -> Task:
    """A task, read from its cache where it was encoded before; `mapped` encodes sample by sample."""
    path = cache / f"{name}.npz"
    if not path.exists():
        task = TASKS[name](folder, mapped)
        plain = {key: value for key, value in vars(task).items() if key not in ARRAYS}
        held = io.BytesIO()
        np.savez_compressed(held, told=json.dumps(plain), **{key: getattr(task, key) for key in ARRAYS})
        cache.mkdir(parents=True, exist_ok=True)
        replace_file(path, (held.getvalue(),))
    with np.load(path) as arrays:
        told = json.loads(str(arrays["told"]))
        told["parts"] = tuple(told["parts"])
        return Task(**told, **{key: arrays[key] for key in ARRAYS})
