"""encoded: the Input of a graph made ready for spikes; two channels where the data has signs."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Flatten, Input, Linear, Node, Shape, Sparse, convolution

_DIFFERENCE = "onoff"


def encoded(graph: Graph, coding: str) -> Graph:
    """The graph with an Input for this coding.

    ``direct`` keeps a current; ``rate`` takes spikes of the same shape; ``onoff`` takes spikes for max(x, 0)
    and for max(-x, 0), the first axis doubled: readers with weights W get [W, -W], and where one has no such
    form, a node x = on - off stands behind the Input.
    """
    name = graph.inputs[0]
    shape = graph.shapes[name]
    if coding == "direct":
        return graph
    if coding == "rate":
        return graph.with_nodes({name: Input(shape, "spikes")})
    doubled = Input((2 * shape[0], *shape[1:]), "spikes")
    changed: dict[str, Node] = {name: doubled}
    if _widen(graph, name, changed):
        return graph.with_nodes(changed)
    return _with_difference(graph, name, doubled, shape)


def _widen(graph: Graph, name: str, changed: dict[str, Node]) -> bool:
    """Put [W, -W] into every reader of a doubled value; False where a reader has no such form."""
    for edge in graph.outputs_of(name):
        node = graph.nodes[edge.dst]
        if len(graph.inputs_of(edge.dst)) != 1:
            return False
        if isinstance(node, Flatten):
            if not _widen(graph, edge.dst, changed):
                return False
        elif isinstance(node, Linear) or (isinstance(node, Conv2d) and node.groups == 1):
            weight = weight_values(node.weight)
            changed[edge.dst] = replace(node, weight=np.concatenate([weight, -weight], axis=1))
        else:
            return False
    return True


def difference(shape: Shape) -> Conv2d | Sparse:
    """The node x = on - off of a doubled first axis."""
    doubled = (2 * shape[0], *shape[1:])
    if len(shape) > 1:
        eye = np.eye(shape[0], dtype=np.float32)
        weight = np.concatenate([eye, -eye], axis=1)
        return convolution(weight.reshape(*weight.shape, *(1,) * (len(shape) - 1)))
    count = prod(shape)
    return Sparse(
        np.arange(2 * count + 1),
        np.tile(np.arange(count), 2),
        np.repeat([1.0, -1.0], count),
        doubled,
        shape,
    )


def _with_difference(graph: Graph, name: str, doubled: Input, shape: Shape) -> Graph:
    made = f"{name}.{_DIFFERENCE}"
    while made in graph.nodes:
        made += "_"
    nodes: dict[str, Node] = {}
    for key, node in graph.nodes.items():
        nodes[key] = doubled if key == name else node
        if key == name:
            nodes[made] = difference(shape)
    edges = tuple(replace(edge, src=made) if edge.src == name else edge for edge in graph.edges)
    return Graph(nodes, (Edge(name, made), *edges), graph.dt)
