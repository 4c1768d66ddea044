"""Pass: a rectifier behind max pooling moves before it, so that spikes are pooled, not currents.

The largest of rectified values is the rectified largest, so nothing changes; it is so for every function
that never falls. Before one that does fall, neurons hand on the current itself, in spikes of both signs. A
current differs from step to step, and the sum of its maxima is not the maximum of its sums; spikes can be
counted. Factors and batch norm that keep the order move before the pooling as well; `tournament` takes the
rest.
"""

from __future__ import annotations

from dataclasses import replace

from spikeflow.convert.capture.affine import per_channel
from spikeflow.convert.passes.tournament import countable, rectified_or_in_rounds
from spikeflow.errors import ConversionError
from spikeflow.ir.activations import FUNCTIONS
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, BatchNorm, Input, MaxPool, Move, Node, Pool, Population, Scale
from spikeflow.ir.whole import sources

_NEURON = "a ReLU right before or behind the pooling"


def behind_neurons(graph: Graph) -> Graph:
    """The graph of stage ann in which every max pooling reads rectified values, or the input; where no
    rectifier can stand before one, its maxima are found in rounds.
    """
    for name in graph.of_kind(MaxPool):
        while name in graph.nodes and _unsettled(graph, name):
            graph = (
                _lowered(graph, name) or _made_spiking(graph, name) or rectified_or_in_rounds(graph, name)
            )
        if name in graph.nodes and not countable(graph, name):
            graph = rectified_or_in_rounds(graph, name)
    return graph


def counting(graph: Graph) -> Graph:
    """The graph of stage snn in which max pooling of spikes counts them; that of a constant input stays.

    Raises
    ------
    ConversionError
        For max pooling that reads both.
    """
    changed: dict[str, Node] = {}
    for name in graph.of_kind(MaxPool):
        node, read = graph.nodes[name], [graph.nodes[s] for s in sources(graph, name)]
        assert isinstance(node, MaxPool)
        constant = [isinstance(s, Input) and s.kind == "current" for s in read]
        if any(constant) and not all(constant):
            reason = "pools the constant input together with spikes"
            raise ConversionError(name, reason, "max pooling of each before they are concatenated")
        if all(isinstance(s, Population) or (isinstance(s, Input) and s.kind == "spikes") for s in read):
            changed[name] = replace(node, mode="running")
        elif not all(constant):
            what = ", ".join(
                sorted(s for s in sources(graph, name) if not isinstance(graph.nodes[s], Population | Input))
            )
            before = [graph.nodes[e.src] for s in sources(graph, name) for e in graph.inputs_of(s)]
            coded = any(isinstance(node, Input) and node.kind == "spikes" for node in before)
            hint = f"--input direct, or {_NEURON}" if coded else _NEURON
            raise ConversionError(
                name, f"pools values of {what}, which are neither spikes nor the input", hint
            )
    return graph.with_nodes(changed)


def pooled(graph: Graph, form: str) -> Graph:
    """The graph of stage snn whose pools of spikes have another form: ``any`` in place of ``running``."""
    changed = {
        name: replace(node, mode=form)
        for name in graph.of_kind(MaxPool)
        if isinstance(node := graph.nodes[name], MaxPool) and node.counts
    }
    return graph.with_nodes(changed)


def _unsettled(graph: Graph, name: str) -> bool:
    """Whether its values may be neither rectified nor the input."""
    node = graph.nodes[name]
    if isinstance(node, Activation | Input):
        return False
    if not isinstance(node, Move | Pool) and not _rises(graph, name, Scale):
        return True
    if any(len(graph.inputs_of(name, port)) > 1 for port in node.ports):
        return True
    return any(_unsettled(graph, edge.src) for edge in graph.inputs_of(name))


def _lowered(graph: Graph, pool: str) -> Graph | None:
    """The graph with what follows a pooling moved before it, or moved one node up on its way; or None."""
    name = pool
    while True:
        readers = [e.dst for e in graph.outputs_of(name)]
        alone = all(len(graph.inputs_of(r)) == 1 for r in readers)
        if not readers or not alone or len(graph.inputs_of(pool)) == 0:
            return None
        if all(_rising(graph.nodes[r]) for r in readers):
            return _swapped(graph, name, tuple(readers))
        if len(readers) > 1:
            return None
        (reader,) = readers
        if name == pool and _rises(graph, reader, BatchNorm | Scale):
            return _swapped(graph, name, (reader,))
        if not isinstance(graph.nodes[reader], Move | MaxPool):
            return None
        name = reader


def _rising(node: Node) -> bool:
    """Whether it is an activation that keeps the order of what it reads, one function for all positions."""
    if not isinstance(node, Activation) or not FUNCTIONS[node.kind].rises:
        return False
    return all(p.size == 1 for p in node.parameters.values())


def _made_spiking(graph: Graph, pool: str) -> Graph | None:
    """The graph with neurons that hand on their own current before a pooling that an activation follows which
    does not keep its order; None for any other pooling.
    """
    readers = [graph.nodes[e.dst] for e in graph.outputs_of(pool)]
    if not readers or not all(isinstance(r, Activation) and not _rising(r) for r in readers):
        return None
    name = f"{pool}.read"
    while name in graph.nodes:
        name += "_"
    nodes = {**graph.nodes, name: Activation("identity")}
    edges = tuple(replace(e, dst=name) if e.dst == pool else e for e in graph.edges)
    return Graph(_before(nodes, name, pool), (*edges, Edge(name, pool)), graph.dt)


def _rises(graph: Graph, name: str, kinds: object) -> bool:
    """Whether a factor or batch norm keeps the order of the values of each channel."""
    node = graph.nodes[name]
    if not isinstance(node, kinds):  # type: ignore[arg-type]
        return False
    if isinstance(node, BatchNorm):
        return bool((node.gamma >= 0).all())
    assert isinstance(node, Scale)
    channel = per_channel(weight_values(node.factor), graph.shapes[name])
    return channel is not None and bool((channel > 0).all())


def _swapped(graph: Graph, name: str, readers: tuple[str, ...]) -> Graph:
    """The first reader of a node of one port before it instead of behind it; equal ones become one."""
    first, edges = readers[0], list[Edge]()
    for edge in graph.edges:
        if edge.dst == name:
            edges.append(replace(edge, dst=first))
        elif edge.dst == first:
            edges.append(replace(edge, src=first, dst=name))
        elif edge.src in readers:
            edges.append(replace(edge, src=name))
        elif edge.dst not in readers:
            edges.append(edge)
    nodes = {n: node for n, node in graph.nodes.items() if n not in readers[1:]}
    return Graph(_before(nodes, first, name), tuple(edges), graph.dt)


def _before(nodes: dict[str, Node], moved: str, name: str) -> dict[str, Node]:
    """The nodes with one of them put before another."""
    made: dict[str, Node] = {}
    for key, node in nodes.items():
        if key == name:
            made[moved] = nodes[moved]
        if key != moved:
            made[key] = node
    return made
