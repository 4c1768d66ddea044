"""FSDD, the Free Spoken Digit Dataset: digits in English, by six speakers, to be turned into spikes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from spikeflow.datasets.base import Archive, Index, Metadata
from spikeflow.datasets.sets.audio import AudioDataset
from spikeflow.datasets.stored.layouts import listed, roots
from spikeflow.datasets.transforms.cochlea import Cochlea
from spikeflow.errors import FileError

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TEST = 5  # recordings 0 to 4 of each digit and speaker are the test set
EACH = 50
METADATA = Metadata(
    name="spoken_digits",
    title="Free Spoken Digit Dataset",
    kind="audio",
    citation="Jackson, Souza, Flaks, Pan, Nicolas, Thite 2018, Jakobovski/free-spoken-digit-dataset: v1.0.8, "
    "Zenodo, 10.5281/zenodo.1342401",
    licence="CC BY-SA 4.0",
    homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
    classes=("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    counts={"train": 10 * len(SPEAKERS) * (EACH - TEST), "test": 10 * len(SPEAKERS) * TEST},
    split="official: recordings 0 to 4 of each digit and speaker are the test; its speakers are those of the "
    "training set. validation() holds out whole speakers, which is harder than that test",
    archives=(
        Archive(
            "free-spoken-digit-dataset-master.zip",
            "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/heads/master.zip",
        ),
    ),
    notes="8 kHz, mono, 0.15 to 2.3 s. Since version 1.0.9 there are six speakers, before that fewer. "
    "Groups are the speakers.",
)


class SpokenDigits(AudioDataset):
    """Free Spoken Digit Dataset; layout ``recordings/<digit>_<speaker>_<number>.wav``."""

    metadata = METADATA
    rate_hz = 8_000
    ear = Cochlea(high_hz=3_800)

    def find(self, folder: Path, split: str) -> Index | None:
        """Recordings digit after digit, speaker after speaker, each in the order of its numbers."""
        names = ("fsdd", "FSDD", "free-spoken-digit-dataset", "spoken_digits", "recordings")
        pattern = "free-spoken-digit-dataset-*"  # as GitHub names what it packs
        tagged = [
            str(d.relative_to(folder))
            for at in ("", "spoken_digits/")
            for d in sorted(folder.glob(at + pattern))
        ]
        for root in roots(folder, *names, *tagged):
            for below in ("recordings/", ""):
                found = [_parsed(below, name) for name in listed(root / below, ".wav")]
                chosen = [place for place in found if place and (place[3] < TEST) == (split == "test")]
                if chosen:
                    return _index(root, chosen)
        return None


def _parsed(below: str, name: str) -> tuple[str, int, int, int] | None:
    """Path, digit, speaker and number; None for sounds of another naming."""
    match = re.fullmatch(r"([0-9])_([a-z]+)_([0-9]{1,3})\.wav", name)
    if match is None:
        return None
    if match[2] not in SPEAKERS:
        raise FileError(f"{below}{name}", f"the speaker {match[2]!r} is none of {', '.join(SPEAKERS)}")
    return f"{below}{name}", int(match[1]), SPEAKERS.index(match[2]), int(match[3])


def _index(root: Path, chosen: list[tuple[str, int, int, int]]) -> Index:
    chosen.sort(key=lambda place: place[1:])
    paths, digits, speakers, _ = zip(*chosen, strict=True)
    return Index(root, "original", list(paths), np.array(digits), np.array(speakers))
