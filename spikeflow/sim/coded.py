"""Sums of codes: in integers where only integers arrive, exact in any order; otherwise a code is its float
weight.

The integer sum runs over all delay slots, is converted to float32 once (to the nearest, ties to even) and
multiplied by the scale once; the bias comes last.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeflow.errors import SimulationError
from spikeflow.ir.arrays import Array, Codes, Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Procedural, Shape, Synaptic
from spikeflow.ir.nodes.families import Past
from spikeflow.ir.synapses import largest_sum
from spikeflow.sim import alphabets

_CODE = Fixed(16)


def scale_of(node: object) -> float | None:
    """The scale of a node's codes; None where its weights are no codes."""
    if isinstance(node, Procedural):
        return node.scale if node.bits else None
    weight = node.weight if isinstance(node, Synaptic) else None
    return weight.scale if isinstance(weight, Codes) else None


def exact(graph: Graph, largest_input: int = int(alphabets.EXACT)) -> dict[str, int]:
    """The nodes whose codes are summed in integers, with the largest magnitude that may arrive at each.

    Which nodes these are does not depend on `largest_input`, the largest magnitude of spikes that enter.
    """
    coded = {name for name, node in graph.nodes.items() if scale_of(node) is not None}
    if not coded:
        return {}
    sizes = alphabets.arriving(graph, largest_input)
    return {n: sizes.get(n, int(alphabets.EXACT)) for n in alphabets.arriving(graph) if n in coded}


def integers(node: Synaptic) -> Synaptic:
    """The node as its sums run: with codes for weights, without bias."""
    if isinstance(node, Procedural):
        return replace(node, bias=None)
    assert isinstance(node.weight, Codes)
    return replace(node, weight=Quantised(node.weight.values, _CODE), bias=None)  # type: ignore[call-arg]


def largest(node: Synaptic, size: int) -> int:
    """At least the largest magnitude of a sum, where values of at most `size` arrive."""
    return size * (node.largest_row if isinstance(node, Procedural) else largest_sum(integers(node)))


def sums(name: str, node: Synaptic, size: int, past: Past, out_shape: Shape) -> Array:
    """What the node hands on where integers of at most `size` arrive; SimulationError where others do."""
    listed = node.listed if isinstance(node, Procedural) else node
    scale = scale_of(node)
    assert scale is not None

    def whole(delay: int) -> Array:
        x = past(delay)
        if not (np.abs(x) <= size).all() or (x != np.floor(x)).any():
            reason = "what arrives is no integer, or larger than its source said"
            raise SimulationError(name, reason, "integers, or weights in floats")
        return x.astype(np.int64)

    total = integers(listed).sums(whole, out_shape)
    return listed.with_bias(total.astype(np.float32) * np.float32(scale))
