"""What happens on each core in one step: from the spikes in a mapping's tables, or from the counts of a
run.
"""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass

import numpy as np

from spikeflow.hw.layout.route import Routes
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.sim.result import Counts
from spikeflow.typing import Array


@dataclass(frozen=True, eq=False)
class Activity:
    """What happens on each core in one step, on average over samples and steps, ``(cores,)`` each.

    Parameters
    ----------
    operations : synaptic operations.
    updates : neurons, each of which is looked at in every step, whether it has started or not; `idle` of them
        do nothing (``sim.result.Counts.idle``).
    spikes : neurons that emit.
    received : messages that arrive.
    measured : where the figures come from, in words; messages come from `measured_on` always.
    """

    operations: Array
    updates: Array
    idle: Array
    spikes: Array
    received: Array
    measured: str


def expected_activity(mapping: Mapping, routes: Routes) -> Activity:
    """From the spikes in the tables; neurons of which it is not known whether they are idle count as busy."""
    count = len(mapping.cores)
    operations = np.zeros(count)
    spikes = np.array([sum(float(s.spikes.sum()) for s in core.slices) for core in mapping.cores])
    senders = [(np.concatenate([s.spikes for s in c.slices]), c.routes) for c in mapping.cores]
    senders += [(t.spikes, t.routes) for t in mapping.inputs]
    lengths = [core.axons.lengths for core in mapping.cores]
    first = np.cumsum([0, *(len(n) for n in lengths)])
    flat = np.concatenate([np.zeros(0, np.int64), *lengths])
    for rate, table in senders:
        reached = flat[first[table.core] + table.axon]
        operations += np.bincount(table.core, rate[table.neuron] * reached, count)
    updates = np.array([float(core.neurons) for core in mapping.cores])
    share = {} if mapping.traffic is None else mapping.traffic.idle
    idle = np.array(
        [sum(len(s.neurons) * share.get(s.population, 0.0) for s in c.slices) for c in mapping.cores]
    )
    return Activity(operations, updates, idle, spikes, _received(routes, count), measured_on(mapping))


def measured_on(mapping: Mapping) -> str:
    """On what the spikes in the tables, and so all messages, were measured, in words."""
    if not mapping.measured:
        return "a message from every neuron in every step, assumed"
    if mapping.traffic is None:
        return "calibration samples, their number not recorded"
    samples, steps = mapping.traffic.samples, mapping.traffic.steps
    return f"{samples} calibration sample{'s' * (samples > 1)} of {steps} steps"


def activity_of(mapping: Mapping, routes: Routes, counts: abc.Mapping[str, Counts], moments: int) -> Activity:
    """From the counts of a run of the rebuilt graph over so many moments (samples x steps)."""
    count = len(mapping.cores)
    sums = np.zeros((3, count))
    for name, core in mapping.core_of.items():
        c = counts[name]
        sums[:, core] += (c.synaptic_operations, c.idle, c.spikes)
    operations, idle, spikes = sums / moments
    updates = np.array([float(core.neurons) for core in mapping.cores])
    source = f"a run of {moments} samples x steps"
    return Activity(operations, updates, idle, spikes, _received(routes, count), source)


def _received(routes: Routes, count: int) -> Array:
    received = np.zeros(count)
    for route in routes.routes:
        received[route.destinations] += route.messages
    return received
