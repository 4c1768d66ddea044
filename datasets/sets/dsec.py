"""DSEC: drives through Swiss cities by day and night, with events, optical flow, disparity and masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeflow.datasets.base import Archive, Dataset, Index, Metadata
from spikeflow.datasets.sets.dsec_drive import PLACES, Drive, files_of, located
from spikeflow.datasets.stored.layouts import roots

_LETTERS = {
    "train": {
        "interlaken_00": "cdefg",
        "thun_00": "a",
        "zurich_city_00": "ab",
        "zurich_city_01": "abcdef",
        "zurich_city_02": "abcde",
        "zurich_city_03": "a",
        "zurich_city_04": "abcdef",
        "zurich_city_05": "ab",
        "zurich_city_06": "a",
        "zurich_city_07": "a",
        "zurich_city_08": "a",
        "zurich_city_09": "abcde",
        "zurich_city_10": "ab",
        "zurich_city_11": "abc",
    },
    "test": {
        "interlaken_00": "ab",
        "interlaken_01": "a",
        "thun_01": "ab",
        "zurich_city_12": "a",
        "zurich_city_13": "ab",
        "zurich_city_14": "abc",
        "zurich_city_15": "a",
    },
}
DRIVES = {
    split: tuple(f"{drive}_{letter}" for drive, letters in drives.items() for letter in letters)
    for split, drives in _LETTERS.items()
}
CITIES = ("interlaken", "thun", "zurich_city")
_URL = "https://download.ifi.uzh.ch/rpg/DSEC/"
METADATA = Metadata(
    name="dsec",
    title="DSEC",
    kind="events",
    citation="Gehrig, Aarents, Gehrig, Scaramuzza 2021, DSEC: a stereo event camera dataset for driving "
    "scenarios, IEEE Robotics and Automation Letters 6(3); flow: Gehrig, Millhaeusler, Gehrig, Scaramuzza "
    "2021, E-RAFT, 3DV; masks: Sun, Messikommer, Gehrig, Scaramuzza 2022, ESS, ECCV",
    licence="CC BY-SA 4.0",
    homepage="https://dsec.ifi.uzh.ch/",
    classes=CITIES,
    counts={"train": 41, "test": 12},
    split="official; a sample is a whole drive, its label the city. Flow, disparity and masks exist for "
    "some drives",
    width=640,
    height=480,
    archives=(
        Archive("train_events.zip", _URL + "train_coarse/train_events.zip", into="train_events"),
        Archive(
            "train_optical_flow.zip", _URL + "train_coarse/train_optical_flow.zip", into="train_optical_flow"
        ),
        Archive("train_disparity.zip", _URL + "train_coarse/train_disparity.zip", into="train_disparity"),
        Archive(
            "train_semantic_segmentation.zip",
            _URL + "semantic/train_semantic_segmentation.zip",
            into="train_semantic_segmentation",
        ),
        Archive("test_events.zip", _URL + "test_coarse/test_events.zip", into="test_events"),
        Archive(
            "test_semantic_segmentation.zip",
            _URL + "semantic/test_semantic_segmentation.zip",
            into="test_semantic_segmentation",
        ),
    ),
    notes="About 165 GB: train_events.zip has 125 GB, test_events.zip 27 GB; single drives are at the same "
    "server. Events are packed with Blosc and need the Python package hdf5plugin. Groups are drives, cut "
    "into letters.",
)


class DSEC(Dataset[Drive]):
    """DSEC; ``[i]`` is a `Drive`. Layouts: the official archives unpacked side by side, one folder a drive,
    tonic's.
    """

    metadata = METADATA

    def find(self, folder: Path, split: str) -> Index | None:
        """Drives that have the events of the left camera, in the order of their names."""
        for root in roots(folder, "DSEC", "dsec"):
            names = [name for name in DRIVES[split] if located(root, name, "events_left")]
            if not names:
                continue
            streets = sorted({name[:-2] for name in names})
            return Index(
                root,
                "tonic" if (root / names[0] / "events_left").is_dir() else "original",
                names,
                np.array([CITIES.index(name.rsplit("_", 2)[0]) for name in names]),
                np.array([streets.index(name[:-2]) for name in names]),
                files=tuple(file for name in names for file in files_of(root, name)),
            )
        return None

    def read(self, place: str) -> Drive:
        """One drive; nothing is read before it is asked for."""
        return Drive(place, {what: found for what in PLACES if (found := located(self.root, place, what))})

    def files(self) -> list[str]:
        """All files of all drives of this split."""
        return sorted(self.index.files)
