"""Law: one neuron, one weight, one silent input never decides for its population.

Drawn at random, seeded: 1 to 512 neurons and 4 to 400 inputs; IF, LIF, CubaLIF, two-point cells, with either reset,
with and without biases, with and without a loop; weights and thresholds of 1e-4 to 1e4; 0 to 90 % of the units dead,
driven down by biases or weights 1 to 50 times as large as the others', some with a threshold 2**-10 times theirs;
inputs that never spike, with weights up to 10,000 times as large as the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from spikeflow.hw.chips.chip import Chip, load
from spikeflow.hw.integer.quantise import Quantisation, quantise
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.retime import retime
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Node, Output, Population
from spikeflow.ir.record import Network
from spikeflow.neurons import IF, LIF, CubaLIF, Integrator, NeuronModel, TwoPointLIF
from spikeflow.sim.classify import RunOptions, classify
from tests.hw import nets

OPTIONS = RunOptions(threads=1)
SEEDS = range(72)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A network, its samples, and which of its neurons and inputs are as others are."""

    chip: Chip
    network: Network
    x: Any
    healthy: Any
    active: Any


def drawn(seed: int) -> Drawn:
    """A network with everything that could decide for its population, and samples."""
    rng = np.random.default_rng(seed)
    name = ("loihi2", "spinnaker2", "loihi1")[seed % 3]
    inputs, size = int(rng.choice([4, 30, 400])), int(rng.choice([1, 2, 16, 64, 512]))
    unit = 10.0 ** rng.uniform(-4, 4)
    weight, dead, active = _weights(rng, inputs, size)
    threshold = np.where(dead & (rng.random(size) < 0.5), 2.0**-10, 1.0)
    bias = None
    if rng.random() < 0.7:
        bias = unit * np.where(dead, -rng.uniform(0.5, 20), rng.normal(0, 0.02, size))
    model = _model(rng, name, unit * threshold, bias is not None)
    graph = _graph(rng, model, weight * unit, bias, rng.random() < 0.3)
    x = (rng.random((12, 60, inputs)) < 0.3) * active * 1.0
    chip = load(name)
    ready = nets.network(retime(adapt(compose(graph), chip), chip), 60, "spikes")
    return Drawn(chip, ready, x, ~dead, active)


def _weights(rng: np.random.Generator, inputs: int, size: int) -> tuple[Any, Any, Any]:
    """Weights that make healthy neurons spike in a share of the steps, dead neurons, inputs that are not silent."""
    mean = 0.3 / (0.3 * inputs)
    weight = rng.normal(mean, 2 * mean, (size, inputs))
    dead = rng.permutation(size) < round(float(rng.choice([0, 0.1, 0.5, 0.9])) * size)
    weight[dead] = -np.abs(weight[dead]) * rng.uniform(1, 50, (int(dead.sum()), 1))
    active = rng.permutation(inputs) >= int(rng.integers(0, max(1, inputs // 4)))
    outliers = rng.random((size, inputs)) < 0.3
    large = mean * 10.0 ** rng.uniform(0, 4, (size, inputs))
    return np.where(outliers & ~active, large, weight), dead, active


def _model(rng: np.random.Generator, chip: str, threshold: Any, bias: bool) -> NeuronModel:
    theta = threshold.astype(np.float32)
    reset = "zero" if chip == "loihi1" else str(rng.choice(["zero", "subtract"]))
    models = [IF(theta, reset), LIF(0.95, theta, reset)]
    if not bias:  # a current that lasts keeps no bias
        models.append(CubaLIF(0.5, 0.9, theta, reset))
    if chip != "loihi1":
        models.append(TwoPointLIF(threshold=theta))
    return models[int(rng.integers(len(models)))]


def _graph(rng: np.random.Generator, model: NeuronModel, weight: Any, bias: Any, loop: bool) -> Graph:
    size = len(weight)
    back = rng.normal(0, 0.1 / size, (size, size)) * float(np.max(model.params()["threshold"]))
    nodes: dict[str, Node] = {
        "x": Input((weight.shape[1],)),
        "w": Linear(weight, bias),
        "back": Linear(back),
        "cells": model.node((size,)),
        "v": Linear(rng.normal(size=(3, size))),
        "readout": Integrator().node((3,)),
        "out": Output(),
    }
    edges = [("x", "w"), ("w", "cells"), ("cells", "v"), ("v", "readout"), ("readout", "out")]
    found = [Edge(a, b, model.inputs[0] if b == "cells" else "in") for a, b in edges]
    if loop or len(model.inputs) > 1:
        found += [Edge("cells", "back", delay=2), Edge("back", "cells", model.inputs[-1])]
    else:
        del nodes["back"]
    return Graph(nodes, tuple(found))


def stored_weights(found: Quantisation, chip: Chip, threshold: Any) -> Any:
    """The weights in thresholds that the integers stand for, from what the chip would load."""
    node, cells = found.network.graph.nodes["w"], found.network.graph.nodes["cells"]
    assert isinstance(node, Linear) and isinstance(cells, Population)
    a = chip.formats.arithmetic
    levels = (cells.params["threshold"] + a.strict) * 2.0 ** (a.threshold_shift - a.state_shift)
    integers = weight_values(node.weight) * 2.0**node.exponent
    return integers / np.broadcast_to(levels, threshold.shape)[:, None]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_healthy_neurons_keep_their_weights_and_their_spikes(seed: int) -> None:
    case = drawn(seed)
    found = quantise(case.network, case.chip, case.x, OPTIONS)
    cells, node = case.network.graph.nodes["cells"], case.network.graph.nodes["w"]
    fixed = found.network.graph.nodes["cells"]
    assert isinstance(cells, Population) and isinstance(node, Linear) and isinstance(fixed, Population)
    arithmetic = case.chip.formats.arithmetic
    assert np.min(fixed.params["threshold"]) + arithmetic.strict >= 1
    threshold = np.broadcast_to(cells.params["threshold"], cells.shape).astype(np.float64)
    right = (np.asarray(node.weight, np.float64) / threshold[:, None])[case.healthy][:, case.active]
    got = stored_weights(found, case.chip, threshold)[case.healthy][:, case.active]
    lost = np.linalg.norm(got - right, axis=1) / np.maximum(np.linalg.norm(right, axis=1), 1e-30)
    assert lost.max(initial=0.0) < 0.05 and lost.sum() <= 0.015 * len(lost)
    _same_spikes(case, found)


def _same_spikes(case: Drawn, found: Quantisation) -> None:
    record = replace(OPTIONS, record=("cells",))
    a, b = (classify(n, case.x, record) for n in (case.network, found.network))
    size = len(case.healthy)
    before, after = (
        sum(np.bincount(s.neuron, minlength=size) for s in run.recorded["cells"]) for run in (a, b)
    )
    total = before[case.healthy].sum()
    off = np.abs(after - before)[case.healthy].sum()
    assert off <= 0.1 * total + 5, f"{off} of {total} spikes of healthy neurons differ"
    assert after[~case.healthy].sum() <= before[~case.healthy].sum() + 0.02 * total + 5
    # on calibration samples nothing overflows but a membrane's low end
    for name in case.network.graph.of_kind(Population):
        counts = b.counts[name]
        assert not any(counts.narrowed_high.values())
        node = case.network.graph.nodes[name]
        membranes = {"TwoPointLIF": {"u"}, "Integrator": set()}.get(getattr(node, "model", ""), {"v"})
        assert not any(n for label, n in counts.narrowed_low.items() if label not in membranes)
