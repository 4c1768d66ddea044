"""The normative semantics: any graph, at any stage, in plain numpy. ``docs/semantics.md`` is this in words.

Within a step, nodes run in `Graph.order`. A port starts from +0 and adds the values of its edges, left to
right; an edge of delay d carries the value of step t - d, and 0 before step 0. A population sleeps before its
`start`, emitting 0; afterwards its program runs once, reset included.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from spikeflow.events import Spikes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Joint, Move, OfMeans, Plain, Poisson, Population, Scale, Synaptic
from spikeflow.ir.nodes.families import gathered
from spikeflow.ir.outputs import expanded
from spikeflow.ir.synapses import index_map
from spikeflow.sim import coded, forecast
from spikeflow.sim.first_step import with_first_steps
from spikeflow.sim.inputs import (
    Constant,
    Expected,
    RunInput,
    RunInputs,
    expect_rows,
    rows_in,
    within,
)
from spikeflow.sim.interpreter import Step
from spikeflow.sim.latency import Calls, Latency
from spikeflow.sim.plastic import expect_exact, learning
from spikeflow.sim.records import Asked, Recording, Trace, some_of, wanted
from spikeflow.sim.remembered import Past, remembered
from spikeflow.sim.result import Counts, Result
from spikeflow.sim.state import State, rows_of, start_of
from spikeflow.sim.unbounded import Unbounded, states_at_end
from spikeflow.typing import Array


def prepare(graph: Graph) -> Reference:
    """The graph ready to run here; nothing is made in advance."""
    return Reference(graph)


def simulate(graph: Graph, inputs: RunInputs, steps: int, record: Sequence[Asked] = ()) -> Result:
    """Run a graph for so many steps from its initial state; `record` as for `spikeflow.sim.run`."""
    return Reference(graph)(inputs, steps, record)


class Reference:
    """A graph to be run in numpy; see `spikeflow.sim.Runner`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = expanded(graph)
        self.layout = remembered(self.graph)
        self.expected, self.needs = Expected(self.graph), forecast.needs(self.graph)
        self.named = frozenset(graph.nodes)  # twins are part of no result

    def __call__(
        self,
        inputs: RunInputs,
        steps: int,
        record: Sequence[Asked] = (),
        progress: object = None,
        state: State | None = None,
        keep_state: bool = True,
    ) -> Result:
        """Run for so many steps, from a state or from the initial one."""
        inputs, steps = within(inputs, steps)
        named = self.expected.by_name(inputs, steps)
        samples = rows_in(named, None if state is None else rows_of(state))
        self.needs.expect_room(_size(samples, steps))
        run = _Run(self, samples if state is None else state)
        result = with_first_steps(self, run.advance(inputs, steps, record), named, state)
        return replace(result, after=run.state) if keep_state else result

    def begin(self, state: State | int = 1) -> _Run:
        """A run that keeps its state and is advanced piece by piece, from a state or for so many new
        samples.
        """
        self.needs.expect_room(_size(rows_of(state), 1))
        return _Run(self, state)


def _size(samples: int, steps: int) -> forecast.Size:
    return forecast.Size(steps, samples, 2 * samples)


class _Run:
    """A run under way: values of the nodes now and as long ago as a delay needs, states, counts."""

    def __init__(self, of: Reference, start: State | int) -> None:
        graph, layout, self.named = of.graph, of.layout, of.named
        self.expected, self.needs = of.expected, of.needs
        state = start_of(graph, layout, start)
        self.graph, self.layout, self.dtype = graph, layout, layout.dtype
        self.done, self.numbers, self.samples = state.steps, state.sample, state.rows
        self.values: dict[str, Array] = {}
        self.arriving: dict[str, list[Array]] = {}  # at the ports of populations, in this step
        self.past = {n: deque[Array]([], 1) for n in graph.nodes}
        self.past |= {n: _recalled(state.emitted[n], past.steps + 1) for n, past in layout.emitted.items()}
        self.past_inputs = {n: deque[Array]([], 1) for n in graph.of_kind(Synaptic)}
        self.past_inputs |= {
            n: _recalled(state.arrived[n], past.steps + 1) for n, past in layout.arrived.items()
        }
        self.maps = {n: index_map(graph, n) for n in graph.of_kind(Move)}
        self.joint = {n: dict(state.memory.get(n, {})) for n in graph.of_kind(Joint)}
        self.rank = {name: i for i, name in enumerate(graph.order)}
        self.analog = _analog(graph)
        self.exact = coded.exact(graph)
        expect_exact(graph, self.exact)
        self.calls = Calls()
        self.learning = learning(graph, state.memory)
        self.cells = {n: _Cells(graph.nodes[n], state.memory.get(n, {})) for n in graph.of_kind(Population)}

    def advance(
        self, inputs: RunInputs, steps: int, record: Sequence[Asked] = (), progress: object = None
    ) -> Result:
        """Run so many further steps; `inputs` begin with the first of them."""
        inputs, steps = within(inputs, steps)
        named = self.expected.by_name(inputs, steps)
        expect_rows(named, self.samples)
        self.needs.expect_room(_size(self.samples, steps))
        begun = time.perf_counter()
        self.inputs = {name: _dense(self, x) for name, x in named.items()}
        self.counts = {name: Counts() for name in self.graph.nodes}
        for cells in self.cells.values():
            cells.step.narrowed_low.clear()
            cells.step.narrowed_high.clear()
        kept = Recording(self.graph, wanted(self.graph, record), self.done, steps, self.dtype)
        for step in range(steps):
            with np.errstate(all="ignore"):  # what leaves float32 is told of the result, not of numpy's lines
                self.step(step)
            kept.add(step, self.values, partial(_traced, self))
        self.done = self.done + steps
        outputs, recorded = kept.result()
        counts = {n: c for n, c in self.counts.items() if n in self.named}
        seconds, found = time.perf_counter() - begun, _unbounded(self, steps)
        self.calls.add(time.perf_counter() - begun, steps)
        at = kept.asked.moments(self.done - steps, steps)
        return Result(steps, self.samples, outputs, counts, recorded, seconds, unbounded=found, moments=at)

    @property
    def latency(self) -> Latency:
        """How long the calls of `advance` took until now."""
        return self.calls.latency()

    def state(self) -> State:
        """What the next step depends on, as a value."""
        done = int(self.done.max())
        memory = {n: _held(self, n) for n in self.layout.memory}
        emitted = {n: self._kept(past, self.past[n], done) for n, past in self.layout.emitted.items()}
        arrived = {n: self._kept(past, self.past_inputs[n], done) for n, past in self.layout.arrived.items()}
        return State(self.graph.digest, self.done, self.numbers, memory, emitted, arrived)

    def _kept(self, past: Past, values: deque[Array], done: int) -> Array:
        kept = past.kept(done)
        if not kept:
            return np.zeros((self.samples, 0, *past.shape), self.dtype)
        return past.cleared(np.stack([values[k] for k in range(kept)], axis=1))

    def step(self, step: int) -> None:
        for name in self.graph.order:
            value = self._value(name, step)
            self.values[name] = value
            self.past[name].appendleft(value)
        for name in self.learning:
            _learn(self, name, step)

    def _value(self, name: str, step: int) -> Array:
        node = self.graph.nodes[name]
        if isinstance(node, Input | Poisson):
            value = _entering(self, name, node, step)
            self.count(name, spikes=int(np.count_nonzero(value)))
            return value
        arriving = [self._port(name, port) for port in node.ports]
        if isinstance(node, Population):
            self.arriving[name] = arriving
            return self._population(name, node, arriving, self.done + step)
        if isinstance(node, Synaptic | Scale):
            _count_operations(self, name, arriving[0])
        if isinstance(node, Synaptic):
            self.past_inputs[name].appendleft(arriving[0])
            return self._sums(name, node)
        if isinstance(node, Move):
            shape = self.graph.shapes[name]
            return gathered(arriving, self.maps[name]).reshape(self.samples, *shape)
        if isinstance(node, Joint):
            return _joined(self, name, node, arriving)
        assert isinstance(node, Plain)
        return node.value(arriving)

    def _sums(self, name: str, node: Synaptic) -> Array:
        past = self.reader(name)
        if name not in self.learning:
            return _delivered(self, name, node, past)
        return np.concatenate([_of_row(self, name, b, past) for b in range(self.samples)])

    def _port(self, name: str, port: str) -> Array:
        total = np.zeros((self.samples, *self.graph.port_shape(name, port)), self.dtype)
        for edge in self.graph.inputs_of(name, port):
            total = total + self._delayed(edge)
        return total

    def _delayed(self, edge: Edge) -> Array:
        past, lag = self.past[edge.src], self.graph.lag(edge)
        # a source that runs later in this step has not yet added its present value to its past
        at = lag if self.rank[edge.src] < self.rank[edge.dst] else lag - 1
        return past[at] if at < len(past) else np.zeros((), self.dtype)

    def reader(self, name: str) -> Callable[[int], Array]:
        history = self.past_inputs[name]
        return lambda delay: history[delay] if delay < len(history) else np.zeros_like(history[0])

    def _population(self, name: str, node: Population, arriving: list[Array], now: Array) -> Array:
        """`now` is the step of each row: rows of different age may have woken or not."""
        awake = np.flatnonzero(now >= node.start)
        output = np.zeros((self.samples, *node.shape), self.dtype)
        self.count(name, idle=(self.samples - awake.size) * prod(node.shape))
        if awake.size:
            output[awake] = self._step_cells(name, [x[awake] for x in arriving], awake)
        return output

    def _step_cells(self, name: str, arriving: list[Array], rows: Array) -> Array:
        cells = self.cells[name]
        before = [s[rows] for s in cells.state]
        output, after = cells.step(before, arriving)
        idle = int((~_busy(cells, before, arriving, output, after)).sum())
        for held, values in zip(cells.state, after, strict=True):
            held[rows] = values
        self.count(name, spikes=int(np.count_nonzero(output)), neuron_updates=output.size, idle=idle)
        clips = {
            "narrowed_low": dict(cells.step.narrowed_low),
            "narrowed_high": dict(cells.step.narrowed_high),
        }
        self.counts[name] = replace(self.counts[name], **clips)
        return output

    def count(self, name: str, **more: int) -> None:
        """Add to what a node has counted."""
        old = self.counts[name]
        self.counts[name] = replace(old, **{k: getattr(old, k) + v for k, v in more.items()})


def _held(run: _Run, name: str) -> Mapping[str, Array]:
    """What a node remembers."""
    if name in run.learning:
        return run.learning[name].state()
    if name in run.joint:
        return run.joint[name]
    return dict(zip(run.cells[name].states, run.cells[name].state, strict=True))


def _delivered(run: _Run, name: str, node: Synaptic, past: Callable[[int], Array]) -> Array:
    if name in run.exact:
        return coded.sums(name, node, run.exact[name], past, run.graph.shapes[name])
    return node.sums(past, run.graph.shapes[name])


def _of_row(run: _Run, name: str, b: int, past: Callable[[int], Array]) -> Array:
    """What synapses that learn deliver in one row."""
    return _delivered(run, name, run.learning[name].row(b), lambda delay: past(delay)[b : b + 1])


def _learn(run: _Run, name: str, step: int) -> None:
    """The end of a step for synapses that learn."""
    plastic = run.learning[name].plastic
    modulator = run.values[plastic.modulator] if plastic.modulator else None
    run.learning[name].learn(run.reader(name), run.values[plastic.post], modulator, run.done + step)


def _entering(run: _Run, name: str, node: Input | Poisson, step: int) -> Array:
    if isinstance(node, Poisson):
        return node.value(run.numbers, run.done + step).astype(run.dtype)
    values, constant = run.inputs[name]
    return values if constant else values[step]


def _traced(run: _Run, trace: Trace) -> Array:
    if trace.state >= 0:
        return some_of(run.cells[trace.node].state[trace.state], trace.neurons)
    return some_of(run.arriving[trace.node][trace.port], trace.neurons)


def _unbounded(run: _Run, steps: int) -> tuple[Unbounded, ...]:
    """The states of populations, and of synapses that learn, that are infinite or no number now."""
    held_by = [(n, s, held) for n, c in run.cells.items() for s, held in zip(c.states, c.state, strict=True)]
    held_by += [(n, s, held) for n, learns in run.learning.items() for s, held in learns.held.items()]
    ended = [
        (name, state, sample, int(values))
        for name, state, held in held_by
        if name in run.named
        for sample, values in enumerate((~np.isfinite(held)).reshape(run.samples, -1).sum(axis=1))
        if values
    ]
    return states_at_end(ended, steps)


def _joined(run: _Run, name: str, node: Joint, arriving: list[Array]) -> Array:
    if isinstance(node, OfMeans):
        each = node.operations([x.shape[1:] for x in arriving])
        run.count(name, multiply_accumulates=each * run.samples)
    value, run.joint[name] = node.value(arriving, run.joint[name])
    return value


def _count_operations(run: _Run, name: str, x: Array) -> None:
    """One operation for every non-zero value and synapse, counted in the step when the value arrives."""
    node = run.graph.nodes[name]
    fan = np.ones((), np.int64)
    if isinstance(node, Synaptic):
        fan = node.fan_out(run.graph.port_shape(name, "in"), run.graph.shapes[name])
    unit = (np.abs(x) == 1) & (not run.analog[name])
    run.count(
        name,
        accumulates=int((unit * fan).sum()),
        multiply_accumulates=int((((x != 0) & ~unit) * fan).sum()),
    )


def _dense(run: _Run, x: RunInput) -> tuple[Array, bool]:
    """The values of an input, and whether they are the same in every step."""
    values = x.dense() if isinstance(x, Spikes) else x.values
    return values.astype(run.dtype, copy=False), isinstance(x, Constant)


class _Cells:
    """A population's state and its step."""

    def __init__(self, node: Any, memory: Mapping[str, Array]) -> None:
        assert isinstance(node, Population)
        self.step = Step(node.program, node.params, node.fixed)
        self.states = node.program.states
        self.state = [memory[s].copy() for s in self.states]


def _busy(
    cells: _Cells, before: Sequence[Array], arriving: Sequence[Array], output: Array, after: Sequence[Array]
) -> Array:
    """Where something happens: a value arrives or leaves, a bit of the state changes, or overflow changes
    a value.
    """
    busy = (output != 0) | cells.step.overflowed
    for value in arriving:
        busy = busy | (value != 0)
    for old, new in zip(before, after, strict=True):
        width = f"u{old.dtype.itemsize}"  # -0 and +0 differ in a bit
        busy = busy | (np.ascontiguousarray(old).view(width) != np.ascontiguousarray(new).view(width))
    return busy


def _recalled(past: Array, length: int) -> deque[Array]:
    """Values of the last steps, newest first, of rows that hold the same number of them."""
    return deque(past.swapaxes(0, 1), length)


def _analog(graph: Graph) -> dict[str, bool]:
    """Whether a node's input comes from a current without a population in between."""
    known = {
        n: node.kind == "current" if isinstance(node, Input) else isinstance(node, Poisson) and not node.whole
        for n, node in graph.nodes.items()
    }
    for name in graph.order:
        if not isinstance(graph.nodes[name], Input | Poisson | Population):
            known[name] = any(known[e.src] for e in graph.inputs_of(name))
    return known
