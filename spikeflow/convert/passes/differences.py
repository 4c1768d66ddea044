"""Pass: a spiking network of differential neurons, with what stands between them and everything else.

Differential neurons hand on, and take, changes of a running mean (`neurons.differences`). Linear nodes and
moves take such changes as they are; their biases become what the means of their readers start with. What
needs values gets them from a decoder: the read-out and functions of running means in each step, max pooling
the means themselves. Behind these, and behind the Input, an encoder makes changes of values again. So after
any number of steps the read-out's mean is the network's running estimate, exactly but for roundings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from spikeflow.convert.passes.forward import value_of
from spikeflow.convert.passes.pools import behind_neurons
from spikeflow.convert.passes.scales import narrow
from spikeflow.ir.alphabet import alphabet
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Input, MaxPool, Node, OfMeans, Output, Population, Synaptic
from spikeflow.ir.whole import sources
from spikeflow.neurons.differences import MEANS, STEPS, DifferenceDecoder, DifferenceEncoder
from spikeflow.typing import Array

CHANGES = "changes"


def ready(captured: Graph, name: str) -> Graph:
    """The graph of stage ann for an alphabet: max pooling reads neurons, and in a differential one these
    stand behind it as well, since the largest of several means is no value of an alphabet.
    """
    graph = behind_neurons(captured)
    return _settled_pools(graph) if alphabet(name).differential else graph


def _settled_pools(graph: Graph) -> Graph:
    nodes, edges = dict[str, Node](), list(graph.edges)
    for name, node in graph.nodes.items():
        nodes[name] = node
        if not isinstance(node, MaxPool):
            continue
        readers = [graph.nodes[edge.dst] for edge in graph.outputs_of(name)]
        pooled = any(isinstance(graph.nodes[source], Activation) for source in sources(graph, name))
        if not pooled or all(isinstance(reader, MaxPool | Activation) for reader in readers):
            continue
        made = _new(f"{name}.coded", graph.nodes)
        nodes[made] = Activation("identity")
        edges = [replace(edge, src=made) if edge.src == name else edge for edge in edges]
        edges.append(Edge(name, made))
    return Graph(nodes, tuple(edges), graph.dt)


def differential(graph: Graph, decay: float = 0.0) -> Graph:
    """The graph of stage snn, its neurons differential, with encoders, decoders and initial means; `decay` is
    that of its alphabet.
    """
    return _Differential(graph, decay).run()


def _new(name: str, nodes: Mapping[str, Node]) -> str:
    while name in nodes:
        name += "_"
    return name


@dataclass(eq=False)
class _Differential:
    """One sweep in the order of the graph.

    `forms` says of each node what it hands on: changes, means, or values whose mean counts (steps);
    `starts` of each that hands on changes what its mean starts with.
    """

    graph: Graph
    decay: float

    def __post_init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.forms: dict[str, str] = {}
        self.starts: dict[str, torch.Tensor] = {}
        self.made: dict[tuple[str, str], str] = {}
        self.rank = {name: i for i, name in enumerate(self.graph.nodes)}
        self.shapes = dict(self.graph.shapes)

    def run(self) -> Graph:
        """The finished graph."""
        for name in self.graph.order:
            self._node(name, self.graph.nodes[name])
        order = sorted(self.nodes, key=self.rank.__getitem__)  # what is new comes behind what it reads
        return Graph({name: self.nodes[name] for name in order}, tuple(self.edges), self.graph.dt)

    def _node(self, name: str, node: Node) -> None:
        taken, given = self._forms(name, node)
        before = {port: self._connected(name, port, taken) for port in node.ports}
        self.forms[name] = given
        if isinstance(node, Population) and taken == CHANGES:
            node = replace(node, initial={"m": _start(before["in"], node.shape)})
        elif given == MEANS and isinstance(node, MaxPool):
            node = replace(node, mode="any")
        elif given == CHANGES:
            self.starts[name] = value_of(name, node, list(before.values()), self.graph.shapes[name])
            node = replace(node, bias=None) if isinstance(node, Synaptic) else node
        self.nodes[name] = node

    def _forms(self, name: str, node: Node) -> tuple[str, str]:
        """What a node takes, and what it hands on."""
        arriving = {self.forms[edge.src] for edge in self.graph.edges if edge.dst == name}
        if isinstance(node, Input | OfMeans | Output):
            return STEPS, STEPS
        if isinstance(node, Population):
            differential = node.values is not None and node.values.differential
            return (CHANGES, CHANGES) if differential else (STEPS, STEPS)
        if isinstance(node, MaxPool):
            form = STEPS if arriving == {STEPS} else MEANS
            return form, form
        form = arriving.pop() if len(arriving) == 1 and not isinstance(node, Synaptic) else CHANGES
        return form, form

    def _connected(self, name: str, port: str, form: str) -> torch.Tensor:
        """Connect a port to its sources in this form; what the means of their sum start with."""
        start = torch.zeros(1, *self.graph.port_shape(name, port), dtype=torch.float64)
        for edge in self.graph.inputs_of(name, port):
            source = self._as(edge.src, form)
            self.edges.append(replace(edge, src=source))
            start = start + self.starts.get(source, 0.0)
        return start

    def _as(self, name: str, form: str) -> str:
        """The node that hands on what `name` does in another form."""
        if self.forms[name] == form:
            return name
        if (name, form) not in self.made:
            source = name if CHANGES in (form, self.forms[name]) else self._as(name, CHANGES)
            self.made[name, form] = self._converter(source, form)
        return self.made[name, form]

    def _converter(self, source: str, form: str) -> str:
        shape, start = self.shapes[source], self.starts.get(source)
        if form == CHANGES:
            model, word, initial = DifferenceEncoder(self.forms[source], self.decay), "encoded", None
        else:
            model, word = DifferenceDecoder(form, self.decay), "decoded"
            initial = None if start is None else {"m": _start(start, shape)}
        name = _new(f"{source}.{word}", {**self.graph.nodes, **self.nodes})
        self.nodes[name], self.forms[name] = model.node(shape, initial), form
        self.rank[name], self.shapes[name] = self.rank[source], shape
        self.edges.append(Edge(source, name))
        return name


def _start(values: torch.Tensor, shape: tuple[int, ...]) -> Array:
    """What means start with, float32, one number for each channel where that says all."""
    return narrow(values[0].numpy(), shape).astype(np.float32)
