"""unit_thresholds: every neuron's potential counted in its own threshold, and back.

Integrate-and-fire is homogeneous: potentials, thresholds and what arrives may all be multiplied by one
number above 0 and no spike changes, in exact numbers. Thresholds of 1 are what a surrogate gradient expects,
whose width is fixed; the thresholds of balancing are what reports compare with activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from spikeflow.convert.passes.scales import fold_scales
from spikeflow.errors import ConversionError
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Node, Population, Scale
from spikeflow.neurons.iaf import IF
from spikeflow.neurons.integrator import Integrator
from spikeflow.typing import Array

_HOMOGENEOUS = (IF.__name__,)  # models whose every potential is compared with the threshold alone


def thresholds_of(graph: Graph) -> dict[str, Array]:
    """The thresholds of all spiking populations of a converted graph, as their nodes hold them.

    Raises
    ------
    ConversionError
        For neurons whose potentials have other scales besides the threshold.
    """
    found: dict[str, Array] = {}
    for name in graph.of_kind(Population):
        node = graph.nodes[name]
        assert isinstance(node, Population)
        if node.model == Integrator.__name__:
            continue
        if node.model not in _HOMOGENEOUS:
            reason = f"neurons {node.model} cannot be counted in their thresholds"
            hint = "ReLU and --alphabet binary; ReLU6 and smooth activations take neurons that can go back"
            raise ConversionError(name, reason, hint)
        found[name] = np.array(node.params["threshold"], np.float32)
    return found


def unit_thresholds(graph: Graph) -> Graph:
    """The network with every threshold at 1: weights into a neuron are divided by its threshold."""
    return rescaled(
        graph, {name: 1 / theta.astype(np.float64) for name, theta in thresholds_of(graph).items()}
    )


def rescaled(graph: Graph, factors: Mapping[str, Array]) -> Graph:
    """The network with the potentials of some populations in other units: v becomes factor v.

    What enters is multiplied in the weights of the nodes before, where they take it (rounded to float32);
    else by a Scale. Thresholds and initial states follow.

    Parameters
    ----------
    factors : above 0; each broadcasts to the shape of its population.
    """
    nodes: dict[str, Node] = {}
    edges = list(graph.edges)
    for name, node in graph.nodes.items():
        if name not in factors:
            nodes[name] = node
            continue
        assert isinstance(node, Population)
        factor = np.asarray(factors[name], np.float64)
        entry = f"{name}.units"
        while entry in graph.nodes:
            entry += "_"
        nodes[entry] = Scale(factor.astype(np.float32))
        nodes[name] = replace(
            node,
            params={**node.params, "threshold": _times(node.params["threshold"], factor)},
            initial={state: _times(value, factor) for state, value in node.initial.items()},
        )
        edges = [replace(edge, dst=entry, port="in") if edge.dst == name else edge for edge in edges]
        edges.append(Edge(entry, name))
    return fold_scales(Graph(nodes, tuple(edges), graph.dt))


def _times(value: Array, factor: Array) -> Array:
    return (np.asarray(value, np.float64) * factor).astype(np.float32)
