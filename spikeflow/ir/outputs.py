"""What a node hands on besides its output: a population, each of its states by name, as it stands behind
the step.

An edge that reads a state (`Edge.src_port`) means the same as one from a twin: a population of the same
program, inputs and start that hands the state on. So whatever runs or walks graphs takes `expanded(graph)`
and knows no source ports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from spikeflow.errors import GraphError
from spikeflow.ir.nodes import Node, Population
from spikeflow.ir.program import Instruction, Program

OUT = "out"
_BELOW = float.fromhex("0x1.fffffep-101")  # the float32 just below 2^-100, from which on a state becomes 0


class Wire(Protocol):
    """What is read of an edge."""

    @property
    def src(self) -> str: ...
    @property
    def dst(self) -> str: ...
    @property
    def src_port(self) -> str: ...


class Wired(Protocol):
    """What is read of a graph, which calls this module when it is made."""

    @property
    def nodes(self) -> Mapping[str, Node]: ...
    @property
    def edges(self) -> tuple[Any, ...]: ...


G = TypeVar("G", bound=Wired)


def outputs_of(node: Node) -> tuple[str, ...]:
    """The names that an edge may read: ``out``, and the states of a population that are not called so."""
    states = node.program.states if isinstance(node, Population) else ()
    return (OUT, *(name for name in states if name != OUT))


def check_source(node: Node, edge: Wire) -> None:
    """Raise GraphError unless the node has the output that an edge reads."""
    known = outputs_of(node)
    if edge.src_port not in known:
        reason = f"has no output {edge.src_port!r} for {edge.dst}"
        raise GraphError(edge.src, reason, f"one of {', '.join(known)}")


def reads_states(graph: Wired) -> tuple[Wire, ...]:
    """The edges that read a state."""
    return tuple(edge for edge in graph.edges if edge.src_port != OUT)


def expanded(graph: G) -> G:
    """The same network without source ports; the graph itself where it has none.

    A twin is called ``layer:v``. Like any node it hands on 0 before its start.
    """
    reading = reads_states(graph)
    if not reading:
        return graph
    names: dict[tuple[str, str], str] = {}
    nodes: dict[str, Node] = dict(graph.nodes)
    for edge in reading:
        source = graph.nodes[edge.src]
        if (edge.src, edge.src_port) not in names and isinstance(source, Population):
            name = f"{edge.src}:{edge.src_port}"
            while name in nodes:
                name += "'"
            names[edge.src, edge.src_port] = name
            nodes[name] = replace(source, program=_handing_on(source, edge.src_port))
    edges = tuple(
        replace(e, src=names[e.src, e.src_port], src_port=OUT) if e.src_port != OUT else e
        for e in graph.edges
    )
    into = (replace(e, dst=name) for (source, _), name in names.items() for e in edges if e.dst == source)
    made: Any = graph
    return replace(made, nodes=nodes, edges=(*edges, *into))


def _handing_on(node: Population, state: str) -> Program:
    """The program with the next value of a state as its output, after the rule for small floats."""
    program = node.program
    register = program.next_states[program.states.index(state)]
    if node.fixed:
        return replace(program, output=register)
    code = list(program.code)

    def add(op: str, *args: int, value: float | int = 0) -> int:
        code.append(Instruction(op, args, value=value))
        return len(code) - 1

    # 0 where |v| <= the float below 2^-100; a NaN compares as false and stays
    small = add("spike", add("sub", add("const", value=_BELOW), add("abs", register)))
    output = add("where", small, add("const", value=0.0), register)
    return replace(program, code=tuple(code), output=output)
