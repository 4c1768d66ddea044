"""Early exit: samples that are sure of their answer stop, and the batch goes on without them.

A live run is advanced in stretches; behind each the samples whose confidence (`ir.exit_rule`) was reached
leave the batch, so that their later steps are never computed. A stretch grows with the steps behind it: a
sample may run an eighth of its own time longer than it would have to, which the counts of operations say; its
answer is always that of the step in which it was sure.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from spikeflow.ir.record import Network
from spikeflow.sim import Counts, Runner, State
from spikeflow.sim.inputs import RunInput, between, rows_of, samples_of
from spikeflow.sim.result import Result
from spikeflow.sim.unbounded import Unbounded
from spikeflow.typing import Array

PART = 8  # a stretch is so many of the steps behind it


@dataclass(frozen=True, eq=False)
class Read:
    """What a run with an exit needs.

    Parameters
    ----------
    inputs : of a batch, by name.
    levels : the step at which each Output's read-out wakes, by name of the node; reading starts there.
    output : name of the one that answers.
    spiking : names of outputs that hand on spikes.
    first : the number of the batch's first sample.
    """

    network: Network
    inputs: Mapping[str, RunInput]
    steps: int
    levels: Mapping[str, int]
    output: str
    spiking: frozenset[str]
    first: int = 0

    @property
    def level(self) -> int:
        """At which the last read-out wakes."""
        return max(self.levels.values())

    def means(self, accumulated: Array, steps: int) -> Array:
        """Outputs after so many steps in the units of the network before conversion."""
        about = next(o for o in self.network.outputs if o.name == self.output)
        return accumulated.astype(np.float64) * about.unit / (steps if about.mean else 1)


@dataclass(eq=False)
class _Batch:
    """Samples under way, and what those that stopped have answered."""

    rows: Array  # the samples that still run
    stopped: Array
    outputs: dict[str, Array] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    unbounded: dict[str, Unbounded] = field(default_factory=dict)
    moments: int = 0

    def note(self, found: Result, at: int) -> None:
        """Outputs of a stretch that begins with step `at`, for the samples that ran it."""
        for name, values in found.outputs.items():
            self.outputs[name][at : at + len(values), self.rows] = values
        for name, count in found.counts.items():
            self.counts[name] = count + self.counts[name] if name in self.counts else count
        self.moments += found.steps * len(self.rows)
        for one in found.unbounded:
            one = replace(one.later(at), sample=int(self.rows[one.sample]))
            first = self.unbounded.get(one.name, one)  # every stretch tells of a state that stays so
            both = replace(first, count=max(first.count, one.count))
            self.unbounded[one.name] = both if first.sample <= one.sample else replace(one, count=both.count)


@dataclass(frozen=True, eq=False)
class Stopped:
    """One batch whose samples could stop.

    Parameters
    ----------
    result : holds the outputs of every step; behind the step in which a sample stopped what it had then.
    ends : after how many steps each sample stopped, ``(B,)``.
    moments : samples x steps that were run, those before the read-outs wake included.
    """

    result: Result
    ends: Array
    moments: int


def run_until_sure(runner: Runner, read: Read) -> Stopped:
    """One batch, each sample run until it is sure, or to the last step."""
    rule, graph, last = read.network.record.exit, read.network.graph, read.steps + read.level
    assert rule is not None
    begun, node = time.perf_counter(), next(o.node for o in read.network.outputs if o.name == read.output)
    samples = samples_of(next(iter(read.inputs.values())))
    initial = State.initial(graph, samples)
    live = runner.begin(replace(initial, sample=initial.sample + read.first))
    kind = np.int64 if next(iter(initial.arrays().values())).dtype.kind == "i" else np.float32
    batch = _Batch(np.arange(samples), np.full(samples, read.steps))
    batch.outputs = {n: np.zeros((last, samples, *graph.shapes[n]), kind) for n in graph.outputs}
    inputs, done = dict(read.inputs), 0
    while done < last and len(batch.rows):
        size = min(max(1, (done - read.level) // PART), last - done)
        found = live.advance({n: between(x, done, done + size) for n, x in inputs.items()}, size)
        batch.note(found, done)
        running = np.ones(len(batch.rows), bool)
        for at in range(max(done, read.level), done + size):
            steps = at - read.level + 1
            sure = running & rule.stops(read.means(found.outputs[node][at - done], steps), steps)
            batch.stopped[batch.rows[sure]] = steps
            running &= ~sure
        done += size
        if not running.all() and running.any() and done < last:
            live = runner.begin(live.state()[np.flatnonzero(running)])
            inputs = {n: rows_of(x, np.flatnonzero(running)) for n, x in inputs.items()}
        batch.rows = batch.rows[running]
    for o in read.network.outputs:
        if o.name not in read.spiking:
            _hold(batch.outputs[o.node], batch.stopped + read.levels[o.node])
    seconds = time.perf_counter() - begun
    beyond = tuple(batch.unbounded.values())
    result = Result(last, samples, batch.outputs, batch.counts, {}, seconds, unbounded=beyond)
    return Stopped(result, batch.stopped, batch.moments)


def _hold(values: Array, ends: Array) -> None:
    """Outputs ``(T, B, *shape)`` of each sample kept as they are after its last step."""
    for row, end in enumerate(ends):
        values[end:, row] = values[end - 1, row]
