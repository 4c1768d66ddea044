"""capture_trained: layers of spiking neurons, trained in torch, to a graph of stage snn and its run record.

Between two layers of neurons the stateless torch layers are traced like any network, batch norm folded; a
recurrent layer becomes an edge of delay 1 from its population through the feedback to the port. The graph is
then run beside the layers on a few random moments: what differs beyond rounding was not captured.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeflow.convert.capture.sections import INPUT, OUTPUT, Section, plain, sections
from spikeflow.convert.load.source import evaluating
from spikeflow.convert.passes.balance import with_readout
from spikeflow.convert.passes.fold import fold
from spikeflow.convert.verify.ties import compare_layers
from spikeflow.errors import ConversionError, DataError, SpikeflowWarning
from spikeflow.ir import stages
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Node, Output, Population, Shape
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons.integrator import Integrator
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.sequential import Sequential

ASSUMED_DT = 1e-3
_MOMENTS, _SAMPLES = 8, 2  # of the proof


def capture_trained(
    net: nn.Module,
    source: Shape | Input,
    dt: float | None = None,
    steps: int = 100,
    labels: tuple[str, ...] = (),
) -> Network:
    """The network of a trained `Sequential`, spiking as its layers do, up to ties (see
    `convert.verify.ties`).

    The last layer is the read-out if it is a layer of `Integrator`; else one is added that adds up what the
    last layer gives. Learned parameters are those that the layers compute with, within their legal ranges.

    Parameters
    ----------
    net : a `Sequential` of this package; wrappers such as torch.compile, DistributedDataParallel,
        DataParallel and AveragedModel are taken off.
    source : the shape of one moment, without time and batch; or the Input itself, for a network that takes
        a current. A shape alone is that of spikes.
    dt : seconds per step, for files and for times in reports: what a moment of the training data lasted.
        Without it 1 ms is put down, noted in the record and told in a warning.
    steps : length of a run.

    Raises
    ------
    UnsupportedLayer
        For a module that is no `Sequential`, and for layers that are neither layers of neurons nor among the
        stateless layers, by path and class.
    ConversionError
        For parameters that are not finite, and where the graph and the layers differ beyond rounding.
    DataError
        For a source that is no shape, and for a dt, steps or labels that are none.
    """
    entry, layers = _input(source), plain(net)
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer):
        raise DataError("steps", f"{steps!r:.80}", "a whole number of steps")
    if isinstance(labels, str):
        raise DataError("labels", f"the text {labels!r:.80}", "a tuple of names, one for each class")
    grown = _Grown(entry)
    with evaluating(layers):
        for section in sections(layers, entry.shape):
            grown.add(section)
    graph = replace(grown.finish(), dt=_seconds(dt))
    stages.check(graph, "snn")
    notes = {"made by": "direct training"} | ({} if dt is not None else {"step": "1 ms, assumed"})
    readout = graph.inputs_of(OUTPUT)[0].src
    record = RunRecord(
        int(steps), "spikes", readout=readout, input_shape=entry.shape, labels=tuple(labels), notes=notes
    )
    network = Network(graph, record)
    network.check()
    _prove(layers, network, entry)
    return network


def _input(source: Any) -> Input:
    if isinstance(source, Input):
        return source
    sizes = tuple(source) if isinstance(source, list | tuple | torch.Size) else None
    if sizes is None or not all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in sizes):
        expected = "the shape of one moment, without time and batch, such as (2, 34, 34), or an Input"
        raise DataError("source", f"{source!r:.80}", expected)
    return Input(tuple(int(n) for n in sizes), "spikes")


def _seconds(dt: float | None) -> float:
    if dt is None:
        warnings.warn(
            "dt, the length of a step, was not said: 1 ms is put down. Try: dt=..., in seconds.",
            SpikeflowWarning,
            stacklevel=3,
        )
        return ASSUMED_DT
    if isinstance(dt, bool) or not isinstance(dt, int | float | np.number) or not 0 < dt < 1e6:
        raise DataError("dt", f"{dt!r:.80}", "a number of seconds above 0")
    return float(dt)


def _prove(net: Sequential, network: Network, entry: Input) -> None:
    """Raise ConversionError where the graph's layers are not the network's on a few random moments."""
    draw, shape = np.random.default_rng(0), (_MOMENTS, _SAMPLES, *entry.shape)
    x = (draw.random(shape) < 0.4) if entry.kind == "spikes" else draw.normal(0, 1, shape)
    for layer in compare_layers(net, network, x.astype(np.float32)).layers:
        if layer.unexplained:
            reason = (
                f"{layer.unexplained} of {layer.neuron_steps} outputs differ beyond rounding from its graph's"
            )
            raise ConversionError(layer.name, reason, "layers without hooks and without methods of their own")


def population_of(layer: Neuron, name: str, shape: Shape) -> Population:
    """The population of a layer, with the parameters that training left in its tensors."""
    params = {n: v.detach().cpu().numpy() for n, v in layer.values().items()}
    for key, value in params.items():
        held = getattr(layer, key).detach().cpu().float().numpy()
        if not np.isfinite(held).all():
            raise ConversionError(
                f"{name}.{key}", "holds NaN or infinite values", "train again with a smaller step"
            )
        if outside := int((held != value).sum()):
            warnings.warn(
                f"{name}.{key}: {outside} of {held.size} values lie outside their legal range; "
                "they are captured at its limit, with which the layer computes.",
                SpikeflowWarning,
                stacklevel=4,
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
