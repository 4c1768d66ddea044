"""Trained layers of spiking neurons become a graph with the same spikes, up to ties."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.convert.verify.replay import Bounded, Bounds, Replayed
from spikeflow.convert.verify.ties import _count, compare_layers
from spikeflow.errors import ConversionError, UnsupportedLayer
from spikeflow.ir import stages
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import BatchNorm, Linear, Population, Scale
from spikeflow.ir.record import Network
from spikeflow.neurons import (
    EGRU,
    IF,
    LIF,
    CubaLIF,
    Integrator,
    Net,
    Neuron,
    NeuronModel,
    Recurrent,
    Sequential,
    TwoPointLIF,
)
from spikeflow.sim import Dense, run
from spikeflow.sim.classify import RunOptions, classify
from tests.convert.networks import settled

Array = np.ndarray[Any, Any]


def dense() -> Sequential:
    return Sequential(
        nn.Linear(16, 64),
        Neuron(LIF(0.9)),
        nn.Dropout(),
        nn.Linear(64, 48),
        Neuron(CubaLIF(0.7, 0.9, reset="subtract")),
        nn.Linear(48, 10),
        Neuron(Integrator()),
    )


def convolutional() -> Sequential:
    return Sequential(
        nn.Conv2d(2, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.AvgPool2d(2),
        Neuron(LIF(0.9), learn=("decay", "threshold")),
        nn.Conv2d(8, 6, 3),
        nn.BatchNorm2d(6),
        Neuron(IF()),
        nn.Flatten(),
        nn.Linear(54, 4),
    )


def recurrent() -> Sequential:
    return Sequential(
        nn.Linear(16, 32),
        Recurrent(Neuron(TwoPointLIF(gain=1.5)), nn.Linear(32, 32), port="apical"),
        Recurrent(Neuron(LIF(0.8)), nn.Linear(32, 32)),
        nn.Linear(32, 3),
        Neuron(Integrator()),
    )


def back_propagating() -> Sequential:
    return Sequential(
        nn.Linear(16, 32), Neuron(TwoPointLIF(bap=0.5, back_propagation=True)), nn.Linear(32, 3)
    )


NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "dense": (dense, (16,)),
    "convolutional": (convolutional, (2, 10, 10)),
    "recurrent": (recurrent, (16,)),
    "back-propagating": (back_propagating, (16,)),
}


@dataclass(frozen=True, eq=False)
class Twice(NeuronModel):
    """Passes its input where it is large, by a spike of the same slot as that of its output."""

    def states(self) -> tuple[str, ...]:
        return ("v",)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Any) -> tuple[Any, tuple[Any, ...]]:
        v = s.v + x[0] * ops.spike(x[0] - 0.5)
        z = ops.spike(v - 1.0)
        return z, (ops.where(z, 0.0, v),)


def spikes(shape: tuple[int, ...], steps: int = 30, batch: int = 20) -> Array:
    return (np.random.default_rng(0).random((steps, batch, *shape)) < 0.4).astype(np.float32)


def made(name: str) -> tuple[Sequential, Network, Array]:
    torch.manual_seed(0)
    build, shape = NETWORKS[name]
    net = build()
    settled(net)
    return net, capture_trained(net, shape, dt=1e-3, steps=30), spikes(shape)


@pytest.mark.parametrize("name", NETWORKS)
def test_spikes_are_the_layers_up_to_ties(name: str) -> None:
    net, network, x = made(name)
    stages.check(network.graph, "snn")
    found = compare_layers(net, network, x, engine="reference")
    assert found.equal and found.unexplained == 0, str(found)
    assert all(
        layer.spikes > 100 for layer in found.layers if layer.name != "layers.6" and layer.name != "layers.4"
    )
    assert str(found).startswith(f"spikes against the torch layers: {found.ties} tie(s)")


def on_grid(module: nn.Module, unit: float) -> None:
    """Weights on a coarse grid."""
    with torch.no_grad():
        for part in module.parameters():
            part.copy_(torch.round(part / unit) * unit)


def test_grid_weights_on_powers_of_two_have_no_ties_at_all() -> None:
    torch.manual_seed(0)
    net = Sequential(nn.Linear(16, 64), Neuron(LIF(0.5)), nn.Linear(64, 32), Neuron(IF()))
    on_grid(net, 2.0**-6)
    network, x = capture_trained(net, (16,), dt=1e-3, steps=30), spikes((16,))
    with torch.no_grad():
        wanted, _ = net(torch.from_numpy(x))
    found = run(network.graph, Dense(x), 30, engine="reference", record=("layers.3",))
    assert np.array_equal(found.recorded["layers.3"].dense(), wanted.numpy())


def test_ties_of_a_decimal_grid_are_told_as_ties() -> None:
    """Sums of tenths hit a threshold of 1 all the time, and on which side depends on the order of the sum."""
    torch.manual_seed(0)
    net = Sequential(nn.Linear(1000, 64, bias=False), Neuron(IF()))
    with torch.no_grad():
        net.layers[0].weight.copy_(torch.randint(-5, 6, (64, 1000)) / 10)
    network = capture_trained(net, (1000,), dt=1e-3, steps=30)
    found = compare_layers(net, network, spikes((1000,)), engine="reference")
    assert found.ties > 20 and found.unexplained == 0


def two_point() -> Sequential:
    """Sums of tenths beside a tanh, which hit a threshold of 1 now and then."""
    torch.manual_seed(0)
    net = Sequential(nn.Linear(1000, 64, bias=False), Neuron(TwoPointLIF(threshold=1.0)))
    with torch.no_grad():
        net.layers[0].weight.copy_(torch.randint(-5, 6, (64, 1000)) / 10)
    return net


def test_an_operation_whose_rounding_nobody_bounded_explains_no_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, x = two_point(), spikes((1000,))
    network = capture_trained(net, (1000,), dt=1e-3, steps=30)
    before = compare_layers(net, network, x, engine="reference")
    monkeypatch.delattr(Bounds, "tanh")
    after = compare_layers(net, network, x, engine="reference")
    assert before.ties > 0 == before.unexplained and before.layers[0].unbounded == ()
    assert (after.ties, after.unexplained) == (0, before.ties) and after.layers[0].unbounded == ("tanh",)
    with pytest.raises(ConversionError, match="a bound of the rounding of tanh"):
        capture_trained(net, (1000,), dt=1e-3, steps=30)
    on_grid(net, 0.5)
    assert compare_layers(net, capture_trained(net, (1000,), dt=1e-3, steps=30), x).unexplained == 0


GATED = {
    # thresholds that sums of tenths hit: of the gate, of the burst, of the event that hands on its cell
    "pass": TwoPointLIF(0.0, 0.0, mode="pass", apical_threshold=0.5, threshold=0.4),
    "pass, discharged": TwoPointLIF(0.9, 0.5, mode="pass", apical_threshold=0.3, apical_discharge=True),
    "burst": TwoPointLIF(0.0, 0.0, mode="isolation", burst=True, burst_threshold=0.5),
    "pass and burst": TwoPointLIF(
        0.8, 0.0, mode="pass", apical_threshold=0.2, burst=True, burst_threshold=0.7
    ),
    "EGRU": EGRU(threshold=0.2),
}


def gated(name: str) -> Net:
    """The model with weights in tenths into each port."""
    torch.manual_seed(0)
    model, nodes, edges = GATED[name], {}, []
    for port in model.inputs:
        nodes[port] = nn.Linear(1000, 64, bias=False)
        edges += [Edge("input", port), Edge(port, "cells", port)]
        with torch.no_grad():
            nodes[port].weight.copy_(torch.randint(-5, 6, (64, 1000)) / 10)
    return Net({**nodes, "cells": Neuron(model)}, [*edges, Edge("cells", "output")])


@pytest.mark.parametrize("name", GATED)
def test_gates_bursts_and_events_differ_by_ties_alone(name: str) -> None:
    """Each slot's argument may lie within rounding of 0; a wrong threshold of any is no tie."""
    net, x = gated(name), spikes((1000,), 20, 8)
    network = capture_trained(net, (1000,), dt=1e-3, steps=20)
    found = compare_layers(net, network, x, engine="reference")
    assert found.unexplained == 0 and (found.ties > 0 or name == "EGRU"), str(found)
    node = network.graph.nodes["cells"]
    assert isinstance(node, Population)
    for threshold in (n for n in node.params if "threshold" in n):
        wrong = replace(node, params={**node.params, threshold: node.params[threshold] + np.float32(0.05)})
        assert compare_layers(net, changed(network, "cells", wrong), x, engine="reference").unexplained > 0, (
            threshold
        )


def test_two_spikes_of_one_slot_are_refused_by_name() -> None:
    net = Sequential(nn.Linear(4, 3), Neuron(Twice()))
    with pytest.raises(ConversionError, match="several spikes share slot 0"):
        capture_trained(net, (4,), dt=1e-3, steps=4)


def test_a_number_that_is_none_is_a_difference() -> None:
    wanted, got = np.zeros((3, 1, 4), np.float32), np.zeros((3, 1, 4), np.float32)
    got[:, 0] = [np.nan, np.inf, 1.0, 0.5]
    wanted[:, 0] = [0.0, 1.0, np.inf, 0.5]
    for error in (1e-3, np.inf):
        bound = Bounded(wanted.astype(np.float64), np.full(wanted.shape, error))
        found = Replayed(bound, None, np.zeros((), bool))
        assert _count("out", (got, wanted), found).unexplained == 9
        assert _count("out", (got, got), found).unexplained == 0


def test_the_error_of_a_jump_reaches_as_far_as_its_argument() -> None:
    """Arguments moved at random within their error, 200 of each, as float32 might have moved them."""
    rng, bounds = np.random.default_rng(3), Bounds(np.zeros(1))
    value, error = rng.normal(0, 3, 200), rng.choice([0.0, 1e-6, 0.4, 2.5], 200)
    moved = [value + error * rng.uniform(-1, 1, 200) for _ in range(20)]
    for name, exact in (("floor", np.floor), ("round", np.rint)):
        found = getattr(bounds, name)(Bounded(value, error), 0)
        assert all((np.abs(exact(m) - found.value) <= found.error).all() for m in moved)
    yes, no = Bounded(np.ones(200), np.full(200, 0.1)), Bounded(np.full(200, 4.0), np.zeros(200))
    steps = Bounded(np.floor(value), np.where(error > 0, np.floor(error) + 1, 0))
    chosen = bounds.where(steps, yes, no)
    for m in moved:
        assert (np.abs(np.where(np.floor(m) != 0, 1.0, 4.0) - chosen.value) <= chosen.error).all()


def changed(network: Network, name: str, node: Any) -> Network:
    return Network(network.graph.with_nodes({name: node}), network.record)


def test_a_wrong_weight_is_unexplained() -> None:
    net, network, x = made("dense")
    node = network.graph.nodes["layers.0"]
    assert isinstance(node, Linear)
    weight = np.array(node.weight)
    weight[3] += 1e-3
    found = compare_layers(
        net, changed(network, "layers.0", Linear(weight, node.bias)), x, engine="reference"
    )
    assert found.unexplained > 0 and not found.equal
    assert [layer.name for layer in found.layers if layer.unexplained] == ["layers.1"]


def test_a_wrong_read_out_is_unexplained() -> None:
    net, network, x = made("dense")
    node = network.graph.nodes["layers.5"]
    assert isinstance(node, Linear) and node.bias is not None
    found = compare_layers(
        net, changed(network, "layers.5", Linear(node.weight, node.bias + 1e-3)), x, engine="reference"
    )
    assert [layer.name for layer in found.layers if layer.unexplained] == ["layers.6"]


def test_recurrence_is_an_edge_of_delay_one_through_the_feedback() -> None:
    _, network, _ = made("recurrent")
    graph: Graph = network.graph
    back = graph.inputs_of("layers.1", "apical")
    assert [(e.src, e.delay) for e in back] == [("layers.1.feedback", 0)]
    assert [(e.src, e.delay) for e in graph.inputs_of("layers.1.feedback")] == [("layers.1", 1)]
    assert [e.src for e in graph.inputs_of("layers.2", "in")] == ["layers.1", "layers.2.feedback"]


def test_an_identity_feedback_is_a_bare_edge_of_delay_one() -> None:
    net = Sequential(nn.Linear(4, 4), Recurrent(Neuron(LIF(0.5)), nn.Identity()))
    graph = capture_trained(net, (4,), dt=1e-3).graph
    assert [(e.src, e.delay) for e in graph.inputs_of("layers.1")] == [("layers.0", 0), ("layers.1", 1)]


def test_the_bias_of_the_feedback_acts_from_the_first_step() -> None:
    net = Sequential(nn.Identity(), Recurrent(Neuron(IF()), nn.Linear(1, 1)))
    with torch.no_grad():
        net.layers[1].feedback.weight.fill_(0)
        net.layers[1].feedback.bias.fill_(1)
    graph = capture_trained(net, (1,), dt=1e-3, steps=3).graph
    found = run(graph, Dense(np.zeros((3, 1, 1), np.float32)), 3, engine="reference", record=("layers.1",))
    assert found.recorded["layers.1"].dense().ravel().tolist() == [1, 1, 1]


def test_learned_parameters_come_from_the_layers() -> None:
    net = convolutional().eval()
    with torch.no_grad():
        net.layers[3].decay.fill_(0.25)
        net.layers[3].threshold.fill_(0.5)
    node = capture_trained(net, (2, 10, 10), dt=1e-3).graph.nodes["layers.3"]
    assert isinstance(node, Population) and node.shape == (8, 5, 5)
    assert (node.params["decay"], node.params["threshold"]) == (0.25, 0.5)


def test_stateless_layers_are_folded_and_erased() -> None:
    graph = made("convolutional")[1].graph
    assert not graph.of_kind(BatchNorm) and not graph.of_kind(Scale)
    assert "layers.1" not in graph.nodes and "layers.2" in graph.nodes
    assert not [n for n in made("dense")[1].graph.nodes if n == "layers.2"]


def test_the_read_out_is_the_last_integrator_or_one_added() -> None:
    assert made("dense")[1].record.readout == "layers.6"
    assert made("convolutional")[1].record.readout == "readout"


def test_the_network_runs_as_its_record_says() -> None:
    net, network, x = made("dense")
    with torch.no_grad():
        wanted, _ = net(torch.from_numpy(x))
    assert (network.record.coding, network.record.steps, network.record.input_shape) == ("spikes", 30, (16,))
    found = classify(network, np.moveaxis(x, 1, 0), RunOptions(engine="reference"))
    assert np.allclose(found.logits, wanted.numpy(), rtol=1e-3, atol=1e-2)


def test_training_mode_is_left_as_it_was() -> None:
    net = dense().train()
    capture_trained(net, (16,), dt=1e-3)
    assert net.training and net.layers[2].training


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.LayerNorm(4), nn.LSTM(4, 4), nn.Sequential(nn.Linear(4, 4))])
def test_other_layers_are_refused_by_name(layer: nn.Module) -> None:
    with pytest.raises(UnsupportedLayer) as caught:
        capture_trained(Sequential(nn.Linear(4, 4), layer, Neuron(LIF())), (4,))
    assert caught.value.name == "layers.1" and caught.value.kind == type(layer).__name__


def test_a_feedback_of_several_layers_is_refused() -> None:
    net = Sequential(nn.Linear(4, 4), Recurrent(Neuron(LIF()), nn.Tanh()))
    with pytest.raises(UnsupportedLayer, match=r"layers\.1\.feedback: Tanh"):
        capture_trained(net, (4,))


def test_nan_parameters_are_refused_by_name() -> None:
    net = dense()
    with torch.no_grad():
        net.layers[1].decay.fill_(float("nan"))
    with pytest.raises(ConversionError, match=r"layers\.1\.decay"):
        capture_trained(net, (16,))
