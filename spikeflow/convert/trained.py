"""capture_trained: layers of spiking neurons, trained in torch, to a graph of stage snn and its run record.

Between two layers of neurons the stateless torch layers are traced like any network, batch norm folded; a
recurrent layer becomes an edge of delay 1 from its population through the feedback to the port.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from spikeflow.convert.aten import from_module
from spikeflow.convert.balance import with_readout
from spikeflow.convert.capture import capture
from spikeflow.convert.fold import fold
from spikeflow.convert.source import evaluating, like
from spikeflow.errors import ConversionError, UnsupportedLayer
from spikeflow.ir import stages
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Input, Node, Output, Population, Shape
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons.integrator import Integrator
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.recurrent import Recurrent
from spikeflow.neurons.sequential import Sequential

INPUT, OUTPUT = "input", "output"
_STATELESS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    nn.Unflatten,
    nn.Dropout,
    nn.Dropout2d,
    nn.Identity,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
)
_HINT = (
    "Linear, Conv2d, AvgPool2d, Flatten, Dropout, BatchNorm2d, Neuron or Recurrent in a spikeflow Sequential"
)


@dataclass(frozen=True, eq=False)
class Section:
    """One layer of neurons and the stateless layers before it, as graphs of one Input and one Output.

    Parameters
    ----------
    name : of the population, the path of its layer.
    before : the stateless layers, as the user wrote them (batch norm not folded).
    neuron : the layer of neurons; None behind the last one.
    feedback : what its spikes pass on their way back, to `port`; None where the layer is not recurrent.
    """

    name: str
    before: Graph
    neuron: Neuron | None
    feedback: Graph | None = None
    port: str = ""


def capture_trained(
    net: Sequential, source: Shape | Input, dt: float = 1e-3, steps: int = 100, labels: tuple[str, ...] = ()
) -> Network:
    """The network of a trained `Sequential`, spiking as its layers do, up to ties (see `convert.ties`).

    The last layer is the read-out if it is a layer of `Integrator`; else one is added that adds up what the
    last layer gives.

    Parameters
    ----------
    source : the shape of one moment, without time and batch; or the Input itself, for a network that takes
        a current. A shape alone is that of spikes.
    dt : seconds per step, for what leaves spikeflow.
    steps : length of a run.

    Raises
    ------
    UnsupportedLayer
        For a layer that is neither a layer of neurons nor one of the stateless layers.
    ConversionError
        For parameters that are not finite.
    """
    if not isinstance(source, Input):
        source = Input(tuple(int(n) for n in source), "spikes")
    grown = _Grown(source)
    with evaluating(net):
        for section in sections(net, source.shape):
            grown.add(section)
    graph = replace(grown.finish(), dt=dt)
    stages.check(graph, "snn")
    record = RunRecord(
        steps,
        "spikes",
        readout=graph.inputs_of(OUTPUT)[0].src,
        input_shape=source.shape,
        labels=tuple(labels),
        notes={"made by": "direct training"},
    )
    network = Network(graph, record)
    network.check()
    return network


def sections(net: Sequential, input_shape: Shape) -> Iterator[Section]:
    """The layers of a network, cut behind each layer of neurons."""
    shape, pending = input_shape, OrderedDict[str, nn.Module]()
    for index, layer in enumerate(net.layers):
        if isinstance(layer, Neuron | Recurrent):
            before = traced_layers(pending, shape)
            shape, pending = before.shapes[OUTPUT], OrderedDict()
            yield _section(f"layers.{index}", before, layer)
        elif type(layer) in _STATELESS:
            pending[str(index)] = layer
        else:
            raise UnsupportedLayer(f"layers.{index}", type(layer).__name__, _HINT)
    if pending:
        yield Section("", traced_layers(pending, shape), None)


def _section(name: str, before: Graph, layer: nn.Module) -> Section:
    if isinstance(layer, Neuron):
        return Section(name, before, layer)
    assert isinstance(layer, Recurrent)
    if type(layer.feedback) not in _STATELESS:
        raise UnsupportedLayer(f"{name}.feedback", type(layer.feedback).__name__, "torch.nn.Linear or Conv2d")
    feedback = traced_layers(
        OrderedDict({f"{name.removeprefix('layers.')}.feedback": layer.feedback}), before.shapes[OUTPUT]
    )
    return Section(name, before, layer.neuron, feedback, layer.port)


def traced_layers(layers: OrderedDict[str, nn.Module], shape: Shape) -> Graph:
    """Stateless layers in their order as a graph of stage ann; its nodes are named ``layers.<key>``."""
    if not layers:
        return Graph({INPUT: Input(shape, "current"), OUTPUT: Output()}, (Edge(INPUT, OUTPUT),))
    # a module's name holds no dot; the underscore cannot stand in a key, which is a number or number.feedback
    stack = nn.Sequential(OrderedDict((key.replace(".", "_"), layer) for key, layer in layers.items()))
    graph = capture(from_module(stack, like(stack, np.zeros((2, *shape), np.float32)))).graph
    renamed = {
        name: name if name in (INPUT, OUTPUT) else f"layers.{name.replace('_feedback', '.feedback')}"
        for name in graph.nodes
    }
    for name in graph.of_kind(Activation):
        raise UnsupportedLayer(renamed[name], "a rectifier between spiking layers", _HINT)
    return Graph(
        {renamed[n]: node for n, node in graph.nodes.items()},
        tuple(Edge(renamed[e.src], renamed[e.dst], e.port) for e in graph.edges),
    )


def population_of(layer: Neuron, name: str, shape: Shape) -> Population:
    """The population of a layer, with the parameters that training left in its tensors."""
    params = {n: getattr(layer, n).detach().to("cpu", torch.float32).numpy() for n in layer.model.params()}
    for key, value in params.items():
        if not np.isfinite(value).all():
            raise ConversionError(
                f"{name}.{key}", "holds NaN or infinite values", "train again with a smaller step"
            )
    return replace(layer.model.node(shape), params=params)


class _Grown:
    """The graph while sections are added; `terms` are the nodes whose values add up to what comes next."""

    def __init__(self, source: Input) -> None:
        self.nodes: dict[str, Node] = {INPUT: source}
        self.edges: list[Edge] = []
        self.terms: tuple[str, ...] = (INPUT,)
        self.shape = source.shape

    def add(self, section: Section) -> None:
        self.terms = self._splice(fold(section.before), self.terms, 0)
        self.shape = section.before.shapes[OUTPUT]
        if section.neuron is None:
            return
        node = population_of(section.neuron, section.name, self.shape)
        self.nodes[section.name] = node
        self.edges += [Edge(term, section.name, node.ports[0]) for term in self.terms]
        if section.feedback is not None:
            back = self._splice(fold(section.feedback), (section.name,), 1)
            self.edges += [Edge(term, section.name, section.port, int(term == section.name)) for term in back]
        self.terms = (section.name,)

    def _splice(self, graph: Graph, terms: tuple[str, ...], delay: int) -> tuple[str, ...]:
        """Add a graph's inner nodes behind `terms`; the nodes that its Output would read."""
        inner = {n: node for n, node in graph.nodes.items() if n not in (INPUT, OUTPUT)}
        self.nodes.update(inner)
        ends: list[str] = []
        for edge in graph.edges:
            sources = terms if edge.src == INPUT else (edge.src,)
            if edge.dst == OUTPUT:
                ends += sources
            else:
                self.edges += [replace(edge, src=s, delay=delay if edge.src == INPUT else 0) for s in sources]
        return tuple(ends)

    def finish(self) -> Graph:
        """The graph with its Output, and a read-out if the last layer is none."""
        last = self.nodes[self.terms[0]]
        ready = len(self.terms) == 1 and isinstance(last, Population) and last.model == Integrator().name
        graph = Graph({**self.nodes, OUTPUT: Output()}, (*self.edges, *(Edge(t, OUTPUT) for t in self.terms)))
        return graph if ready else with_readout(graph)
