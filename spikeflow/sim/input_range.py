"""Which input values a network was made for, and what share of a run's values lies outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input
from spikeflow.ir.record import RunRecord
from spikeflow.sim.result import Counts

Array = npt.NDArray[Any]
WORTH_A_WORD = 1e-3  # share of the values


def input_range(record: RunRecord) -> tuple[float, float] | None:
    """The values that calibration saw, no further than the coding can tell apart; None where nothing is known.

    With `rate` a value of `scale` is a spike in every step, so a larger one is the same; with `onoff` of either sign.
    """
    low, high = record.seen or (-np.inf, np.inf)
    if record.coding in ("rate", "onoff"):
        high = min(high, record.scale)
        low = max(low, -record.scale) if record.coding == "onoff" else low
    return (low, high) if np.isfinite([low, high]).any() else None


def share_outside(record: RunRecord, x: Array) -> float | None:
    """The share of the values of x that lie outside of `input_range`; None where that is not known."""
    known = input_range(record)
    if known is None or x.size == 0:
        return None
    low, high = np.float32(known[0]), np.float32(known[1])
    return float(np.count_nonzero((x < low) | (x > high)) / x.size)


def outside_told(record: RunRecord, x: Array) -> tuple[str, ...]:
    """What a user is to be told of the share outside, where it is worth a word."""
    share, known = share_outside(record, x), input_range(record)
    if share is None or known is None or share < WORTH_A_WORD:
        return ()
    return (
        f"{100 * share:.2f} % of the input values lie outside of the range {known[0]:.4g} to {known[1]:.4g} that the "
        "calibration samples and the input's coding cover, so answers may be wrong. "
        "Try: the preprocessing of the calibration samples, or calibration on samples like these",
    )


def with_saturation(graph: Graph, counts: Mapping[str, Counts], x: Array, repeated: int) -> dict[str, Counts]:
    """The counts of a run, those of an Input with the values that its format clipped, as the register "format".

    Parameters
    ----------
    x : the samples; a value is counted in each step in which it enters, `repeated` times.
    """
    found = dict(counts)
    for name in graph.inputs:
        node = graph.nodes[name]
        if isinstance(node, Input) and node.format is not None:
            scaled = np.floor(np.asarray(x, np.float64) * 2.0**node.format.frac + 0.5)
            low, high = (
                int(np.count_nonzero(c)) for c in (scaled < node.format.low, scaled > node.format.high)
            )
            ends = ({"format": low * repeated}, {"format": high * repeated})
            found[name] = replace(counts[name], narrowed_low=ends[0], narrowed_high=ends[1])
    return found
