"""Linear nodes as matrices in float64: what `compose` multiplies when a chain is not one convolution.

An operator is a sum of sparse matrices, one for each delay within the node: y(t) = sum over d of M[d] x(t -
d).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from scipy import sparse

from spikeflow.errors import GraphError
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import LinearKind, Move, Output, Population, Synaptic
from spikeflow.ir.synapses import connections, index_map, synapses_of
from spikeflow.typing import Array

Matrix = Any  # scipy.sparse.csr_array, (targets, sources)
Operator = Mapping[int, Matrix]  # delay -> matrix
MAX_SYNAPSES = 2**28


def operator(graph: Graph, name: str, port: str = "in") -> Operator:
    """The matrices, of shape (targets, sources), from a port of a node to what it hands on; without its bias.

    Raises
    ------
    GraphError
        For a kind of node that is not linear, or one too large to be written out.
    """
    node, size = graph.nodes[name], prod(graph.port_shape(name, port))
    if isinstance(node, Move):
        return {0: selection(_of_port(graph, name, port), size)}
    if isinstance(node, Output | Population):
        return {0: selection(np.arange(size), size)}
    if not isinstance(node, LinearKind):
        raise GraphError(name, f"a {type(node).__name__} is not linear")
    if isinstance(node, Synaptic) and connections(graph, name) > MAX_SYNAPSES:
        raise GraphError(name, "has too many synapses to be written out", "a population between these layers")
    return _by_delay(graph, name, size)


def multiply(left: Operator, right: Operator) -> Operator:
    """First `right`, then `left`; their delays add up."""
    result: dict[int, Matrix] = {}
    for after, a in left.items():
        for before, b in right.items():
            product = a @ b
            result[after + before] = result[after + before] + product if after + before in result else product
    return result


def selection(sources: Array, count: int) -> Matrix:
    """y[j] = x[sources[j]], or 0 where sources[j] is -1; `count` sources."""
    targets = np.flatnonzero(sources >= 0)
    return _csr(np.ones(len(targets)), targets, sources[targets], (len(sources), count))


def _of_port(graph: Graph, name: str, port: str) -> Array:
    """The index map of a move as far as it takes values of one port; -1 elsewhere."""
    ports = graph.nodes[name].ports
    first = sum(prod(graph.port_shape(name, p)) for p in ports[: ports.index(port)])
    index = index_map(graph, name) - first
    return np.where((index >= 0) & (index < prod(graph.port_shape(name, port))), index, -1)


def _by_delay(graph: Graph, name: str, size: int) -> Operator:
    found, shape = synapses_of(graph, name), (prod(graph.shapes[name]), size)
    weight = found.weight.astype(np.float64)
    if found.delay is None:
        return {0: _csr(weight, found.target, found.source, shape)}
    slots = {int(d): np.flatnonzero(found.delay == d) for d in np.unique(found.delay)}
    return {d: _csr(weight[on], found.target[on], found.source[on], shape) for d, on in slots.items()}


def _csr(weights: Array, targets: Array, sources: Array, shape: tuple[int, int]) -> Matrix:
    return sparse.csr_array((weights, (targets, sources)), shape=shape)
