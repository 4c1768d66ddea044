"""What each twin is like, and where these numbers are from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spikeflow.datasets.twins.camera import Camera
from spikeflow.datasets.twins.cochlea import CochleaSpikes
from spikeflow.datasets.twins.picture import Picture
from spikeflow.datasets.twins.touch import Touch
from spikeflow.datasets.twins.voice import Voice

Collator = Camera | CochleaSpikes | Picture | Touch | Voice


@dataclass(frozen=True)
class Recipe:
    """How one data set's twin is made.

    Parameters
    ----------
    maker : what makes a sample.
    source : where its lengths and numbers of events are from; "estimate" where nothing published is at hand.
    groups : speakers or users of each split; empty where the set does not tell.
    """

    maker: Collator
    source: str
    groups: Mapping[str, Sequence[int]] = field(default_factory=dict)


_ORCHARD = "Orchard et al. 2015, table 2"
_BI = "numbers of events as given in the literature on graphs of events (Bi et al. 2019 and after)"
RECIPES: dict[str, Recipe] = {
    "nmnist": Recipe(Camera(34, 34, 306_000, 4_172, 0.01), _ORCHARD),
    "ncaltech101": Recipe(Camera(240, 180, 300_000, 115_116, 0.01, 0.4, narrowest=0.6), _ORCHARD),
    "cifar10_dvs": Recipe(Camera(128, 128, 1_300_000, 204_979, 0.02, 0.3), _BI),
    "dvs_gesture": Recipe(
        Camera(128, 128, 6_000_000, 400_000, 0.15, 0.4),
        "measured: 82,000 events a second in seven recordings of one user; about 6 s a gesture (Amir et "
        "al. 2017)",
        {"train": range(23), "test": range(23, 29)},
    ),
    "dvs_lip": Recipe(Camera(128, 128, 800_000, 12_000, 0.2, 0.4), "estimate"),
    "asl_dvs": Recipe(Camera(240, 180, 100_000, 28_120, 0.1, 0.3), _BI),
    "poker_dvs": Recipe(Camera(35, 35, 17_400, 3_050, 0.33, 0.32), "measured: all 68 recordings"),
    "ncars": Recipe(
        Camera(120, 100, 100_000, 4_000, 0.0, 0.5, narrowest=0.5),
        "100 ms by Sironi et al. 2018; events: estimate",
    ),
    "dsec": Recipe(
        Camera(640, 480, 400_000, 40_000, 0.0, 0.1), "sensor only: a drive has some 10^9 events in a minute"
    ),
    "shd": Recipe(
        CochleaSpikes(700, 800_000, 8_000),
        "0.24 to 1.37 s by Cramer et al. 2022; spikes: estimate",
        {"train": (0, 1, 2, 3, 6, 7, 8, 9, 10, 11), "test": range(12)},
    ),
    "ssc": Recipe(
        CochleaSpikes(700, 950_000, 7_000, 0.05),
        "at most 1 s by Warden 2018; spikes: estimate",
        {"train": range(40), "validation": range(40, 50), "test": range(50, 60)},
    ),
    "ntidigits": Recipe(
        CochleaSpikes(64, 900_000, 5_000),
        "estimate",
        {"train": range(111), "test": range(111, 220)},
    ),
    "spoken_digits": Recipe(
        Voice(8_000, 0.41, 0.31, 0.15, 2.28),
        "measured: 2,500 recordings",
        {"train": range(6), "test": range(6)},
    ),
    "braille": Recipe(Touch(12, (76, 77)), "measured: 945 trials"),
    "speech_commands": Recipe(
        Voice(16_000, 0.99, 0.03, 0.4, 1.0),
        "at most 1 s by Warden 2018",
        {"train": range(40), "validation": range(40, 50), "test": range(50, 60)},
    ),
    "mnist": Recipe(Picture(28, 3, 1.3), "measured: a fifth of the pixels is not black"),
    "fashion_mnist": Recipe(Picture(28, 3, 3.2), "measured: half of the pixels is not black"),
    "cifar10": Recipe(Picture(32, 3, 2.5, 3, 0.05), "measured: mean value 121"),
}
