"""A state as the engine reads and writes it: for each node that remembers something, its number and its
arrays.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeflow.ir.graph import Graph
from spikeflow.sim.remembered import Remembered
from spikeflow.sim.state import Arrays, State
from spikeflow.typing import Array

Entries = list[tuple[int, Array | None, list[Array]]]


def arrays_of(state: State, layout: Remembered, index: Mapping[str, int]) -> Entries:
    """(number of the node, what it emitted, what it keeps itself: states in the program's order, or what
    arrived).
    """
    memory = {n: {s: state.memory[n][s] for s in states} for n, states in layout.memory.items()}
    return _entries(index, memory, state.emitted, state.arrived)


class Room:
    """Empty arrays for the state behind a run."""

    def __init__(self, layout: Remembered, samples: int, steps: int) -> None:
        self.memory = {
            name: {s: np.empty((samples, *shape), layout.dtype) for s, shape in states.items()}
            for name, states in layout.memory.items()
        }
        self.emitted, self.arrived = (
            {n: np.empty((samples, past.kept(steps), *past.shape), layout.dtype) for n, past in pasts.items()}
            for pasts in (layout.emitted, layout.arrived)
        )

    def arrays(self, index: Mapping[str, int]) -> Entries:
        """As `arrays_of`, for the engine to write into."""
        return _entries(index, self.memory, self.emitted, self.arrived)

    def state(self, graph: Graph, steps: Array, sample: Array) -> State:
        """The state, once the engine has written it."""
        for held in (*self.memory.values(), self.emitted, self.arrived):
            for array in held.values():
                array.setflags(write=False)
        return State(graph.digest, steps, sample, self.memory, self.emitted, self.arrived)


def _entries(
    index: Mapping[str, int], memory: Mapping[str, Arrays], emitted: Arrays, arrived: Arrays
) -> Entries:
    names = {**memory, **emitted, **arrived}
    return [
        (index[n], emitted.get(n), [*memory.get(n, {}).values(), *([arrived[n]] if n in arrived else [])])
        for n in names
    ]
