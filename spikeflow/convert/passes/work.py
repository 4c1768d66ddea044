"""Work: how many samples a trial run may take, so that large networks are converted in bounded time."""

from __future__ import annotations

import math

from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation, Synaptic

WORK = 2.0**35  # products of weights and values that one trial may take
NEURON = 16  # products that one neuron's update counts as


def products(graph: Graph) -> int:
    """Of weights and values of a graph of stage ann, for one sample in one step, and as many as the updates
    of its neurons count as.
    """
    found = NEURON * sum(math.prod(graph.shapes[name]) for name in graph.of_kind(Activation))
    for name, node in graph.nodes.items():
        if isinstance(node, Synaptic):
            places = math.prod(graph.shapes[name]) // max(node.rows, 1)
            found += node.stored_weights.size * places
    return found


def samples_tried(graph: Graph, steps: int, fewest: int, most: int) -> int:
    """How many samples a trial of so many steps is run on."""
    allowed = int(WORK / (steps * max(products(graph), 1)))
    return min(max(allowed, fewest), most)
