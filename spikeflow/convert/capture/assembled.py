"""assemble: a network of torch modules as one graph, as the user wrote it; batch norm is not folded yet.

Layers of neurons become populations. Layers without a state are traced like any network, those in a row at
once.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from spikeflow.convert.capture.flat import Flat
from spikeflow.convert.capture.junctions import junction, without_junctions
from spikeflow.convert.capture.rows import INPUT, OUTPUT, traced_layers
from spikeflow.errors import ConversionError, ShapeError, SpikeflowWarning
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Node, Output, Population, Shape
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.members import Timed, ports_of
from spikeflow.neurons.node_layer import NodeLayer
from spikeflow.neurons.read_model import Cells, Waking
from spikeflow.neurons.wiring import FIRST


@dataclass(frozen=True, eq=False)
class Assembled:
    """A graph, and which of its nodes were traced."""

    graph: Graph
    traced: frozenset[str]


def assemble(flat: Flat, sources: Mapping[str, Input]) -> Assembled:
    """The graph of a network whose inputs are these.

    Raises
    ------
    UnsupportedLayer, ShapeError, ConversionError, GraphError
        For a layer that has no counterpart, or cannot take what reaches it; parameters that are not finite; a
        cycle without neurons.
    """
    grown = _Grown(flat, sources)
    grown.make_all()
    nodes: dict[str, Node] = dict(sources)
    traced: set[str] = set()
    for path in flat.nodes:
        made = grown.made.get(path)
        if isinstance(made, Graph):
            inner = {n: node for n, node in made.nodes.items() if n not in (INPUT, OUTPUT)}
            nodes.update(inner)
            traced.update(inner)
        elif made is not None:
            nodes[path] = made
    nodes.update({name: Output() for name in flat.outputs})
    return Assembled(Graph(nodes, without_junctions(tuple(grown.edges()))), frozenset(traced))


def population_of(layer: Neuron, name: str, shape: Shape) -> Population:
    """The population of a layer, with the parameters that training left in its tensors."""
    params = {n: v.detach().cpu().numpy() for n, v in layer.values().items()}
    for key, value in params.items():
        held = layer.held(key).detach().cpu().float().numpy()
        if not np.isfinite(held).all():
            hint = "train again with a smaller step"
            raise ConversionError(f"{name}.{key}", "holds NaN or infinite values", hint)
        if outside := int((held != value).sum()):
            warnings.warn(
                f"{name}.{key}: {outside} of {held.size} values lie outside their legal range; "
                "they are captured at its limit, with which the layer computes.",
                SpikeflowWarning,
                stacklevel=4,
            )
    return replace(layer.model.node(shape), params=params)


class _Grown:
    """What has been made of each layer so far: a population, or a row's graph under its first path."""

    def __init__(self, flat: Flat, sources: Mapping[str, Input]) -> None:
        self.flat = flat
        self.into: dict[str, list[Edge]] = {path: [] for path in (*flat.nodes, *flat.outputs)}
        for edge in flat.edges:
            self.into[edge.dst].append(edge)
        self.rows = {row[0]: row for row in _rows(flat, self.into)}
        self.last = {row[-1]: head for head, row in self.rows.items()}
        self.made: dict[str, Node | Graph] = {}
        self.shapes: dict[str, Shape] = {name: node.shape for name, node in sources.items()}

    def make_all(self) -> None:
        """Every node, as soon as the shape of what it reads is known."""
        waiting = [path for path in self.flat.nodes if path in self.rows or self._alone(path)]
        while waiting:
            later = [path for path in waiting if not self._make(path)]
            if len(later) == len(waiting):
                raise ShapeError(later[0], "a cycle that tells no shape", "an edge into it from an input")
            waiting = later

    def _alone(self, path: str) -> bool:
        """Whether a layer becomes a node by itself."""
        return isinstance(self.flat.nodes[path], Neuron | Timed)

    def _make(self, path: str) -> bool:
        layer = self.flat.nodes[path]
        if isinstance(layer, NodeLayer):
            return self._place(path, layer.node())
        shape = next((self.shapes[e.src] for e in self.into[path] if e.src in self.shapes), None)
        shape = layer.shape if isinstance(layer, Cells | Waking) else shape
        if shape is None:
            return False
        neurons = layer.cells if isinstance(layer, Waking) else layer
        if isinstance(neurons, Neuron):
            self.made[path], self.shapes[path] = population_of(neurons, path, shape), shape
            return True
        row = self.rows[path]
        graph = traced_layers(OrderedDict((p, self.flat.nodes[p]) for p in row), shape)
        self.made[path], self.shapes[row[-1]] = graph, graph.shapes[OUTPUT]
        return True

    def _place(self, path: str, node: Node) -> bool:
        """A node whose shape follows from those of all its ports."""
        ports = {port: next((e.src for e in self._at(path, port)), "") for port in node.ports}
        if not all(src in self.shapes for src in ports.values()):
            return False
        arriving = tuple(self.shapes[src] for src in ports.values())
        self.made[path], self.shapes[path] = node, node.output_shape(path, arriving)
        return True

    def _at(self, path: str, port: str) -> list[Edge]:
        first, *_ = ports_of(self.flat.nodes[path])
        return [e for e in self.into[path] if (e.port or first) == port and e.src in self.shapes]

    def edges(self) -> Iterator[Edge]:
        """All edges in the order of the network; those within a traced row where it is first read."""
        begun: set[str] = set()
        for edge in self.flat.edges:
            src = junction(edge.src, "out") if edge.src in self.last else edge.src
            if edge.dst in self.rows:
                yield Edge(src, junction(edge.dst, "in"), FIRST, edge.delay)
                if edge.dst not in begun:
                    begun.add(edge.dst)
                    yield from self._within(edge.dst)
            elif edge.dst in self.made:
                layer = self.flat.nodes[edge.dst]
                delay = edge.delay - (layer.lag if isinstance(layer, NodeLayer) else 0)
                yield Edge(src, edge.dst, edge.port or ports_of(layer)[0], delay)
            elif edge.dst in self.flat.outputs:
                yield Edge(src, edge.dst, "in", edge.delay)

    def _within(self, head: str) -> Iterator[Edge]:
        graph = self.made[head]
        assert isinstance(graph, Graph)
        ends = {INPUT: junction(head, "in"), OUTPUT: junction(self.rows[head][-1], "out")}
        for edge in graph.edges:
            yield replace(edge, src=ends.get(edge.src, edge.src), dst=ends.get(edge.dst, edge.dst))


def _rows(flat: Flat, into: Mapping[str, list[Edge]]) -> list[list[str]]:
    """Layers without a state, those that read only each other in one row."""
    readers: dict[str, int] = {}
    for edge in flat.edges:
        readers[edge.src] = readers.get(edge.src, 0) + 1
    rows: dict[str, list[str]] = {}
    for path, layer in flat.nodes.items():
        if isinstance(layer, Neuron | Timed):
            continue
        only = into[path][0] if len(into[path]) == 1 else None
        row = rows.get(only.src, []) if only is not None and not only.delay and readers[only.src] == 1 else []
        if not row or _within_another(path, row):
            row = []
        row.append(path)
        rows[path] = row
    return list({id(row): row for row in rows.values()}.values())


def _within_another(path: str, row: list[str]) -> bool:
    """Whether one path lies within another, so that torch could not hold both beside each other."""
    return any(path.startswith(f"{other}.") or other.startswith(f"{path}.") for other in row)
