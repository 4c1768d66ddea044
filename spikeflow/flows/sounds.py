"""Sound for a recipe: spikes of mel bands, splits by speaker, and voices made out of those that there are."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np

from spikeflow.datasets.sets import catalog
from spikeflow.datasets.sets.spoken_digits import SPEAKERS, SpokenDigits
from spikeflow.datasets.stored.layouts import number
from spikeflow.errors import DataError
from spikeflow.flows.loaded import Loaded
from spikeflow.flows.recipe_file import Data, Hearing
from spikeflow.ir.preprocessing import MelSpikes
from spikeflow.sound import Sound
from spikeflow.train.batches import Arrays, Coding, Splits
from spikeflow.typing import Array

SET = "spoken_digits"
LAST = 45  # numbers from here on select, in the official split
GRAIN = 25  # warps and stretches are whole multiples of 1 / GRAIN: 0.04


class Recordings(NamedTuple):
    """All recordings of a set, whatever their official split."""

    sounds: list[Sound]
    digits: Array
    speakers: Array
    numbers: Array
    facts: dict[str, Any]


def load(data: Data, seed: int) -> Loaded:
    """The splits of spoken digits, as spikes; the order of batches and all variation follow from the seed.

    Raises
    ------
    DataError, FileError
        For another set, a fold or a field of the ear that there is not; as the data set does.
    """
    if data.set != SET:
        raise DataError("recipe: data.coding", data.coding, f"{SET}: {data.set} is no sound", "frames")
    ear = ear_of(data)
    for more in data.hearing.tilt:
        replace(ear, tilt=ear.tilt + more)  # refused before anything is read
    held = _read(data)
    chosen, words = parted(data, held)
    if data.limit:
        chosen = {name: _spread(rows, data.limit) for name, rows in chosen.items()}
    facts = {**held.facts, **{name: len(rows) for name, rows in chosen.items()}, "selection": words}
    x = {name: _heard(ear, held, rows) for name, rows in chosen.items()}
    voices = Voices(data, ear, held, chosen["train"], seed)
    others = [
        Arrays(x[name], held.digits[chosen[name]], Coding(), data.batch_size, seed, shuffle=False)
        if len(chosen[name])
        else None
        for name in ("valid", "test")
    ]
    classes = SpokenDigits.metadata.classes
    splits = Splits(voices, *others)
    return Loaded(splits, ear.shape, classes, "spikes", "spikes", data.steps, (ear,), {"data": facts})


def ear_of(data: Data) -> MelSpikes:
    """The step of preprocessing of a recipe."""
    known = sorted({f.name for f in fields(MelSpikes)} - {"steps", "step_us"})
    if unknown := set(data.hearing.ear) - set(known):
        raise DataError("recipe: data.hearing.ear", sorted(unknown)[0], ", ".join(known))
    return MelSpikes(**{**data.hearing.ear, "steps": data.steps, "step_us": data.dt_us})


def _read(data: Data) -> Recordings:
    sounds: list[Sound] = []
    columns: list[list[int]] = []
    for split in ("train", "test"):
        part = catalog.load(SET, data.folder or None, split, data.partial)
        assert isinstance(part, SpokenDigits) and part.groups is not None
        sounds += [part.audio(i) for i in range(len(part))]
        columns += [
            [int(label), int(group), number(part.locate(i))]
            for i, (label, group) in enumerate(zip(part.labels, part.groups, strict=True))
        ]
    table = np.array(columns)
    facts = {"dataset": SET, "recordings": len(sounds)}
    return Recordings(sounds, table[:, 0], table[:, 1], table[:, 2], facts)


def parted(data: Data, held: Recordings) -> tuple[dict[str, Array], str]:
    """Rows that train, select and test, and the rule in words; see `flows.splits`."""
    if data.valid:
        raise DataError("recipe: data.valid", data.valid, f"0: the split of {SET} is laid down")
    speakers = np.unique(held.speakers)
    if data.fold >= len(speakers):
        raise DataError("recipe: data.fold", data.fold, f"-1 to {len(speakers) - 1}, one a speaker")
    if data.fold < 0:
        test, select = held.numbers < 5, held.numbers >= LAST
        words = "official: numbers 0 to 4 test, 45 to 49 select"
    else:
        out, near = speakers[data.fold], speakers[(data.fold + 1) % len(speakers)]
        test, select = held.speakers == out, held.speakers == near
        words = f"{SPEAKERS[out]} tests, {SPEAKERS[near]} selects"
    if data.whole:
        words, select = f"{words.split(',')[0]}, all others train", np.zeros_like(test)
    rows = {"train": ~(test | select), "valid": select, "test": test}
    return {name: np.flatnonzero(chosen) for name, chosen in rows.items()}, words


def _spread(rows: Array, limit: int) -> Array:
    return rows[np.linspace(0, len(rows) - 1, min(limit, len(rows))).astype(int)]


def _heard(ear: MelSpikes, held: Recordings, rows: Array) -> Array:
    return np.stack([ear(held.sounds[i]) for i in rows]) if len(rows) else np.zeros((0, *ear.shape))


class Voices(Arrays):
    """The split that trains: each epoch draws one variant of each recording, moves and masks it.

    Variants are made once, as `Hearing` says; seed and epoch alone decide what is drawn.
    """

    def __init__(self, data: Data, ear: MelSpikes, held: Recordings, rows: Array, seed: int) -> None:
        self.hearing, self.bands = data.hearing, ear.bands
        draw = np.random.Generator(np.random.PCG64([seed, 2]))
        self.voices = np.stack(
            [
                np.stack([_variant(ear, held.sounds[i], data.hearing, draw, plain=k == 0) for i in rows])
                for k in range(data.hearing.variants)
            ]
        ).astype(np.uint8)
        super().__init__(self.voices[0], held.digits[rows], Coding(), data.batch_size, seed)

    def _samples(self, chosen: Array, draw: int, changes: Array | None) -> Array:
        # the epoch, told by `draw`, and its first sample tell a batch
        numbers = np.random.Generator(np.random.PCG64([self.seed, draw, int(chosen[0]), 3]))
        x = self.voices[numbers.integers(0, len(self.voices), len(chosen)), chosen]
        return varied(x, self.bands, self.hearing, numbers)


def _variant(ear: MelSpikes, sound: Sound, hearing: Hearing, draw: np.random.Generator, plain: bool) -> Array:
    if plain:
        return ear(sound)
    warp, stretch = (
        np.rint(draw.uniform(low, high) * GRAIN) / GRAIN for low, high in (hearing.warp, hearing.stretch)
    )
    hop = 1_000_000 // np.gcd(ear.rate_hz, 1_000_000)  # a step is a whole number of samples
    step_us = int(max(hop, np.rint(ear.step_us * stretch / hop) * hop))
    samples = sound.samples.astype(np.float64)
    loud = np.sqrt(np.mean(samples**2)) * hearing.noise * draw.random()
    samples = np.clip(samples + loud * draw.standard_normal(len(samples)), -1, 1)
    made = replace(ear, warp=float(warp), step_us=step_us, tilt=ear.tilt + _tilt(hearing, draw))
    return made(Sound(samples, sound.rate_hz))


def _tilt(hearing: Hearing, draw: np.random.Generator) -> float:
    low, high = hearing.tilt
    return float(np.rint(draw.uniform(low, high) * GRAIN) / GRAIN) if low or high else 0.0


def varied(x: Array, bands: int, hearing: Hearing, draw: np.random.Generator) -> Array:
    """Spikes ``(B, T, 2 bands)`` moved and masked, float32."""
    parts = x.reshape(*x.shape[:2], 2, bands)
    out = np.zeros(parts.shape, np.float32)
    size = x.shape[1]
    for sample, into in zip(parts, out, strict=True):
        up, late = (int(draw.integers(-far, far, endpoint=True)) for far in (hearing.bands, hearing.steps))
        into[max(late, 0) : size + min(late, 0), :, max(up, 0) : bands + min(up, 0)] = sample[
            max(-late, 0) : size - max(late, 0), :, max(-up, 0) : bands - max(up, 0)
        ]
        for _ in range(2 if hearing.mask else 0):
            first, width = _mask(bands, hearing.mask, draw)
            into[:, :, first : first + width] = 0
        if hearing.mask:
            first, width = _mask(size, hearing.mask, draw)
            into[first : first + width] = 0
    return out.reshape(x.shape)


def _mask(size: int, most: int, draw: np.random.Generator) -> tuple[int, int]:
    width = int(draw.integers(0, min(most, size - 1), endpoint=True))
    return int(draw.integers(0, size - width)), width
