"""observe: spikes of each neuron, and how far its registers went, as a plain loop over the steps finds them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeflow.errors import DataError
from spikeflow.hw.chips.chip import load
from spikeflow.hw.integer.observe import observe
from spikeflow.hw.integer.probes import COARSE, Reach
from spikeflow.hw.integer.quantise import quantise
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.retime import retime
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Node, Output, Population
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, LIF, Integrator, Izhikevich
from spikeflow.sim.classify import RunOptions, classify
from tests.hw import nets

STEPS = 25


def drawn(seed: int) -> tuple[Network, np.ndarray]:
    """A layer of integrate-and-fire neurons: 1 to 40 of them, 1 to 20 inputs, weights of either sign."""
    rng = np.random.default_rng(seed)
    inputs, size = int(rng.integers(1, 21)), int(rng.integers(1, 41))
    nodes = {
        "x": Input((inputs,)),
        "w": Linear(rng.normal(0.05, 0.6, (size, inputs))),
        "cells": IF(1.0, "subtract").node((size,)),
        "v": Linear(rng.normal(size=(3, size))),
        "readout": Integrator().node((3,)),
        "out": Output(),
    }
    chain = list(nodes)
    graph = Graph(nodes, tuple(Edge(a, b) for a, b in zip(chain, chain[1:], strict=False)))
    chip = load("loihi2")
    x = (rng.random((7, STEPS, inputs)) < 0.4) * 1.0
    return nets.network(retime(compose(graph), chip), STEPS, "spikes"), x


def by_hand(network: Network, x: np.ndarray) -> dict[str, np.ndarray]:
    """Sums and states of the layer, ``(T, N, neurons)``, and its spikes."""
    node = network.graph.nodes["w"]
    assert isinstance(node, Linear)
    v = np.zeros((len(x), len(node.weight)))
    # the layer is awake for a step more: until the read-out, which wakes later, has read for so many steps
    x = np.concatenate([x, np.zeros_like(x[:, :1])], axis=1)
    found: dict[str, list[np.ndarray]] = {"in": [], "v": [], "spikes": []}
    for step in range(STEPS + 1):
        arriving = x[:, step] @ node.weight.astype(np.float64).T
        z = (v + arriving >= 1).astype(float)
        v = v + arriving - z
        for name, value in (("in", arriving), ("v", v), ("spikes", z)):
            found[name].append(value)
    return {name: np.stack(values) for name, values in found.items()}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_a_probe_finds_what_a_loop_finds_and_changes_nothing(seed: int, engine: str) -> None:
    network, x = drawn(seed)
    cells = network.graph.nodes["cells"]
    assert isinstance(cells, Population)
    port = next(i for i, c in enumerate(cells.program.code) if c.op == "input")
    state = cells.program.next_states[0]
    wanted = [Reach(port, "low"), Reach(port, "high"), *(Reach(state, e) for e in ("low", "high", "rise"))]
    options = RunOptions(engine="reference") if engine == "reference" else RunOptions(batch=3)
    seen, right = observe(network, x, options, {"cells": wanted}), by_hand(network, x)
    v = right["v"]
    lowest = np.minimum(np.minimum.accumulate(v, axis=0), 0)
    expected = {
        wanted[0]: np.minimum(right["in"], 0).min(axis=(0, 1)),
        wanted[1]: np.maximum(right["in"], 0).max(axis=(0, 1)),
        wanted[2]: np.minimum(v, 0).min(axis=(0, 1)),
        wanted[3]: np.maximum(v, 0).max(axis=(0, 1)),
        wanted[4]: (v - lowest).max(axis=(0, 1)),
    }
    for reach, most in expected.items():
        np.testing.assert_allclose(seen.reaches["cells"][reach], most, atol=1e-4)
    np.testing.assert_array_equal(seen.spikes["cells"], right["spikes"].sum(axis=0))
    plain = classify(network, x, replace(options, record=("cells",)))
    np.testing.assert_array_equal(seen.outputs["out"], plain.logits[-1])
    assert seen.rate("cells") == pytest.approx(
        plain.counts["cells"].spikes / (STEPS * right["spikes"][0].size)
    )


def test_a_probe_of_integers_rounds_away_from_0() -> None:
    network, x = drawn(1)
    fixed = quantise(network, load("loihi2"), x, RunOptions(threads=1)).network
    cells = fixed.graph.nodes["cells"]
    assert isinstance(cells, Population)
    state = cells.program.next_states[0]
    wanted = [Reach(state, "low"), Reach(state, "high")]
    seen = observe(fixed, x, RunOptions(threads=1), {"cells": wanted}).reaches["cells"]
    assert (seen[wanted[0]] % 2**COARSE == 0).all() and (seen[wanted[0]] <= 0).all()
    assert seen[wanted[0]].min() < 0 < seen[wanted[1]].max()


def test_a_population_whose_registers_are_beyond_floats_is_named() -> None:
    """In eight substeps a quadratic potential runs away before its reset; the cells beside it do not."""
    draw = np.random.default_rng(0)
    nodes: dict[str, Node] = {"x": Input((12,), "spikes"), "w": Linear(draw.normal(2, 4, (16, 12)))}
    nodes |= {"still": LIF().node((16,)), "wild": Izhikevich(substeps=8).node((16,))}
    nodes |= {"v": Linear(draw.normal(size=(3, 16))), "readout": Integrator().node((3,)), "out": Output()}
    pairs = ("x", "w"), ("w", "still"), ("w", "wild"), ("still", "v"), ("wild", "v"), ("v", "readout"), ("readout", "out")
    network = Network(Graph(nodes, tuple(Edge(*pair) for pair in pairs)), RunRecord(24, "spikes", readout="readout"))
    wanted = {
        name: [Reach(i, "high") for i, found in enumerate(nodes[name].program.code) if found.op in ("add", "mul")]  # type: ignore[union-attr]
        for name in ("still", "wild")
    }
    x = (draw.random((6, 24, 12)) < 0.5) * 1.0
    assert classify(network, x).logits.any()
    with pytest.raises(DataError, match="wild: got values within its step that are NaN or infinite"):
        observe(network, x, wanted=wanted)
