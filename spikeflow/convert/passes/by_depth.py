"""by_depth: the step in which each layer's neurons wake, and the step from which answers are read.

In the first steps a deep layer gets its biases but hardly a spike: its potentials are driven where the
finished answer never has them, and it takes many steps to make up for that. A layer that wakes later
takes in only what has settled. These steps count among those of the run.
"""

from __future__ import annotations

from dataclasses import replace

from spikeflow.convert.passes.thresholds import Thresholds
from spikeflow.ir.alphabet import alphabet
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation
from spikeflow.ir.record import LEAST_READ

SLOPE = 0.25  # steps that a layer wakes behind the one before it, where nothing else is known


def usual_slope(name: str) -> float:
    """Of layers in an alphabet: none where values below 0 take back what the first steps got wrong."""
    return 0.0 if alphabet(name).signed else SLOPE


def depths(graph: Graph) -> dict[str, int]:
    """For each Activation how many others lie before it on the longest way from an input."""
    behind: dict[str, int] = {}
    found: dict[str, int] = {}
    for name in graph.order:
        before = max((behind[e.src] for e in graph.inputs_of(name)), default=0)
        spikes = isinstance(graph.nodes[name], Activation)
        if spikes:
            found[name] = before
        behind[name] = before + spikes
    return found


def latest(steps: int) -> int:
    """The last step from which answers may be read: an eighth of a run is read, and 4 steps at the least."""
    return max(0, steps - max(LEAST_READ, steps // 8))


def staggered(thresholds: Thresholds, graph: Graph, slope: float, steps: int) -> Thresholds:
    """The same where a layer of depth d wakes in step slope x d, and none behind half of the run; answers are
    read once the last layer is awake.
    """
    last = min(steps // 2, latest(steps))
    start = {name: min(int(slope * depth), last) for name, depth in depths(graph).items()}
    return replace(thresholds, start=start, read_from=max(start.values(), default=0))
