"""Runs of a graph whose nodes are parts of layers: the layers run whole, and each part is told what is its
own.

A mapping's graph has a node for each core; whole layers share kernels, which is what makes an engine fast.
Outputs, records, states and counts are those of the graph in parts, bit for bit. What whole layers do not
offer, records of what one core sums up, the graph in parts runs itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from spikeflow.ir.divided import Divided
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Node, Output
from spikeflow.sim.divided_state import States
from spikeflow.sim.engine import Engine, LiveEngine
from spikeflow.sim.inputs import RunInputs
from spikeflow.sim.latency import Calls, Latency
from spikeflow.sim.lower import BEST_ISA
from spikeflow.sim.process import WholeProcess
from spikeflow.sim.records import Asked, Neurons, Trace, Wanted, wanted
from spikeflow.sim.result import Result
from spikeflow.sim.sharing import Cut
from spikeflow.sim.state import State
from spikeflow.typing import Progress


class DividedEngine:
    """A graph in parts, made ready; see `spikeflow.sim.Runner`.

    Parameters
    ----------
    divided : its layers.
    """

    def __init__(self, graph: Graph, divided: Divided, threads: int = 0, isa: int = BEST_ISA) -> None:
        self.graph, self.divided, self.threads, self.isa = graph, divided, threads, isa
        self.whole = Engine(divided.whole, threads, isa, DividedProcess(graph, divided))

    def __call__(
        self,
        inputs: RunInputs,
        steps: int,
        record: Sequence[Asked] = (),
        progress: Progress | None = None,
        state: State | None = None,
        keep_state: bool = True,
    ) -> Result:
        """Run for so many steps, from a state or from the initial one; whole where that is possible."""
        if not self.recorded_whole(record):
            return self.parts(inputs, steps, record, progress, state, keep_state)
        start = None if state is None else self.states.of_whole(state)
        found = self.whole(inputs, steps, record, progress, start, keep_state)
        return replace(found, after=lambda: self.states.of_parts(found.state)) if keep_state else found

    def begin(self, state: State | int = 1) -> DividedLive:
        """A run that keeps its state and is advanced piece by piece, from a state or for so many new
        samples.
        """
        start = self.states.of_whole(state) if isinstance(state, State) else state
        return DividedLive(self, self.whole.begin(start))

    def recorded_whole(self, record: Sequence[Asked]) -> bool:
        """Whether all that is to be recorded is there in whole layers: spikes, states and ports of
        populations, and inputs and outputs.
        """
        asked = wanted(self.graph, record)
        names = [*(name for name, _ in asked.nodes.values()), *(t.node for t in asked.traces.values())]
        return all(name in self.divided.neurons or _is_end(self.graph.nodes[name]) for name in names)

    @cached_property
    def states(self) -> States:
        """Of parts and layers."""
        return States(self.graph, self.divided)

    @cached_property
    def parts(self) -> Engine:
        """The graph as it is, every part a node of its own."""
        return Engine(self.graph, self.threads, self.isa)


class DividedLive:
    """A batch under way; see `spikeflow.sim.Live`. Where sums of one core are asked for it goes on in
    parts.
    """

    def __init__(self, engine: DividedEngine, live: LiveEngine) -> None:
        self._engine, self._live, self._whole = engine, live, True
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
        if self._whole and not self._engine.recorded_whole(record):
            self._live, self._whole = self._engine.parts.begin(self.state()), False
        result = self._live.advance(inputs, steps, record, progress)
        self._calls.add(time.perf_counter() - begun, steps)
        return result

    def state(self) -> State:
        """What the next step depends on, as a value: a copy."""
        state = self._live.state()
        return self._engine.states.of_parts(state) if self._whole else state


class DividedProcess(WholeProcess):
    """A process that runs whole layers, each sample by one thread, and tells by parts what is recorded and
    counted.
    """

    def __init__(self, graph: Graph, divided: Divided) -> None:
        self._graph, self._divided, self.divisions = graph, divided, divided.divisions

    def cut(self, graph: Graph, threads: int) -> Cut:
        """Whole: shares do not count by parts."""
        return Cut()

    def wanted(self, graph: Graph, record: Sequence[Asked]) -> Wanted:
        """Of the whole layers, what is asked of the parts."""
        asked = wanted(self._graph, record)
        nodes = {key: self._of(name, some) for key, (name, some) in asked.nodes.items()}
        return Wanted(nodes, {key: self._traced(trace) for key, trace in asked.traces.items()})

    def _of(self, name: str, some: Neurons) -> tuple[str, Neurons]:
        neurons = self._divided.neurons.get(name)
        if neurons is None:
            return name, some
        chosen = neurons[some] if some.size else neurons
        return self._divided.parts[name].node, np.asarray(chosen, np.int32)

    def _traced(self, trace: Trace) -> Trace:
        node, neurons = self._of(trace.node, trace.neurons)
        return replace(trace, node=node, neurons=neurons)

    def counted(self, graph: Graph) -> Mapping[str, Node]:
        """Those of the graph in parts."""
        return self._graph.nodes

    def counters(
        self, names: Sequence[str], index: Mapping[str, int], found: Sequence[Any]
    ) -> Iterator[tuple[str, Any]]:
        """Of each part what is its own; nodes that only move values count nothing."""
        parts: dict[str, list[Any]] = {}
        for name in names:
            part = self._divided.parts.get(name)
            if part is None:
                yield name, found[index[name]] if _is_end(self._graph.nodes[name]) else _NOTHING
            elif part.number < 0:
                yield name, found[index[part.node]]
            else:
                if part.node not in parts:
                    parts[part.node] = found[index[part.node]].parts
                yield name, parts[part.node][part.number]


class _Nothing:
    """The counters of a node that counts nothing."""

    spikes = accumulates = multiplies = cached = updates = idle = skipped = 0


_NOTHING = _Nothing()


def _is_end(node: Node) -> bool:
    return isinstance(node, Input | Output)
