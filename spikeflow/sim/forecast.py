"""How much memory a run will take, from the graph's shapes and delays alone, and a refusal where there is
no room.

A network of a few kilobytes can name shapes of a billion values and delays of a million steps. The forecast
is a sum over the nodes, at most a few times too large, and made before anything is lowered or run.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.errors import NotEnoughMemory
from spikeflow.files import memory
from spikeflow.ir.arrays import Codes, Weight
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Joint, Linear, Move, Population, Procedural, Sparse, Synaptic
from spikeflow.ir.record import Network
from spikeflow.sim import plastic
from spikeflow.sim.joined import parted
from spikeflow.sim.remembered import remembered
from spikeflow.typing import Array

AT_ONCE = 1 << 29  # bytes of the spikes and outputs of the samples that are run at a time
SPIKE = 64  # bytes of an input's spike while it is drawn
VALUE = 4
INTEGER = 8
RING = 176  # bytes of one moment that a delay keeps, empty as it may be


@dataclass(frozen=True)
class Size:
    """Of a run: steps, samples at a time, how many of them are under way at once, steps run before, bytes
    of a state.
    """

    steps: int
    samples: int
    workers: int
    before: int = 0
    state: int = 0


@dataclass(frozen=True)
class Needs:
    """What a graph takes, in bytes, found once for many runs.

    Parameters
    ----------
    ready : the graph made ready for the engine.
    sample : values and states of one sample under way.
    past : for each delay how many steps are kept at most, and what one of them takes.
    output : the outputs of one step of one sample.
    rows : the synapses as the engine holds them, where they are not mapped from a file.
    """

    ready: int
    sample: int
    past: tuple[tuple[int, int], ...]
    output: int
    rows: int = 0

    def under_way(self, steps: int) -> int:
        """One sample under way; what delays keep is no more than the run is long."""
        longest = reach(steps)
        return self.sample + sum(min(kept, longest) * each for kept, each in self.past)

    def expect_ready(self) -> None:
        """Refuse a graph that there is no room for, however short a run; raises NotEnoughMemory."""
        memory.expect("the network", self.ready + self.under_way(1))
        # counted synapse by synapse and the larger part of what is taken: half of what is free is theirs
        if self.rows > memory.SMALL and self.rows > 2 * memory.room():
            hint = "weights as codes (Populations(bits=8)), fewer synapses, or ranks=N on several machines"
            raise NotEnoughMemory("the synapses of the network", self.rows, 2 * memory.room(), hint)

    def expect_room(self, size: Size) -> None:
        """Refuse a run that there is no room for.

        Raises
        ------
        NotEnoughMemory
            With the figure.
        """
        kept, states = self.output * size.steps * size.samples, size.samples * size.state
        needed = self.ready + size.workers * self.under_way(size.before + size.steps) + kept + states
        hint = "fewer --steps, or fewer samples at a time (--limit)" if kept > needed // 2 else ""
        hint = "keep_state=False, where no run is to go on from it" if states > needed // 2 else hint
        memory.expect(f"a run of {size.samples} samples over {size.steps} steps", needed, hint)


def needs(graph: Graph) -> Needs:
    """What a graph takes, whatever the run."""
    past = tuple(pair for name in graph.nodes for pair in _past(graph, name) if pair[0])
    sample = sum(_sample(graph, name) for name in graph.nodes)
    rows = sum(_rows(graph, name) for name in graph.nodes)
    return Needs(_ready(graph), sample, past, _output(graph), rows)


def _rows(graph: Graph, name: str) -> int:
    """Targets in 16 bits, weights, where rows begin and how long they wait; delays while rows are made."""
    node = graph.nodes[name]
    if not isinstance(node, Sparse | Procedural) or node.plastic is not None:
        return 0
    count = node.expected if isinstance(node, Procedural) else node.stored
    bits = node.bits if isinstance(node, Procedural) else 8 * _held(node.weight).itemsize
    rows = min(count, prod(node.in_shape) * (node.reach + 1))
    delay = 0 if not node.reach else 1 if node.reach < 256 else 4
    return count * (2 + (bits or 32) // 8 + delay) + 4 * rows + 8 * prod(node.in_shape)


def _held(weight: Weight) -> Array:
    """Codes are held as narrow as they are, all else in 32 bits."""
    return weight.values if isinstance(weight, Codes) else np.zeros(0, np.float32)


def _ready(graph: Graph) -> int:
    """Where each moved value goes, and each neuron's parameters."""
    total = 0
    for name, node in graph.nodes.items():
        if isinstance(node, Move):
            total += 3 * VALUE * sum(prod(graph.port_shape(name, port)) for port in node.ports)
            total += 2 * VALUE * prod(graph.shapes[name])
        elif isinstance(node, Joint):
            total += 16 * VALUE * node.links([graph.port_shape(name, port) for port in node.ports])
        elif isinstance(node, Population):
            total += VALUE * sum(values.size for values in (*node.params.values(), *node.initial.values()))
    return total


def _sample(graph: Graph, name: str) -> int:
    """A node's value, what it makes it from, and its states."""
    node, size = graph.nodes[name], prod(graph.shapes[name])
    states = len(node.program.states) + 2 if isinstance(node, Population) else 0
    total = INTEGER * size * (2 + states)
    if isinstance(node, Linear | Sparse) and node.plastic is not None:  # each sample has its own weights
        held = plastic.memory(node, node.plastic, graph.port_shape(name, "in"), graph.shapes[name])
        total += VALUE * sum(prod(shape) for shape in held.values())
    if isinstance(node, Joint):
        shapes = [graph.port_shape(name, port) for port in node.ports]
        total += 2 * INTEGER * sum(prod(shape) for shape in node.memory(shapes).values())
    return total


def _past(graph: Graph, name: str) -> tuple[tuple[int, int], ...]:
    """What edges read of a node later, and what its own synapses do."""
    node, each = graph.nodes[name], RING + VALUE * prod(graph.shapes[name])
    longest = max((graph.lag(edge) for edge in graph.outputs_of(name)), default=0)
    return (longest, each), (node.reach if isinstance(node, Synaptic) else 0, each)


def _output(graph: Graph) -> int:
    return VALUE * sum(prod(graph.shapes[name]) for name in graph.outputs)


def reach(steps: int) -> int:
    """The delay up to which a run of so many steps can tell delays apart; one of several lengths, for
    reuse.
    """
    return max(64, 1 << (steps - 1).bit_length())


def expect_room(graph: Graph, size: Size) -> None:
    """`Needs.expect_room` of a graph that is asked once."""
    needs(graph).expect_room(size)


def expect_states(graph: Graph, samples: int, steps: int) -> None:
    """Refuse to keep the states of so many samples that there is no room for; raises NotEnoughMemory."""
    layout = remembered(graph)
    needed = 2 * samples * layout.values(steps) * layout.dtype.itemsize  # by batches, then joined
    memory.expect(f"the states of {samples} samples", needed, "fewer samples (--limit)")


@dataclass(frozen=True)
class Reading:
    """How a run is read: its steps, after how many of them outputs are kept, and the most samples at a
    time.
    """

    steps: int
    kept: int
    samples: int


def samples_at_once(network: Network, x: Array, reading: Reading) -> int:
    """How many samples are run at a time: as many as asked for, fewer where a run is long.

    Raises
    ------
    NotEnoughMemory
        Where there is no room for one sample, or for the outputs that are kept of all.
    """
    graph = network.graph
    outputs = _output(graph)
    hint = "fewer --steps, or fewer samples (--limit)"
    memory.expect(f"outputs of {len(x)} samples", 2 * len(x) * outputs * reading.kept, hint)
    each = outputs * reading.steps
    for described in network.inputs:
        if described.random:  # the expected spikes of the sample that has most
            part = parted(network, x)[described.node]
            sums = np.abs(part.reshape(len(x), -1)).sum(axis=1, dtype=np.float64)
            each += int(SPIKE * reading.steps * float(sums.max(initial=0.0)) / max(described.scale, 1e-30))
    memory.expect(f"a sample over {reading.steps} steps", each, hint)
    return max(1, min(reading.samples, AT_ONCE // max(each, 1)))
