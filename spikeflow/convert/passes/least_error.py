"""least_error: thresholds whose T levels come closest to a channel's activations, in the mean square.

A neuron that wakes at half its threshold counts to the nearest of its levels, so of a constant current it
hands on theta / n clip(floor(a n / theta + 1/2), 0, n), n the steps times the alphabet's largest value.

Source: Li et al., "A free lunch from ANN", ICML 2021 (thresholds of least squared error, by channel).
"""

from __future__ import annotations

import numpy as np

from spikeflow.convert.passes.followers import alphabet_of
from spikeflow.convert.passes.observe import BINS, ActivationStats
from spikeflow.convert.passes.thresholds import Basis, Thresholds, floored
from spikeflow.ir.nodes import Activation
from spikeflow.typing import Array

TRIED = np.arange(95)  # thresholds of max (1 - i / 100)
_COARSE = 1024  # bins that are told apart here


def least_error_thresholds(basis: Basis) -> Thresholds:
    """For each channel the threshold of least squared error; of equals the largest.

    Raises
    ------
    ConversionError
        Without samples, and for a layer that is never active.
    """
    stats, nodes = basis.observed("least-error").activations, basis.folded.nodes

    def levels(name: str) -> int:
        node = nodes[name]
        assert isinstance(node, Activation)
        return basis.steps * alphabet_of(node, basis.alphabet).high

    found = {name: floored(name, _best(s, levels(name))) for name, s in stats.items()}
    return Thresholds({n: t for n, (t, _) in found.items()}, {n: count for n, (_, count) in found.items()})


def squared_error(values: Array, weights: Array, part: float, levels: int) -> Array:
    """The squared error of each row of weights over values in 0 to 1, for the threshold `part`."""
    rounded = np.clip(np.floor(values * levels / part + 0.5), 0, levels) * part / levels
    return weights @ (values - rounded) ** 2


def _best(stats: ActivationStats, levels: int) -> Array:
    """The threshold of each channel, ``(channels,)``."""
    channels = len(stats.maximum)
    weights = stats.histogram.reshape(channels, _COARSE, BINS // _COARSE).sum(axis=2).astype(np.float64)
    values, parts = (np.arange(_COARSE) + 0.5) / _COARSE, 1 - TRIED / 100
    errors = np.stack([squared_error(values, weights, part, levels) for part in parts], axis=1)
    return parts[errors.argmin(axis=1)] * stats.maximum
