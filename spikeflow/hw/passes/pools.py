"""Pass: max pooling becomes neurons that a chip has.

`any` of binary spikes is a neuron without memory that fires where a spike of its window arrives. `running`
is a tournament: a neuron of two ports hands on the running maximum of two spike trains, so pairs meet, then
pairs of pairs, a step for each level; what windows share is computed once. All of it is exact: every weight
is one, and in integers a spike is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from spikeflow.errors import HardwareError, Violation
from spikeflow.hw.chips.chip import Chip
from spikeflow.ir.arrays import Array
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Delay, Input, Joint, MaxPool, Move, Node, OfMeans, Population, Shape, Sparse
from spikeflow.ir.ops import Ops
from spikeflow.ir.record import Network
from spikeflow.neurons.lif import LIF
from spikeflow.neurons.model import NeuronModel, Value, param
from spikeflow.sim.joined import parted

OPERATIONS = frozenset({"add", "sub", "max", "spike"})  # of a neuron of two ports
ANY = LIF(0.0, 1.0, "zero")


@dataclass(frozen=True, eq=False)
class RunningMaximum(NeuronModel):
    """The running maximum of two trains of spikes.

    lead <- lead + a - b;  z = b + max(lead, 0) - max(lead before, 0) >= one.

    `lead` is how many spikes a is ahead of b, so b's count plus max(lead, 0) is the larger count, and it
    rises by 0 or 1.
    """

    inputs = ("a", "b")
    one: Value = param(1.0, 1.0, 1.0)

    def states(self) -> tuple[str, ...]:
        return ("lead",)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        lead = s.lead + x[0] - x[1]
        rise = ops.maximum(lead, 0.0) - ops.maximum(s.lead, 0.0)
        return ops.spike(x[1] + rise - p.one), (lead,)


def without_pools(graph: Graph, chip: Chip) -> Graph:
    """The graph with every max pooling as populations; the last of them has the pool's name.

    Raises
    ------
    HardwareError
        For each pool that reads anything but spikes of 0 or 1, for `running` on a chip without programs, and
        for any other joint kind.
    """
    pools = graph.of_kind(MaxPool)
    others = [name for name in graph.of_kind(Joint) if name not in pools]
    if refused := [v for name in (*pools, *others) for v in _violations(graph, name, chip)]:
        raise HardwareError(chip.name, refused)
    for name in pools:
        graph = _replaced(graph, name)
    return graph


def counts_exactly(graph: Graph, name: str) -> bool:
    """Whether a population is one of these: in integers spikes and thresholds are 1, nothing is rounded."""
    node = graph.nodes[name]
    assert isinstance(node, Population)
    if node.program == RunningMaximum().program():
        return True
    plain = node.model in ("LIF", "CubaLIF") and not any(
        np.any(v) for k, v in node.params.items() if k != "threshold"
    )
    weights = [getattr(graph.nodes[e.src], "weight", None) for e in graph.inputs_of(name)]
    return plain and bool((node.params["threshold"] == 1).all()) and all(_ones(w) for w in weights)


def _ones(weight: object) -> bool:
    return isinstance(weight, np.ndarray) and bool((weight == 1).all())


def _violations(graph: Graph, name: str, chip: Chip) -> Iterator[Violation]:
    node, edges = graph.nodes[name], graph.inputs_of(name)
    if isinstance(node, OfMeans):
        need = f"a {type(node).__name__} of running means, which runs on the engine in floats only"
        hint = "a network without what --approximate takes"
        yield Violation(name, need, f"sums and neurons on {chip.title}", hint)
        return
    if not isinstance(node, MaxPool):
        yield Violation(name, f"a {type(node).__name__}", f"sums and neurons on {chip.title}", "max pooling")
        return
    if node.counts and not chip.operations >= OPERATIONS:
        need = "neurons with two inputs, for the running maximum of max pooling"
        yield Violation(name, need, f"{', '.join(chip.models)} on {chip.title}", "average pooling")
    if len(edges) > 1:
        hint = "a layer of spiking neurons between the sum and the pooling"
        yield Violation(name, f"max pooling of a sum of {len(edges)} sources", "spikes of 0 or 1", hint)
    elif edges and (found := _not_binary(graph, edges[0].src)) is not None:
        node = graph.nodes[found]
        hint = "spiking neurons before it"
        if found in graph.inputs:
            hint = "pooling of the samples before they enter"
        elif isinstance(node, Population):
            hint = f"neurons of the binary alphabet before it, not {node.model} (convert --alphabet binary)"
        yield Violation(name, f"max pooling of the values of {found}", "spikes of 0 or 1", hint)


def _not_binary(graph: Graph, name: str) -> str | None:
    """The node that may hand on other values than 0 and 1, if any; of an Input of spikes the samples tell."""
    node = graph.nodes[name]
    if isinstance(node, Population):
        return None if node.program.spikes() else name
    if isinstance(node, Input):
        return None if node.kind == "spikes" else name
    several = any(len(graph.inputs_of(name, port)) > 1 for port in node.ports)
    if several or not isinstance(node, Move | Delay | MaxPool):
        return name
    return next((found for e in graph.inputs_of(name) if (found := _not_binary(graph, e.src))), None)


def check_pooled(network: Network, x: Array) -> tuple[Violation, ...]:
    """A violation for each Input whose spikes are pooled and that gets other values than 0 and 1."""
    given = parted(network, x)
    coding = {record.node: record.coding for record in network.inputs}
    found = []
    for name in sorted(_pooled_inputs(network.graph)):
        values = given[name]
        if coding[name] == "spikes" and not ((values == 0) | (values == 1)).all():
            need = f"max pooling of spikes of {values.min():g} to {values.max():g}"
            found.append(
                Violation(name, need, "spikes of 0 or 1", "pooling of the samples before they enter")
            )
    return tuple(found)


def _pooled_inputs(graph: Graph) -> frozenset[str]:
    found: set[str] = set()
    todo = list(graph.of_kind(MaxPool))
    while todo:
        name = todo.pop()
        todo += [e.src for e in graph.inputs_of(name) if not isinstance(graph.nodes[e.src], Population)]
        if isinstance(graph.nodes[name], Input):
            found.add(name)
    return frozenset(found)


def _replaced(graph: Graph, name: str) -> Graph:
    node, (edge,) = graph.nodes[name], graph.inputs_of(name)
    assert isinstance(node, MaxPool)
    in_shape, shape = graph.shapes[edge.src], graph.shapes[name]
    windows = _of_all_channels(node, in_shape)
    made = _Made(graph, name, edge, in_shape)
    if node.counts:
        _tournament(made, windows.reshape(-1, *node.kernel), shape)
    else:
        targets, places = np.nonzero(windows >= 0)
        made.population("", ANY, shape)
        made.wire("", "in", (edge.src, windows[targets, places], targets))
    nodes: dict[str, Node] = {}
    for key, old in graph.nodes.items():
        nodes |= made.nodes if key == name else {key: old}
    return replace(graph, nodes=nodes, edges=(*(e for e in graph.edges if e.dst != name), *made.edges))


def _of_all_channels(node: MaxPool, in_shape: Shape) -> Array:
    """The values of each window, ``(windows, places)``, in C order of the source; -1 in the padding."""
    windows = node.windows(in_shape).astype(np.int64)
    first = np.arange(in_shape[0])[:, None, None] * prod(in_shape[1:])
    return np.where(windows >= 0, windows + first, -1).reshape(-1, windows.shape[1])


@dataclass
class _Made:
    """The populations and synapses that a pool becomes."""

    graph: Graph
    name: str
    edge: Edge
    in_shape: Shape
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def free(self, part: str) -> str:
        """A name for a part that no node has; without a part it is the pool's own."""
        name = f"{self.name}.{part}" if part else self.name
        while part and (name in self.graph.nodes or name in self.nodes):
            name += "_"
        return name

    def population(self, part: str, model: NeuronModel, shape: Shape) -> str:
        """A population of the pool."""
        name = self.free(part)
        self.nodes[name] = model.node(shape)
        return name

    def wire(self, target: str, port: str, synapses: tuple[str, Array, Array]) -> None:
        """One synapse of weight 1 for each pair of a source and a neuron of a population."""
        source, sources, targets = synapses
        target = target or self.name
        node = self.nodes[target]
        assert isinstance(node, Population)
        own = source == self.edge.src
        made = self.nodes.get(source)
        in_shape = self.in_shape if own else made.shape if isinstance(made, Population) else ()
        order = np.lexsort((targets, sources))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=prod(in_shape)))])
        name = self.free(f"{port} of {source}" if target == self.name else f"{target}.{port} of {source}")
        self.nodes[name] = Sparse(indptr, targets[order], np.ones(1, np.float32), in_shape, node.shape)
        delay = self.edge.delay if own else 0
        self.edges += [Edge(source, name, delay=delay), Edge(name, target, port)]


def _tournament(made: _Made, windows: Array, shape: Shape) -> None:
    """Levels of pairs along the last dimension of a window, then the one before, and so on."""
    starts, names = [0], [made.edge.src]
    total, level = prod(made.in_shape), 0
    left = _pairs(windows)
    while prod(left.shape[1:-1]) > 1:
        level += 1
        ordered = np.sort(left.reshape(-1, 2), axis=1)
        both = np.unique(ordered[ordered[:, 0] >= 0], axis=0)  # a lone value waits for its partner
        at = _numbers(ordered, both, total).reshape(left.shape[:-1])
        if len(both):
            name = made.population(f"level {level}", RunningMaximum(), (len(both),))
            _wire(made, name, both, (starts, names))
            starts, names, total = [*starts, total], [*names, name], total + len(both)
        left = _pairs(at)
    last = left.reshape(-1, 2)
    name = made.population("", RunningMaximum(), shape)
    _wire(made, name, np.where(last >= 0, last, last[:, ::-1]), (starts, names))


def _pairs(windows: Array) -> Array:
    """Neighbours along the last dimension of several, ``(windows, ..., 2)``; -1 where one has no partner."""
    while windows.shape[-1] == 1 and windows.ndim > 2:
        windows = windows[..., 0]
    if windows.shape[-1] % 2:
        windows = np.concatenate([windows, np.full((*windows.shape[:-1], 1), -1, windows.dtype)], axis=-1)
    return windows.reshape(*windows.shape[:-1], -1, 2)


def _numbers(ordered: Array, both: Array, total: int) -> Array:
    """The number of the larger of each pair: of the neuron that tells, or of the one value that there is."""
    found = ordered[:, 1].copy()
    paired = ordered[:, 0] >= 0
    width = int(both.max(initial=0)) + 1
    keys = both[:, 0] * width + both[:, 1]
    found[paired] = total + np.searchsorted(keys, ordered[paired, 0] * width + ordered[paired, 1])
    return found


def _wire(made: _Made, target: str, pairs: Array, known: tuple[list[int], list[str]]) -> None:
    """The two ports of a level, from every population before it whose neurons take part."""
    starts, names = known
    for side, port in enumerate(RunningMaximum.inputs):
        owner = np.searchsorted(starts, pairs[:, side], side="right") - 1
        for number in np.unique(owner).tolist():
            on = np.flatnonzero(owner == number)
            made.wire(target, port, (names[number], pairs[on, side] - starts[number], on))
