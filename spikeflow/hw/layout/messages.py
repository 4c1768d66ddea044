"""Messages: how often each neuron sends one on calibration samples, by which populations are cut and
placed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.calibration import digest
from spikeflow.hw.tables.records import TrafficRecord
from spikeflow.ir.nodes import Input, Population
from spikeflow.ir.record import Network
from spikeflow.sim.classify import RunOptions, evaluate
from spikeflow.typing import Array

SAMPLES = 4
STEPS = 64


@dataclass(frozen=True, eq=False)
class Messages:
    """Messages a step of every neuron of every Input and Population, and on what they were counted."""

    spikes: dict[str, Array]
    traffic: TrafficRecord


def count_messages(network: Network, x: Array) -> Messages:
    """The messages of a network at stage fixed on a few samples, and how many of its neurons are idle.

    The samples are the first by their digests, so that their order changes nothing.
    """
    graph = network.graph
    names = graph.of_kind(Input, Population)
    options = RunOptions(steps=min(network.record.steps, STEPS), record=names)
    chosen = sorted(range(len(x)), key=lambda i: digest(x[i]))[:SAMPLES]
    run = evaluate(network, x[chosen], options)
    found = {}
    for name in names:
        batches = run.recorded[name]
        total = sum(np.bincount(s.neuron, minlength=prod(graph.shapes[name])) for s in batches)
        found[name] = np.asarray(total / sum(s.samples * s.steps for s in batches), np.float64)
    samples, steps = run.samples, run.recorded[names[0]][0].steps
    moments = samples * steps
    populations = graph.of_kind(Population)
    idle = {n: run.counts[n].idle / (moments * prod(graph.shapes[n])) for n in populations}
    return Messages(found, TrafficRecord(samples, steps, idle))
