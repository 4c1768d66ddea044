"""DVS-Lip: a hundred spoken words, seen on forty people's lips by an event camera."""

from __future__ import annotations

import re
from pathlib import Path

from spikeflow.datasets.base import Archive, Dataset, Index, Metadata
from spikeflow.datasets.stored.layouts import classes_below, events_of, roots
from spikeflow.events import Events

_WORDS = """
accused action allow allowed america american another around attacks banks become being benefit benefits
between billion called capital challenge change chief couple court death described difference different during
economic education election england evening everything exactly general germany giving ground happen happened
having heavy house hundreds immigration judge labour leaders legal little london majority meeting military
million minutes missing needs number numbers paying perhaps point potential press price question really right
russia russian saying security several should significant spend spent started still support syria syrian taken
taking terms these thing think times tomorrow under warning water welcome words worst years young
"""
WORDS = tuple(re.findall(r"\w+", _WORDS))
METADATA = Metadata(
    name="dvs_lip",
    title="DVS-Lip",
    kind="events",
    citation="Tan, Wang, Han, Cao, Wu, Zha 2022, Multi-grained spatio-temporal features perceived network "
    "for event-based lip-reading, CVPR, 20094-20103",
    licence="not stated",
    homepage="https://sites.google.com/view/event-based-lipreading",
    classes=WORDS,
    counts={"train": 14_896, "test": 4_975},
    split="official: 30 speakers for training, the 10 others for the test",
    width=128,
    height=128,
    archives=(
        Archive(
            "DVS-Lip.zip",
            "https://drive.google.com/file/d/1dBEgtmctTTWJlWnuWxFtk8gfOdVVpkQ0/view",
            md5="2dcb959255122d4cdeb6094ca282494b",
            by_hand="Google Drive shows a page to confirm for a file of this size",
        ),
    ),
    notes="The files do not tell the speaker, so that no validation set can keep speakers apart as the "
    "test does.",
)


class DVSLip(Dataset[Events]):
    """DVS-Lip; layout ``DVS-Lip/<split>/<word>/<number>.npy`` with fields t, x, y, p."""

    metadata = METADATA

    def find(self, folder: Path, split: str) -> Index | None:
        """Samples word after word, each in the order of its numbers."""
        for root in roots(folder, "DVS-Lip", "DVSLip", "DVSLip/DVS-Lip", "dvs_lip", "dvs_lip/DVS-Lip"):
            places, labels = classes_below(root, split, METADATA.classes, ".npy")
            if places:
                return Index(root, "original", places, labels)
        return None

    def read(self, place: str) -> Events:
        """Events of one word."""
        return events_of(self.root / place, "npy", width=METADATA.width, height=METADATA.height)
