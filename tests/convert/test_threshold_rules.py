"""Rules for thresholds on hand-made statistics, each with a value that follows from its definition.

Drawn: normal values of seed 0 where a rule needs many; all else is written out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.convert.passes.balance import balance
from spikeflow.convert.passes.by_depth import depths, latest, staggered
from spikeflow.convert.passes.coding import encoded
from spikeflow.convert.passes.layer_by_layer import Stretch, by_layers, encoded_stretch
from spikeflow.convert.passes.least_error import least_error_thresholds, squared_error
from spikeflow.convert.passes.light import corrected, linear_before
from spikeflow.convert.passes.local import local_thresholds
from spikeflow.convert.passes.methods import METHODS
from spikeflow.convert.passes.observe import observe
from spikeflow.convert.passes.thresholds import (
    FLOOR,
    Basis,
    Thresholds,
    percentile_thresholds,
    share_above,
)
from spikeflow.errors import ConversionError
from spikeflow.ir.alphabet import alphabet as letters
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Input, Linear, Output, Population
from spikeflow.ir.record import Network, OutputRecord, RunRecord
from spikeflow.sim import Constant, run
from spikeflow.sim.classify import RunOptions, evaluate

Array = np.ndarray[Any, Any]


def chain(*nodes: Any, size: int) -> Graph:
    """Input, the nodes in a row, the Output; their names are n0, n1, ..."""
    made = {
        "in": Input((size,), "current"),
        **{f"n{i}": n for i, n in enumerate(nodes)},
        "out": Output(),
    }
    names = list(made)
    return Graph(made, tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False)))


def basis_of(graph: Graph, x: Array, steps: int = 8, alphabet: str = "binary") -> Basis:
    def spiking(thresholds: Thresholds) -> Network:
        record = RunRecord(steps, outputs=(OutputRecord("out", "out"),))
        return Network(balance(graph, thresholds, alphabet=alphabet), record)

    return Basis(graph, graph, observe(graph, x), x, steps=steps, alphabet=alphabet, spiking=spiking)


def test_percentiles_of_what_is_active_of_all_and_of_the_layer() -> None:
    """Channel 0 holds 1 to 100 and 300 zeros, channel 1 the same times 10, channel 2 a single 5."""
    x = np.zeros((400, 3), np.float32)
    x[:100, 0], x[:100, 1], x[7, 2] = np.arange(1, 101), np.arange(10, 1001, 10), 5
    stats = observe(chain(Activation(), size=3), x)
    atol = 1000 / 4096 * 2  # a threshold is exact to a bin
    assert np.allclose(percentile_thresholds(stats, 90).values["n0"], [90, 900, 5], atol=atol)
    # 90 % of 400 values are 360, of which 300 are 0; of the single 5 nine tenths of all are 0
    assert np.allclose(percentile_thresholds(stats, 90, zeros=True).values["n0"], [60, 600, 5], atol=atol)
    # of 201 values above 0, the 181st in order: 1 to 100 lie below 110, so 81 of the others
    wanted = np.sort(x[x > 0])[round(0.9 * 201) - 1]
    found = percentile_thresholds(stats, 90, by_layer=True).values["n0"]
    assert (found == found[0]).all() and found[0] == pytest.approx(wanted, abs=12)
    assert np.allclose(percentile_thresholds(stats, 100).values["n0"], [100, 1000, 5])
    assert np.allclose(percentile_thresholds(stats, 100, by_layer=True).values["n0"], 1000)


def test_fewer_steps_allow_more_to_be_clipped() -> None:
    shares = [share_above(steps) for steps in (1, 2, 4, 8, 16, 32, 64, 128, 256, 10**6)]
    assert shares == sorted(shares, reverse=True) and 0 < min(shares) < max(shares) <= 0.05
    # neurons that take back what they handed on need larger steps
    assert share_above(8, "signed") < share_above(8)
    # a step of burst:4 has four levels
    assert share_above(8, "burst:4") == share_above(32) < share_above(8)
    # what is beyond the reach of a step in differential code is reached later
    assert share_above(4, "differential:3") == share_above(64, "differential:3") > share_above(8, "signed")


def test_the_least_error_counts_the_levels_of_the_alphabet_that_a_layer_gets() -> None:
    """A function with values below 0 is followed in signed values where the alphabet asked for has no sign."""
    x = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
    graph = chain(Activation("tanh"), size=2)
    signed, burst = (replace(basis_of(graph, x, steps=4), alphabet=name) for name in ("signed", "burst:8"))
    one, other = (least_error_thresholds(basis).values["n0"] for basis in (signed, burst))
    assert np.array_equal(one, other)
    more = least_error_thresholds(replace(signed, alphabet="multi-threshold:4")).values["n0"]
    assert (more > one).all()  # of finer levels fewer have to be clipped


def test_the_least_error_is_found_among_all_that_are_tried() -> None:
    """Values on a grid of 4 levels up to 1 and a few at 2: for 4 steps the threshold 1 is right but for them."""
    values = np.repeat(np.array([0.25, 0.5, 0.75, 1.0, 2.0], np.float32), [500, 500, 500, 500, 1])
    basis = basis_of(chain(Activation(), size=1), values[:, None], steps=4)
    assert least_error_thresholds(basis).values["n0"] == pytest.approx([1.0], abs=0.03)
    rng = np.random.default_rng(0)
    x = np.maximum(rng.normal(size=(4000, 2)), 0).astype(np.float32)
    found = least_error_thresholds(basis_of(chain(Activation(), size=2), x)).values["n0"]
    for channel in range(2):
        top = x[:, channel].max()
        values, once = x[:, channel].astype(np.float64) / top, np.ones((1, len(x)))
        errors = [float(squared_error(values, once, part, 8)[0]) for part in np.arange(1, 101) / 100]
        at = float(squared_error(values, once, float(found[channel] / top), 8)[0])
        assert at <= min(errors) * 1.02


def test_local_balancing_ends_where_its_share_lies_above() -> None:
    """Normal values: the share above a threshold is that of its batches; a constant channel is not overshot."""
    x = np.random.default_rng(0).normal(size=(4096, 2)).astype(np.float32)
    x[:, 1] = 3.0
    basis = basis_of(chain(Activation(), size=2), x, steps=8)
    theta = local_thresholds(basis).values["n0"]
    above = float((x[:, 0] > theta[0]).mean())
    wanted = share_above(8) / 4
    assert wanted / 1.6 < above < wanted * 1.6
    assert theta[1] == pytest.approx(3.0)


def test_local_balancing_keeps_a_dead_channel_silent() -> None:
    x = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
    x[:, 2] = -1
    basis = basis_of(chain(Activation(), size=3), x)
    theta = local_thresholds(basis)
    assert theta.values["n0"][2] == np.float32(FLOOR) * theta.values["n0"].max() and theta.at_floor["n0"] == 1
    graph = balance(basis.graph, theta)
    fired = run(graph, Constant(x[:4]), 8, engine="reference", record=("n0",)).recorded["n0"].dense()
    assert not fired[:, :, 2].any()


def deep(seed: int, layers: int, width: int = 16) -> Graph:
    rng = np.random.default_rng(seed)
    nodes: list[Any] = []
    for _ in range(layers):
        weight = rng.normal(0, np.sqrt(2 / width), (width, width)).astype(np.float32)
        nodes += [Linear(weight, rng.normal(0, 0.1, width).astype(np.float32)), Activation()]
    return chain(*nodes, Linear(rng.normal(0, 0.3, (4, width)).astype(np.float32), None), size=width)


def test_layers_wake_by_depth_and_what_arrives_before_is_not_taken_in() -> None:
    graph = deep(0, 3)
    assert list(depths(graph).values()) == [0, 1, 2]
    made = staggered(Thresholds({n: np.ones(16) for n in depths(graph)}), graph, 1.5, 16)
    assert list(made.start.values()) == [0, 1, 3] and made.read_from == 3
    snn = balance(graph, made)
    x = np.random.default_rng(1).normal(size=(3, 16)).astype(np.float32)
    names = tuple(made.start)
    found = run(snn, Constant(x), 16, engine="reference", record=names)
    for name, start in made.start.items():
        fired, node = found.recorded[name].dense(), snn.nodes[name]
        assert isinstance(node, Population) and node.start == start
        assert not fired[:start].any() and fired.any()


@pytest.mark.parametrize("steps", range(1, 40))
def test_some_steps_are_always_read(steps: int) -> None:
    assert 0 <= latest(steps) < steps and (latest(steps) == 0 or steps - latest(steps) >= 4)
    graph = deep(0, 6, 4)
    for slope in (0.0, 0.5, 9.0):
        made = staggered(Thresholds({n: np.ones(4) for n in depths(graph)}), graph, slope, steps)
        assert made.read_from <= latest(steps) and max(made.start.values()) == made.read_from


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("layers", "alphabet"), [(2, "binary"), (8, "signed"), (8, "multi-threshold:3")])
def test_corrected_biases_bring_mean_activity_to_that_of_the_ann(seed: int, layers: int, alphabet: str) -> None:
    """Thresholds that clip a quarter of all values make every mean too low; corrections take it back, of deep
    layers, too, which read what is corrected already.
    """
    graph, x = deep(seed, layers), np.random.default_rng(seed).normal(size=(128, 16)).astype(np.float32)
    basis = basis_of(graph, x, steps=16, alphabet=alphabet)
    assert basis.stats is not None and basis.spiking is not None
    low = percentile_thresholds(basis.stats, 75)
    made = corrected(low, basis, x)
    assert set(made.bias) == {linear_before(graph, name) for name in low.values} and len(made.bias) == layers
    most = letters(alphabet).high

    def off(thresholds: Thresholds) -> float:
        snn, missed = balance(graph, thresholds, alphabet=alphabet), 0.0
        found = run(snn, Constant(x), 16, record=tuple(low.values))
        for name, theta in low.values.items():
            mean = found.recorded[name].dense().mean(axis=(0, 1)) * theta / most
            missed += float(np.abs(mean - basis.stats.activations[name].mean).sum())  # type: ignore[union-attr]
        return missed

    assert off(made) < 0.6 * off(low)


@pytest.mark.parametrize("alphabet", ["binary", "signed", "burst:3"])
@pytest.mark.parametrize("coding", ["direct", "rate"])
def test_layers_run_one_by_one_hand_on_what_the_network_does(alphabet: str, coding: str) -> None:
    """Weights and inputs are multiples of 1/8, so that every sum is exact; layers wake in steps 0, 1 and 2."""
    rng = np.random.default_rng(5)
    nodes: list[Any] = []
    for _ in range(3):
        nodes += [Linear((rng.integers(-8, 9, (6, 6)) / 8).astype(np.float32), None), Activation()]
    graph = chain(*nodes, size=6)
    chosen = Thresholds({f"n{i}": np.full(6, 1.5, np.float32) for i in (1, 3, 5)}, start={"n3": 1, "n5": 2})
    snn = balance(encoded(graph, coding), chosen, alphabet=alphabet)
    outputs = (OutputRecord("out", "out"),)
    network = Network(snn, RunRecord(9, coding, 1.0, 3, "readout", (6,), outputs=outputs))
    x = (rng.integers(0, 9, (5, 6)) / 8).astype(np.float32)
    seen: dict[str, Array] = {}

    def keep(layer: Stretch) -> torch.Tensor:
        value = layer.run(0.0)
        seen[layer.name] = value.numpy()
        return value

    by_layers(snn, encoded_stretch(network, x), keep)
    found = evaluate(network, x, RunOptions(engine="reference", record=("n1", "n3", "n5")))
    for name, (spikes,) in found.recorded.items():
        np.testing.assert_array_equal(seen[name], spikes.dense())
    np.testing.assert_array_equal(seen["readout"], found.outputs["out"])


@pytest.mark.parametrize("method", [m for m in METHODS if m != "batch-norm"])
def test_the_order_of_samples_changes_nothing(method: str) -> None:
    """The samples of a conversion come in the order of their digests, so a shuffled file is the same file."""
    from spikeflow.convert import convert
    from tests.convert.test_methods import network

    x = np.random.default_rng(3).normal(size=(90, 6)).astype(np.float32)
    alphabet = "differential:3" if method == "tracking" else "binary"
    one, other = (
        convert(network(1), some, steps=8, method=method, alphabet=alphabet).network.graph.digest
        for some in (x, np.random.default_rng(4).permutation(x))
    )
    assert one == other


def test_what_needs_samples_says_so() -> None:
    graph = deep(0, 1)
    for method in METHODS:
        if method in ("batch-norm", "auto"):
            continue
        with pytest.raises(ConversionError, match="--data"):
            METHODS[method](Basis(graph, graph, None, None))
