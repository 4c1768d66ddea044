"""Telemetry of rate cells: how many are active and how strongly, where their context agrees and where not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow import intake
from spikeflow.errors import ShapeError


@dataclass(frozen=True)
class Telemetry:
    """Of the outputs of a layer.

    Parameters
    ----------
    active : share of the values that are not 0; NaN of no values.
    mean : of all values.
    count : of values.
    """

    active: float
    mean: float
    count: int


@dataclass(frozen=True)
class Split:
    """All outputs, and those with congruent and with incongruent context."""

    whole: Telemetry
    congruent: Telemetry
    incongruent: Telemetry


def telemetry(outputs: Any) -> Telemetry:
    """How active the outputs of a layer are, ``(T, B, *shape)`` or of any shape."""
    return _of(_array("outputs", outputs))


def telemetry_by_context(outputs: Any, congruent: Any) -> Split:
    """The same, and split by the samples whose context agrees with their evidence.

    Parameters
    ----------
    outputs : ``(T, B, *shape)``.
    congruent : ``(B,)``, true where context and evidence agree.

    Raises
    ------
    ShapeError
        For a mask that has not one value a sample.
    """
    values, mask = _array("outputs", outputs), _array("congruent", congruent) != 0
    if values.ndim < 2 or mask.shape != values.shape[1:2]:
        raise ShapeError(
            "congruent", mask.shape, f"one value for each sample of {values.shape}, (T, B, *shape)"
        )
    return Split(_of(values), _of(values[:, mask]), _of(values[:, ~mask]))


def _array(what: str, values: Any) -> Any:
    plain = values.detach().cpu() if hasattr(values, "detach") else values
    return intake.array_of(what, plain)


def _of(values: Any) -> Telemetry:
    if not values.size:
        return Telemetry(float("nan"), float("nan"), 0)
    return Telemetry(float((values != 0).mean()), float(values.mean(dtype=np.float64)), int(values.size))
