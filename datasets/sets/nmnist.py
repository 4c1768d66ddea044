"""N-MNIST: the digits of MNIST, seen by a moving event camera."""

from __future__ import annotations

from pathlib import Path

from spikeflow.datasets.base import Archive, Dataset, Index, Metadata
from spikeflow.datasets.stored.layouts import classes_below, events_of, roots
from spikeflow.events import Events

_URL = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
METADATA = Metadata(
    name="nmnist",
    title="N-MNIST",
    kind="events",
    citation="Orchard, Jayawant, Cohen, Thakor 2015, Converting static image datasets to spiking "
    "neuromorphic datasets using saccades, Frontiers in Neuroscience 9:437",
    licence="CC BY-SA 4.0",
    homepage="https://www.garrickorchard.com/datasets/n-mnist",
    classes=tuple("0123456789"),
    counts={"train": 60_000, "test": 10_000},
    split="official",
    width=34,
    height=34,
    archives=(
        Archive(
            "train.zip",
            _URL + "39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
            md5="20959b8e626244a1b502305a9e6e2031",
        ),
        Archive(
            "test.zip",
            _URL + "05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
            md5="69ca8762b2fe404d9b9bad1103e97832",
        ),
    ),
    notes="Sample n of a split is image n - 1 of MNIST. About 300 ms each: three saccades of 100 ms. "
    "The files do not tell who wrote a digit.",
)


class NMNIST(Dataset[Events]):
    """N-MNIST; layout ``Train/<label>/<number>.bin``, the original's and tonic's."""

    metadata = METADATA

    def find(self, folder: Path, split: str) -> Index | None:
        """Samples class after class, each in the order of its numbers."""
        for root in roots(folder, "NMNIST", "N-MNIST", "nmnist"):
            for below in (split.capitalize(), split):
                places, labels = classes_below(root, below, METADATA.classes, ".bin")
                if places:
                    return Index(root, "original", places, labels)
        return None

    def read(self, place: str) -> Events:
        """Events of one digit."""
        return events_of(self.root / place, "bin5", width=METADATA.width, height=METADATA.height)
