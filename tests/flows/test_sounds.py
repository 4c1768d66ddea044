"""Spoken digits and keywords as recipes: splits by speaker, voices made anew, a file that hears recordings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets.stored.wave import read_wave, write_wave
from spikeflow.errors import DataError, FileError
from spikeflow.flows import keywords, sounds
from spikeflow.flows.data import load
from spikeflow.flows.recipe_file import Data, Hearing, Layers, Task
from spikeflow.flows.train import train
from spikeflow.ir import file
from spikeflow.sim.classify import classify
from spikeflow.train.recipe import Optimiser, Recipe
from tests.ir.test_mel_spikes import word

SPEAKERS = ("george", "jackson", "nicolas")
NUMBERS = (0, 3, 7, 20, 45, 49)
HEARING = Hearing(variants=3, warp=(0.88, 1.12), stretch=(0.9, 1.1), noise=0.1, bands=2, steps=3, mask=3)


@pytest.fixture
def fsdd(tmp_path: Path) -> Path:
    """Made-up recordings named as those of the set: a digit is a formant, a speaker a rate of reading."""
    folder = tmp_path / "fsdd"
    folder.mkdir()
    for digit in range(10):
        for at, speaker in enumerate(SPEAKERS):
            for number in NUMBERS:
                made = word(digit, 8_000, 0.3 + 0.03 * at + 0.001 * number)
                write_wave(folder / f"{digit}_{speaker}_{number}.wav", made)
    return folder


def data(folder: Path, **more: Any) -> Data:
    """Mel spikes of the made-up copy."""
    said = {"coding": "mel", "steps": 40, "dt_us": 10_000, "partial": True, "batch_size": 16, **more}
    return Data("spoken_digits", str(folder), **said)


def speakers_of(folder: Path, chosen: Data) -> dict[str, set[str]]:
    held = sounds._read(chosen)  # pyright: ignore[reportPrivateUsage]
    rows, _ = sounds.parted(chosen, held)
    assert len(np.unique(np.concatenate(list(rows.values())))) == sum(map(len, rows.values())) == 180
    return {name: {sounds.SPEAKERS[held.speakers[i]] for i in part} for name, part in rows.items()}


@pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")
def test_splits_are_by_speaker(fsdd: Path) -> None:
    for fold, (out, near) in enumerate([("george", "jackson"), ("jackson", "nicolas"), ("nicolas", "george")]):
        rest = set(SPEAKERS) - {out, near}
        assert speakers_of(fsdd, data(fsdd, fold=fold)) == {"test": {out}, "valid": {near}, "train": rest}
        whole = speakers_of(fsdd, data(fsdd, fold=fold, whole=True))
        assert whole == {"test": {out}, "valid": set(), "train": rest | {near}}
    held = sounds._read(data(fsdd))  # pyright: ignore[reportPrivateUsage]
    rows, words = sounds.parted(data(fsdd), held)
    numbers = {name: set(held.numbers[part].tolist()) for name, part in rows.items()}
    assert numbers == {"train": {7, 20}, "valid": {45, 49}, "test": {0, 3}} and "0 to 4 test" in words
    rows, _ = sounds.parted(data(fsdd, whole=True), held)
    assert set(held.numbers[rows["train"]].tolist()) == {7, 20, 45, 49} and len(rows["valid"]) == 0
    with pytest.raises(DataError, match="-1 to 2"):
        load(data(fsdd, fold=3), 0)
    with pytest.raises(DataError, match="valid"):
        load(data(fsdd, valid=0.2), 0)


@pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")
def test_what_trains_is_varied_by_seed_and_epoch_alone(fsdd: Path) -> None:
    made = [load(data(fsdd, fold=0, hearing=HEARING), seed).splits for seed in (1, 1, 2)]
    epochs = [[np.stack([b.x.numpy() for b in s.train.epoch(n)][:2]) for n in (0, 1)] for s in made]
    np.testing.assert_array_equal(epochs[0][0], epochs[1][0])
    np.testing.assert_array_equal(epochs[0][1], epochs[1][1])
    assert (epochs[0][0] != epochs[0][1]).any() and (epochs[0][0] != epochs[2][0]).any()
    assert set(np.unique(epochs[0][0])) == {0, 1}
    plain = load(data(fsdd, fold=0), 1).splits
    for split in ("valid", "test"):  # these are never varied
        for a, b in zip(getattr(made[0], split).epoch(0), getattr(plain, split).epoch(3), strict=True):
            np.testing.assert_array_equal(a.x, b.x)
    ear = sounds.ear_of(data(fsdd))
    one = next(iter(plain.test.epoch(0)))  # type: ignore[union-attr]
    wanted = ear(read_wave(fsdd / "0_george_7.wav"))
    assert any((wanted == one.x[:, i].numpy()).all() for i in range(one.x.shape[1]))


@pytest.mark.parametrize("seed", range(6))
def test_moves_and_masks_against_a_plain_loop(seed: int) -> None:
    draw = np.random.default_rng(seed)
    bands, size = int(draw.integers(4, 12)), int(draw.integers(4, 12))
    x = draw.integers(0, 2, (5, size, 2 * bands)).astype(np.uint8)
    hearing = Hearing(bands=int(draw.integers(0, 4)), steps=int(draw.integers(0, 4)))
    found = sounds.varied(x, bands, hearing, np.random.default_rng(9))
    again = np.random.default_rng(9)
    for sample, got in zip(x, found, strict=True):
        up, late = (int(again.integers(-far, far, endpoint=True)) for far in (hearing.bands, hearing.steps))
        for t in range(size):
            for b in range(bands):
                inside = 0 <= t - late < size and 0 <= b - up < bands
                for half in (0, bands):
                    assert got[t, half + b] == (sample[t - late, half + b - up] if inside else 0)
    masked = sounds.varied(np.ones_like(x), bands, Hearing(mask=3), np.random.default_rng(1))
    assert masked.sum() < x.size and set(np.unique(masked)) <= {0, 1}


@pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")
def test_a_trained_network_hears_recordings(fsdd: Path, tmp_path: Path) -> None:
    layers = Layers("two_point", (48,), batch_norm=True, batch_norm_start=0.5, neuron="TwoPointLIF",
                    parameters={"gain": 3.0}, learn=("decay",), scope="neuron", bounds={"decay": (0.0, 0.99)}, read_out_decay=0.98)  # fmt: skip
    recipe = Recipe(15, optimiser=Optimiser(rate=1e-2, clip=1.0))
    task = Task(data(fsdd, fold=0, hearing=replace(HEARING, mask=0)), layers, recipe)
    trained = train(task, tmp_path / "out")
    assert trained.same == 1 and trained.fitted.test is not None and trained.fitted.test.accuracy > 0.3
    network = file.read(trained.path)
    paths = sorted(fsdd.glob("*_george_*.wav"))
    answers = classify(network, [read_wave(path) for path in paths]).predictions()
    right = np.mean([answer == int(path.name[0]) for answer, path in zip(answers, paths, strict=True)])
    assert right == pytest.approx(trained.fitted.test.accuracy)
    whole = train(replace(task, data=replace(task.data, whole=True), training=replace(recipe, epochs=1)), tmp_path / "w")
    assert whole.fitted.valid is None and whole.fitted.test is not None and whole.fitted.best == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"coding": "frames", "whole": True}, "only sound"),
        ({"hearing": Hearing(ear={"bnds": 3})}, "bands"),
        ({"hearing": Hearing(ear={"bands": 0})}, "mel spikes: bands"),
        ({"hearing": Hearing(tilt=(-2.0, 0.0))}, "mel spikes: tilt"),
    ],
)
def test_wrong_words_are_told(fsdd: Path, more: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        load(data(fsdd, **more), 0)


@pytest.mark.parametrize(
    "wrong",
    [{"variants": 0}, {"warp": (1.0,)}, {"warp": (1.2, 0.8)}, {"stretch": (0.1, 1.0)}, {"noise": -1.0}, {"mask": -1}, {"tilt": (1.0,)}, {"tilt": (1.0, 0.0)}],
)
def test_variations_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="data.hearing"):
        Hearing(**wrong)


def test_mel_is_of_sound() -> None:
    with pytest.raises(DataError, match="no sound"):
        load(Data("nmnist", coding="mel"), 0)


def kws(folder: Path, samples: int = 60) -> Data:
    """A made-up copy of the keywords."""
    draw = np.random.default_rng(0)
    y = np.arange(samples) % 4
    x = draw.integers(-20, 20, (samples, 49, 10)) + 20 * np.eye(10, dtype=int)[y][:, None]
    (folder / "speech_commands_mfcc").mkdir()
    np.savez(folder / "speech_commands_mfcc" / keywords.FILE, mfcc_int8=x.astype(np.int8), label=y.astype(np.int16),
             classes=np.array(["A", "B", "C", "D"]))  # fmt: skip
    return Data("keywords", str(folder), "frames", 49, fold=2, batch_size=16, hearing=Hearing(steps=2, noise=0.1))


def test_keywords_in_folds(tmp_path: Path) -> None:
    every = [keywords.parted(660, fold) for fold in range(5)]
    assert sorted(np.concatenate([f["test"] for f in every])) == list(range(660))
    for fold, rows in enumerate(every):
        assert (rows["test"] % 5 == fold).all() and (len(rows["valid"]), len(rows["train"])) == (52, 476)
        assert len(np.unique(np.concatenate(list(rows.values())))) == 660
    given = kws(tmp_path)
    loaded = load(given, 0)
    assert loaded.labels == ("a", "b", "c", "d") and loaded.shape == (10,)
    x = np.concatenate([b.x.numpy() for b in replace_jitter(given)], axis=1)
    np.testing.assert_allclose(x.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std((0, 1)), 1, atol=1e-5)
    for fold in (-1, 5):
        with pytest.raises(DataError, match="0 to 4"):
            load(replace(given, fold=fold), 0)
    with pytest.raises(FileError, match="kws_mfcc"):
        load(replace(given, folder=str(tmp_path / "speech_commands_mfcc" / "none")), 0)


def replace_jitter(given: Data) -> Any:
    """What trains, unmoved."""
    return load(replace(given, hearing=Hearing()), 0).splits.train.epoch(0)


def test_keywords_are_trained_and_run(tmp_path: Path) -> None:
    task = Task(kws(tmp_path), Layers("recurrent", (24,), batch_norm=True), Recipe(8, optimiser=Optimiser(rate=1e-2)))
    trained = train(task, tmp_path / "out")
    assert trained.same == 1 and trained.fitted.test is not None and trained.fitted.test.accuracy > 0.5
    with np.load(tmp_path / "speech_commands_mfcc" / keywords.FILE) as held:
        x, y = held["mfcc_int8"][2::5].astype(np.float32), held["label"][2::5]
    answers = classify(file.read(trained.path), x).predictions()
    assert (answers == y).mean() == pytest.approx(trained.fitted.test.accuracy)
