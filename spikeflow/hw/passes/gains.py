"""Pass: a number that every use of a port is multiplied with moves into the weights of that port.

``a <- alpha a + (1 - alpha) x`` becomes ``a <- alpha a + x`` with weights times 1 - alpha: one rounding less
in every step, and no multiplication in the neuron.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spikeflow.ir.evaluate import Domain, evaluate
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Node, Population, Synaptic
from spikeflow.ir.operations import FLOAT, Operation
from spikeflow.ir.program import Instruction, Program
from spikeflow.ir.synapses import by_part, times_rows
from spikeflow.typing import Float


def fold_gains(graph: Graph) -> Graph:
    """The composed graph with these factors in its weights and biases, in float64, rounded once."""
    changed: dict[str, Node] = {}
    for name in graph.of_kind(Population):
        node = graph.nodes[name]
        assert isinstance(node, Population)
        for port in node.ports:
            node = _fold(graph, name, node, port, changed)
        changed[name] = node
    return graph.with_nodes(changed)


def _fold(graph: Graph, name: str, population: Population, port: str, changed: dict[str, Node]) -> Population:
    found = _gain(population, port)
    sources = [e.src for e in graph.inputs_of(name, port)]
    into = {s: node for s in sources if isinstance(node := graph.nodes[s], Synaptic)}
    if found is None or len(into) < len(set(sources)):
        return population
    gain, program = found
    full = np.broadcast_to(gain, population.shape)
    rows = {s: by_part(full, node.rows) for s, node in into.items()}
    if any(factor is None for factor in rows.values()):  # neurons of one kernel have different gains
        return population
    changed |= {s: times_rows(node, factor) for s, node in into.items() if (factor := rows[s]) is not None}
    return replace(population, program=program)


def _gain(node: Population, port: str) -> tuple[Float, Program] | None:
    """The one number that the port is always multiplied with, and the program without that; or None."""
    code = node.program.code
    known = _known(node)
    reads = [i for i, c in enumerate(code) if c.op == "input" and c.name == port]
    uses = [i for i, c in enumerate(code) if set(c.args) & set(reads)]
    if len(reads) != 1 or len(uses) != 1 or code[uses[0]].op != "mul":
        return None
    (use,), (read,) = uses, reads
    others = [a for a in code[use].args if a != read]
    if (
        len(others) != 1
        or known[others[0]] is None
        or read in (node.program.output, *node.program.next_states)
    ):
        return None
    gain = known[others[0]]
    assert gain is not None
    shorter = (*code[:use], Instruction("hold", (read,)), *code[use + 1 :])
    return gain, replace(node.program, code=shorter)


def _known(node: Population) -> list[Float | None]:
    """The value of each register that depends on params and constants alone."""
    program = node.program
    params = {n: v.astype(np.float64) for n, v in node.params.items()}
    return evaluate(
        program,
        _Known(),
        params,
        dict.fromkeys(program.states),
        dict.fromkeys(program.inputs),
    )


class _Known(Domain[Float | None]):
    """Sums and products of numbers known before the run; None is one that is not, or not followed."""

    stages = (FLOAT,)

    def const(self, value: float | int) -> Float | None:
        return np.asarray(value, np.float64)

    def add(self, a: Float | None, b: Float | None) -> Float | None:
        return None if a is None or b is None else np.asarray(a + b)

    def sub(self, a: Float | None, b: Float | None) -> Float | None:
        return None if a is None or b is None else np.asarray(a - b)

    def mul(self, a: Float | None, b: Float | None, count: int, mode: str) -> Float | None:
        return None if a is None or b is None else np.asarray(a * b)

    def stop_gradient(self, x: Float | None) -> Float | None:
        return x

    def unlisted(self, operation: Operation, *args: Any) -> Float | None:
        return None
