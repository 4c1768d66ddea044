"""What the two Heidelberg sets share: spikes of an artificial cochlea in one HDF5 file a split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spikeflow.datasets.base import Archive, Dataset, Index
from spikeflow.datasets.formats.hdf5_spikes import SpikeFile
from spikeflow.datasets.stored.layouts import roots
from spikeflow.datasets.stored.rows import Row, rows
from spikeflow.events import Events

CHANNELS = 700
CITATION = (
    "Cramer, Stradmann, Schemmel, Zenke 2022, The Heidelberg spiking data sets for the systematic evaluation "
    "of spiking neural networks, IEEE Transactions on Neural Networks and Learning Systems 33:2744-2757"
)
HOMEPAGE = "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/"
FILE_SPLITS = {"train": "train", "validation": "valid", "test": "test"}


def archives(name: str, md5: dict[str, str]) -> tuple[Archive, ...]:
    """The zipped files of a set, by the word each split has in its file's name."""
    url = "https://zenkelab.org/datasets"
    return tuple(
        Archive(f"{name}_{part}.h5.zip", f"{url}/{name}_{part}.h5.zip", md5=md5[part]) for part in md5
    )


class HeidelbergDataset(Dataset[Events]):
    """Spikes of 700 channels as on events with y = 0; groups are the speakers.

    Layout ``<name>_train.h5`` and so on, the original's and tonic's. Where the file names its classes
    (``extra/keys``), the metadata takes these names: labels are the file's numbers either way.
    """

    def find(self, folder: Path, split: str) -> Index | None:
        """Samples in the order of the file."""
        name = self.metadata.name
        for root in roots(folder, name.upper(), name, "extract", f"{name.upper()}/extract", "hsd", "HSD"):
            path = f"{name}_{FILE_SPLITS[split]}.h5"
            if (root / path).is_file():
                return self._index(root, path)
        return None

    def _index(self, root: Path, path: str) -> Index:
        file = SpikeFile(root / path)
        names = tuple(file.keys)
        if len(names) == len(self.metadata.classes):
            self.metadata = replace(self.metadata, classes=names)
        return Index(root, "original", rows(path, len(file)), file.labels, file.speakers)

    def read(self, place: Row) -> Events:
        """Spikes of one word."""
        return self._once(self.root / place.path, SpikeFile)[place.row]
