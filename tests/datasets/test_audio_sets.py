"""Spoken digits and Speech Commands: names, lists, splits, speakers; sound and its spikes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets.sets.speech_commands import METADATA, SpeechCommands
from spikeflow.datasets.sets.spoken_digits import SPEAKERS, SpokenDigits
from spikeflow.datasets.stored.wave import Sound, write_wave
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")


def tone(rate: int, hz: float = 440.0, seconds: float = 0.2) -> Sound:
    samples = 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)
    return Sound((np.rint(samples * 32768) / 32768).astype(np.float32), rate)


@dataclass(frozen=True)
class Loud:
    """An encoder with a spike where a sample is above one half of the greatest."""

    def __call__(self, samples: np.ndarray, rate_hz: int) -> Events:
        t = np.flatnonzero(samples > 0.25) * 1_000_000 // rate_hz
        return Events(t, np.zeros_like(t), np.zeros_like(t), np.ones_like(t), 1, 1)


def digits(folder: Path, names: list[str], rate: int = 8_000) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write_wave(folder / name, tone(rate))


@pytest.mark.parametrize(
    "below", ["", "recordings", "fsdd/recordings", "free-spoken-digit-dataset-master/recordings"]
)
def test_spoken_digits(tmp_path: Path, below: str) -> None:
    names = ["3_theo_4.wav", "3_theo_5.wav", "0_lucas_10.wav", "0_lucas_9.wav", "readme.wav"]
    digits(tmp_path / "top" / below, names)
    train = SpokenDigits(tmp_path / "top", partial=True, encoder=Loud())
    test = SpokenDigits(tmp_path / "top", "test", partial=True)
    assert [str(p).rsplit("/", 1)[-1] for p in train.index.places] == [
        "0_lucas_9.wav",
        "0_lucas_10.wav",
        "3_theo_5.wav",
    ]
    assert list(train.labels) == [0, 0, 3] and list(test.labels) == [3]
    assert train.groups is not None and [SPEAKERS[g] for g in train.groups] == ["lucas", "lucas", "theo"]
    sound = train.audio(0)
    np.testing.assert_array_equal(sound.samples, tone(8_000).samples)
    assert train[0][0].sha256 == Loud()(*sound).sha256


def test_default_ear_hears_the_tone(tmp_path: Path) -> None:
    digits(tmp_path, ["3_theo_5.wav"])
    events, _ = SpokenDigits(tmp_path, partial=True)[0]
    ear = SpokenDigits.ear
    loudest = np.bincount(events.x, minlength=ear.channels).argmax()
    assert len(events) and events.width == ear.channels
    assert abs(np.log2(ear.centres_hz[loudest] / 440)) < 0.5
    assert (
        ear.high_hz < SpokenDigits.rate_hz / 2
    )  # no channel of it listens where the recording holds nothing


def test_waves_are_cut_and_filled(tmp_path: Path) -> None:
    digits(tmp_path, ["3_theo_5.wav"])
    spoken = SpokenDigits(tmp_path, partial=True)
    for length in (100, 5000):
        x, y = spoken.waves(length)
        assert x.shape == (1, length) and list(y) == [3]
        np.testing.assert_array_equal(x[0, :1600], tone(8_000).samples[:length])
        assert not x[0, 1600:].any()


def test_spoken_digits_refused(tmp_path: Path) -> None:
    digits(tmp_path, ["3_theo_5.wav"], rate=16_000)
    with pytest.raises(DataError, match="16000 Hz"):
        SpokenDigits(tmp_path, partial=True)[0]
    digits(tmp_path, ["3_nobody_5.wav"])
    with pytest.raises(FileError, match="nobody"):
        SpokenDigits(tmp_path, partial=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="holds nothing"):
        SpokenDigits(tmp_path / "empty", partial=True)


def commands(folder: Path) -> None:
    names = [
        "yes/0000000a_nohash_0.wav",
        "yes/0000000b_nohash_1.wav",
        "no/0000000a_nohash_0.wav",
        "cat/ffffffff_nohash_0.wav",
    ]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_wave(folder / name, tone(16_000))
    (folder / "_background_noise_").mkdir()
    write_wave(folder / "_background_noise_" / "tap.wav", tone(16_000))
    (folder / "validation_list.txt").write_text("yes/0000000b_nohash_1.wav\n")
    (folder / "testing_list.txt").write_text("cat/ffffffff_nohash_0.wav\n")


@pytest.mark.parametrize(
    "below", ["", "SpeechCommands/speech_commands_v0.02", "speech_commands/speech_commands_v0.02"]
)
def test_speech_commands(tmp_path: Path, below: str) -> None:
    commands(tmp_path / "top" / below)
    train = SpeechCommands(tmp_path / "top", partial=True, encoder=Loud())
    assert [METADATA.classes[label] for label in train.labels] == ["no", "yes"]
    assert train.groups is not None and list(train.groups) == [10, 10]
    fit, held = train.validation()
    assert list(held.index.places) == ["yes/0000000b_nohash_1.wav"] and held.encoder == Loud()  # type: ignore[attr-defined]
    assert not set(fit.index.places) & set(held.index.places)
    test = SpeechCommands(tmp_path / "top", "test", partial=True)
    assert test.groups is not None and list(test.groups) == [0xFFFFFFFF]
    assert {"testing_list.txt", "validation_list.txt"} < set(test.files())


def test_speech_commands_refused(tmp_path: Path) -> None:
    commands(tmp_path)
    (tmp_path / "validation_list.txt").unlink()
    with pytest.raises(FileError, match=r"validation_list\.txt"):
        SpeechCommands(tmp_path, partial=True)
    (tmp_path / "validation_list.txt").write_text("")
    (tmp_path / "no" / "someone_0.wav").write_bytes(b"")
    with pytest.raises(FileError, match="speaker's number"):
        SpeechCommands(tmp_path, partial=True)


def test_counts_of_the_cards() -> None:
    assert SpokenDigits.metadata.counts == {"train": 2_700, "test": 300}
    assert METADATA.counts == {"train": 84_843, "validation": 9_981, "test": 11_005}
    assert (
        sum(METADATA.counts.values()) == 105_829
        and len(METADATA.classes) == 35
        and list(METADATA.classes) == sorted(METADATA.classes)
    )
