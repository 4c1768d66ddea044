"""Rectifiers to neurons: the laws that a converted network keeps, thresholds, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikeflow.convert.passes.balance import READOUT, balance, readout_of
from spikeflow.convert.passes.coding import encoded
from spikeflow.convert.passes.fold import fold_batch_norm
from spikeflow.convert.passes.forward import forward
from spikeflow.convert.passes.observe import observe
from spikeflow.convert.passes.silent import silenced
from spikeflow.convert.passes.thresholds import (
    FLOOR,
    Thresholds,
    data_free_thresholds,
    floored,
    percentile_thresholds,
)
from spikeflow.errors import ConversionError
from spikeflow.events import Spikes
from spikeflow.ir import stages
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Conv2d, Input, Linear, Output, Population, Scale
from spikeflow.sim import Constant, Dense, run
from tests.convert.networks import Calls, ResNet, captured, readout, samples, settled, small_cnn

Array = np.ndarray[Any, Any]


def one_layer(size: int = 4) -> Graph:
    """Input, a rectifier, the Output: currents are what is put in."""
    return Graph(
        {"in": Input((size,), "current"), "relu": Activation(), "out": Output()},
        (Edge("in", "relu"), Edge("relu", "out")),
    )


def dyadic(shape: tuple[int, ...], seed: int = 0, low: int = -8, high: int = 9) -> Array:
    """Multiples of 1/8: sums and products of a few of them are exact in float32."""
    return (np.random.default_rng(seed).integers(low, high, shape) / 8).astype(np.float32)


def two_layers(seed: int = 0) -> Graph:
    """Two dense layers with biases and a read-out, all weights multiples of 1/8."""
    nodes = {
        "in": Input((6,), "current"),
        "a": Linear(dyadic((8, 6), seed), dyadic((8,), seed + 1)),
        "r1": Activation(),
        "b": Linear(dyadic((7, 8), seed + 2), dyadic((7,), seed + 3)),
        "r2": Activation(),
        "c": Linear(dyadic((3, 7), seed + 4), dyadic((3,), seed + 5)),
        "out": Output(),
    }
    names = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False)))


def test_constant_input_has_its_closed_form() -> None:
    theta, z = np.float32(1.0), np.array([-0.5, 0.0, 0.25, 0.625, 1.0, 1.75], np.float32)
    graph = balance(one_layer(6), {"relu": np.full(6, theta)})
    steps = 16
    found = (
        run(graph, Constant(z[None]), steps, engine="reference", record=("relu",)).recorded["relu"].dense()
    )
    wanted = np.clip(np.floor(z * steps / theta + 0.5), 0, steps)
    assert found.sum(0)[0].tolist() == wanted.tolist() == [0, 0, 4, 10, 16, 16]


@pytest.mark.parametrize("seed", range(5))
def test_spikes_times_threshold_is_what_arrived(seed: int) -> None:
    """theta N = sum of z + v(0) - v(T), exactly on dyadic numbers."""
    theta = np.array([0.5, 1.0, 2.0, 0.25], np.float32)
    graph = balance(one_layer(), {"relu": theta})
    z = dyadic((20, 3, 4), seed)
    fired = run(graph, Dense(z), 20, engine="reference", record=("relu",)).recorded["relu"].dense()
    v = np.broadcast_to(theta / 2, (3, 4)).copy()
    for t in range(20):
        v = v + z[t] - theta * fired[t]
        assert (fired[t] == (v + theta * fired[t] >= theta)).all()
    assert (theta * fired.sum(0) == z.sum(0) + theta / 2 - v).all()


@pytest.mark.parametrize("each", (False, True), ids=("by channel", "by neuron"))
def test_neurons_start_with_what_was_chosen_and_biases_are_corrected(each: bool) -> None:
    """theta N = sum of (z + correction) + v(0) - v(T), exactly on dyadic numbers; nothing chosen is half a
    threshold and the bias as it stands.
    """
    graph = two_layers()
    start = dyadic((8,), 11)
    chosen = Thresholds({"r1": np.ones(8), "r2": np.ones(7)}, {}, {"r1": start}, {"b": dyadic((7,), 12)})
    made = balance(graph, chosen)
    for name, wanted in (("r1", start), ("r2", np.full(7, 0.5))):
        node = made.nodes[name]
        assert isinstance(node, Population)
        assert np.array_equal(np.broadcast_to(node.initial["v"], node.shape), wanted)
    before, after = graph.nodes["b"], made.nodes["b"]
    assert isinstance(before, Linear) and isinstance(after, Linear) and before.bias is not None
    assert np.array_equal(after.bias, before.bias + chosen.bias["b"]) and np.array_equal(
        after.weight, before.weight
    )
    shape = (2, 3, 3)
    convolved = Graph(
        {"in": Input(shape, "current"), "relu": Activation(), "out": Output()},
        (Edge("in", "relu"), Edge("relu", "out")),
    )
    given = dyadic(shape if each else shape[:1], 13)
    node = balance(convolved, Thresholds({"relu": np.ones(2)}, initial={"relu": given})).nodes["relu"]
    assert isinstance(node, Population)
    wide = given if each else np.broadcast_to(given[:, None, None], shape)
    assert np.array_equal(np.broadcast_to(node.initial["v"], shape), wide)


def test_what_does_not_fit_a_network_is_refused_by_name() -> None:
    ones = {"r1": np.ones(8), "r2": np.ones(7)}
    for wrong, name in (
        (Thresholds(ones, initial={"r1": np.ones(3)}), "r1"),
        (Thresholds(ones, initial={"r1": np.full(8, np.nan)}), "r1"),
        (Thresholds(ones, bias={"b": np.ones(8)}), "b"),
        (Thresholds(ones, bias={"r1": np.ones(8)}), "r1"),
        (Thresholds(ones, bias={"nowhere": np.ones(8)}), "nowhere"),
    ):
        with pytest.raises(ConversionError, match=name):
            balance(two_layers(), wrong)


@pytest.mark.parametrize("seed", range(5))
def test_both_conventions_spike_alike_on_dyadic_weights(seed: int) -> None:
    """Spikes that carry theta, and spikes of 1 with theta in the weights, are the same network."""
    graph = two_layers(seed)
    theta = {"r1": np.full(8, 0.5, np.float32) * 2 ** (np.arange(8) % 3), "r2": np.full(7, 2.0, np.float32)}
    x, steps = dyadic((4, 6), seed + 9), 32
    snn = balance(graph, theta)
    found = run(snn, Constant(x), steps, engine="reference", record=("r1", "r2"))
    value, v1, v2, total = (
        x,
        np.tile(theta["r1"] / 2, (4, 1)),
        np.tile(theta["r2"] / 2, (4, 1)),
        np.zeros((4, 3)),
    )
    dense = {name: node for name, node in graph.nodes.items() if isinstance(node, Linear)}
    weights = {n: (np.asarray(node.weight, np.float64), node.bias) for n, node in dense.items()}
    for t in range(steps):
        value = x
        v1 = v1 + value @ weights["a"][0].T + weights["a"][1]
        s1 = (v1 >= theta["r1"]) * theta["r1"]
        v1 = v1 - s1
        v2 = v2 + s1 @ weights["b"][0].T + weights["b"][1]
        s2 = (v2 >= theta["r2"]) * theta["r2"]
        v2 = v2 - s2
        total = total + s2 @ weights["c"][0].T + weights["c"][1]
        assert (found.recorded["r1"].dense()[t] * theta["r1"] == s1).all()
        assert (found.recorded["r2"].dense()[t] * theta["r2"] == s2).all()
        assert (found.output[t] == total).all()


def test_a_power_of_two_in_every_threshold_changes_no_spike() -> None:
    """Weight-normalised form: weights W theta_before / theta_own and threshold 1."""
    graph = two_layers()
    x = dyadic((4, 6), 3)
    plain = balance(graph, {"r1": np.full(8, 2.0), "r2": np.full(7, 4.0)})
    a, b = graph.nodes["a"], graph.nodes["b"]
    assert isinstance(a, Linear) and isinstance(b, Linear) and a.bias is not None and b.bias is not None
    c = graph.nodes["c"]
    assert isinstance(c, Linear)
    normalised = balance(
        graph.with_nodes(
            {
                "a": Linear(a.weight / 2, a.bias / 2),
                "b": Linear(b.weight * 2 / 4, b.bias / 4),
                "c": Linear(c.weight * 4, c.bias),
            }
        ),
        {"r1": np.ones(8), "r2": np.ones(7)},
    )
    one, two = (run(g, Constant(x), 32, engine="reference", record=("r1", "r2")) for g in (plain, normalised))
    assert all(np.array_equal(one.recorded[n].dense(), two.recorded[n].dense()) for n in ("r1", "r2"))
    assert np.array_equal(one.output, two.output)


def thresholds_of(module: nn.Module, shape: tuple[int, ...], x: Array) -> tuple[Graph, Any]:
    graph = fold_batch_norm(captured(module, shape).graph).graph
    return graph, percentile_thresholds(observe(graph, x), 100).values


@pytest.mark.parametrize("module, shape", [(small_cnn(), (1, 8, 8)), (ResNet(1, 4), (3, 8, 8))])
def test_logits_over_time_approach_the_networks(module: nn.Module, shape: tuple[int, ...]) -> None:
    x = samples(shape, 6)
    graph, theta = thresholds_of(settled(module), shape, x)
    snn = balance(graph, theta)
    stages.check(snn, "snn")
    wanted = forward(graph, x)
    far = [np.abs(readout(snn, x, t)[-1] / t - wanted).max() / np.abs(wanted).max() for t in (8, 128)]
    assert far[1] < 0.1 and far[1] < far[0] / 2


def test_an_identity_branch_carries_its_own_threshold() -> None:
    module = Calls(
        lambda m, x: m.c(F.relu(m.b(y := F.relu(m.a(x))) + y)),
        a=nn.Conv2d(2, 2, 1),
        b=nn.Conv2d(2, 2, 1),
        c=nn.Conv2d(2, 1, 1),
    )
    graph = captured(module, (2, 3, 3)).graph
    theta = {"relu": np.array([2.0, 4.0]), "relu_2": np.array([8.0, 0.5])}
    snn = balance(graph, theta)
    (scale,) = snn.of_kind(Scale)
    node, b, c = snn.nodes[scale], snn.nodes["b"], snn.nodes["c"]
    assert isinstance(node, Scale) and isinstance(b, Conv2d) and isinstance(c, Conv2d)
    assert node.factor.ravel().tolist() == [2, 4]
    assert {e.src for e in snn.inputs_of("relu_2")} == {"b", scale}
    for now, part, source in ((b, module.b, "relu"), (c, module.c, "relu_2")):
        assert isinstance(part, nn.Conv2d)
        wanted = part.weight.detach().double().numpy() * theta[source][None, :, None, None]
        assert np.array_equal(now.weight, wanted.astype(np.float32))


def test_neurons_wake_at_half_their_threshold_and_read_out_is_named() -> None:
    snn = balance(two_layers(), {"r1": np.arange(1, 9), "r2": np.ones(7)}, "zero")
    node = snn.nodes["r1"]
    assert isinstance(node, Population) and node.model == "IF"
    assert node.initial["v"].tolist() == (np.arange(1, 9) / 2).tolist()
    assert readout_of(snn) == READOUT and snn.outputs == ("out",)
    zero, subtract = (
        balance(two_layers(), {"r1": np.ones(8), "r2": np.ones(7)}, r) for r in ("zero", "subtract")
    )
    assert zero.digest != subtract.digest


def test_a_network_that_ends_with_a_rectifier_reads_out_its_spikes() -> None:
    graph = balance(one_layer(2), {"relu": np.array([2.0, 4.0])})
    found = readout(graph, np.array([[1.0, 1.0]], np.float32), 8)
    assert found[-1].tolist() == [[8.0, 8.0]]


@pytest.mark.parametrize(
    "theta", [{}, {"relu": np.zeros(4)}, {"relu": np.ones(3)}, {"relu": np.full(4, np.nan)}]
)
def test_unusable_thresholds_are_refused_by_name(theta: dict[str, Array]) -> None:
    with pytest.raises(ConversionError) as caught:
        balance(one_layer(), theta)
    assert caught.value.layer == "relu"


# thresholds


def test_dead_channels_stand_at_the_floor() -> None:
    theta, count = floored("x", np.array([0.0, 4.0, -1.0, 0.001, 0.1]))
    assert theta.tolist() == [4 * FLOOR, 4.0, 4 * FLOOR, 4 * FLOOR, np.float32(0.1)]
    assert count == 3


def test_a_layer_that_is_never_active_never_fires() -> None:
    stats = observe(one_layer(), -np.ones((3, 4)))
    found = percentile_thresholds(stats)
    assert (found.values["relu"] == 1).all() and found.at_floor["relu"] == len(found.values["relu"])
    made = balance(silenced(one_layer(), stats), found)
    ran = run(made, Constant(np.full((2, 4), 100, np.float32)), 20, record=("relu",))
    assert not ran.recorded["relu"].dense().any()


def test_percentiles_outside_their_range_are_refused() -> None:
    with pytest.raises(ConversionError, match="percentile"):
        percentile_thresholds(observe(one_layer(), np.ones((3, 4))), 0)


def norm(gamma: list[float], beta: list[float]) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(len(gamma))
    made.weight.data, made.bias.data = torch.tensor(gamma), torch.tensor(beta)
    return made


def test_batch_norm_alone_gives_thresholds() -> None:
    module = nn.Sequential(nn.Conv2d(1, 3, 3), norm([1.0, -0.5, 0.1], [0.5, 0.25, -2.0]), nn.ReLU())
    found = data_free_thresholds(captured(module, (1, 5, 5)).graph)
    assert found.values["2"].tolist() == [3.5, 1.75, np.float32(3.5 * FLOOR)]
    assert found.at_floor["2"] == 1


def test_branches_add_their_bounds() -> None:
    module = Calls(
        lambda m, x: F.relu(m.nb(m.b(y := F.relu(m.na(m.a(x))))) + F.pad(y, (0, 0, 0, 0, 0, 0))),
        a=nn.Conv2d(1, 2, 1),
        na=norm([1.0, 1.0], [0.0, 1.0]),
        b=nn.Conv2d(2, 2, 1),
        nb=norm([2.0, 1.0], [1.0, -1.0]),
    )
    found = data_free_thresholds(captured(module, (1, 5, 5)).graph)
    assert found.values["relu"].tolist() == [3, 4]
    assert found.values["relu_2"].tolist() == [7 + 3, 2 + 4]


def test_an_average_of_normed_values_keeps_their_bound() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), norm([1.0, 1.0], [0.0, 1.0]), nn.AvgPool2d(2), nn.ReLU())
    assert data_free_thresholds(captured(module, (1, 4, 4)).graph).values["3"].tolist() == [3, 4]


def test_without_batch_norm_the_error_names_the_layer_and_data() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 2, 1), norm([1.0, 1.0], [0.0, 1.0]), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4), nn.ReLU()
    )
    with pytest.raises(ConversionError, match="--data") as caught:
        data_free_thresholds(captured(module, (1, 4, 4)).graph)
    assert caught.value.layer == "5"


# inputs as spikes

CODED: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "dense": (nn.Sequential(nn.Linear(6, 4), nn.ReLU()), (6,)),
    "flattened": (nn.Sequential(nn.Flatten(), nn.Linear(18, 4), nn.ReLU()), (2, 3, 3)),
    "convolution": (nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU()), (2, 4, 4)),
    "depthwise": (nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.ReLU()), (2, 4, 4)),
    "norm first": (nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3), nn.ReLU()), (2, 4, 4)),
    "rectifier first": (nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(18, 4)), (2, 3, 3)),
    "line": (nn.Sequential(nn.Conv1d(2, 3, 2), nn.ReLU()), (2, 5)),
    "two readers": (Calls(lambda m, x: F.relu(m.a(x) + x), a=nn.Conv2d(2, 2, 1)), (2, 4, 4)),
}


@pytest.mark.parametrize("name", CODED)
def test_signs_in_two_channels_give_the_same_currents(name: str) -> None:
    module, shape = CODED[name]
    graph = fold_batch_norm(captured(settled(module), shape).graph).graph
    coded = encoded(graph, "onoff")
    x = samples(shape)
    split = np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis=1)
    node = coded.nodes["input"]
    assert isinstance(node, Input) and node.kind == "spikes" and node.shape == (2 * shape[0], *shape[1:])
    assert np.allclose(forward(coded, split), forward(graph, x), atol=1e-5)
    assert ("input.onoff" in coded.nodes) == (name not in ("dense", "flattened", "convolution", "line"))


def test_the_value_of_a_spike_is_in_the_weights() -> None:
    graph = encoded(two_layers(), "rate")
    snn = balance(graph, {"r1": np.ones(8), "r2": np.ones(7)}, scale=4.0)
    before, after = graph.nodes["a"], snn.nodes["a"]
    assert isinstance(before, Linear) and isinstance(after, Linear)
    assert before.bias is not None and after.bias is not None
    assert np.array_equal(after.weight, before.weight * 4) and np.array_equal(after.bias, before.bias)
    x = np.zeros((3, 2, 6), np.float32)
    run(snn, Spikes.from_dense(x), 3, engine="reference")
