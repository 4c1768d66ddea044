"""The state of a graph in parts as that of its whole layers, and back."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from spikeflow.ir.arrays import Array
from spikeflow.ir.divided import Divided
from spikeflow.ir.graph import Graph
from spikeflow.sim.remembered import Past, remembered
from spikeflow.sim.state import State, check


class States:
    """Both forms of the state of one network.

    Parameters
    ----------
    graph, divided : in parts, and its layers.
    """

    def __init__(self, graph: Graph, divided: Divided) -> None:
        self.graph, self.divided = graph, divided
        self.parts, self.whole = remembered(graph), remembered(divided.whole)

    def of_parts(self, state: State) -> State:
        """From the state of the layers that of the parts."""
        done = int(state.steps.max())

        def past(held: Mapping[str, Array], node: str, numbers: Array, kept: Past) -> Array:
            values = _flat(held[node])[:, : kept.kept(done), numbers]
            return kept.cleared(values.reshape(*values.shape[:2], *kept.shape))

        memory = {
            name: {s: self._part(name, state.memory, s) for s in states}
            for name, states in self.parts.memory.items()
        }
        emitted = {n: past(state.emitted, *self._heard(n), kept) for n, kept in self.parts.emitted.items()}
        arrived = {
            n: past(state.arrived, self.divided.parts[n].node, self._heard(self._source(n))[1], kept)
            for n, kept in self.parts.arrived.items()
        }
        return State(self.graph.digest, state.steps, state.sample, memory, emitted, arrived)

    def of_whole(self, state: State) -> State:
        """From the state of the parts that of the layers; DataError where it is not one of this graph."""
        check(state, self.graph, self.parts)
        rows, done = state.rows, int(state.steps.max())
        memory = {
            name: {s: np.zeros((rows, *shape), np.int64) for s, shape in states.items()}
            for name, states in self.whole.memory.items()
        }
        emitted, arrived = (
            {n: np.zeros((rows, past.kept(done), *past.shape), np.int64) for n, past in pasts.items()}
            for pasts in (self.whole.emitted, self.whole.arrived)
        )
        for name, held in state.memory.items():
            node, numbers = self._heard(name)
            for s, values in held.items():
                memory[node][s].reshape(rows, -1)[:, numbers] = values.reshape(rows, -1)
        for name, values in state.emitted.items():
            node, numbers = self._heard(name)
            _flat(emitted[node])[:, : values.shape[1], numbers] = _flat(values)
        for name, values in state.arrived.items():
            numbers = self._heard(self._source(name))[1]
            to = _flat(arrived[self.divided.parts[name].node])
            before = to[:, : values.shape[1], numbers]  # of a source with synapses on other cores, too
            to[:, : values.shape[1], numbers] = np.where(_flat(values) != 0, _flat(values), before)
        whole = self.divided.whole.digest
        return State(whole, state.steps, state.sample, memory, emitted, arrived)

    def _part(self, name: str, memory: Mapping[str, Mapping[str, Array]], state: str) -> Array:
        node, numbers = self._heard(name)
        values = memory[node][state]
        return values.reshape(len(values), -1)[:, numbers].reshape(-1, *self.parts.memory[name][state])

    def _heard(self, name: str) -> tuple[str, Array]:
        elements = self.divided.heard[name]
        return elements.node, elements.numbers

    def _source(self, name: str) -> str:
        return self.graph.inputs_of(name)[0].src


def _flat(values: Array) -> Array:
    """``(B, H, n)`` of ``(B, H, *shape)``; a view of an array in C order."""
    return values.reshape(*values.shape[:2], prod(values.shape[2:]))
