"""Splits of a recipe, and how their samples enter a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spikeflow.ir.nodes import Shape
from spikeflow.ir.preprocessing import Step
from spikeflow.train.batches import Splits


@dataclass(frozen=True)
class Loaded:
    """Splits, and how their samples enter.

    Parameters
    ----------
    shape : of a moment, after preprocessing.
    labels : names of the classes.
    coding : of the run record: direct, rate, or spikes for samples with a time axis.
    kind : of the input: current or spikes.
    steps : of a sample.
    preprocessing : what `run` has to do to a sample of a user's.
    facts : for the record.
    """

    splits: Splits
    shape: Shape
    labels: tuple[str, ...]
    coding: str
    kind: str
    steps: int
    preprocessing: tuple[Step, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
