"""CIFAR10-DVS: a tenth of CIFAR-10, moved before an event camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeflow.datasets.base import Archive, Dataset, Index, Metadata
from spikeflow.datasets.stored.layouts import classes_below, events_of, number, roots
from spikeflow.events import Events

TRAIN = 900  # of the 1000 of a class, by number
_FILES = (
    ("airplane", 7712788, "0afd5c4bf9ae06af762a77b180354fdd"),
    ("automobile", 7712791, "8438dfeba3bc970c94962d995b1b9bdd"),
    ("bird", 7712794, "a9c207c91c55b9dc2002dc21c684d785"),
    ("cat", 7712812, "52c63c677c2b15fa5146a8daf4d56687"),
    ("deer", 7712815, "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
    ("dog", 7712818, "f379ebdf6703d16e0a690782e62639c3"),
    ("frog", 7712842, "cad6ed91214b1c7388a5f6ee56d08803"),
    ("horse", 7712851, "e7cbbf77bec584ffbf913f00e682782a"),
    ("ship", 7712836, "41c7bd7d6b251be82557c6cce9a7d5c9"),
    ("truck", 7712839, "89f3922fd147d9aeff89e76a2b0b70a7"),
)
METADATA = Metadata(
    name="cifar10_dvs",
    title="CIFAR10-DVS",
    kind="events",
    citation="Li, Liu, Ji, Li, Shi 2017, CIFAR10-DVS: an event-stream dataset for object classification, "
    "Frontiers in Neuroscience 11:309",
    licence="CC BY 4.0",
    homepage="https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671",
    classes=tuple(name for name, _, _ in _FILES),
    counts={"all": 10_000, "train": 9_000, "test": 1_000},
    split="no official one; this one takes the samples 0 to 899 of each class for training, as much of the "
    "literature does (SpikingJelly's 9:1 division is the same); others draw 9:1 at random, so figures differ",
    width=128,
    height=128,
    archives=tuple(
        Archive(f"{name}.zip", f"https://ndownloader.figshare.com/files/{at}", md5=md5)
        for name, at, md5 in _FILES
    ),
    notes="The original files are AEDAT 2.0; tonic keeps a copy in AEDAT 4 (CIFAR10DVS.zip, MD5 "
    "ce3a4a0682dc0943703bd8f749a7701c). Each layout is read as its files say; their x, y, polarity and "
    "time differ.",
)
FORMATS = ((".aedat", "original", "aedat2"), (".aedat4", "tonic", "aedat4"))  # suffix, layout, format


class CIFAR10DVS(Dataset[Events]):
    """CIFAR10-DVS; layouts ``<class>/cifar10_<class>_<number>.aedat``, and tonic's with ``.aedat4``."""

    metadata = METADATA

    def find(self, folder: Path, split: str) -> Index | None:
        """Samples class after class, each in the order of its numbers."""
        for root in roots(
            folder, "CIFAR10DVS", "CIFAR10-DVS", "cifar10_dvs", "extract", "CIFAR10DVS/extract"
        ):
            for suffix, layout, _ in FORMATS:
                places, labels = classes_below(root, "", METADATA.classes, suffix)
                if places:
                    return _chosen(Index(root, layout, places, labels), split)
        return None

    def read(self, place: str) -> Events:
        """Events of one picture."""
        (format,) = (format for suffix, _, format in FORMATS if place.lower().endswith(suffix))
        return events_of(self.root / place, format, width=METADATA.width, height=METADATA.height)


def _chosen(index: Index, split: str) -> Index:
    if split == "all":
        return index
    train = np.array([number(place) < TRAIN for place in index.places])
    return index.take(np.flatnonzero(train == (split == "train")))
