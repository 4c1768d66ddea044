"""SHD, the Spiking Heidelberg Digits: spoken digits in English and German, as spikes of a cochlea."""

from __future__ import annotations

from spikeflow.datasets.base import Metadata
from spikeflow.datasets.sets.heidelberg import CHANNELS, CITATION, HOMEPAGE, HeidelbergDataset, archives

METADATA = Metadata(
    name="shd",
    title="Spiking Heidelberg Digits",
    kind="spikes",
    citation=CITATION,
    licence="CC BY 4.0",
    homepage=HOMEPAGE,
    classes=(
        *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
        *("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
    ),
    counts={"train": 8_156, "test": 2_264},
    split="official; there is no validation split, so that many papers chose their network by the test set: "
    "validation() holds out whole speakers of the training set instead",
    width=CHANNELS,
    height=1,
    archives=archives(
        "shd",
        {"train": "f3252aeb598ac776c1b526422d90eecb", "test": "1503a5064faa34311c398fb0a1ed0a6f"},
    ),
    notes="12 speakers; 4 and 5 are in the test set only, which holds some recordings of the others, too. "
    "Times are stored as 16-bit floats in seconds, so that they are coarser (to 1 ms) the later they are.",
)


class SHD(HeidelbergDataset):
    """Spiking Heidelberg Digits."""

    metadata = METADATA
