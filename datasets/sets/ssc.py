"""SSC, the Spiking Speech Commands: the words of Google's Speech Commands, as spikes of a cochlea."""

from __future__ import annotations

from spikeflow.datasets.base import Metadata
from spikeflow.datasets.sets.heidelberg import CHANNELS, CITATION, HOMEPAGE, HeidelbergDataset, archives

METADATA = Metadata(
    name="ssc",
    title="Spiking Speech Commands",
    kind="spikes",
    citation=CITATION,
    licence="CC BY 4.0",
    homepage=HOMEPAGE,
    classes=(
        *("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"),
        *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
        *("bed", "bird", "cat", "dog", "happy", "house", "marvin", "sheila", "tree", "wow"),
        *("backward", "forward", "follow", "learn", "visual"),
    ),
    counts={"train": 75_466, "validation": 9_981, "test": 20_382},
    split="official",
    width=CHANNELS,
    height=1,
    archives=archives(
        "ssc",
        {
            "train": "d102be95e7144fcc0553d1f45ba94170",
            "valid": "b4eee3516a4a90dd0c71a6ac23a8ae43",
            "test": "a35ff1e9cffdd02a20eb850c17c37748",
        },
    ),
    notes="The split is not that of Speech Commands itself. The order of the names on this metadata is not "
    "certain; where the file names its classes, it is the file's.",
)


class SSC(HeidelbergDataset):
    """Spiking Speech Commands."""

    metadata = METADATA
