"""A graph as it reads without rules, codes and scopes: each synapse written out, its weight in float32.

For readers that need every synapse by itself, such as a mapping onto a chip.
"""

from __future__ import annotations

from dataclasses import replace

from spikeflow.ir.arrays import Codes
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Node, Procedural, Sparse, Synaptic


def listed(graph: Graph) -> Graph:
    """The same network with `Sparse` for every rule, float32 weights for codes, and one weight and delay a
    synapse.

    Where integers arrive at codes, sums are rounded otherwise than theirs, within float32.

    Raises
    ------
    GraphError
        Where a rule stands for more synapses than can be listed, with their number.
    """
    changed = {name: _listed(name, node) for name, node in graph.nodes.items()}
    return graph.with_nodes({name: node for name, node in changed.items() if node is not graph.nodes[name]})


def _listed(name: str, node: Node) -> Node:
    if isinstance(node, Procedural):
        node.expect_listable(name)
        node = node.listed
    if isinstance(node, Synaptic) and isinstance(node.weight, Codes):
        node = replace(node, weight=node.weight.floats)
    if isinstance(node, Sparse) and (node.weight_scope or node.delay_scope):
        node = _by_synapse(node)
    return node


def _by_synapse(node: Sparse) -> Sparse:
    """Scopes that a length does not say become one number a synapse."""
    delays = None if node.delays is None else node.each_delay()
    scope = "" if delays is None else "synapse"
    return replace(node, weight=node.stored_weights, weight_scope="", delays=delays, delay_scope=scope)
