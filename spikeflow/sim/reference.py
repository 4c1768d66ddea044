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
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import SimulationError
from spikeflow.events import Spikes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Move, Plain, Population, Scale, Synaptic
from spikeflow.ir.nodes.families import gathered
from spikeflow.ir.synapses import index_map
from spikeflow.sim import Runner, forecast
from spikeflow.sim.inputs import Constant, RunInput, RunInputs, by_name, samples_of
from spikeflow.sim.interpreter import Step
from spikeflow.sim.result import Counts, Result

Array = npt.NDArray[Any]


def prepare(graph: Graph) -> Runner:
    """The graph ready to run here; nothing is made in advance."""

    def run(inputs: RunInputs, steps: int, record: Sequence[str] = (), progress: object = None) -> Result:
        return simulate(graph, inputs, steps, record)

    return run


def simulate(graph: Graph, inputs: RunInputs, steps: int, record: Sequence[str] = ()) -> Result:
    """Run a graph for so many steps; `record` names nodes whose values are returned as spikes."""
    if steps < 1:
        raise SimulationError("run", f"{steps} steps", "at least one step")
    named = by_name(graph, inputs, steps)
    samples = samples_of(next(iter(named.values())))
    forecast.expect_room(graph, forecast.Size(steps, samples, 2 * samples))
    begun = time.perf_counter()
    run = _Run(graph, named)
    kept: dict[str, list[Array]] = {name: [] for name in (*graph.outputs, *record)}
    for step in range(steps):
        run.step(step)
        for name, values in kept.items():
            values.append(run.values[name])
    stacked = {name: np.stack(values) for name, values in kept.items()}
    return Result(
        steps,
        run.samples,
        {n: stacked[n] for n in graph.outputs},
        run.counts,
        {n: Spikes.from_dense(stacked[n]) for n in record},
        time.perf_counter() - begun,
    )


class _Run:
    """The state of a run: values of the nodes now and as long ago as a delay needs, states, counts."""

    def __init__(self, graph: Graph, inputs: Mapping[str, RunInput]) -> None:
        self.graph, self.inputs = graph, inputs
        self.samples = samples_of(next(iter(inputs.values())))
        fixed = any(p.fixed for p in graph.nodes.values() if isinstance(p, Population))
        self.dtype: Any = np.int64 if fixed else np.float32
        self.dense = {
            name: x.dense().astype(self.dtype) if isinstance(x, Spikes) else x.values
            for name, x in inputs.items()
        }
        self.values: dict[str, Array] = {}
        self.counts = {name: Counts() for name in graph.nodes}
        longest = {n: max((e.delay for e in graph.outputs_of(n)), default=0) for n in graph.nodes}
        self.past = {n: deque([], longest[n] + 1) for n in graph.nodes}
        self.past_inputs: dict[str, deque[Array]] = {
            n: deque([], node.reach + 1) for n, node in graph.nodes.items() if isinstance(node, Synaptic)
        }
        self.maps = {n: index_map(graph, n) for n in graph.of_kind(Move)}
        self.rank = {name: i for i, name in enumerate(graph.order)}
        self.analog = _analog(graph)
        self.cells = {n: _Cells(graph.nodes[n], self.samples, self.dtype) for n in graph.of_kind(Population)}

    def step(self, step: int) -> None:
        for name in self.graph.order:
            value = self._value(name, step)
            self.values[name] = value
            self.past[name].appendleft(value)

    def _value(self, name: str, step: int) -> Array:
        node = self.graph.nodes[name]
        if isinstance(node, Input):
            constant = isinstance(self.inputs[name], Constant)
            value = self.dense[name] if constant else self.dense[name][step]
            self._count(name, spikes=int(np.count_nonzero(value)))
            return value
        arriving = [self._port(name, port, step) for port in node.ports]
        if isinstance(node, Population):
            return self._population(name, node, arriving, step)
        if isinstance(node, Synaptic | Scale):
            self._count_operations(name, arriving[0])
        if isinstance(node, Synaptic):
            self.past_inputs[name].appendleft(arriving[0])
            return node.sums(self._reader(name), self.graph.shapes[name])
        if isinstance(node, Move):
            shape = self.graph.shapes[name]
            return gathered(arriving, self.maps[name]).reshape(self.samples, *shape)
        assert isinstance(node, Plain)
        return node.value(arriving)

    def _port(self, name: str, port: str, step: int) -> Array:
        total = np.zeros((self.samples, *self.graph.port_shape(name, port)), self.dtype)
        for edge in self.graph.inputs_of(name, port):
            total = total + self._delayed(edge, step)
        return total

    def _delayed(self, edge: Edge, step: int) -> Array:
        past = self.past[edge.src]
        # a source that runs later in this step has not yet added its present value to its past
        at = edge.delay if self.rank[edge.src] < self.rank[edge.dst] else edge.delay - 1
        return past[at] if edge.delay <= step else np.zeros((), self.dtype)

    def _reader(self, name: str) -> Callable[[int], Array]:
        history = self.past_inputs[name]
        return lambda delay: history[delay] if delay < len(history) else np.zeros_like(history[0])

    def _population(self, name: str, node: Population, arriving: list[Array], step: int) -> Array:
        cells = self.cells[name]
        if step < node.start:
            self._count(name, idle=self.samples * prod(node.shape))
            return np.zeros((self.samples, *node.shape), self.dtype)
        output, after = cells.step(cells.state, arriving)
        idle = int((~_busy(cells, arriving, output, after)).sum())
        cells.state = after
        self._count(name, spikes=int(np.count_nonzero(output)), neuron_updates=output.size, idle=idle)
        clips = {
            "narrowed_low": dict(cells.step.narrowed_low),
            "narrowed_high": dict(cells.step.narrowed_high),
        }
        self.counts[name] = replace(self.counts[name], **clips)
        return output

    def _count(self, name: str, **more: int) -> None:
        old = self.counts[name]
        self.counts[name] = replace(old, **{k: getattr(old, k) + v for k, v in more.items()})

    def _count_operations(self, name: str, x: Array) -> None:
        """One operation for every non-zero value and synapse, counted in the step when the value arrives."""
        node = self.graph.nodes[name]
        fan = np.ones((), np.int64)
        if isinstance(node, Synaptic):
            fan = node.fan_out(self.graph.port_shape(name, "in"), self.graph.shapes[name])
        unit = (x == 1) & (not self.analog[name])
        self._count(
            name,
            accumulates=int((unit * fan).sum()),
            multiply_accumulates=int((((x != 0) & ~unit) * fan).sum()),
        )


class _Cells:
    """A population's state and its step."""

    def __init__(self, node: Any, samples: int, dtype: Any) -> None:
        assert isinstance(node, Population)
        self.step = Step(node.program, node.params, node.fixed)
        full = (samples, *node.shape)
        zero = np.zeros((), dtype)
        self.state: Sequence[Array] = [
            np.broadcast_to(node.initial.get(s, zero), full).astype(dtype) for s in node.program.states
        ]


def _busy(cells: _Cells, arriving: Sequence[Array], output: Array, after: Sequence[Array]) -> Array:
    """Where something happens: a value arrives or leaves, a bit of the state changes, or overflow changes a value."""
    busy = (output != 0) | cells.step.overflowed
    for value in arriving:
        busy = busy | (value != 0)
    for old, new in zip(cells.state, after, strict=True):
        width = f"u{old.dtype.itemsize}"  # -0 and +0 differ in a bit
        busy = busy | (np.ascontiguousarray(old).view(width) != np.ascontiguousarray(new).view(width))
    return busy


def _analog(graph: Graph) -> dict[str, bool]:
    """Whether a node's input comes from a current without a population in between."""
    known = {n: isinstance(node, Input) and node.kind == "current" for n, node in graph.nodes.items()}
    for name in graph.order:
        if not isinstance(graph.nodes[name], Input | Population):
            known[name] = any(known[e.src] for e in graph.inputs_of(name))
    return known
