"""capture_trained: networks of spiking neurons, trained in torch, to a graph of stage snn and its run record.

Capturing copies the topology. Layers without a state are traced like any network, batch norm folded. The
graph is then run beside the layers on a few random moments: what differs beyond rounding was not captured.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeflow.convert.capture.assembled import assemble
from spikeflow.convert.capture.flat import flatten, plain
from spikeflow.convert.load.source import evaluating
from spikeflow.convert.passes.balance import read_out
from spikeflow.convert.passes.fold_regions import fold_regions
from spikeflow.convert.verify.ties import compare_layers
from spikeflow.errors import ConversionError, DataError, SpikeflowWarning
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Population, Shape
from spikeflow.ir.record import Network, OutputRecord, RunRecord
from spikeflow.neurons.graph_net import GraphNet
from spikeflow.neurons.integrator import Integrator
from spikeflow.neurons.leaky_integrator import LeakyIntegrator
from spikeflow.neurons.net import Net

ASSUMED_DT = 1e-3
_MOMENTS, _SAMPLES = 8, 2  # of the proof
READ_OUTS = (Integrator.__name__, LeakyIntegrator.__name__)


def capture_trained(
    net: nn.Module,
    source: Shape | Input | Mapping[str, Shape | Input] | None = None,
    dt: float | None = None,
    steps: int = 100,
    labels: tuple[str, ...] = (),
) -> Network:
    """The network of trained layers, spiking as they do, up to ties (see `convert.verify.ties`).

    The topology is that of the `Net`: its names, edges, ports and delays, networks within it opened (a node
    ``cells`` of a network ``block`` becomes ``block.cells``). An output that is one layer of `Integrator` or
    `LeakyIntegrator` is read out as it is; before any other a read-out is added, which adds up what arrives.
    Learned parameters are those that the layers compute with, within their legal ranges.

    Parameters
    ----------
    net : a `Net` of this package, such as a `Sequential`; wrappers such as torch.compile,
        DistributedDataParallel, DataParallel and AveragedModel are taken off.
    source : the shape of one moment, without time and batch; or the Input itself, for a network that takes
        a current. A shape alone is that of spikes. For several inputs a dict by name. A `GraphNet` knows it,
        and its dt.
    dt : seconds per step, for files and for times in reports: what a moment of the training data lasted.
        Without it 1 ms is put down, noted in the record and told in a warning.
    steps : length of a run.

    Raises
    ------
    UnsupportedLayer
        For a module that is no network of this package, and for layers that are neither layers of neurons nor
        among the stateless layers, by path and class.
    ConversionError
        For parameters that are not finite, and where the graph and the layers differ beyond rounding.
    DataError
        For a source that is no shape, and for a dt, steps or labels that are none.
    """
    layers = plain(net)
    entries = _inputs(source, layers)
    dt = layers.dt if dt is None and isinstance(layers, GraphNet) else dt
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer):
        raise DataError("steps", f"{steps!r:.80}", "a whole number of steps")
    if isinstance(labels, str):
        raise DataError("labels", f"the text {labels!r:.80}", "a tuple of names, one for each class")
    graph = replace(_with_readouts(_graph(layers, entries)), dt=_seconds(dt))
    stages.check(graph, "snn")
    notes = {"made by": "direct training"} | ({} if dt is not None else {"step": "1 ms, assumed"})
    record = RunRecord(
        int(steps),
        "spikes",
        readout=graph.inputs_of(graph.outputs[0])[0].src,
        input_shape=entries[graph.inputs[0]].shape if len(entries) == 1 else (),
        labels=tuple(labels),
        notes=notes,
        outputs=tuple(OutputRecord(n, n) for n in graph.outputs) if len(graph.outputs) > 1 else (),
    )
    network = Network(graph, record)
    network.check()
    _prove(layers, network, entries)
    return network


def graph_of(net: nn.Module, source: Shape | Input | Mapping[str, Shape | Input] | None = None) -> Graph:
    """The graph of a network as it stands, without a read-out added; see `capture_trained`.

    Of a `GraphNet` of which nothing was trained it is the graph that it was made of.

    Raises
    ------
    UnsupportedLayer, ConversionError, DataError
        As `capture_trained` does.
    """
    layers = plain(net)
    return _graph(layers, _inputs(source, layers))


def _graph(net: Net, entries: Mapping[str, Input]) -> Graph:
    with evaluating(net):
        assembled = assemble(flatten(net), entries)
    graph = fold_regions(assembled.graph, assembled.traced)
    if not isinstance(net, GraphNet):
        return graph
    return replace(graph, nodes={name: graph.nodes[name] for name in net.order}, dt=net.dt)


def _inputs(source: Any, net: Net) -> dict[str, Input]:
    if source is None and isinstance(net, GraphNet):
        return net.sources
    names = net.ports
    named = dict(source) if isinstance(source, Mapping) else {names[0]: source}
    if set(named) != set(names):
        got = sorted(map(str, named)) if isinstance(source, Mapping) else f"one, {source!r:.80}"
        raise DataError("source", got, f"a dict with a shape for each input, {', '.join(names)}")
    return {name: _input(named[name]) for name in names}


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


def _with_readouts(graph: Graph) -> Graph:
    """A read-out before every output that is none."""
    for output in graph.outputs:
        edges = graph.inputs_of(output)
        last = graph.nodes[edges[0].src]
        ready = isinstance(last, Population) and last.model in READ_OUTS and not edges[0].delay
        if len(edges) > 1 or not ready:
            graph = read_out(graph, output)
    return graph


def _prove(net: Net, network: Network, entries: Mapping[str, Input]) -> None:
    """Raise ConversionError where the graph's layers are not the network's on a few random moments."""
    draw, x = np.random.default_rng(0), {}
    for name, entry in entries.items():
        shape = (_MOMENTS, _SAMPLES, *entry.shape)
        moments = (draw.random(shape) < 0.4) if entry.kind == "spikes" else draw.normal(0, 1, shape)
        x[name] = moments.astype(np.float32)
    for layer in compare_layers(net, network, x).layers:
        if layer.unexplained:
            reason = (
                f"{layer.unexplained} of {layer.neuron_steps} outputs differ beyond rounding from its graph's"
            )
            hint = "layers without hooks and without methods of their own"
            if layer.unbounded:
                hint = f"a bound of the rounding of {', '.join(layer.unbounded)} in convert/verify/replay.py"
            raise ConversionError(layer.name, reason, hint)
