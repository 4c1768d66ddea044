"""Spike counts of every neuron for each sample, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from spikeflow.ir.alphabet import counted
from spikeflow.ir.nodes import Population
from spikeflow.ir.record import Network
from spikeflow.sim.classify import RunOptions, evaluate
from spikeflow.typing import Array

COUNTED = 2**24  # neurons x steps x samples that are counted, at most where that is more than the fewest
SLOTS = 2**24  # neurons x steps x samples that are recorded at once
FEWEST = 8  # samples that are counted however large the network is


def samples_counted(network: Network, names: tuple[str, ...], samples: int) -> int:
    """How many of so many samples `spike_counts` is asked for: all of a small network's, 8 of a large
    one's.
    """
    return min(samples, max(FEWEST, COUNTED // _slots(network, names)))


def _slots(network: Network, names: tuple[str, ...]) -> int:
    """Neurons x steps of a sample."""
    neurons = sum(prod(network.graph.shapes[name]) for name in names)
    return max(1, neurons * network.record.steps)


def spike_counts(
    network: Network,
    x: Array,
    names: tuple[str, ...],
    options: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> Mapping[str, Array]:
    """For each named node the spikes of each neuron in each sample, ``(samples, neurons)``; other
    values than 1 count as they are, and of changes of a running mean so many as that mean comes to.
    """
    size = max(1, SLOTS // _slots(network, names))
    found: dict[str, list[Array]] = {name: [] for name in names}
    for first in range(0, len(x), size):
        run = evaluate(network, x[first : first + size], replace(options, record=names))
        for name in names:
            node = network.graph.nodes[name]
            letters = node.values if isinstance(node, Population) else None
            share = None if letters is None or not letters.differential else counted(letters.name, run.steps)
            found[name] += [
                _counted(spikes, prod(network.graph.shapes[name]), share) for spikes in run.recorded[name]
            ]
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _counted(spikes: Any, neurons: int, share: Array | None) -> Array:
    at = spikes.sample.astype(np.int64) * neurons + spikes.neuron
    values = None if (spikes.value == 1).all() else spikes.value
    if share is not None:
        values = spikes.value * share[spikes.step] * len(share)
    return np.bincount(at, values, minlength=spikes.samples * neurons).reshape(-1, neurons)
