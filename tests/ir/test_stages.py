"""What is legal at each stage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import StageError
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Conv2d, Flatten, Input, Linear, Output, Population, Scale
from spikeflow.ir.program import Instruction, Program
from spikeflow.ir.stages import STAGES, check, stage_of


@pytest.mark.parametrize("stage", STAGES)
def test_each_graph_is_legal_at_its_own_stage_alone(stage: str, request: pytest.FixtureRequest) -> None:
    graph: Graph = request.getfixturevalue(stage)
    assert stage_of(graph) == stage
    check(graph, stage)
    for other in set(STAGES) - {stage}:
        with pytest.raises(StageError, match=f"not legal at stage {other}"):
            check(graph, other)


def test_plain_sums_are_of_stage_ann() -> None:
    graph = Graph(
        {"in": Input((2,)), "fc": Linear(np.ones((2, 2))), "out": Output()},
        (Edge("in", "fc"), Edge("fc", "out")),
    )
    assert stage_of(graph) == "ann"
    check(graph, "ann")
    check(graph, "snn")


def test_an_unknown_stage_is_refused(snn: Graph) -> None:
    with pytest.raises(StageError, match="the stages are ann, snn, fixed"):
        check(snn, "spiking")


def with_code(node: Any, *code: Instruction) -> Population:
    program = Program(
        node.program.inputs,
        node.program.states,
        node.program.params,
        (*code,),
        0,
        (0,) * len(node.program.states),
    )
    return replace(node, program=program)


X = Instruction("input", name="in")

SNN: dict[str, tuple[str, Any]] = {
    "integer weights": ("fc", lambda n: replace(n, weight=Quantised(np.zeros((3, 24)), Fixed(8)))),
    "integer factor": ("half", lambda n: Scale(Quantised(1, Fixed(8)))),
    "exponent": ("conv", lambda n: replace(n, exponent=1)),
    "exponent of a factor": ("half", lambda n: replace(n, exponent=-1)),
    "input format": ("image", lambda n: replace(n, format=Fixed(8))),
    "activation": ("flat", lambda n: Activation()),
    "integer neurons": (
        "hidden",
        lambda n: replace(n, formats={"v": Fixed(8)}, params={"decay": 0, "threshold": 1}, initial={}),
    ),
    "shift": ("hidden", lambda n: with_code(n, X, Instruction("shift", (0,), value=1))),
    "narrow": ("hidden", lambda n: with_code(n, X, Instruction("narrow", (0,), value=8, mode="wrap"))),
    "product with a shift": (
        "hidden",
        lambda n: with_code(n, X, Instruction("mul", (0, 0), value=1, mode="zero")),
    ),
}


@pytest.mark.parametrize("what", SNN)
def test_what_stage_snn_refuses(what: str, snn: Graph) -> None:
    name, change = SNN[what]
    nodes = {**snn.nodes, name: change(snn.nodes[name])}
    edges = snn.edges
    with pytest.raises(StageError, match=f"^{name}: not legal at stage snn"):
        check(Graph(nodes, edges), "snn")


FIXED: dict[str, tuple[str, Any]] = {
    "float weights": ("fc", lambda n: Linear(np.ones((3, 4)))),
    "bias": ("fc", lambda n: replace(n, bias=np.zeros(3))),
    "float factor": ("double", lambda n: Scale(2.0)),
    "current without format": ("image", lambda n: Input((4,), "current")),
    "float neurons": ("cells", lambda n: replace(n, formats={})),
    "float constant": ("cells", lambda n: with_code(n, X, Instruction("const", value=1.0))),
    "division": ("cells", lambda n: with_code(n, X, Instruction("div", (0, 0)))),
    "floor": ("cells", lambda n: with_code(n, X, Instruction("floor", (0,)))),
    "tanh": ("cells", lambda n: with_code(n, X, Instruction("function", (0,), "tanh"))),
    "param outside its format": ("cells", lambda n: replace(n, params={"decay": 8192, "threshold": 1})),
    "initial state outside its format": ("cells", lambda n: replace(n, initial={"v": 2**23})),
}


@pytest.mark.parametrize("what", FIXED)
def test_what_stage_fixed_refuses(what: str, fixed: Graph) -> None:
    name, change = FIXED[what]
    with pytest.raises(StageError, match=f"^{name}: not legal at stage fixed"):
        check(fixed.with_nodes({name: change(fixed.nodes[name])}), "fixed")


def test_spikes_need_no_format_at_stage_fixed(fixed: Graph) -> None:
    check(fixed.with_nodes({"image": Input((4,), "spikes")}), "fixed")


@pytest.mark.parametrize("what", ["integers", "exponent", "neurons"])
def test_what_stage_ann_refuses(what: str, ann: Graph, lif: Program) -> None:
    cells = Population("lif", lif, {"decay": 0, "threshold": 1}, ann.shapes["relu"])
    name, node = {
        "integers": ("fc", Linear(Quantised(np.ones((3, 16)), Fixed(8)))),
        "exponent": ("conv", replace(_conv(ann), exponent=1)),
        "neurons": ("relu", cells),
    }[what]
    with pytest.raises(StageError, match=f"^{name}: not legal at stage ann"):
        check(ann.with_nodes({name: node}), "ann")


def _conv(graph: Graph) -> Conv2d:
    node = graph.nodes["conv"]
    assert isinstance(node, Conv2d)
    return node


def test_flatten_is_legal_everywhere() -> None:
    graph = Graph(
        {"in": Input((2,)), "flat": Flatten(), "out": Output()}, (Edge("in", "flat"), Edge("flat", "out"))
    )
    for stage in STAGES:
        check(graph, stage)
