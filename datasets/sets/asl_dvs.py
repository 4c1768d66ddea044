"""ASL-DVS: letters of the American sign language, shown to an event camera by five people."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeflow.datasets.base import Archive, Dataset, Index, Metadata
from spikeflow.datasets.sets.splits import numbered
from spikeflow.datasets.stored.layouts import classes_below, events_of, number, roots
from spikeflow.errors import FileError
from spikeflow.events import Events

EACH = 4_200  # samples of a letter, numbered from 1
TEST = 0.2
METADATA = Metadata(
    name="asl_dvs",
    title="ASL-DVS",
    kind="events",
    citation="Bi, Chadha, Abbas, Bourtsoulatze, Andreopoulos 2019, Graph-based object classification for "
    "neuromorphic vision sensing, ICCV",
    licence="not stated",
    homepage="https://github.com/PIX2NVS/NVS2Graph",
    classes=tuple("abcdefghiklmnopqrstuvwxy"),
    counts={"all": 100_800, "train": 80_640, "test": 20_160},
    split="no official one; this one draws a fifth of each letter by number, seed 0, for the test, since the "
    "literature draws 80:20 at random. Neighbouring samples are pieces of one recording, so such a test "
    "is easy",
    width=240,
    height=180,
    archives=(
        Archive(
            "ICCV2019_DVS_dataset.zip",
            "https://www.dropbox.com/sh/ibq0jsicatn7l6r/AACNrNELV56rs1YInMWUs9CAa?dl=1",
            by_hand="Dropbox packs the folder anew each time, and the link has expired at times; "
            "a mirror is the data set OpenI/ASLDVS",
        ),
    ),
    notes="24 letters: j and z are movements. tonic counts 26 letters, so that its label of k is 10, here 9. "
    "Which of the five people made a sample is not in the files. Coordinates as in the file; tonic turns "
    "y over.",
)


class ASLDVS(Dataset[Events]):
    """ASL-DVS; layout ``<letter>/<letter>_<number>.mat`` with x, y, ts, pol."""

    metadata = METADATA

    def find(self, folder: Path, split: str) -> Index | None:
        """Samples letter after letter, each in the order of its numbers."""
        names = (
            "ASLDVS",
            "ASLDVS/ICCV2019_DVS_dataset",
            "ICCV2019_DVS_dataset",
            "asl_dvs",
            "ASL-DVS",
            "extract",
        )
        for root in roots(folder, *names):
            places, labels = classes_below(root, "", METADATA.classes, ".mat")
            if places:
                return _chosen(Index(root, "original", places, labels), split)
        return None

    def read(self, place: str) -> Events:
        """Events of one sign."""
        return events_of(self.root / place, "mat", width=METADATA.width, height=METADATA.height)


def _chosen(index: Index, split: str) -> Index:
    if split == "all":
        return index
    test = np.stack([numbered(label, EACH, TEST) for label in range(len(METADATA.classes))])
    at = np.array([number(place) - 1 for place in index.places])
    for i in np.flatnonzero((at < 0) | (at >= EACH))[:1]:
        raise FileError(index.root / index.places[i], f"its number is not within 1 to {EACH}", 'split="all"')
    return index.take(np.flatnonzero(test[index.labels, at] == (split == "test")))
