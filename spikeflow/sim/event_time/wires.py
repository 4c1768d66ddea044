"""What leads where: from each source of spikes to each port of a population, by delay, as sparse matrices.

Nodes between are linear, so that they are one matrix together; a current that flows through them is a vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from scipy import sparse

from spikeflow.errors import SimulationError
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Delay, Input, LinearKind, Move, Output, Population, Synaptic
from spikeflow.ir.plastic import plastic_nodes
from spikeflow.ir.synapses import index_map, synapses_of
from spikeflow.typing import Array

Matrix = Any  # scipy.sparse.csc_array, which says little of its type


@dataclass
class Arriving:
    """What arrives somewhere.

    Parameters
    ----------
    spikes : by source and delay in steps, a matrix from its neurons to the values here.
    flow : what comes in every step, ``(values,)``; None for nothing.
    """

    spikes: dict[tuple[str, int], Matrix] = field(default_factory=dict)
    flow: Array | None = None

    def add(self, other: Arriving, matrix: Matrix | None = None, delay: int = 0) -> None:
        """What arrives elsewhere arrives here, too: through a matrix, later."""
        for (source, earlier), one in other.spikes.items():
            through = one if matrix is None else matrix @ one
            key = source, earlier + delay
            self.spikes[key] = self.spikes[key] + through if key in self.spikes else through
        if other.flow is not None:
            self.flow_in(other.flow if matrix is None else matrix @ other.flow)

    def flow_in(self, flow: Array) -> None:
        """Something more comes in every step."""
        self.flow = flow if self.flow is None else self.flow + flow


class Wires:
    """The wires of a graph.

    Parameters
    ----------
    currents : what each Input of a current gives in every step.

    Raises
    ------
    SimulationError
        By name: for a node that is not linear, a state that an edge reads, a current that comes later.
    """

    def __init__(self, graph: Graph, currents: Mapping[str, Array]) -> None:
        self._graph, self._currents = graph, currents
        self._made: dict[str, Arriving] = {}

    def into(self, name: str, port: str) -> Arriving:
        """What arrives at a port of a node."""
        found = Arriving()
        for edge in self._graph.inputs_of(name, port):
            found.add(*self._by(edge))
        return found

    def _by(self, edge: Edge) -> tuple[Arriving, None, int]:
        if edge.src_port != "out":
            raise _refused(edge.dst, f"reads the state {edge.src_port} of {edge.src}")
        arriving, lag = self._out_of(edge.src), self._graph.lag(edge)
        if lag and arriving.flow is not None:
            raise _refused(edge.dst, f"takes a current from {edge.src} that comes {lag} steps later")
        return arriving, None, lag

    def _out_of(self, name: str) -> Arriving:
        """What a node hands on; a population and an Input of spikes are sources."""
        if name not in self._made:
            self._made[name] = self._handed_on(name)
        return self._made[name]

    def _handed_on(self, name: str) -> Arriving:
        node, size = self._graph.nodes[name], prod(self._graph.shapes[name])
        match node:
            case Input() if node.kind == "current":
                return Arriving(flow=self._currents[name])
            case Input() | Population():
                return Arriving({(name, 0): sparse.identity(size, format="csc")})
            case Move():
                return self._moved(name)
            case Delay():
                return self.into(name, "in")
            case LinearKind():
                return self._summed(name, node)
            case _:
                raise _refused(name, f"is a {type(node).__name__}, which is not linear")

    def _moved(self, name: str) -> Arriving:
        ports = self._graph.nodes[name].ports
        sizes = [prod(self._graph.port_shape(name, port)) for port in ports]
        taken, found = index_map(self._graph, name).reshape(-1), Arriving()
        ends = np.cumsum([0, *sizes])
        for port, first, last in zip(ports, ends[:-1], ends[1:], strict=True):
            here = np.flatnonzero((taken >= first) & (taken < last))
            shape = len(taken), int(last - first)
            matrix = sparse.csc_array((np.ones(len(here)), (here, taken[here] - first)), shape=shape)
            found.add(self.into(name, port), matrix)
        return found

    def _summed(self, name: str, node: Any) -> Arriving:
        arriving, found = self.into(name, "in"), Arriving()
        one = synapses_of(self._graph, name)
        shape = prod(self._graph.shapes[name]), prod(self._graph.port_shape(name, "in"))
        delays = np.zeros(len(one.source), np.int64) if one.delay is None else one.delay
        if arriving.flow is not None and delays.any():
            raise _refused(name, "takes a current through synapses with delays")
        for delay in np.unique(delays):
            at = delays == delay
            held = one.weight[at].astype(np.float64), (one.target[at], one.source[at])
            found.add(arriving, sparse.csc_array(held, shape=shape), int(delay))
        if isinstance(node, Synaptic) and node.bias is not None:
            bias = node.bias.astype(np.float64)
            found.flow_in(np.repeat(bias, shape[0] // len(bias)))
        return found


def expect_linear(graph: Graph) -> None:
    """Raise SimulationError for synapses that learn, and for outputs of what is no spikes: in event time
    there are no steps to learn in or to read.
    """
    for name, _, _ in plastic_nodes(graph):
        raise _refused(name, "learns")
    for name in graph.of_kind(Output):
        for edge in graph.inputs_of(name):
            if not isinstance(graph.nodes[edge.src], Population | Input):
                raise _refused(name, f"reads {edge.src}, whose values are no spikes")


def _refused(name: str, reason: str) -> SimulationError:
    return SimulationError(name, f"{reason}; event time has no form of it", "steps: sim.run")
