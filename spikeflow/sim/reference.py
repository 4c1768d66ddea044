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
from spikeflow.ir.arrays import Quantised, weight_values
from spikeflow.ir.fixed import shift
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    LINEAR_KINDS,
    Activation,
    BatchNorm,
    Concat,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Output,
    Pad,
    Population,
    Scale,
    Slice,
    Sparse,
    SumPool,
)
from spikeflow.sim import Runner, forecast, synapses
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
        self.past_inputs: dict[str, deque[Array]] = {n: deque([], _reach(graph, n) + 1) for n in graph.nodes}
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
        if isinstance(node, (*LINEAR_KINDS, Scale)):
            self._count_operations(name, arriving[0])
        if isinstance(node, LINEAR_KINDS):
            self.past_inputs[name].appendleft(arriving[0])
            return _LINEAR[type(node)](node, self._reader(name), self.graph.shapes[name])
        return _MOVES[type(node)](node, arriving)

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
        if isinstance(node, LINEAR_KINDS):
            fan = synapses.fan_out(node, self.graph.port_shape(name, "in"), self.graph.shapes[name])
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


def _reach(graph: Graph, name: str) -> int:
    """How many steps back a linear node reads its own input."""
    delays = getattr(graph.nodes[name], "delays", None)
    return 0 if delays is None else int(delays.max(initial=0))


def _analog(graph: Graph) -> dict[str, bool]:
    """Whether a node's input comes from a current without a population in between."""
    known = {n: isinstance(node, Input) and node.kind == "current" for n, node in graph.nodes.items()}
    for name in graph.order:
        if not isinstance(graph.nodes[name], Input | Population):
            known[name] = any(known[e.src] for e in graph.inputs_of(name))
    return known


def _sum_pool(node: SumPool, arriving: list[Array]) -> Array:
    x = arriving[0]
    (ky, kx), (sy, sx) = node.kernel, node.stride
    high, wide = (x.shape[2] - ky) // sy + 1, (x.shape[3] - kx) // sx + 1
    total = np.zeros((*x.shape[:2], high, wide), x.dtype)
    for y, z in np.ndindex(ky, kx):
        total = total + x[:, :, y : y + (high - 1) * sy + 1 : sy, z : z + (wide - 1) * sx + 1 : sx]
    return total


def _slice(node: Slice, arriving: list[Array]) -> Array:
    cuts = [slice(a, b, s) for a, b, s in zip(node.start, node.stop, node.step, strict=True)]
    return arriving[0][:, *cuts]


def _pad(node: Pad, arriving: list[Array]) -> Array:
    return np.pad(arriving[0], [(0, 0), *zip(node.before, node.after, strict=True)])


def _scale(node: Scale, arriving: list[Array]) -> Array:
    if isinstance(node.factor, Quantised):
        return shift(arriving[0] * weight_values(node.factor).astype(np.int64), node.exponent)
    return arriving[0] * node.factor


def _batch_norm(node: BatchNorm, arriving: list[Array]) -> Array:
    tail = (-1, *(1,) * (arriving[0].ndim - 2))
    spread = np.sqrt(node.variance.astype(np.float64) + node.epsilon)
    factor = (node.gamma / spread).astype(np.float32).reshape(tail)
    return (arriving[0] - node.mean.reshape(tail)) * factor + node.beta.reshape(tail)


_LINEAR: Mapping[type, Callable[..., Array]] = {
    Linear: synapses.linear,
    Conv2d: synapses.conv2d,
    Sparse: synapses.sparse,
}
_MOVES: Mapping[type, Callable[..., Array]] = {
    Output: lambda node, x: x[0],
    Flatten: lambda node, x: x[0].reshape(len(x[0]), -1),
    Concat: lambda node, x: np.concatenate(x, axis=1 + node.axis),
    Activation: lambda node, x: np.maximum(x[0], np.float32(0)),
    SumPool: _sum_pool,
    Slice: _slice,
    Pad: _pad,
    Scale: _scale,
    BatchNorm: _batch_norm,
}
READERS = (*_LINEAR, *_MOVES, Input, Population)  # every kind this file can run
