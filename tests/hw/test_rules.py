"""rules: everything that is wrong, at once, with need, limit and hint; nothing where nothing is wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import Violation
from spikeflow.hw.chips.chip import NAMES, Chip, load
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.rules import check_rules
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Node, Output
from spikeflow.ir.ops import Ops
from spikeflow.neurons import IF, LIF, CubaLIF, Integrator, NeuronModel, TwoPointLIF
from tests.hw import nets


def texts(graph: Graph, name: str, chips: int = 1) -> list[str]:
    """The violations of a graph on a chip."""
    chip = load(name)
    return [str(v) for v in check_rules(adapt(compose(graph), chip), chip, chips)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model", [LIF(), CubaLIF(), IF(reset="zero")], ids=lambda m: m.name)
def test_nothing_is_wrong(model: NeuronModel, name: str) -> None:
    graph = nets.layered(model)
    edges = tuple(replace(e, delay=2) if e.dst == "back" else e for e in graph.edges)
    assert texts(replace(graph, edges=edges), name) == []


@pytest.mark.parametrize("name", ["loihi2", "spinnaker2"])
def test_programmable_chips_take_two_point_cells_and_subtraction(name: str) -> None:
    assert texts(nets.layered(TwoPointLIF(), bias=True), name) == []
    assert texts(nets.residual(), name) == []


def test_loihi1_refuses_all_at_once() -> None:
    found = texts(nets.residual(), "loihi1")
    assert [t.split(":")[0] for t in found] == ["x", "p1", "p2"]
    assert "--input rate" in found[0] and "current" in found[0]
    assert "reset by subtraction" in found[1] and "--reset zero" in found[1]
    two_point = texts(nets.layered(TwoPointLIF()), "loihi1")
    assert len(two_point) == 1 and "TwoPointLIF" in two_point[0] and "loihi2" in two_point[0]


def test_a_bias_into_a_kept_current_needs_a_programmable_chip() -> None:
    (found,) = texts(nets.layered(CubaLIF(), bias=True), "loihi1")
    assert "a bias into the current that" in found and "--chip loihi2 or --chip spinnaker2" in found
    for name in NAMES:
        assert name == "loihi1" or texts(nets.layered(CubaLIF(), bias=True), name) == []
        assert texts(nets.layered(LIF(), bias=True), name) == []


def wide(inputs: int, neurons: int) -> Graph:
    """One dense layer."""
    nodes: dict[str, Node] = {
        "x": Input((inputs,)),
        "w": Linear(np.ones((neurons, inputs))),
        "cells": LIF().node((neurons,)),
        "out": Output(),
    }
    return Graph(nodes, (Edge("x", "w"), Edge("w", "cells"), Edge("cells", "out")))


def test_neurons_on_so_many_chips() -> None:
    graph = wide(1, 131073)
    (found,) = texts(graph, "loihi1")
    assert found.startswith("neurons: needs 131073; available: 131072 of 1 chip.") and "--chips 2" in found
    assert texts(graph, "loihi1", 2) == []


def test_fan_in_of_one_neuron() -> None:
    (found,) = texts(wide(5000, 2), "loihi1")
    assert "5000 input axons for one neuron" in found and "4096" in found
    found_both = texts(wide(20000, 2), "spinnaker2")
    assert any("bits of memory for one neuron" in t for t in found_both)


def test_delays() -> None:
    graph = wide(3, 2)
    node = replace(graph.nodes["w"], delays=np.array([0, 9, 1], np.int32))
    (found,) = texts(graph.with_nodes({"w": node}), "loihi1")
    assert "a delay of 9" in found and "from x to cells" in found
    short = texts(nets.layered(LIF()), "loihi1")
    assert short == []


def test_states_are_not_messages() -> None:
    nodes: dict[str, Node] = {
        "x": Input((3,)),
        "w": Linear(nets.whole(1, 2, 3)),
        "mean": Integrator().node((2,)),
        "v": Linear(nets.whole(2, 2, 2)),
        "cells": LIF().node((2,)),
        "out": Output(),
    }
    edges = (Edge("x", "w"), Edge("w", "mean"), Edge("mean", "v"), Edge("v", "cells"), Edge("cells", "out"))
    (found,) = texts(Graph(nodes, edges), "loihi2")
    assert found.startswith("mean: needs to hand on its state to v")
    read = Graph({n: nodes[n] for n in ("x", "w", "out")}, (Edge("x", "w"), Edge("w", "out")))
    (other,) = texts(read, "loihi2")
    assert "out: needs to read w, which is not a population" in other


@dataclass(frozen=True, eq=False)
class Dividing(NeuronModel):
    """A neuron that no chip can compute."""

    def states(self) -> tuple[str, ...]:
        return ("v",)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v = x[0] / (s.v + 1.0)
        return ops.spike(v - 1.0), (v,)


def test_operations_without_an_integer_form() -> None:
    (found,) = texts(wide(3, 2).with_nodes({"cells": Dividing().node((2,))}), "loihi2")
    assert "division by something that changes" in found


def test_a_chip_may_lack_operations_and_bring_rules() -> None:
    def never(graph: Graph, chip: Chip) -> list[Violation]:
        return [Violation("graph", "everything", "nothing")]

    chip = replace(load("loihi2"), operations=load("loihi2").operations - {"table"}, rules=(never,))
    found = [str(v) for v in check_rules(compose(nets.layered(TwoPointLIF())), chip)]
    assert len(found) == 2 and "the operations table" in found[0] and "needs everything" in found[1]
