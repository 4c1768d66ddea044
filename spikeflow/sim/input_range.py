"""Which input values a network was made for, and what share of a run's values lies outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from spikeflow.ir.input_record import InputRecord
from spikeflow.ir.nodes import Input
from spikeflow.ir.record import Network
from spikeflow.sim.result import Counts
from spikeflow.typing import Array

WORTH_A_WORD = 1e-3  # share of the values
NARROW = 0.02  # of the calibrated range, within which all values of a run are hardly in the same unit
ENOUGH = 64  # values, from which on that is looked at


def input_range(described: InputRecord) -> tuple[float, float] | None:
    """The values that calibration saw, no further than the coding can tell apart; None where nothing is
    known.

    With `rate` a value of `scale` is a spike in every step, so a larger one is the same; with `onoff` of
    either sign.
    """
    low, high = described.seen or (-np.inf, np.inf)
    if described.random:
        high = min(high, described.scale)
        low = max(low, -described.scale) if described.coding == "onoff" else low
    return (low, high) if np.isfinite([low, high]).any() else None


def _outside(described: InputRecord, x: Array) -> tuple[int, int]:
    """How many of the values lie outside, and how many there are of which that is known."""
    known = input_range(described)
    if known is None:
        return 0, 0
    low, high = np.float32(known[0]), np.float32(known[1])
    return int(np.count_nonzero((x < low) | (x > high))), x.size


def share_outside(network: Network, parts: Mapping[str, Array]) -> float | None:
    """The share of the values of all inputs that lie outside of their `input_range`; None where no range
    is known.
    """
    found = [_outside(described, parts[described.node]) for described in network.inputs]
    known = sum(size for _, size in found)
    return sum(count for count, _ in found) / known if known else None


def outside_warnings(network: Network, parts: Mapping[str, Array]) -> tuple[str, ...]:
    """What a user is to be told of the share outside of each input, where it is worth a word, and of values
    that all lie close together.
    """
    warned = []
    for described in network.inputs:
        known, (count, size) = input_range(described), _outside(described, parts[described.node])
        if known is None or size == 0 or count / size < WORTH_A_WORD:
            continue
        of = "" if len(network.inputs) == 1 else f" of {described.node}"
        warned.append(
            f"{100 * count / size:.2f} % of the input values{of} lie outside of the range {known[0]:.4g} to "
            f"{known[1]:.4g} that the calibration samples and the input's coding cover, so answers may be "
            "wrong. Try: the preprocessing of the calibration samples, or calibration on samples like these"
        )
    return (*warned, *_narrow(network, parts))


def _narrow(network: Network, parts: Mapping[str, Array]) -> tuple[str, ...]:
    """What a user is to be told of inputs all of whose values, though not the same, lie close together in the
    calibrated range, such as pixels of 0 to 1 where those of the calibration went to 255.
    """
    warned = []
    for described in network.inputs:
        x, known = parts[described.node], described.seen
        if not known or x.size < ENOUGH:
            continue
        low, high, whole = float(x.min()), float(x.max()), known[1] - known[0]
        if not 0 < high - low < NARROW * whole:
            continue
        of = "" if len(network.inputs) == 1 else f" of {described.node}"
        warned.append(
            f"all input values{of} lie between {low:.4g} and {high:.4g}, in "
            f"{100 * (high - low) / whole:.2g} % of the range {known[0]:.4g} to {known[1]:.4g} of the "
            "calibration samples: they may be in another unit. Try: the preprocessing of those"
        )
    return tuple(warned)


def _entering(beyond: Array, steps: Array, described: InputRecord) -> int:
    """How often values of samples that are marked enter within so many steps of each."""
    if described.timed:
        entered = np.arange(beyond.shape[1]) < steps[:, None]
        return int(np.count_nonzero(beyond.reshape(*entered.shape, -1) & entered[..., None]))
    each = np.count_nonzero(beyond.reshape(len(beyond), -1), axis=1)
    return int((each * steps).sum() if described.coding == "direct" else each.sum())


def with_saturation(
    network: Network, counts: Mapping[str, Counts], parts: Mapping[str, Array], steps: Array
) -> dict[str, Counts]:
    """The counts of a run, those of an Input with the values that its format clipped, as the register
    "format".

    Parameters
    ----------
    parts : the samples of each input; a value is counted in each step in which it enters.
    steps : of each sample, ``(N,)``.
    """
    found = dict(counts)
    for described in network.inputs:
        name = described.node
        node = network.graph.nodes[name]
        if isinstance(node, Input) and node.format is not None:
            scaled = np.floor(np.asarray(parts[name], np.float64) * 2.0**node.format.frac + 0.5)
            low, high = (
                _entering(beyond, steps, described)
                for beyond in (scaled < node.format.low, scaled > node.format.high)
            )
            found[name] = replace(counts[name], narrowed_low={"format": low}, narrowed_high={"format": high})
    return found
