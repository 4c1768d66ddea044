"""Google's Speech Commands: 35 words of a second each, by some 2,600 speakers, to be turned into spikes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeflow.datasets.base import Archive, Index, Metadata
from spikeflow.datasets.sets.audio import AudioDataset
from spikeflow.datasets.stored.layouts import listed, roots
from spikeflow.datasets.transforms.cochlea import Cochlea
from spikeflow.errors import FileError
from spikeflow.files.opened import read_text

LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
METADATA = Metadata(
    name="speech_commands",
    title="Speech Commands",
    kind="audio",
    citation="Warden 2018, Speech Commands: a dataset for limited-vocabulary speech recognition, "
    "arXiv:1804.03209",
    licence="CC BY 4.0",
    homepage="https://www.tensorflow.org/datasets/catalog/speech_commands",
    classes=(
        *(
            "backward",
            "bed",
            "bird",
            "cat",
            "dog",
            "down",
            "eight",
            "five",
            "follow",
            "forward",
            "four",
            "go",
        ),
        *("happy", "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right", "seven"),
        *("sheila", "six", "stop", "three", "tree", "two", "up", "visual", "wow", "yes", "zero"),
    ),
    counts={"train": 84_843, "validation": 9_981, "test": 11_005},
    split="official, version 0.02: validation_list.txt and testing_list.txt; no speaker is in two splits",
    archives=(
        Archive(
            "speech_commands_v0.02.tar.gz",
            "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
            2_428_923_189,
            sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            into="speech_commands_v0.02",
        ),
    ),
    notes="16 kHz, mono, at most a second; all 35 words (the task of 12 classes is another). Groups are the "
    "speakers, from the files' names. The files of _background_noise_ are left out.",
)


class SpeechCommands(AudioDataset):
    """Speech Commands 0.02; layout ``<word>/<speaker>_nohash_<number>.wav`` with the two lists, as torchaudio
    leaves it.
    """

    metadata = METADATA
    rate_hz = 16_000
    ear = Cochlea()

    def find(self, folder: Path, split: str) -> Index | None:
        """Recordings word after word, each in the order of names."""
        inner = ("speech_commands_v0.02", "SpeechCommands/speech_commands_v0.02", "speech_commands")
        for root in roots(folder, *inner, "SpeechCommands", "speech_commands/speech_commands_v0.02"):
            if any((root / name).is_file() for name in LISTS.values()):
                return _index(root, split)
        return None


def _index(root: Path, split: str) -> Index | None:
    listed_in = {part: _list(root / name) for part, name in LISTS.items()}
    apart = frozenset().union(*listed_in.values())
    places: list[str] = []
    labels: list[int] = []
    for label, word in enumerate(METADATA.classes):
        found = [f"{word}/{name}" for name in listed(root / word, ".wav")]
        if split == "train":
            found = [path for path in found if path not in apart]
        else:
            found = [path for path in found if path in listed_in[split]]
        places += found
        labels += [label] * len(found)
    speakers = np.array([_speaker(root, path) for path in places], np.int64)
    files = tuple(LISTS.values())
    return (
        Index(root, "original", places, np.array(labels, np.int64), speakers, files=files) if places else None
    )


def _list(path: Path) -> frozenset[str]:
    try:
        return frozenset(read_text(path).split())
    except FileError as error:
        raise FileError(path, f"the list of a split cannot be read ({error})", "the whole archive") from None


def _speaker(root: Path, path: str) -> int:
    """The number that stands for a speaker in hexadecimal."""
    try:
        return int(path.rsplit("/", 1)[-1].split("_nohash_")[0], 16)
    except ValueError:
        raise FileError(root / path, "its name does not begin with a speaker's number") from None
