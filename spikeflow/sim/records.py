"""What a run can keep of every step: the values of a node, the states of a population, the currents at its
ports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spikeflow.errors import SimulationError
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population


@dataclass(frozen=True)
class Trace:
    """One state of a population, or what arrives at one of its ports; the other is -1."""

    node: str
    state: int = -1
    port: int = -1


@dataclass(frozen=True)
class Wanted:
    """Names to record: nodes, whose values come back as `Spikes`, and traces, as arrays ``(T, B,
    *shape)``.
    """

    nodes: tuple[str, ...]
    traces: Mapping[str, Trace]


def recordable(graph: Graph) -> dict[str, Trace | None]:
    """Everything that can be recorded, by name: ``layer``, ``layer.v`` (a state), ``layer.in`` (what
    arrives at a port).

    Where names are equal a node comes before a state, and a state before a port.
    """
    found: dict[str, Trace | None] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Population):
            found |= {f"{name}.{port}": Trace(name, port=i) for i, port in enumerate(node.ports)}
            found |= {f"{name}.{state}": Trace(name, state=i) for i, state in enumerate(node.program.states)}
    return found | dict.fromkeys(graph.nodes)


def wanted(graph: Graph, record: Sequence[str]) -> Wanted:
    """The names sorted out.

    Raises
    ------
    SimulationError
        For a name that means nothing here; it lists those that do.
    """
    if isinstance(record, str):
        raise SimulationError("record", f"is the text {record!r}, no sequence of names", f"({record!r},)")
    if not record:
        return Wanted((), {})
    known = recordable(graph)
    for name in record:
        if name not in known:
            raise SimulationError(name, "is nothing that can be recorded", f"one of {', '.join(known)}")
    traces = {name: trace for name in record if (trace := known[name]) is not None}
    return Wanted(tuple(name for name in record if known[name] is None), traces)
