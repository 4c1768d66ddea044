"""Point neurons on the chips: integers that keep rates and answers where a chip takes the model, else a refusal by name.

Networks: twelve inputs, sixteen neurons that feed back on themselves, a read-out; weights normal, seeds as stated.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from spikeflow.hw import map_network
from spikeflow.hw.chips.chip import NAMES, load
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.rules import check_rules
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Node, Output
from spikeflow.neurons import (
    ALIF,
    DHLIF,
    EGRU,
    IF,
    ILIF,
    LIF,
    TCLIF,
    AdLIF,
    CSiLIF,
    CubaLIF,
    Izhikevich,
    LeakyIntegrator,
    NeuronModel,
    ParametricLIF,
    SiLIF,
    SlidingPSN,
)
from spikeflow.sim.classify import classify
from tests.hw import nets
from tests.hw.test_quantise import REFERENCE, loose, prepared

PROGRAMMABLE = [name for name in NAMES if load(name).operations]
TAKEN: tuple[NeuronModel, ...] = (
    LIF(threshold=3.0, reset="none"),
    LIF(reset="value", reset_value=-0.5),
    LIF(0.8, 0.3, convention="normalised"),
    LIF(refractory=3),
    LIF(0.8, reset="subtract", refractory=1),
    IF(reset="value", reset_value=0.2),
    CubaLIF(threshold=0.15, convention="normalised"),
    CubaLIF(refractory=4),
    ParametricLIF(threshold=0.3),
    ALIF(),
    ALIF(0.9, 0.97, 0.5, 0.25, "zero", refractory=2),
    AdLIF(threshold=0.1),
    AdLIF(a=1.0, b=2.0, threshold=0.2, refractory=1),
    SiLIF(threshold=0.15),
    replace(SiLIF.from_rates(100.0, 5.0, 4e-3, a=0.05, b=0.5), threshold=0.5),
    CSiLIF(),
    CSiLIF.from_rates(2.0, 1.0, 0.2),
    TCLIF(threshold=1.8),
    TCLIF(-1.4, 1.4, refractory=1),
    Izhikevich(gain=30.0),
    SlidingPSN(order=4),
    DHLIF(1, 0.8, 0.1, decay_1=0.9),
    DHLIF(3, 0.5, 0.02),
    ILIF(0.5),
    ILIF(0.8, 0.3, levels=16),
)


def name_of(model: object) -> str:
    return f"{getattr(model, 'name', model)}-{TAKEN.index(model)}" if model in TAKEN else str(model)


@pytest.mark.parametrize("name", PROGRAMMABLE)
@pytest.mark.parametrize("model", TAKEN, ids=name_of)
def test_integers_keep_the_rate(model: NeuronModel, name: str) -> None:
    found = prepared(loose(nets.layered(model, bias=model.name != "CubaLIF")), name, 60)
    cells = next(layer for layer in found.layers if layer.name == "cells")
    assert cells.rate > 0.02 and abs(cells.rate_fixed - cells.rate) < 0.1 * cells.rate + 0.002


@pytest.mark.parametrize("name", PROGRAMMABLE)
@pytest.mark.parametrize("model", TAKEN, ids=name_of)
def test_a_mapping_answers_as_the_float_network(model: NeuronModel, name: str) -> None:
    """Logits and classes of 60 samples that scale nothing; the cells do not feed back, which would be chaos."""
    graph = nets.layered(model, bias=model.name != "CubaLIF")
    nodes = {n: node for n, node in graph.nodes.items() if n != "back"}
    graph = Graph(nodes, tuple(e for e in graph.edges if "back" not in (e.src, e.dst)))
    network = nets.network(graph, 40, "spikes")
    draw = np.random.default_rng(5)
    samples, tried = ((draw.random((n, 40, 12)) < 0.3) * 1.0 for n in (24, 60))
    mapping = map_network(network, name, samples, accept_loss=True)
    logits, integers = (classify(n, tried, REFERENCE).logits[-1] for n in (network, mapping.as_network()))
    assert (logits.argmax(1) == integers.argmax(1)).mean() >= 0.9
    assert np.corrcoef(logits.ravel(), integers.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("model", TAKEN, ids=name_of)
def test_a_chip_of_fixed_neurons_refuses_by_name_and_says_where_else(model: NeuronModel) -> None:
    chip = load("loihi1")
    graph = adapt(compose(loose(nets.layered(model))), chip)
    found = [v for v in check_rules(graph, chip) if v.node == "cells"]
    assert len(found) == 1 and f"the neuron {model.name}" in found[0].need
    assert re.search("--chip (loihi2|spinnaker2)", found[0].hint)
    if getattr(model, "refractory", 0) and model.name in ("IF", "LIF", "CubaLIF"):
        assert "the state r" in found[0].need
    if getattr(model, "reset", "") == "value":
        assert "reset_value" in found[0].need


READ = (LeakyIntegrator(), LeakyIntegrator(0.8, "raw"), ILIF(0.5, 0.3, 8), EGRU(threshold=0.05))


@pytest.mark.parametrize("name", PROGRAMMABLE)
@pytest.mark.parametrize("model", READ, ids=lambda m: m.name)
def test_a_read_out_of_values_keeps_them(model: NeuronModel, name: str) -> None:
    """Its integers follow the float values over all 40 steps of 60 samples; the classes of the last step agree."""
    nodes: dict[str, Node] = {
        "x": Input((12,), "spikes"),
        "w": Linear(nets.normal(0, 16, 12) * 0.4 + 0.1),
        "cells": LIF().node((16,)),
        "readout": model.node((3,)),
        "out": Output(),
    }
    edges = [Edge("x", "w"), Edge("w", "cells"), Edge("readout", "out")]
    for i, port in enumerate(model.inputs):
        nodes[f"to {port}"] = Linear(nets.normal(5 + i, 3, 16) * 0.5)
        edges += [Edge("cells", f"to {port}"), Edge(f"to {port}", "readout", port)]
    network = nets.network(Graph(nodes, tuple(edges)), 40, "spikes")
    draw = np.random.default_rng(5)
    samples, tried = ((draw.random((n, 40, 12)) < 0.3) * 1.0 for n in (24, 60))
    mapping = map_network(network, name, samples, accept_loss=True)
    values, integers = (classify(n, tried, REFERENCE).logits for n in (network, mapping.as_network()))
    assert np.corrcoef(values.ravel(), integers.ravel())[0, 1] > 0.97
    assert (values[-1].argmax(1) == integers[-1].argmax(1)).mean() >= 0.9
