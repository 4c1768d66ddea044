"""GraphNet: a graph, from a file for example, as a network that can be trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import nn

from spikeflow.errors import GraphError
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Delay, Input, Node, Output, Population
from spikeflow.ir.plastic import expect_static
from spikeflow.neurons.learned import Learn, Learned
from spikeflow.neurons.net import Net, names_of
from spikeflow.neurons.node_layer import Late, NodeLayer
from spikeflow.neurons.read_model import Cells, Waking


class GraphNet(Net):
    """The network of a graph of stage snn; captured again, it is that graph, with what was trained changed.

    Its nodes, edges, inputs and outputs are those of the graph, see `Net`. Weights, biases and factors are
    parameters. What was learned is written back by ``convert.capture_trained(net)`` or
    ``convert.graph_of(net)``.

    Parameters
    ----------
    graph : as ``ir.file.read(path).graph`` gives it.
    learn : names of parameters of neurons to train too, such as ``decay``, in every population that has
        them; or by name how, as `Neuron` takes it.

    Raises
    ------
    StageError, UnsupportedLayer, GraphError
        For a graph of another stage, for integers of a chip, for neurons that read nothing.
    """

    def __init__(self, graph: Graph, learn: Learn = ()) -> None:
        stages.check(graph, "snn")
        expect_static(graph, "a torch network")
        wanted = learn if isinstance(learn, Mapping) else dict.fromkeys(names_of("learn", learn), "declared")
        known = {p for node in graph.nodes.values() if isinstance(node, Population) for p in node.params}
        for name in wanted:
            if name not in known:
                hint = f"one of {', '.join(sorted(known))}" if known else "learn=()"
                raise GraphError("GraphNet", f"no neurons have a parameter {name!r} to learn", hint)
        nodes = {
            name: _layer(node, wanted)
            for name, node in graph.nodes.items()
            if not isinstance(node, Input | Output)
        }
        lag = {name: layer.lag for name, layer in nodes.items() if isinstance(layer, NodeLayer)}
        edges = [replace(edge, delay=edge.delay + lag.get(edge.dst, 0)) for edge in graph.edges]
        super().__init__(nodes, edges, graph.inputs, graph.outputs)
        self.sources = {name: node for name, node in graph.nodes.items() if isinstance(node, Input)}
        self.order, self.dt = tuple(graph.nodes), graph.dt


def _layer(node: Node, learn: Mapping[str, str | Learned]) -> nn.Module:
    if not isinstance(node, Population):
        return Late(node) if isinstance(node, Delay) else NodeLayer(node)
    cells = Cells(node, learn)
    return Waking(cells, node.start) if node.start else cells
