"""compare_layers: the graph's spikes against those of the torch layers it was captured from, up to ties.

Torch adds in its own order, so currents differ in their last bits and a spike may fall on the other side of
its threshold. So each layer is compared alone, on the torch layer's recorded input and fed-back spikes.
The layer is replayed in float64 with a running error bound e, which holds for any order of sums; where torch
and graph first differ in a neuron of a sample, the argument of the spike must lie within e of 0: a tie. Else
the difference is unexplained. After its first difference a neuron is not compared further in that sample.
A gate whose argument lies within e of 0 may be open or shut: both enter e; a burst that differs must be one.

e of a current is gamma_K M: M the sum of the magnitudes of all products and biases, K the most roundings that
one of them passes, gamma_K = K u / (1 - K u), u = 2^-24 (Higham 2002, section 3.1). Through the program e
grows with every instruction by its own rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeflow.convert.capture.assembled import assemble
from spikeflow.convert.capture.flat import flatten, plain
from spikeflow.convert.load.source import evaluating
from spikeflow.convert.verify.magnitude import Currents
from spikeflow.convert.verify.replay import Replayed, replay, unbounded
from spikeflow.errors import ConversionError
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Joint, Node, Output, Population
from spikeflow.ir.outputs import reads_states
from spikeflow.ir.record import Network
from spikeflow.ir.whole import hands_on_whole
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.net import Net
from spikeflow.sim import ENGINES, Dense, run
from spikeflow.typing import Array

_BASE, _SHARE = 3, 100_000


@dataclass(frozen=True)
class LayerTies:
    """One layer: spikes of the torch layer, differences that are ties, and differences that are not.

    `unbounded`: operations of which nobody said how wrong float32 may be, so that no difference is a tie.
    """

    name: str
    neuron_steps: int
    spikes: int
    ties: int
    unexplained: int
    unbounded: tuple[str, ...] = ()


@dataclass(frozen=True)
class TieReport:
    """All layers of a network on some samples."""

    layers: tuple[LayerTies, ...]

    @property
    def ties(self) -> int:
        """Differences within the rounding of a sum."""
        return sum(layer.ties for layer in self.layers)

    @property
    def unexplained(self) -> int:
        """Differences beyond it; 0 unless something is wrong."""
        return sum(layer.unexplained for layer in self.layers)

    @property
    def allowed(self) -> int:
        """3 + (neuron-steps) / 100,000."""
        return _BASE + sum(layer.neuron_steps for layer in self.layers) // _SHARE

    @property
    def equal(self) -> bool:
        """Equal up to ties."""
        return self.unexplained == 0 and self.ties <= self.allowed

    def __str__(self) -> str:
        lines = [
            f"spikes against the torch layers: {self.ties} tie(s) ({self.allowed} allowed), "
            f"{self.unexplained} unexplained difference(s)"
        ]
        lines += [
            f"  {x.name}: {x.spikes} spikes in {x.neuron_steps} neuron-steps, {x.ties} tie(s), "
            f"{x.unexplained} unexplained"
            for x in self.layers
        ]
        return "\n".join(lines)


def compare_layers(net: nn.Module, network: Network, x: Any, engine: str = ENGINES[0]) -> TieReport:
    """Compare every layer of neurons on samples ``(T, B, *shape)``, of several inputs a dict by name.

    Parameters
    ----------
    network : as `capture_trained` made it from `net`.
    engine : what runs the graph.

    Raises
    ------
    ConversionError
        Where the network has no population of a layer's name.
    """
    for edge in reads_states(network.graph):
        reason = f"hands on its state {edge.src_port} to {edge.dst}, which torch's layers do not"
        raise ConversionError(edge.src, reason, "the network as it was captured")
    net, given = plain(net), x if isinstance(x, Mapping) else {network.graph.inputs[0]: x}
    values = {name: np.asarray(value, np.float32) for name, value in given.items()}
    with evaluating(net), torch.no_grad():
        flat = flatten(net)
        assembled = assemble(flat, {n: Input(v.shape[2:], "current") for n, v in values.items()})
        names = tuple(n for n, layer in flat.nodes.items() if isinstance(layer, Neuron))
        seen = {**values, **_record(net, values, names)}
    found = Currents(assembled.graph, seen)
    return TieReport(tuple(_compare(name, network.graph, found, engine) for name in names))


def _record(net: Net, values: Mapping[str, Array], names: tuple[str, ...]) -> dict[str, Array]:
    """What each layer of neurons gives."""
    tensors = {name: torch.from_numpy(value) for name, value in values.items()}
    x = tensors if len(tensors) > 1 else next(iter(tensors.values()))
    whole, _ = net(x)
    inside, _ = net.forward(x, record=names or tuple(net.outputs))
    alone = {net.outputs[0]: whole} if isinstance(whole, torch.Tensor) else whole
    if not isinstance(alone, Mapping) or not all(torch.equal(inside[n], alone[n]) for n in net.outputs):
        raise ConversionError("the network", "answers otherwise than its layers one by one", "no hooks on it")
    return {name: inside[name].numpy() for name in names}


def _compare(name: str, graph: Graph, found: Currents, engine: str) -> LayerTies:
    node = graph.nodes.get(name)
    if not isinstance(node, Population):
        raise ConversionError(
            name, "the captured network has no population of this name", "capture_trained(net, ...)"
        )
    wanted = found.seen[name]
    got = _alone(name, graph, found.seen, engine)
    ports = {port: found.at(name, port) for port in node.ports if found.graph.inputs_of(name, port)}
    counted = _count(name, (got, wanted), replay(node, ports, wanted))
    return replace(counted, unbounded=unbounded(node.program))


def _alone(name: str, graph: Graph, seen: Mapping[str, Array], engine: str) -> Array:
    """What the graph's layer gives on recorded values of all that it reads, its own outputs included."""
    own, end = f"{name}, before", f"{name}, out"
    nodes: dict[str, Node] = {name: graph.nodes[name], end: Output()}
    edges, inputs, todo = [Edge(name, end)], dict[str, Array](), [name]
    whole = set[str]()
    while todo:
        reader = todo.pop(0)
        for edge in graph.inputs_of(reader):
            source = own if edge.src == name else edge.src
            edges.append(replace(edge, src=source))
            if source in nodes:
                continue
            node = graph.nodes[edge.src]
            if isinstance(node, Population | Input):
                inputs[source] = seen[edge.src]
                nodes[source] = Input(graph.shapes[edge.src], "current")
                whole |= {source} if hands_on_whole(node) else set()
            else:
                nodes[source] = node
                todo.append(source)
    if any(isinstance(node, Joint) and node.counts for node in nodes.values()):
        # what adds up over the steps takes whole numbers alone
        nodes |= {source: Input(inputs[source].shape[2:], "spikes") for source in whole}
    # edges of one port keep their order, since each reader's were added in the graph's own order
    lone = Graph(nodes, tuple(edges), graph.dt)
    return run(lone, {n: Dense(v) for n, v in inputs.items()}, len(seen[name]), engine=engine).output


def _count(name: str, outputs: tuple[Array, Array], found: Replayed) -> LayerTies:
    got, wanted = outputs
    differs = (got != wanted) & ~(np.isnan(got) & np.isnan(wanted))
    error = found.output.error
    with np.errstate(invalid="ignore"):  # what has no bound explains no difference
        near = differs & np.isfinite(error) & (np.abs(got.astype(np.float64) - wanted) <= 2 * error)
    apart, tie = differs & ~near, np.zeros(wanted.shape, bool)
    if found.event is not None:
        apart &= np.cumsum(apart, axis=0) == 1
        tie = apart & np.isfinite(found.event.error) & (np.abs(found.event.value) <= found.event.error)
    spikes = 0 if found.event is None else int(np.count_nonzero(wanted))
    # a burst decided otherwise is a tie too; a value that is rounded otherwise is none
    ties = int((tie | (near & found.unsure)).sum())
    return LayerTies(name, prod(wanted.shape), spikes, ties, int((apart & ~tie).sum()))
