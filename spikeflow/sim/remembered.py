"""What a graph remembers from one step to the next: the layout of its `State`.

Three things last beyond a step: the states of populations (and the memory of any other kind of node that has
one), the values handed on by a node that an edge reads later, and the values that arrived at a node which
reads its own input later. A node kind with a memory is added here, in the reference and in the engine, and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

import spikeflow.sim._engine as _engine
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Joint, Linear, Node, Population, Procedural, Shape, Sparse, Synaptic
from spikeflow.ir.nodes.procedural import numbers
from spikeflow.sim import plastic
from spikeflow.typing import Array


@dataclass(frozen=True, eq=False)
class Past:
    """Values of the last steps, which are still to be read.

    Parameters
    ----------
    shape : of the value of one step.
    steps : the most steps for which any of them is kept.
    each : for every element how long it is kept, of this shape; None where that is `steps` for all.
    """

    shape: Shape
    steps: int
    each: Array | None = None

    def kept(self, done: int) -> int:
        """How many steps are held after so many were run."""
        return min(self.steps, done)

    def cleared(self, values: Array) -> Array:
        """``(B, H, *shape)``, newest first: what nobody reads any more made 0, and -0, which nobody can
        tell, +0.
        """
        if self.each is not None:
            age = np.arange(values.shape[1]).reshape(-1, *(1,) * len(self.shape))
            values = np.where(age < self.each, values, values.dtype.type(0))
        return values + values.dtype.type(0)


@dataclass(frozen=True, eq=False)
class Remembered:
    """The layout of a graph's state, without batch.

    Parameters
    ----------
    dtype : float32, or int64 at stage fixed.
    memory : for each node with a memory of its own the names and shapes of what it holds.
    emitted : by node what it handed on and an edge still reads.
    arrived : by node what arrived at it and it still reads itself.
    """

    dtype: np.dtype[Any]
    memory: Mapping[str, Mapping[str, Shape]]
    emitted: Mapping[str, Past]
    arrived: Mapping[str, Past]

    def values(self, steps: int) -> int:
        """How many values the state of one sample holds after so many steps."""
        pasts = (*self.emitted.values(), *self.arrived.values())
        return self._memories + sum(past.kept(steps) * prod(past.shape) for past in pasts)

    @cached_property
    def _memories(self) -> int:
        return sum(prod(shape) for states in self.memory.values() for shape in states.values())


def remembered(graph: Graph, reach: Callable[[Synaptic], Array] | None = None) -> Remembered:
    """The layout of the state of a graph at stage snn or fixed; `reach` gives the longest delay of each
    source of a node.
    """
    reach = reach or reach_of_sources
    fixed = stages.stage_of(graph) == "fixed"
    memory = {name: held for name in graph.nodes if (held := _memory(graph, name))}
    longest = {name: max((graph.lag(e) for e in graph.outputs_of(name)), default=0) for name in graph.nodes}
    emitted = {name: Past(graph.shapes[name], steps) for name, steps in longest.items() if steps}
    found = ((name, _own(graph, name, node, reach)) for name, node in graph.nodes.items())
    arrived = {name: past for name, past in found if past is not None}
    return Remembered(np.dtype(np.int64 if fixed else np.float32), memory, emitted, arrived)


def _memory(graph: Graph, name: str) -> Mapping[str, Shape]:
    """What a node holds from one step to the next, by name, with its shape."""
    node = graph.nodes[name]
    if isinstance(node, Population):
        return dict.fromkeys(node.program.states, node.shape)
    if isinstance(node, Linear | Sparse) and node.plastic is not None:
        return plastic.memory(node, node.plastic, graph.port_shape(name, "in"), graph.shapes[name])
    if isinstance(node, Joint):
        return node.memory([graph.port_shape(name, port) for port in node.ports])
    return {}


def _own(graph: Graph, name: str, node: Node, reach: Callable[[Synaptic], Array]) -> Past | None:
    """What a node keeps of its own input: a value as long as the longest delay of its source."""
    if not isinstance(node, Synaptic) or not node.reach:
        return None
    shape, each = graph.port_shape(name, "in"), reach(node)
    return Past(shape, int(each.max()), each.reshape(shape)) if each.any() else None


def reach_of_sources(node: Synaptic) -> Array:
    """The longest delay of each source."""
    return _drawn_reach(node) if isinstance(node, Procedural) else node.reach_of_sources()


_KNOWN: WeakKeyDictionary[Procedural, Array] = WeakKeyDictionary()


def know_reach(node: Procedural, each: Array) -> None:
    """What an engine that drew the rule found: the longest delay of each source's synapses."""
    _KNOWN[node] = each


def _drawn_reach(node: Procedural) -> Array:
    """What the node's list says of its sources; drawn once, since that takes long."""
    if node not in _KNOWN:
        know_reach(node, drawn_reach(node, 0, node.rows))
    return _KNOWN[node]


def drawn_reach(node: Procedural, first: int, last: int) -> Array:
    """What the node's list says of its sources and some of the targets, drawn by the engine, which need not
    write the list out.
    """
    return _engine.reach_of_sources("rule", node.columns, node.rows, numbers(node.projections), first, last)
