"""N-CARS: cars, or none, on the road, seen by an event camera behind a windscreen."""

from __future__ import annotations

from pathlib import Path

from spikeflow.datasets.base import Archive, Dataset, Index, Metadata
from spikeflow.datasets.stored.layouts import classes_below, events_of, roots
from spikeflow.events import Events

FOLDERS = ("background", "cars")
METADATA = Metadata(
    name="ncars",
    title="N-CARS",
    kind="events",
    citation="Sironi, Brambilla, Bourdis, Lagorce, Benosman 2018, HATS: Histograms of averaged time surfaces "
    "for robust event-based object classification, CVPR",
    licence="Prophesee's terms, shown at the download",
    homepage="https://www.prophesee.ai/2018/03/13/dataset-n-cars/",
    classes=("background", "car"),
    counts={"train": 15_422, "test": 8_607},
    split="official",
    archives=(
        Archive(
            "Prophesee_Dataset_n_cars.zip",
            "https://www.prophesee.ai/2018/03/13/dataset-n-cars/",
            md5="553ce464d6e5e617b3c21ce27c19368e",
            by_hand="Prophesee asks for a name and for its licence to be accepted",
        ),
    ),
    notes="Train: 7,940 cars and 7,482 backgrounds; test: 4,396 and 4,211. 100 ms each, cut from an ATIS "
    "camera's "
    "picture: sizes differ, at most 120 x 100. The files do not tell which car or drive a sample is of.",
)


class NCars(Dataset[Events]):
    """N-CARS; layout ``n-cars_train/<class>/obj_<number>_td.dat``."""

    metadata = METADATA

    def find(self, folder: Path, split: str) -> Index | None:
        """Samples class after class, each in the order of its numbers."""
        places_named = ("NCARS", "N-CARS", "n-cars", "ncars", "Prophesee_Dataset_n_cars")
        for root in roots(
            folder, *places_named, *(f"{n}/Prophesee_Dataset_n_cars" for n in places_named[:4])
        ):
            for below in (f"n-cars_{split}", f"n-cars_{split}/{split}", split):
                places, labels = classes_below(root, below, FOLDERS, ".dat")
                if places:
                    return Index(root, "original", places, labels)
        return None

    def read(self, place: str) -> Events:
        """Events of one sample, in the coordinates of its file."""
        return events_of(self.root / place, "dat")
