"""Run graphs on the C++ engine: lower once, run often."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from spikeflow.errors import SimulationError
from spikeflow.events import Spikes
from spikeflow.files.opened import PathLike
from spikeflow.files.write import check_output
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population, Procedural, Synaptic
from spikeflow.ir.outputs import expanded
from spikeflow.ir.plastic import plastic_nodes
from spikeflow.sim import coded, forecast, kept
from spikeflow.sim.alphabets import EXACT
from spikeflow.sim.feeds import NO_STARTS, feed_of, largest_of
from spikeflow.sim.first_step import with_first_steps
from spikeflow.sim.inputs import (
    Expected,
    RunInputs,
    expect_rows,
    rows_in,
    within,
)
from spikeflow.sim.latency import Calls, Latency
from spikeflow.sim.lower import BEST_ISA, Lowered, is_fixed, lower
from spikeflow.sim.process import Found, KeptProcess, WholeProcess
from spikeflow.sim.records import Asked
from spikeflow.sim.result import Counts, Result
from spikeflow.sim.room import Room, arrays_of
from spikeflow.sim.state import State, check, rows_of, start_of
from spikeflow.sim.unbounded import Unbounded, states_at_end
from spikeflow.typing import Array, Progress

WHOLE_PROCESS = WholeProcess()
MOST_THREADS = 1024  # more are as good as so many


def prepare(graph: Graph, threads: int = 0, isa: int = BEST_ISA, lowered: PathLike | None = None) -> Engine:
    """The graph made ready for many runs, from a file of `keep` where one is given; see `Engine`."""
    process = WHOLE_PROCESS if lowered is None else KeptProcess(kept.read(lowered, graph), threads)
    return Engine(graph, threads, isa, process)


def keep(graph: Graph, path: PathLike, threads: int = 0) -> Engine:
    """The graph made ready, and its synapses kept in a file; see `spikeflow.sim.keep_lowered`."""
    kept.expect_keepable(graph)
    check_output(path)
    engine = Engine(graph, threads, whole=True)
    lowered = engine.lowered(1, 1)
    kept.write(path, engine.graph, lowered.network, lowered.index)
    return engine


def simulate(
    graph: Graph,
    inputs: RunInputs,
    steps: int,
    record: Sequence[Asked] = (),
    threads: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Make a graph ready and run it once from its initial state."""
    return Engine(graph, threads)(inputs, steps, record, progress)


class Engine:
    """A graph lowered to the engine.

    Parameters
    ----------
    threads : workers, each running whole samples, or together the neurons of one where there are fewer
        samples than threads (`spikeflow.sim.sharing` says when); 0 takes all cores. Results do not depend
        on it.
    isa : the processor's instructions to use at most; results do not depend on it either.
    process : whether this one has the network whole.
    whole : whether to lower for runs of any length at once.
    """

    def __init__(
        self,
        graph: Graph,
        threads: int = 0,
        isa: int = BEST_ISA,
        process: WholeProcess = WHOLE_PROCESS,
        whole: bool = False,
    ) -> None:
        self.process = process
        self.counted = {n: _narrowing(node) for n, node in process.counted(graph).items()}  # without twins
        self.states = {
            n: node.program.states for n, node in graph.nodes.items() if isinstance(node, Population)
        }
        graph = expanded(graph)
        self.needs, self.expected = forecast.needs(graph), Expected(graph)
        self.graph, self.isa = graph, isa
        self.threads = min(threads, MOST_THREADS) if threads > 0 else len(os.sched_getaffinity(0))
        self.cut = process.cut(graph, self.threads)
        # of several processes each holds a part; rows in a file take no memory of their own
        part = 0.0 if process.held else self.cut.part
        self.needs = replace(self.needs, rows=round(part * self.needs.rows))
        self.fixed = is_fixed(graph)
        self.coded = bool(coded.exact(graph))
        self.fed, self.read = (
            [n for n in graph.order if n in names] for names in (graph.inputs, graph.outputs)
        )
        self._lowered: dict[tuple[int, int, bool], Lowered] = {}
        self._longest = _longest(graph)
        # rules are drawn with all their delays, so a longer run finds its network made
        drawn = (node.reach for node in graph.nodes.values() if isinstance(node, Procedural))
        self._least = self._longest if whole or process.held else max(drawn, default=0)
        self.needs.expect_ready()
        self.lowered(1, 1)
        self.layout = process.layout(graph)  # what a rule's sources reach is known once it is drawn
        self.states |= {n: tuple(self.layout.memory[n]) for n, _, _ in plastic_nodes(graph)}

    def __call__(
        self,
        inputs: RunInputs,
        steps: int,
        record: Sequence[Asked] = (),
        progress: Progress | None = None,
        state: State | None = None,
        keep_state: bool = True,
    ) -> Result:
        """Run for so many steps, from a state or from the initial one; see `spikeflow.sim.Runner`.

        `progress` is called with (samples done, samples) about every 50 ms; an exception it raises, or
        Ctrl-C, ends the run.
        """
        inputs, steps = within(inputs, steps)
        if state is not None:
            rows_of(state)
            check(state, self.graph, self.layout)
        run = _Stretch(self, inputs, steps, record, None if state is None else state.steps)
        before = 0 if state is None else int(state.steps.max())
        largest = max(run.largest, self.remembered(state))
        held = self.layout.values(before + steps) * self.layout.dtype.itemsize if keep_state else 0
        self.expect_room(run, min(self.threads, run.samples), before, held)
        lowered = self.lowered(largest, before + steps, state)
        room = Room(self.layout, run.samples, before + steps) if keep_state else None
        found = lowered.network.run(
            **run.asked(lowered),
            threads=self.threads,
            progress=progress,
            begun=NO_STARTS if state is None else state.steps,
            numbers=NO_STARTS if state is None else state.sample,
            start=[] if state is None else arrays_of(state, self.layout, lowered.index),
            end=[] if room is None else room.arrays(lowered.index),
        )
        if room is not None:
            self.process.join_state(lowered, room)
        # most runs end here: a state is made of what the engine wrote only when somebody asks for it
        after = None if room is None else partial(self._after, run, state, room)
        alone = self.process.exchange is None
        return with_first_steps(self, run.result(lowered, found, after), run.named, state, alone)

    def _after(self, run: _Stretch, state: State | None, room: Room) -> State:
        rows = np.arange(run.samples)
        done, sample = (np.zeros_like(rows), rows) if state is None else (state.steps, state.sample)
        return room.state(self.graph, done + run.steps, sample)

    def begin(self, state: State | int = 1) -> LiveEngine:
        """A run that keeps its state and is advanced piece by piece, from a state or for so many new
        samples.
        """
        samples = rows_of(state)
        self.needs.expect_room(forecast.Size(1, samples, samples))
        return LiveEngine(self, start_of(self.graph, self.layout, state))

    def expect_room(self, run: _Stretch, workers: int, before: int, state: int = 0) -> None:
        """Raise NotEnoughMemory where a stretch of steps would find no room."""
        self.needs.expect_room(forecast.Size(run.steps, run.samples, max(workers, 1), before, state))

    def lowered(self, largest: int, steps: int, state: State | None = None) -> Lowered:
        """The network for inputs of this magnitude and runs of this length: lowered anew only where that
        matters.
        """
        found = self._made(*self.sized(largest, steps), False)
        return found if state is None or found.holds(state) else self._made(*self.sized(largest, steps), True)

    def remembered(self, state: State | None) -> int:
        """The largest magnitude that is still to arrive at sums of codes, which are sized for what enters."""
        if state is None or not self.coded:
            return 1
        pasts = [np.abs(x[np.isfinite(x)]) for x in (*state.emitted.values(), *state.arrived.values())]
        return int(min(max((x.max(initial=0) for x in pasts), default=0), EXACT))

    def sized(self, largest: int, steps: int) -> tuple[int, int]:
        """What of an input's magnitude and a run's length matters: the bound and the delay that they are
        lowered for.
        """
        bound = 1 << max(largest - 1, 0).bit_length() if self.fixed or self.coded else 1
        return bound, max(min(self._longest, forecast.reach(steps)), self._least, 1)

    def _made(self, bound: int, reach: int, wide: bool) -> Lowered:
        key = bound, reach, wide
        if key not in self._lowered:
            rows = self.process.held, self.process.divisions
            with self.process.lowering():
                self._lowered[key] = lower(self.graph, bound, self.isa, reach, wide, self.cut, *rows)
        return self._lowered[key]


class LiveEngine:
    """A batch under way: it owns its state, so that going on copies nothing; see `spikeflow.sim.Live`."""

    def __init__(self, engine: Engine, start: State) -> None:
        self._engine, self._start = engine, start
        self._done, self._sample = start.steps, start.sample
        self._largest = engine.remembered(start)
        self._lowered: Lowered | None = None
        self._sized = (0, 0)
        self._native: Any = None
        self._whole = True
        self._calls = Calls()

    @property
    def latency(self) -> Latency:
        """How long the calls of `advance` took until now."""
        return self._calls.latency()

    def advance(
        self,
        inputs: RunInputs,
        steps: int,
        record: Sequence[Asked] = (),
        progress: Progress | None = None,
    ) -> Result:
        """Run so many further steps; `inputs` begin with the first of them."""
        begun = time.perf_counter()
        self._expect_whole()
        inputs, steps = within(inputs, steps)
        run = _Stretch(self._engine, inputs, steps, record, self._done)
        before = int(self._done.max())
        self._engine.expect_room(run, run.samples, before)
        lowered = self._network(run, before + steps)
        self._whole = False
        found = self._native.advance(**run.asked(lowered), threads=self._engine.threads, progress=progress)
        self._whole = True
        self._done = self._done + steps
        result = run.result(lowered, found)
        self._calls.add(time.perf_counter() - begun, steps)
        return result

    def state(self) -> State:
        """What the next step depends on, as a value: a copy."""
        self._expect_whole()
        if self._lowered is None:
            return self._start
        room = Room(self._engine.layout, self._done.size, int(self._done.max()))
        self._native.save(room.arrays(self._lowered.index))
        self._engine.process.join_state(self._lowered, room)
        return room.state(self._engine.graph, self._done, self._sample)

    def _network(self, run: _Stretch, steps: int) -> Lowered:
        """The network that holds what was and what comes; the state moves where it is another one than
        before.
        """
        self._largest = max(self._largest, run.largest)
        sized = self._engine.sized(self._largest, steps)
        if self._lowered is None or sized != self._sized:
            state = self.state()
            lowered = self._engine.lowered(self._largest, steps, state)
            start = arrays_of(state, self._engine.layout, lowered.index)
            self._native = lowered.network.live(state.rows, state.steps, state.sample, start)
            self._lowered, self._sized = lowered, sized
        return self._lowered

    def _expect_whole(self) -> None:
        if not self._whole:
            raise SimulationError(
                "run", "was stopped amid a stretch of steps", "begin again from a state saved before"
            )


class _Stretch:
    """What a stretch of steps takes and gives, as the engine and as Python see it."""

    def __init__(
        self,
        engine: Engine,
        inputs: RunInputs,
        steps: int,
        record: Sequence[Asked],
        done: Array | None = None,
    ) -> None:
        self.engine, self.graph, self.steps = engine, engine.graph, steps
        self.wanted = engine.process.wanted(self.graph, record)
        engine.process.expect_records(self.wanted)
        self.named = engine.expected.by_name(inputs, steps)
        self.samples = rows_in(self.named, None if done is None else done.size)
        if done is not None:
            expect_rows(self.named, done.size)
        behind = np.zeros(self.samples, np.int64) if done is None else done
        whole = engine.fixed or engine.coded
        self.largest = largest_of(self.graph, self.named, engine.fixed) if whole else 1
        self.begun, self.moments = time.perf_counter(), self.wanted.moments(behind, steps)
        self.traces = {
            name: np.empty(trace.room(self.graph.shapes[trace.node], behind, steps), engine.layout.dtype)
            for name, trace in self.wanted.traces.items()
        }

    def asked(self, lowered: Lowered) -> dict[str, Any]:
        """What both kinds of run take, as the engine takes it."""
        feeds = [feed_of(name, self.named[name], self.steps, lowered.dtype) for name in self.engine.fed]
        traces = [
            (lowered.index[one.node], one.port, one.state, one.neurons, one.every, self.traces[name])
            for name, one in self.wanted.traces.items()
        ]
        recorded = [(lowered.index[node], neurons) for node, neurons in self.wanted.nodes.values()]
        return {
            "steps": self.steps,
            "samples": self.samples,
            "feeds": feeds,
            "recorded": recorded,
            "traces": traces,
            "exchange": self.engine.process.exchange,
        }

    def result(self, lowered: Lowered, found: Found, after: Callable[[], State] | None = None) -> Result:
        """The result, from what the engine gave back."""
        traces = {name: (trace, self.traces[name]) for name, trace in self.wanted.traces.items()}
        recorded_of = [node for node, _ in self.wanted.nodes.values()]
        outputs, counters, records = self.engine.process.join(lowered, found, recorded_of, traces)
        extents, shape_of = (self.samples, self.steps), self.wanted.shape
        recorded: dict[str, Any] = {
            name: Spikes(sample, step, neuron, value, *extents, shape_of(name, self.graph), self.engine.fixed)
            for name, (sample, step, neuron, value) in zip(self.wanted.nodes, records, strict=True)
        }
        counted = self.engine.counted
        each = self.engine.process.counters([*counted], lowered.index, counters)
        counts = {name: _counts(counted[name], counter) for name, counter in each}
        seconds = time.perf_counter() - self.begun
        made, held = self._outputs(outputs), recorded | self.traces
        ended = self._unbounded(lowered, counters)
        spoken = self.engine.process.exchanged(self.steps * self.samples * self.graph.dt)
        done = (after, ended, spoken, self.moments)
        return Result(self.steps, self.samples, made, counts, held, seconds, *done)

    def _unbounded(self, lowered: Lowered, counters: Sequence[Any]) -> tuple[Unbounded, ...]:
        ended = [
            (name, states[state], sample, values)
            for name, states in self.engine.states.items()
            for state, sample, values in sorted(counters[lowered.index[name]].unbounded)
        ]
        return states_at_end(ended, self.steps)

    def _outputs(self, arrays: Sequence[Array]) -> dict[str, Array]:
        by_order = dict(zip(self.engine.read, arrays, strict=True))
        dtype = np.int64 if self.engine.fixed else np.float32
        return {name: by_order[name].astype(dtype, copy=False) for name in self.graph.outputs}


def _longest(graph: Graph) -> int:
    """The longest delay of an edge or of a synapse."""
    synapses = (node.reach for node in graph.nodes.values() if isinstance(node, Synaptic))
    return max((*synapses, *map(graph.lag, graph.edges)), default=0)


def _narrowing(node: object) -> list[str]:
    """The labels of a node's registers that overflow, one for each instruction that narrows."""
    code = node.program.code if isinstance(node, Population) else ()
    return [i.name for i in code if i.op == "narrow"]


def _counts(labels: list[str], c: Any) -> Counts:
    what = c.spikes, c.accumulates, c.multiplies, c.cached, c.updates, c.idle, c.skipped
    if not labels or not c.updates:
        return Counts(*what)
    low: Counter[str] = Counter()
    high: Counter[str] = Counter()
    for label, (below, above) in zip(labels, c.narrowed, strict=True):
        low[label] += below
        high[label] += above
    return Counts(*what, dict(low), dict(high))
