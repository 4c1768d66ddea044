"""adapt: a neuron rewritten into one that the chip has computes the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeflow.hw.chips.chip import load
from spikeflow.hw.passes.adapt import adapt, reset_of
from spikeflow.ir.graph import Graph
from spikeflow.neurons import IF, LIF, CubaLIF, NeuronModel, TwoPointLIF
from spikeflow.neurons.model import RESETS
from spikeflow.sim import Dense, run
from tests.hw import nets

MODELS = [make(reset=r) for make in (IF, LIF, CubaLIF) for r in RESETS]


def forward_only(model: NeuronModel) -> Graph:
    """The layered network without its recurrence."""
    graph = nets.layered(model, "current", bias=True)
    nodes = {n: node for n, node in graph.nodes.items() if n != "back"}
    return Graph(nodes, tuple(e for e in graph.edges if "back" not in (e.src, e.dst)))


@pytest.mark.parametrize(
    "graph",
    [
        *(nets.layered(m, "current", bias=True) for m in MODELS),
        *(forward_only(TwoPointLIF(reset=r)) for r in RESETS),
    ],
    ids=lambda g: f"{g.nodes['cells'].model} {reset_of(g.nodes['cells'])}",
)
def test_same_bits_in_neurons_of_loihi1(graph: Graph) -> None:
    start = {"u" if graph.nodes["cells"].model == "TwoPointLIF" else "v": nets.normal(7, 16) * 0.3}
    graph = graph.with_nodes({"cells": replace(graph.nodes["cells"], initial=start, start=2)})
    adapted = adapt(graph, load("loihi1"))
    assert adapted.nodes["cells"].model == "CubaLIF"
    x = Dense(nets.normal(11, 20, 2, 12))
    a, b = (run(g, x, 20, engine="reference", record=("cells",)) for g in (graph, adapted))
    np.testing.assert_array_equal(a.output, b.output)
    np.testing.assert_array_equal(a.recorded["cells"].dense(), b.recorded["cells"].dense())
    assert a.recorded["cells"].count > 20


def test_what_has_no_equal_stays() -> None:
    graph = nets.layered(TwoPointLIF())
    assert adapt(graph, load("loihi1")).digest == graph.digest
    bap = forward_only(TwoPointLIF(back_propagation=True))
    assert adapt(bap, load("loihi1")).nodes["cells"].model == "TwoPointLIF"


def test_a_programmable_chip_needs_nothing() -> None:
    graph = nets.layered(IF())
    assert adapt(graph, load("loihi2")) is graph


def test_reset_of() -> None:
    for model in MODELS:
        assert reset_of(model.node((2,))) == model.reset
    node = IF().node((2,))
    assert reset_of(replace(node, model="Mine")) is None
