"""flat: a network of torch modules, networks within it opened, as nodes and edges under their paths."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DataParallel

from spikeflow.convert.capture.junctions import junction, without_junctions
from spikeflow.convert.capture.rows import HINT, refusals
from spikeflow.errors import UnsupportedLayer
from spikeflow.ir.graph import Edge
from spikeflow.neurons.graph_net import GraphNet
from spikeflow.neurons.members import bare, is_opened
from spikeflow.neurons.net import Net
from spikeflow.neurons.recurrent import Recurrent
from spikeflow.neurons.residual import Residual
from spikeflow.neurons.sequential import Sequential
from spikeflow.neurons.wiring import FIRST, Wiring, chain

_OURS = (Sequential, Recurrent, Residual, GraphNet, Net)


@dataclass(frozen=True, eq=False)
class Flat:
    """Layers of neurons and layers without a state by path, and the edges between them.

    Parameters
    ----------
    nodes : in the order of the network.
    edges : from an input or a node, to a node or an output; in the order in which each port adds them up.
    """

    nodes: Mapping[str, nn.Module]
    edges: tuple[Edge, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def plain(net: object) -> Net:
    """The network within known wrappers, in float32 on the CPU.

    Raises
    ------
    UnsupportedLayer
        For any other module, and for a network with a forward() of its own.
    """
    while isinstance(net, nn.Module) and (bare(net) is not net or isinstance(net, DataParallel)):
        net = bare(net).module if isinstance(bare(net), DataParallel) else bare(net)
    if not isinstance(net, Net) or isinstance(net, Recurrent):
        kind = type(net).__name__
        hint = f"its layers one by one in a spikeflow Sequential or Net: {HINT}"
        raise UnsupportedLayer("the network", kind, hint)
    _check_own("the network", net)
    tensors = [*net.parameters(), *(b for b in net.buffers() if b.is_floating_point())]
    if all(t.dtype is torch.float32 and t.device.type == "cpu" for t in tensors):
        return net
    return copy.deepcopy(net).to("cpu", torch.float32)


def flatten(net: Net) -> Flat:
    """The network with all networks within it opened.

    Raises
    ------
    UnsupportedLayer
        For the first layer that cannot be taken; its text names all of them.
    GraphError
        For values that go around through networks without a single layer.
    """
    top = _opened("", net.wiring, net.modules_by_name(), net)
    layers = dict(_layers(top))
    found = [refusal for name, layer in layers.items() for refusal in refusals(name, layer)]
    if found:
        (name, kind, hint), others = found[0], "".join(f"; and {n}: {k}" for n, k, _ in found[1:])
        raise UnsupportedLayer(name, kind, hint + others)
    edges = without_junctions(tuple(_edges(top)))
    return Flat(layers, edges, net.wiring.inputs, net.wiring.outputs)


def _check_own(name: str, net: Net) -> None:
    """A network of a class of one's own may be made in any way, but runs as the networks here do."""
    kind = next(k for k in type(net).__mro__ if k in _OURS)
    if type(net).forward is not kind.forward or "forward" in vars(net):
        hint = f"a plain {kind.__name__}: the step of a class of one's own cannot be seen"
        raise UnsupportedLayer(name, f"{type(net).__name__} with its own forward()", hint)


@dataclass(frozen=True, eq=False)
class _Inner:
    """A network within a network: its nodes by name, each with its path."""

    path: str
    wiring: Wiring
    nodes: Mapping[str, tuple[str, nn.Module | _Inner]]

    def end(self, name: str, port: str, inward: bool) -> str:
        """What an edge of this network calls a node, or the junction at the border of a network."""
        if name not in self.nodes:
            return (
                name
                if not self.path
                else junction(self.path, "in" if name in self.wiring.inputs else "out", name)
            )
        path, node = self.nodes[name]
        if not isinstance(node, _Inner):
            return path
        names = node.wiring.inputs if inward else node.wiring.outputs
        return junction(path, "in" if inward else "out", port if port in names else names[0])


def _opened(path: str, wiring: Wiring, modules: Mapping[str, nn.Module], net: Net | None) -> _Inner:
    nodes: dict[str, tuple[str, nn.Module | _Inner]] = {}
    for name in wiring.names:
        own = ".".join(filter(None, (path, name if net is None else net.path_of(name))))
        layer = bare(modules[name])
        if isinstance(layer, Net):
            _check_own(own, layer)
            nodes[name] = own, _opened(own, layer.wiring, layer.modules_by_name(), layer)
        elif is_opened(layer):
            inner = {str(index): child for index, child in enumerate(layer.children())}
            nodes[name] = own, _opened(own, chain(tuple(inner)), inner, None)
        else:
            nodes[name] = own, layer
    return _Inner(path, wiring, nodes)


def _layers(inner: _Inner) -> Iterator[tuple[str, nn.Module]]:
    for path, node in inner.nodes.values():
        if isinstance(node, _Inner):
            yield from _layers(node)
        else:
            yield path, node


def _edges(inner: _Inner) -> Iterator[Edge]:
    """All edges, those of an inner network where it is first read."""
    begun: set[str] = set()
    for edge in inner.wiring.edges:
        src, dst = inner.end(edge.src, edge.src_port, False), inner.end(edge.dst, edge.port, True)
        node = inner.nodes[edge.dst][1] if edge.dst in inner.nodes else None
        yield Edge(src, dst, edge.port if isinstance(node, nn.Module) else FIRST, edge.delay)
        if isinstance(node, _Inner) and edge.dst not in begun:
            begun.add(edge.dst)
            yield from _edges(node)
