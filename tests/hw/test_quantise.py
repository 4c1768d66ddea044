"""quantise: integers that answer as the float network does, within the chip's formats, without an overflow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import HardwareError
from spikeflow.hw.chips.chip import NAMES, load
from spikeflow.hw.integer import roundings
from spikeflow.hw.integer.incoming import Incoming
from spikeflow.hw.integer.measured import best_format
from spikeflow.hw.integer.quantise import Quantisation, quantise
from spikeflow.hw.integer.translate import Port, translate
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.gains import fold_gains
from spikeflow.hw.passes.retime import retime
from spikeflow.ir import stages
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import LINEAR_KINDS, Input, Linear, Node, Output, Population
from spikeflow.ir.ops import Ops
from spikeflow.neurons import IF, LIF, CubaLIF, Integrator, NeuronModel, TwoPointLIF
from spikeflow.neurons.model import Value, param
from spikeflow.sim.classify import RunOptions, classify
from tests.hw import nets

REFERENCE = RunOptions(engine="reference")


def prepared(graph: Graph, name: str, steps: int, coding: str = "spikes") -> Quantisation:
    """The network on a chip's integers, calibrated on random samples."""
    chip = load(name)
    ready = retime(adapt(compose(graph), chip), chip)
    shape = graph.shapes["x"]
    r = np.random.default_rng(3)
    x = r.random((6, *shape)) if coding == "direct" else (r.random((6, steps, *shape)) < 0.3) * 1.0
    return quantise(nets.network(ready, steps, coding), chip, x, REFERENCE)


def loose(graph: Graph) -> Graph:
    """With two steps around the recurrent loop, which every chip can do."""
    return replace(graph, edges=tuple(replace(e, delay=2) if e.dst == "back" else e for e in graph.edges))


CASES = [
    (model, name)
    for name in NAMES
    for model in (LIF(), LIF(0.8, reset="subtract"), CubaLIF(), IF(), TwoPointLIF())
    if name != "loihi1" or (getattr(model, "reset", "") == "zero" and model.name != "TwoPointLIF")
]


@pytest.mark.parametrize(("model", "name"), CASES, ids=lambda x: getattr(x, "name", x))
def test_every_model_keeps_its_rate(model: NeuronModel, name: str) -> None:
    found = prepared(loose(nets.layered(model, bias=model.name != "CubaLIF")), name, 40)
    graph, chip = found.network.graph, load(name)
    stages.check(graph, "fixed")
    cells = next(layer for layer in found.layers if layer.name == "cells")
    assert cells.rate > 0.02 and abs(cells.rate_fixed - cells.rate) < 0.1 * cells.rate + 0.005
    assert all(e.error < 0.02 for e in cells.edges)
    for node in graph.nodes.values():
        if isinstance(node, LINEAR_KINDS):
            assert (
                isinstance(node.weight, Quantised)
                and node.weight.format.bits == chip.formats.weight_bits.value
            )
            assert chip.formats.exponent_low.value <= node.exponent <= chip.formats.exponent_high.value
    assert cells.thresholds is not None and cells.thresholds[0] >= 1
    assert "agree" not in str(found) and "cells" in str(found)


@pytest.mark.parametrize("name", ["loihi2", "spinnaker2"])
def test_a_port_that_nothing_reaches(name: str) -> None:
    graph = loose(nets.layered(TwoPointLIF()))
    nodes = {n: node for n, node in graph.nodes.items() if n != "back"}
    found = prepared(Graph(nodes, tuple(e for e in graph.edges if "back" not in (e.src, e.dst))), name, 30)
    cells = next(layer for layer in found.layers if layer.name == "cells")
    assert abs(cells.rate_fixed - cells.rate) < 0.1 * cells.rate


@dataclass(frozen=True, eq=False)
class Adapting(NeuronModel):
    """A model that hw has never seen: the threshold rises with each spike and recovers."""

    decay: Value = param(0.9)
    recovery: Value = param(0.95)
    rise: Value = param(0.4)
    threshold: Value = param(1.0)

    def states(self) -> tuple[str, ...]:
        return ("v", "tired")

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v = ops.maximum(p.decay * s.v + x[0] * ops.sigmoid(0.0 - s.tired), -2.0)
        z = ops.spike(v - (p.threshold + p.rise * s.tired))
        kept = ops.stop_gradient(z)
        return z, (ops.where(kept, 0.0, v), p.recovery * s.tired + kept)


@pytest.mark.parametrize("name", ["loihi2", "spinnaker2"])
def test_a_new_model_needs_nothing_here(name: str) -> None:
    found = prepared(loose(nets.layered(Adapting())), name, 60)
    cells = next(layer for layer in found.layers if layer.name == "cells")
    assert cells.rate > 0.02 and abs(cells.rate_fixed - cells.rate) < 0.15 * cells.rate


def digits(steps: int) -> tuple[Any, Any, Any]:
    """Scanned digits, a random layer of integrate-and-fire neurons, and a read-out by least squares."""
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    hidden, bias = nets.normal(0, 150, 64) * 0.25, nets.normal(1, 150) * 0.1
    theta = np.percentile(np.maximum(x[:500] @ hidden.T + bias, 0), 99, axis=0).astype(np.float32)
    theta = np.maximum(theta, theta.max() / 64)
    features = np.minimum(np.maximum(x[:1000] @ hidden.T + bias, 0) / theta, 1)
    readout = np.linalg.solve(
        features.T @ features + 5 * np.eye(150), features.T @ (np.eye(10)[y[:1000]] - 0.1)
    ).T
    nodes: dict[str, Node] = {
        "x": Input((64,), "current"),
        "hidden": Linear(hidden, bias),
        "cells": IF(theta).node((150,), {"v": theta / 2}),
        "logits": Linear(readout, nets.normal(2, 10) * 0.01),
        "readout": Integrator().node((10,)),
        "out": Output(),
    }
    chain = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in zip(chain, chain[1:], strict=False))), x, y


@pytest.mark.parametrize("name", ["loihi2", "spinnaker2"])
def test_digits_lose_less_than_two_points(name: str) -> None:
    graph, x, y = digits(32)
    chip = load(name)
    ready = nets.network(retime(compose(graph), chip), 32, "direct")
    found = quantise(ready, chip, x[:40], REFERENCE)
    a, b = (classify(n, x[1000:1400], REFERENCE) for n in (ready, found.network))
    assert a.accuracy(y[1000:1400]) > 0.85
    assert b.accuracy(y[1000:1400]) > a.accuracy(y[1000:1400]) - 0.02
    assert found.agreement > 0.9 and found.samples == 40
    assert not any(sum(c.narrowed_high.values()) for c in b.counts.values())
    assert found.inputs == {"x": Fixed(8, 4)}  # sixteenths are exact


def test_what_the_inputs_format_clips_is_counted_at_either_end() -> None:
    graph, x, _ = digits(8)
    chip = load("loihi2")
    found = quantise(nets.network(retime(compose(graph), chip), 8, "direct"), chip, x[:20], REFERENCE)
    fixed = found.inputs["x"]
    far = np.zeros((2, 64), np.float32)
    far[0, :5], far[1, :3] = 2 * fixed.high * fixed.step, 2 * fixed.low * fixed.step
    counts = classify(found.network, far, REFERENCE).counts["x"]
    assert counts.narrowed_high == {"format": 5 * 8} and counts.narrowed_low == {"format": 3 * 8}
    assert not sum(classify(found.network, x[:20], REFERENCE).counts["x"].narrowed.values())


def test_calibration_that_cannot_tell_is_told() -> None:
    chip, graph = load("loihi2"), nets.layered(LIF())
    ready = nets.network(retime(compose(loose(graph)), chip), 10, "spikes")
    zero = np.zeros((4, 10, 12))
    told = " ".join(quantise(ready, chip, zero, REFERENCE).warnings)
    assert "all values of the calibration samples are zero" in told and "cells never spikes" in told
    one = np.repeat((np.random.default_rng(0).random((1, 10, 12)) < 0.5) * 1.0, 3, axis=0)
    found = quantise(ready, chip, one, REFERENCE)
    assert "all equal" in " ".join(found.warnings) and "all equal" in str(found)


def test_the_read_out_keeps_a_factor_of_two() -> None:
    graph, x, _ = digits(64)
    chip = load("loihi2")
    found = quantise(nets.network(retime(compose(graph), chip), 64, "direct"), chip, x[:20], REFERENCE)
    logits = np.abs(classify(found.network, x[:20], REFERENCE).logits).max()
    assert 2**20 < logits < 2**22 * 1.02


def drift(weight: float, threshold: float) -> Graph:
    """A neuron that one input drives and another holds down."""
    nodes: dict[str, Node] = {
        "x": Input((2,)),
        "w": Linear([[weight, -weight]]),
        "cells": IF(threshold).node((1,)),
        "v": Linear([[1.0]]),
        "readout": Integrator().node((1,)),
        "out": Output(),
    }
    chain = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in zip(chain, chain[1:], strict=False)))


def test_a_silent_neuron_that_drifts_down_clips_and_costs_nothing() -> None:
    chip = load("loihi2")
    x = np.zeros((2, 1200, 2))
    x[0, :, 1], x[1, :, 0] = 1, 1
    ready = nets.network(retime(compose(drift(4.0, 1.0)), chip), 1200, "spikes")
    found = quantise(ready, chip, x, REFERENCE)
    cells = next(layer for layer in found.layers if layer.name == "cells")
    assert cells.low_clips > 0 and cells.overflows == 0 and cells.halvings == 0
    assert cells.rate == cells.rate_fixed > 0.49 and cells.error < 0.01


def test_a_neuron_driven_beyond_its_registers_gets_a_smaller_scale_and_still_spikes() -> None:
    chip = load("loihi2")
    nodes = dict(drift(1.0, 1.0).nodes)
    # 12 million thresholds a step: more than a current holds at the smallest threshold that there is
    nodes |= {"x": Input((40,)), "w": Linear(np.full((1, 40), 3e5))}
    graph = replace(drift(1.0, 1.0), nodes=nodes)
    x = (np.random.default_rng(0).random((4, 30, 40)) < 0.9) * 1.0
    found = quantise(nets.network(retime(compose(graph), chip), 30, "spikes"), chip, x, REFERENCE)
    cells = next(layer for layer in found.layers if layer.name == "cells")
    assert cells.overflows == 0 and cells.edges[0].error < 0.01
    assert cells.thresholds == (1, 1) and cells.rate_fixed == cells.rate > 0.9


@pytest.mark.parametrize("name", ["loihi2", "loihi1"])
def test_the_largest_threshold_of_the_chip_is_taken(name: str) -> None:
    arithmetic = load(name).formats.arithmetic
    unit = 2.0 ** (arithmetic.threshold_shift - arithmetic.state_shift)
    node = CubaLIF(0.0, threshold=131072.0).node((1,))
    fixed = translate("cells", node, {"in": Port(np.array(unit))}, arithmetic)
    assert fixed.params["threshold"].item() == 131071  # lava's largest vth: it spikes above 64 times that
    over = CubaLIF(0.0, threshold=131073.0).node((1,))
    with pytest.raises(HardwareError, match="1 to 131072"):
        translate("cells", over, {"in": Port(np.array(unit))}, arithmetic)


def test_a_threshold_that_cannot_be_is_refused() -> None:
    with pytest.raises(HardwareError, match="thresholds of"):
        prepared(nets.layered(LIF(threshold=0.0)), "spinnaker2", 5)


def test_a_threshold_below_the_unit_becomes_the_smallest_and_0_never_passes() -> None:
    node = IF(np.array([1.0, 2.0**-10], np.float32)).node((2,))
    fixed = translate("cells", node, {"in": Port(np.array(64.0))}, load("loihi2").formats.arithmetic)
    assert (fixed.params["threshold"] + 1).tolist() == [64, 2]  # stored: 63 and 1
    none = IF(np.array([1.0, 0.0], np.float32)).node((2,))
    with pytest.raises(HardwareError, match="thresholds of 0 to 8"):
        translate("cells", none, {"in": Port(np.array(8.0))}, load("loihi2").formats.arithmetic)


def test_best_format() -> None:
    assert best_format(np.arange(17) / 16, 8) == Fixed(8, 4)
    assert best_format(np.linspace(-2.7, 2.7, 999), 8).frac == 5
    assert best_format(np.array([1e6, -3e5]), 8).frac < -10
    assert best_format(np.zeros(4), 8).bits == 8


def test_gains_move_into_the_weights() -> None:
    graph = compose(nets.layered(TwoPointLIF(decay_apical=0.75), bias=True))
    folded = fold_gains(graph)
    back = folded.nodes["back"]
    assert isinstance(back, Linear)
    np.testing.assert_allclose(back.weight, graph.nodes["back"].weight * 0.25)
    program = folded.nodes["cells"].program
    assert (
        sum(i.op == "mul" for i in program.code)
        < sum(i.op == "mul" for i in graph.nodes["cells"].program.code) + 1
    )
    x = nets.normal(4, 3, 20, 12)
    a, b = (classify(nets.network(g, 20, "spikes"), x, REFERENCE).logits for g in (graph, folded))
    np.testing.assert_allclose(a, b, atol=1e-3)
    plain = compose(nets.layered(LIF()))
    assert fold_gains(plain).digest == plain.digest


# --- the two-point cell in integers (decisions, section 5) ---


def cell(model: NeuronModel, name: str = "loihi2") -> Population:
    """A cell at scale 100 on both ports."""
    ports = {p: Port(np.asarray(100.0)) for p in model.inputs}
    return translate("cell", model.node((50,)), ports, load(name).formats.arithmetic)


def stepped(node: Population, *inputs: Any) -> tuple[Any, Any]:
    """Spikes and first states over time, for integer inputs ``(T, 50)``."""
    from spikeflow.sim.interpreter import Step

    step = Step(node.program, node.params, True)
    state: Any = [np.zeros((1, 50), np.int64)] * len(node.program.states)
    seen = []
    for arriving in zip(*inputs, strict=True):
        z, state = step(state, [a[None] for a in arriving])
        seen.append((z[0], state[0][0]))
    return np.stack([z for z, _ in seen]), np.stack([u for _, u in seen])


@pytest.mark.parametrize("name", ["loihi2", "spinnaker2"])
def test_without_apical_input_it_is_a_lif_bit_for_bit(name: str) -> None:
    basal = np.random.default_rng(1).integers(-60, 90, (60, 50))
    a = stepped(cell(TwoPointLIF(decay=0.9), name), basal, np.zeros_like(basal))
    b = stepped(cell(LIF(decay=0.9), name), basal)
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(a[1], b[1])
    assert a[0].sum() > 100


def test_apical_input_alone_never_spikes() -> None:
    apical = np.random.default_rng(1).integers(-5000, 5000, (60, 50))
    z, u = stepped(cell(TwoPointLIF()), np.zeros_like(apical), apical)
    assert not z.any() and not u.any()


def test_the_gate_is_the_table_at_the_nearest_thirty_second() -> None:
    node = cell(replace(TwoPointLIF(decay=0.0, decay_apical=0.0, gain=1.5, threshold=1e3)))
    apical = np.arange(-250, 250, 10)[None]
    _, u = stepped(node, np.full((1, 50), 64), apical)
    index = np.clip(np.floor(32 * 1.5 * apical[0] / 100 + 0.5), -128, 128)
    gate = 4096 + np.floor(np.tanh(index / 32) * 4096 + 0.5)
    np.testing.assert_array_equal(u[0], 64 * 64 * gate // 4096)


def test_back_propagating_spikes_raise_the_apical_point() -> None:
    basal = np.full((30, 50), 70)
    quiet = stepped(cell(TwoPointLIF(back_propagation=True, bap=0.0)), basal, np.zeros_like(basal))[0].sum()
    raised = stepped(cell(TwoPointLIF(back_propagation=True, bap=0.8)), basal, np.zeros_like(basal))[0].sum()
    assert raised > quiet


@pytest.mark.parametrize("name", ["loihi2", "spinnaker2"])
def test_numbers_beyond_every_register_are_no_undefined_casts(name: str) -> None:
    """A threshold of 1e30 that nothing reaches, and weights that float32 hardly holds: numpy warned of both."""
    chip, rng = load(name), np.random.default_rng(0)
    spikes = (rng.random((6, 16, 10)) < 0.1) * 1.0
    for threshold, size in ((1e30, 1.0), (1e38, 1e38)):
        weight = (rng.choice([-1.0, 1.0], (8, 10)) * size).astype(np.float32)
        out = Linear(rng.normal(size=(3, 8)).astype(np.float32))
        nodes: dict[str, Node] = {
            "x": Input((10,)), "a": Linear(weight), "n": LIF(0.5, threshold).node((8,)), "b": out, "readout": Integrator().node((3,)), "out": Output(),
        }  # fmt: skip
        wires = ("x", "a"), ("a", "n"), ("n", "b"), ("b", "readout"), ("readout", "out")
        graph = Graph(nodes, tuple(Edge(*pair) for pair in wires), 1e-3)
        ready = retime(adapt(compose(graph), chip), chip)
        one = spikes * (np.cumsum(spikes, axis=-1) == 1)  # of those that would spike the first: sums stay float32
        quantise(nets.network(ready, 16, "spikes"), chip, one, REFERENCE)


def test_what_rounding_costs_is_counted_in_any_unit() -> None:
    """Weights 2**127 times as large, whose sums no float32 holds, cost 2**254 times as much, in every bit."""
    weight = np.random.default_rng(3).normal(size=(4, 300)).astype(np.float32)
    drive = roundings.Drive(np.ones((2, 300), np.float32), np.ones(300))

    def cost(unit: float) -> np.ndarray[Any, Any]:
        one = np.zeros(weight.size, np.int64)
        edge = Incoming("a", Linear(weight), weight.reshape(-1) * np.float64(unit), one, (300,), drive, 1.0, 127, True)
        return roundings.costs(edge, 1).table

    with np.errstate(all="raise"):
        assert np.array_equal(cost(2.0**127), cost(1.0) * 2.0**254)
