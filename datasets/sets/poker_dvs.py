"""POKER-DVS: the suits of playing cards that pass an event camera."""

from __future__ import annotations

from pathlib import Path

from spikeflow.datasets.base import Archive, Dataset, Index, Metadata
from spikeflow.datasets.stored.layouts import classes_below, events_of, roots
from spikeflow.events import Events

FOLDERS = ("cl", "he", "di", "sp")  # in the order of labels, which is tonic's
_FROM = "https://github.com/neuromorphs/tonic/tree/develop/tonic/datasets"
_WHY = "it lies in the source of tonic, not at an address of its own"
METADATA = Metadata(
    name="poker_dvs",
    title="POKER-DVS",
    kind="events",
    citation="Serrano-Gotarredona, Linares-Barranco 2015, Poker-DVS and MNIST-DVS: their history, how they "
    "were made, and other details, Frontiers in Neuroscience 9:481",
    licence="not stated",
    homepage="http://www2.imse-cnm.csic.es/caviar/POKERDVS.html",
    classes=("club", "heart", "diamond", "spade"),
    counts={"train": 48, "test": 20},
    split="as tonic distributes it (12 and 5 of each suit); the makers' own files are not divided",
    width=35,
    height=35,
    archives=(
        Archive("pips_train.tar.gz", _FROM, 700_096, "412bcfb96826e4fcb290558e8c150aae", by_hand=_WHY),
        Archive("pips_test.tar.gz", _FROM, 311_022, "eef2bf7d0d3defae89a6fa98b07c17af", by_hand=_WHY),
    ),
)


class PokerDVS(Dataset[Events]):
    """POKER-DVS; layout ``pips_train/<suit>/<number>.npy``, n x 4 numbers (t, x, y, p)."""

    metadata = METADATA

    def find(self, folder: Path, split: str) -> Index | None:
        """Samples suit after suit, each in the order of its numbers."""
        for root in roots(folder, "POKERDVS", "poker_dvs", "POKER-DVS"):
            places, labels = classes_below(root, f"pips_{split}", FOLDERS, ".npy")
            if places:
                return Index(root, "tonic", places, labels)
        return None

    def read(self, place: str) -> Events:
        """Events of the suit of one card."""
        return events_of(
            self.root / place, "npy", columns="txyp", width=METADATA.width, height=METADATA.height
        )
