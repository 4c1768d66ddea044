"""What is known of one input besides its shape: how samples are prepared and how they enter."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spikeflow.errors import DataError
from spikeflow.ir import preprocessing
from spikeflow.ir.preprocessing import Step

CODINGS = ("direct", "rate", "onoff", "spikes")
RANDOM = ("rate", "onoff")


def coded(coding: str, scale: float) -> str:
    """A coding in words."""
    return f"{coding}, scale {scale:g}" if coding in RANDOM else coding


@dataclass(frozen=True)
class InputRecord:
    """How one input is fed. In a run record, what is left at its default is as the record says for all
    inputs.

    Parameters
    ----------
    node : name of its Input in the graph.
    coding : as `RunRecord.coding`.
    scale : the value that stands for one spike in every step; 0 where it is the record's.
    seen : smallest and largest value that calibration saw, after preprocessing.
    preprocessing : what is done to samples first, see `spikeflow.ir.preprocessing`.
    """

    node: str
    coding: str = ""
    scale: float = 0.0
    seen: tuple[float, ...] = ()
    preprocessing: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "preprocessing", preprocessing.plain(self.preprocessing))

    @property
    def timed(self) -> bool:
        """Whether a sample has a time axis already."""
        return self.coding == "spikes"

    @property
    def random(self) -> bool:
        """Whether spikes are drawn."""
        return self.coding in RANDOM

    def check(self) -> None:
        """Raise DataError unless every value is one that a run can follow."""
        if self.coding and self.coding not in CODINGS:
            raise DataError("coding", self.coding, f"one of {', '.join(CODINGS)}")
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise DataError("scale", self.scale, "a finite number above 0")
        if len(self.seen) not in (0, 2) or not all(map(math.isfinite, self.seen)):
            raise DataError("range of the calibration", self.seen, "two finite numbers, or none")
