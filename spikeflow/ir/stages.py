"""What is legal at stage ann, snn and fixed.

ann: float, with batch norm and activations, no neurons. snn: float, neurons, neither of these. fixed:
integers with a format each; biases have become params of the neurons.
"""

from __future__ import annotations

from collections.abc import Iterator

from spikeflow.errors import StageError
from spikeflow.ir.arrays import Quantised, Weight
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import (
    Activation,
    BatchNorm,
    Delay,
    Input,
    Node,
    OfMeans,
    Poisson,
    Population,
    Procedural,
    Scale,
    Synaptic,
)
from spikeflow.ir.program import Program

STAGES = ("ann", "snn", "fixed")


def stage_of(graph: Graph) -> str:
    """The stage that a graph claims by what it holds; `check` says whether it keeps the claim."""
    nodes = graph.nodes.values()
    if any(isinstance(n, BatchNorm | Activation) for n in nodes):
        return "ann"
    if any(_is_integer(n) for n in nodes):
        return "fixed"
    return "snn" if any(isinstance(n, Population | Delay | Poisson) or _learns(n) for n in nodes) else "ann"


def check(graph: Graph, stage: str) -> None:
    """Raise StageError, naming the node, where something is not legal at the stage."""
    if stage not in STAGES:
        raise StageError("graph", stage, f"the stages are {', '.join(STAGES)}")
    if graph.integers is not None and stage != "fixed":
        raise StageError("graph", stage, f"it says that it holds integers for {graph.integers.chip}")
    for name, node in graph.nodes.items():
        for reason in _problems(node, stage):
            raise StageError(name, stage, reason)


def _learns(node: Node) -> bool:
    return isinstance(node, Synaptic) and node.plastic is not None


def _weight(node: Node) -> Weight | None:
    if isinstance(node, Synaptic):
        return None if isinstance(node, Procedural) else node.weight
    return node.factor if isinstance(node, Scale) else None


def _is_integer(node: Node) -> bool:
    return isinstance(_weight(node), Quantised) or (isinstance(node, Population) and node.fixed)


def _problems(node: Node, stage: str) -> Iterator[str]:
    if stage == "ann" and isinstance(node, Population):
        yield "neurons belong to stages snn and fixed"
    if stage == "ann" and isinstance(node, Delay):
        yield "a delay belongs to stages snn and fixed, which have steps"
    if stage != "snn" and _learns(node):
        yield "synapses that learn belong to stage snn"
    if stage == "ann" and isinstance(node, Poisson):
        yield "random drive belongs to stages snn and fixed, which have steps"
    if stage != "ann" and isinstance(node, BatchNorm | Activation):
        yield f"{type(node).__name__} belongs to stage ann"
    yield from _fixed_problems(node) if stage == "fixed" else _float_problems(node)


def _float_problems(node: Node) -> Iterator[str]:
    if isinstance(_weight(node), Quantised):
        yield "its weights are integers"
    if isinstance(node, Synaptic | Scale) and node.exponent != 0:
        yield "an exponent shifts integers"
    if isinstance(node, Synaptic) and node.plastic is not None:
        for which, program in node.plastic.rule.programs.items():
            if used := _of_integers(program):
                yield f"its program {which} uses integer operations ({used})"
    if isinstance(node, Input) and node.format is not None:
        yield "an input format is for integers"
    if isinstance(node, Population):
        if node.fixed:
            yield "its neurons have integer formats"
        if used := _of_integers(node.program):
            yield f"its program uses integer operations ({used})"


def _of_integers(program: Program) -> str:
    """The integer operations of a program; empty where there are none."""
    shifted = ["mul with a shift"] if any(i.op == "mul" and i.value for i in program.code) else []
    return ", ".join(_foreign(program, "snn") or shifted)


def _foreign(program: Program, stage: str) -> list[str]:
    """The operations of a program that belong to the other stage."""
    rows = {i.operation for i in program.code}
    return sorted(row.name for row in rows if row is not None and stage not in row.stages)


def _fixed_problems(node: Node) -> Iterator[str]:
    if isinstance(node, Synaptic | Scale) and not isinstance(_weight(node), Quantised):
        yield "its weights are not integers with a format"
    if isinstance(node, Synaptic) and node.bias is not None:
        yield "a bias of integers is a param of the neurons that it reaches"
    if isinstance(node, OfMeans):
        yield f"{type(node).__name__}, a function of running means, runs in floats only"
    if isinstance(node, Input) and node.kind == "current" and node.format is None:
        yield "a current has no integer format"
    if isinstance(node, Poisson) and not node.whole:
        yield f"its events are worth {node.weight:g} each; integers up to 2**24 in all are exact"
    if isinstance(node, Population):
        yield from _fixed_population(node)


def _fixed_population(node: Population) -> Iterator[str]:
    if not node.fixed:
        yield "its neurons have no integer formats"
    used = _foreign(node.program, "fixed")
    if used:
        yield f"its program uses float operations ({', '.join(used)})"
    if any(i.op == "const" and not isinstance(i.value, int) for i in node.program.code):
        yield "its program holds a constant that is not an integer"
    # a state may have the name of a param
    for what, array in (*node.params.items(), *node.initial.items()):
        fixed = node.formats.get(what)
        if fixed and array.size and not fixed.low <= array.min() <= array.max() <= fixed.high:
            yield f"{what} lies outside its format of {fixed.bits} bits"
