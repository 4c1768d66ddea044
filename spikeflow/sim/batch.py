"""One batch of samples, encoded as the run record says and run, in one stretch of steps or in several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from spikeflow import encode
from spikeflow.events import Spikes
from spikeflow.ir.graph import Graph
from spikeflow.ir.input_record import InputRecord
from spikeflow.ir.nodes import Input, Poisson
from spikeflow.ir.record import Network
from spikeflow.sim import ENGINES, Constant, Dense, Result, Runner, State
from spikeflow.sim.checkpoint import Checkpoint
from spikeflow.sim.inputs import RunInput, RunInputs, between
from spikeflow.sim.joined import parted
from spikeflow.sim.records import Asked, wanted
from spikeflow.sim.unbounded import Unbounded
from spikeflow.typing import Array

Sink = Callable[[Mapping[str, Any], int, int, int], None]
AT_ONCE = 1 << 22  # values that are recorded before they are handed on


@dataclass(frozen=True)
class RunOptions:
    """How to run: engine, threads (0: all cores), samples at a time, steps (None: as recorded), output
    that answers.

    `kept` are the steps after which outputs are kept, ascending; without it every step is. A long run of many
    samples that is read at a few moments then takes no more memory than a short one.

    `start` is a checkpoint from which the run goes on, `keep_state` whether the evaluation holds one behind
    its last step. Samples with a time axis, and random spikes, are those of the whole run: a run that goes on
    takes their later steps.

    `sink` is called with what is recorded of each stretch of steps, the number of its first sample, its first
    step, and how many steps it has: long records then take no more memory than short ones, and the evaluation
    keeps none.

    `lowered` is a file of `sim.keep_lowered`, from which the synapses are mapped.

    `exit` : whether samples stop early where the run record has an exit (`ir.exit_rule`).

    `ranks` : as `sim.run` takes it.
    """

    engine: str = ENGINES[0]
    threads: int = 0
    batch: int = 250
    steps: int | None = None
    record: tuple[Asked, ...] = ()
    output: str = ""
    kept: tuple[int, ...] = ()
    start: Checkpoint | None = None
    keep_state: bool = False
    sink: Sink | None = None
    exit: bool = True
    ranks: int | str = 1
    lowered: str | None = None

    @property
    def before(self) -> int:
        """Steps that lie behind the samples already."""
        return 0 if self.start is None else self.start.steps


DEFAULT = RunOptions()


def run_batch(
    network: Network, runner: Runner, batch: Array, options: RunOptions, when: When
) -> tuple[Result, list[Unbounded]]:
    """One batch, from its rows of the checkpoint, and what left float32 in records that were handed on.

    The state that is kept is that before a read-out's last steps, which only let the answer arrive: a run
    that goes on has other inputs there.
    """
    inputs = encode_batch(network, batch, when.steps, when.level, when.first, when.before)
    named = inputs if isinstance(inputs, Mapping) else {network.graph.inputs[0]: inputs}
    start = options.start
    state = (
        _numbered(network, len(batch), when)
        if start is None
        else start.state[when.first : when.first + len(batch)]
    )
    numbered = state is not None
    ends, after, beyond = _ends(network, len(batch), options, when), None, list[Unbounded]()
    parts: list[Result] = []
    for first, last in pairwise((0, *ends)):
        kept = last != ends[-1] or (options.keep_state and last == when.steps)
        now = {name: between(x, first, last) for name, x in named.items()} if len(ends) > 1 else inputs
        found = runner(now, last - first, options.record, state=state, keep_state=kept)
        if kept:
            state = found.state
            after = state if options.keep_state and last == when.steps else after
        if options.sink is not None:
            options.sink(found.recorded, when.first, first, last - first)
            beyond += [u.later(first, when.first) for u in found.beyond()]
            found = replace(found, recorded={})
        parts.append(found)
    whole = replace(_joined(parts), after=None)
    if after is None:
        return whole, beyond
    renumbered = after if numbered else replace(after, sample=after.sample + when.first)
    return replace(whole, after=lambda: renumbered), beyond


def _numbered(network: Network, samples: int, when: When) -> State | None:
    """The initial state where drive depends on the number of a sample; else None, which means the same."""
    if not network.graph.of_kind(Poisson):
        return None
    initial = State.initial(network.graph, samples)
    return replace(initial, sample=initial.sample + when.first)


def _ends(network: Network, samples: int, options: RunOptions, when: When) -> list[int]:
    """The steps behind which the stretches of a run end."""
    last = when.steps + when.level
    ends = {when.steps, last} if options.keep_state else {last}
    if options.sink is not None:
        found = wanted(network.graph, options.record)
        shapes = [found.shape(name, network.graph) for name in found.nodes]
        at_start = np.zeros(1, np.int64)
        shapes += [one.room(network.graph.shapes[one.node], at_start, 1) for one in found.traces.values()]
        size = samples * sum(map(prod, shapes))
        ends |= set(range(0, last, max(1, AT_ONCE // max(size, 1)))) - {0}
    return sorted(ends)


def _joined(parts: list[Result]) -> Result:
    """Stretches as one; neighbours first, so that no step is copied often."""
    while len(parts) > 1:
        pairs = [a.followed_by(b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + parts[len(pairs) * 2 :]
    return parts[0]


def encode_batch(
    network: Network, x: Array, steps: int, level: int, first: int, before: int = 0
) -> RunInputs:
    """Samples as the network's inputs: `first` is the running number of the first, for random coding.

    The first `before` steps of the whole run are left out.
    """
    graph, parts = network.graph, parted(network, x)
    found: dict[str, RunInput] = {}
    for described, seed in zip(network.inputs, _seeds(network), strict=True):
        when = When(before + steps, level, first, seed)
        whole = _encoded(_input(graph, described.node), described, parts[described.node], when)
        found[described.node] = between(whole, before, before + steps + level) if before else whole
    return found if len(found) > 1 else found[graph.inputs[0]]


def _seeds(network: Network) -> Iterator[int]:
    """One seed for each input, the run record's for the first, so that no two draw the same numbers."""
    for number in range(len(network.graph.inputs)):
        yield (network.record.seed + number * 0x9E3779B97F4A7C15) % 2**63


@dataclass(frozen=True)
class When:
    """The moment of a batch: steps, level of the read-out, number of the first sample, the seed, steps
    before.
    """

    steps: int
    level: int
    first: int
    seed: int = 0
    before: int = 0


def _encoded(node: Input, described: InputRecord, x: Array, when: When) -> RunInput:
    """One input's samples as its coding says."""
    if described.coding == "direct":
        return Constant(x if node.format is None else node.format.quantise(x))
    if described.timed:
        moments = np.moveaxis(x[:, : when.steps], 1, 0)
        values = np.concatenate([moments, np.zeros((when.level, *moments.shape[1:]), moments.dtype)])
        if node.kind == "spikes":
            return Spikes.from_dense(values)
        return Dense(values if node.format is None else node.format.quantise(values))
    coder = encode.rate if described.coding == "rate" else encode.onoff
    spikes = coder(x, when.steps, described.scale, when.seed, when.first)
    return replace(spikes, steps=when.steps + when.level)


def _input(graph: Graph, name: str) -> Input:
    node = graph.nodes[name]
    assert isinstance(node, Input)
    return node
