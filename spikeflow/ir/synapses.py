"""What readers ask of synapses and moves in a graph: how many there are, where they lead, how large their
sums get.

The geometry itself is that of each kind (``ir.nodes``); nobody else computes it.
"""

from __future__ import annotations

from math import prod
from typing import TypeVar

import numpy as np

from spikeflow.ir.arrays import Array
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import LinearKind, Move, Node, Shape, Sparse, Synapses, Synaptic

Kind = TypeVar("Kind", bound=Synaptic)


def index_map(graph: Graph, name: str) -> Array:
    """Of a move: for each value handed on, in C order, which of the arriving ones it is; -1 where it is 0."""
    node = graph.nodes[name]
    assert isinstance(node, Move)
    return node.index_map([graph.port_shape(name, port) for port in node.ports])


def synapses_of(graph: Graph, name: str) -> Synapses:
    """The synapses of a linear kind, expanded; those of weight 0 left out."""
    node = graph.nodes[name]
    assert isinstance(node, LinearKind)
    return node.synapses(graph.port_shape(name, "in"), graph.shapes[name])


def fan_out(graph: Graph, name: str) -> Array:
    """The number of synapses of each source; a kernel's taps count where they hit the target."""
    node = graph.nodes[name]
    assert isinstance(node, Synaptic)
    return node.fan_out(graph.port_shape(name, "in"), graph.shapes[name])


def stored_synapses(node: Node) -> int:
    """The synapses that a node stores; a convolution stores its kernels."""
    return node.stored if isinstance(node, Synaptic) else 0


def connections(graph: Graph, name: str) -> int:
    """The pairs of source and target that a node joins; a kernel counts wherever it lies on the source."""
    node = graph.nodes[name]
    return (
        node.connections(graph.port_shape(name, "in"), graph.shapes[name])
        if isinstance(node, Synaptic)
        else 0
    )


def fan_in(node: Synaptic, zeros: bool = True) -> int:
    """The most synapses that reach one target, those of weight 0 among them or not."""
    counted = np.ones(node.stored_weights.shape, bool) if zeros else node.stored_weights != 0
    return int(node.row_sums(counted.astype(np.int64)).max(initial=0))


def largest_sum(node: Synaptic) -> int:
    """The largest sum of the magnitudes of integer weights onto one target."""
    return int(node.row_sums(np.abs(node.stored_weights.astype(np.int64))).max(initial=0))


def row_of_weights(node: Synaptic) -> Array:
    """The row, ``0 .. rows - 1``, of each stored weight, in stored order."""
    rows = node.over_rows(np.arange(node.rows))
    return np.broadcast_to(rows, node.stored_weights.shape).reshape(-1)


def by_part(x: Array, parts: int) -> Array | None:
    """One number for each of so many equal parts of x, ``(parts,)``; None where a part holds several."""
    each = x.reshape(parts, -1)
    return each[:, 0].copy() if (each == each[:, :1]).all() else None


def listed(synapses: Synapses, in_shape: Shape, out_shape: Shape, bias: Array | None = None) -> Sparse:
    """Synapses as a list by source, then target, then delay; of one weight only that."""
    delay = np.zeros(len(synapses.source), np.int32) if synapses.delay is None else synapses.delay
    order = np.lexsort((delay, synapses.target, synapses.source))
    rows = np.bincount(synapses.source, minlength=prod(in_shape))
    constant = len(order) > 0 and bool((synapses.weight == synapses.weight[0]).all())
    return Sparse(
        np.concatenate([[0], np.cumsum(rows)]),
        synapses.target[order],
        synapses.weight[:1] if constant else synapses.weight[order],
        in_shape,
        out_shape,
        bias,
        delay[order] if delay.any() else None,
        delay_scope="synapse",
    )


def times_columns(node: Kind, factor: Array) -> Kind:
    """The node with the weights of each source, or channel of them, times its factor ``(columns,)``;
    rounded once.
    """
    weight = node.stored_weights * node.over_columns(factor.astype(np.float64))
    return node.with_weights(node.packed(weight.astype(np.float32)))


def times_rows(node: Kind, factor: Array, shift: Array | None = None) -> Kind:
    """The node with what each target, or channel of them, gets times its factor, plus a shift; rounded once.

    Parameters
    ----------
    factor, shift : float64, ``(rows,)``; the shift goes into the bias.
    """
    weight = node.stored_weights * node.over_rows(factor)
    bias = np.zeros(node.rows) if shift is None else shift
    if node.bias is not None:
        bias = node.bias.astype(np.float64) * factor + bias
    keeps = node.bias is not None or bool(bias.any())
    rounded = bias.astype(np.float32) if keeps else None
    return node.with_weights(node.packed(weight.astype(np.float32)), bias=rounded)
