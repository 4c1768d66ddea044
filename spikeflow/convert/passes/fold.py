"""fold: batch norm into the weights before it, averaging factors into the weights after it.

Sums are changed only by rounding: each weight is computed in float64 and rounded to float32 once, so outputs
agree to about 1e-5 of their largest value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeflow.convert.capture.affine import affine
from spikeflow.convert.passes.scales import Array, fold_scales, into_targets, without
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import BatchNorm, Synaptic


@dataclass(frozen=True)
class Folded:
    """The graph without batch norm, and for each batch norm the nodes that took it in."""

    graph: Graph
    into: Mapping[str, tuple[str, ...]]


def fold(graph: Graph) -> Graph:
    """Batch norm and constant factors folded into weights."""
    return fold_scales(fold_batch_norm(graph).graph)


def fold_batch_norm(graph: Graph) -> Folded:
    """Every batch norm folded into the linear nodes before it, or written as factor and bias.

    gamma (x - mean) / sqrt(variance + epsilon) + beta = a x + b. A linear node that nobody else reads takes a
    into its output axis and b into its bias; after an addition of several such nodes each takes a, the first
    takes b. Otherwise (after an activation, pooling, the input, or a convolution that has other readers) the
    norm becomes a node of its own, a convolution of size 1 with bias, which is as exact: what follows may pad
    its result with zeros as before.
    """
    into: dict[str, tuple[str, ...]] = {}
    for name in graph.of_kind(BatchNorm):
        node = graph.nodes[name]
        assert isinstance(node, BatchNorm)
        shape = graph.shapes[name]
        a, b = (x.reshape(-1, *(1,) * (len(shape) - 1)) for x in coefficients(node))
        sources = tuple(edge.src for edge in graph.inputs_of(name))
        if all(isinstance(graph.nodes[s], Synaptic) and len(graph.outputs_of(s)) == 1 for s in sources):
            changed = {
                s: into_targets(graph.nodes[s], a, b if s == sources[0] else np.zeros(()), shape)
                for s in sources
            }
            graph, into[name] = without(graph.with_nodes(changed), name), sources
        else:
            graph, into[name] = graph.with_nodes({name: affine(shape, a, b)}), ()
    return Folded(graph, into)


def coefficients(node: BatchNorm) -> tuple[Array, Array]:
    """a and b of y = a x + b, ``(channels,)`` each, in float64."""
    mean, variance, gamma, beta = (
        x.astype(np.float64) for x in (node.mean, node.variance, node.gamma, node.beta)
    )
    a = gamma / np.sqrt(variance + node.epsilon)
    return a, beta - mean * a
