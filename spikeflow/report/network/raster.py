"""Raster: the spikes of a few neurons of every layer in one sample."""

from __future__ import annotations

from math import prod

import numpy as np

from spikeflow.events import Spikes
from spikeflow.ir.nodes import Population
from spikeflow.ir.record import Network
from spikeflow.report.network.facts import RasterFacts, RasterRow
from spikeflow.report.network.layers import fires
from spikeflow.samples import Samples
from spikeflow.sim.classify import RunOptions, classify

MAX_ROWS = 240  # of the whole picture
MAX_NEURONS = 12  # of one layer
MAX_LAYERS = 40
MAX_STEPS = 256


def raster_facts(
    network: Network, samples: Samples, engine: str, steps: int | None
) -> tuple[RasterFacts, ...]:
    """Run the first sample and keep some of the neurons that spiked, the same ones every time."""
    nodes = network.graph.nodes
    names = [n for n, node in nodes.items() if isinstance(node, Population) and fires(node)][:MAX_LAYERS]
    if not names:
        return ()
    options = RunOptions(engine, steps=steps, record=tuple(names), exit=False)
    evaluation = classify(network, samples.first(1), options)
    each = max(2, min(MAX_NEURONS, MAX_ROWS // len(names)))
    return tuple(_layer(name, evaluation.recorded[name][0], each) for name in names)


def _layer(name: str, spikes: Spikes, count: int) -> RasterFacts:
    shown = min(spikes.steps, MAX_STEPS)
    fired = np.unique(spikes.neuron)
    chosen = fired[np.unique(np.linspace(0, len(fired) - 1, min(count, len(fired))).round().astype(int))]
    rows = tuple(_row(spikes, int(neuron), shown) for neuron in chosen)
    return RasterFacts(name, prod(spikes.shape), len(fired), shown, rows)


def _row(spikes: Spikes, neuron: int, shown: int) -> RasterRow:
    steps = spikes.step[spikes.neuron == neuron]
    return RasterRow(neuron, tuple(int(t) for t in steps[steps < shown]))
