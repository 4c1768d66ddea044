"""Whether threads share the neurons of one sample, instead of running samples of their own.

A share is a range of the neurons of every population and the synapses onto them. Results do not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Joint, Population, Procedural, Sparse, Synaptic


@dataclass(frozen=True)
class Cut:
    """Into how many shares the neurons of one sample are cut, and which of them this process holds: first to
    before last, or all.
    """

    shares: int = 1
    own: tuple[int, int] | None = None

    @property
    def part(self) -> float:
        """What share of the network this process holds."""
        return 1.0 if self.own is None else (self.own[1] - self.own[0]) / self.shares


WHOLE = Cut()
LEAST_SYNAPSES = 2**20  # below, what threads wait for each other is more than what they save
LEAST_NEURONS = 1024  # of a share


def shares_of(graph: Graph, threads: int) -> int:
    """Into how many shares a network is cut for so many threads; 1 where one thread is to run a sample alone.

    Only rows of synapses that name their targets, and populations, are shared; where other nodes compute as
    well, the threads would wait for them.
    """
    synaptic = [node for node in graph.nodes.values() if isinstance(node, Synaptic)]
    if graph.of_kind(Joint) or not all(isinstance(node, Sparse | Procedural) for node in synaptic):
        return 1
    if any(node.plastic is not None for node in synaptic):  # they learn when all nodes have run
        return 1
    if sum(_synapses(node) for node in synaptic) < LEAST_SYNAPSES:
        return 1
    neurons = sum(prod(node.shape) for node in graph.nodes.values() if isinstance(node, Population))
    return max(1, min(threads, neurons // LEAST_NEURONS))


def _synapses(node: Synaptic) -> int:
    return node.expected if isinstance(node, Procedural) else node.stored
