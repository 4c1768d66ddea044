"""Calibration: the samples of a conversion, in the part that sets thresholds and the part that tests them."""

from __future__ import annotations

from dataclasses import dataclass

from spikeflow.calibration import Split, split
from spikeflow.errors import DataError
from spikeflow.ir.input_record import InputRecord
from spikeflow.samples import Samples, samples_of
from spikeflow.sim.joined import prepared
from spikeflow.typing import Array


@dataclass(frozen=True, eq=False)
class Calibration:
    """Samples, and which of them set thresholds."""

    samples: Samples
    parts: Split

    @property
    def y(self) -> Array | None:
        """Labels of all samples, where known."""
        return self.samples.y

    @property
    def setting(self) -> Array:
        """The samples that set thresholds, in the order of their digests."""
        return self.samples.x[self.parts.setting]

    @property
    def held_back(self) -> Array:
        """The samples that test the result."""
        return self.samples.x[self.parts.held_back]


def calibrated(x: object, y: object, described: InputRecord) -> Calibration | None:
    """The samples of a conversion, whatever ``samples.samples_of`` takes, prepared for the input; None
    without any.

    Raises
    ------
    DataError
        Where they are no samples, or there are labels alone.
    """
    if x is None:
        if y is not None:
            raise DataError("labels", "labels without samples", "both or neither")
        return None
    found = samples_of(x, y)
    if found.parts and described.preprocessing:
        raise DataError("--preprocess", "several inputs", "samples that are prepared already")
    samples = prepared(described, found)
    return Calibration(samples, split(samples.x))
