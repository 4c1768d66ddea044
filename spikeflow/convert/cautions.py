"""Cautions: what a user should know of a conversion beside what running it shows."""

from __future__ import annotations

from spikeflow.convert.capture.builder import Captured
from spikeflow.convert.options import ConvertOptions

FEW = 10  # different samples, below which thresholds are told to be a guess


def cautions(captured: Captured, options: ConvertOptions, setting: int | None) -> tuple[str, ...]:
    """The warnings, in order; `setting` counts the different samples that set thresholds, None without
    data.
    """
    warned = list(captured.warnings)
    if setting is not None and setting < FEW:
        warned.append(
            f"the thresholds were set by {setting} different calibration sample{'s' if setting > 1 else ''}, "
            "and may hold for no other; give some hundreds of samples with --data"
        )
    if setting is None and options.scale is None and options.coding != "direct":
        warned.append(
            f"without calibration data a spike of --input {options.coding} stands for 1: inputs above 1 "
            "saturate and are answered as 1; give --data, or in Python scale=, the largest value"
        )
    return tuple(warned)
