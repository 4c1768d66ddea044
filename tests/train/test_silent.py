"""What a network in torch once lost without a word: ports by another order, weights made of others, states of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from spikeflow import sim
from spikeflow.convert import capture_trained
from spikeflow.errors import DataError, ShapeError, SpikeflowWarning, UnsupportedLayer
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Concat, Input, Linear, Output, Scale
from spikeflow.neurons import (
    ALIF,
    IF,
    LIF,
    DelayedLinear,
    GraphNet,
    Integrator,
    LeakyIntegrator,
    Net,
    Neuron,
    NodeLayer,
    Recurrent,
    Sequential,
)
from spikeflow.train import loss, metric
from spikeflow.train.deploy import deployed
from spikeflow.train.init import make_fire
from spikeflow.train.inside import drivers
from spikeflow.train.norm import MembraneNormLIF
from spikeflow.train.quantise import quantised
from spikeflow.train.reading import read
from spikeflow.train.rules import Rule, backward

LABELS = torch.tensor([0, 1, 2, 0])


def _loss(outputs: torch.Tensor) -> torch.Tensor:
    return loss.cross_entropy(outputs, LABELS)


@pytest.mark.parametrize("turned", (False, True))
def test_a_graph_s_ports_are_its_ports_in_whatever_order_its_edges_stand(turned: bool) -> None:
    ways = [Edge("a", "both", "in0"), Edge("b", "both", "in1")]
    nodes = {"a": Input((2,), "current"), "b": Input((3,), "current"), "both": Concat(0, 2), "cells": IF(1.0).node((5,))}
    edges = (*(reversed(ways) if turned else ways), Edge("both", "cells"), Edge("cells", "out"))
    graph = Graph({**nodes, "out": Output()}, edges)
    draw = np.random.default_rng(3)
    x = {"a": draw.random((7, 2, 2), np.float32), "b": draw.random((7, 2, 3), np.float32)}
    found = GraphNet(graph)({name: torch.from_numpy(value) for name, value in x.items()})[0]
    wanted = sim.run(graph, {name: sim.Dense(value) for name, value in x.items()}, 7).output
    assert np.array_equal(found.detach().numpy(), wanted) and wanted.any()


def test_a_node_takes_its_ports_by_name_and_no_others() -> None:
    layer, a, b = NodeLayer(Concat(0, 2)), torch.zeros(1, 1, 2), torch.ones(1, 1, 2)
    assert layer({"in1": b, "in0": a})[0].flatten().tolist() == [0, 0, 1, 1]
    for wrong in ({"x": a, "y": b}, {"in0": a}):
        with pytest.raises(ShapeError, match="a dict by port, of .'in0', 'in1'"):
            layer(wrong)


def test_a_network_within_a_network_is_driven_port_by_port() -> None:
    inner = Net(
        {"one": Neuron(LIF(0.8, 0.5)), "two": Neuron(LIF(0.8, 7.0))},
        [Edge("x", "one"), Edge("y", "two"), Edge("one", "p"), Edge("two", "q")], ("x", "y"), ("p", "q"),
    )  # fmt: skip
    edges = [Edge("input", "first"), Edge("input", "second"), Edge("second", "cells", "y"), Edge("first", "cells", "x")]
    edges += [Edge("cells", "a", src_port="p"), Edge("cells", "b", src_port="q")]
    net = Net({"first": nn.Linear(3, 4), "second": nn.Linear(3, 4), "cells": inner}, edges, outputs=("a", "b"))
    assert drivers(net) == {"cells.one": ("first",), "cells.two": ("second",)}
    quantised(net, 4)
    units = {name: net.get_submodule(f"nodes.{name}").parametrizations.weight[0].threshold for name in ("first", "second")}
    assert float(units["first"]) == 0.5 and float(units["second"]) == 7.0


def _hidden(*back: nn.Module, **made: Any) -> Sequential:
    torch.manual_seed(0)
    cells: nn.Module = Neuron(LIF(0.8, 0.5, "subtract"))
    cells = Recurrent(cells, *back) if back else cells  # type: ignore[arg-type]
    return Sequential(nn.Linear(6, 8), cells, nn.Linear(8, 3), Neuron(Integrator()))


def test_eprop_moves_what_weights_are_made_of() -> None:
    made, plain = _hidden(), _hidden()
    quantised(made, 8)
    with torch.no_grad():  # the same weights, held as they are
        for layer, held in zip(plain.layers[::2], made.layers[::2], strict=True):
            layer.weight.copy_(held.weight)
            layer.bias.copy_(held.bias)
    x = torch.rand(9, 4, 6, generator=torch.Generator().manual_seed(1))
    for net in (made, plain):
        backward(Rule("eprop"), net, x, _loss)
    for layer, held in zip(plain.layers[::2], made.layers[::2], strict=True):
        found = held.parametrizations.weight.original.grad
        assert found.abs().max() > 0 and torch.equal(found, layer.weight.grad)
    scaled = _hidden(nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)))
    backward(Rule("eprop"), scaled, x, _loss)
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in scaled.parameters())


def test_eprop_refuses_weights_that_a_hook_makes() -> None:
    net = _hidden()
    prune.l1_unstructured(net.layers[0], "weight", 0.5)  # type: ignore[no-untyped-call]
    with pytest.raises(UnsupportedLayer, match=r"layers\.1, rule eprop: weights that a hook makes"):
        backward(Rule("eprop"), net, torch.rand(9, 4, 6), _loss)


def test_a_read_out_learns_by_the_network_s_own_loss_alone() -> None:
    found = {}
    for kind in ("bptt", "local"):
        torch.manual_seed(0)
        cells = (nn.Linear(8, 8), Neuron(LIF(0.8, 0.5)))
        net = Sequential(nn.Linear(6, 8), Neuron(LIF(0.8, 0.5)), *cells, nn.Linear(8, 3), Neuron(LeakyIntegrator(0.9), learn="decay"))
        backward(Rule(kind), net, torch.rand(9, 4, 6, generator=torch.Generator().manual_seed(2)), _loss)
        found[kind] = net.layers[5].decay.grad
    assert found["bptt"].abs() > 0 and torch.allclose(found["local"], found["bptt"], rtol=1e-5)


def test_layers_follow_values_of_their_own_shape() -> None:
    with pytest.raises(ShapeError, match=r"layers: a: got \(4, 5\) a step, expected \(4, 1\)"):
        loss.layers({"a": torch.rand(3, 4, 5)}, {"a": torch.rand(4, 1)})
    with pytest.raises(ShapeError, match="layers: b: got no such layer"):
        loss.layers({"a": torch.rand(3, 4, 5)}, {"b": torch.rand(4, 5)})


def test_operations_of_a_graph_are_those_of_the_engine() -> None:
    draw = np.random.default_rng(5)
    weight = draw.normal(0, 1, (8, 6)).astype(np.float32) * (draw.random((8, 6)) < 0.7)
    nodes = {
        "in": Input((6,), "spikes"), "scale": Scale(draw.random(6) + 0.5), "late": Linear(weight, delays=draw.integers(0, 4, 6)),
        "cells": LIF(0.8, 0.5).node((8,)), "out of": Linear(draw.normal(0, 1, (3, 8))), "sum": Integrator().node((3,)), "out": Output(),
    }  # fmt: skip
    names = tuple(nodes)
    graph = Graph(nodes, tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False)))
    x = (draw.random((9, 4, 6)) < 0.5).astype(np.float32)
    ran, found = sim.run(graph, sim.Dense(x), 9), metric.work(GraphNet(graph), torch.from_numpy(x))
    assert found.synaptic_operations == ran.synaptic_operations / 4 > 0
    assert found.spikes == ran.counts["cells"].spikes / 4 > 0  # the read-out hands on no spikes
    assert found.effective_accumulates + found.effective_multiply_accumulates < found.synaptic_operations
    assert found.connection_sparsity == (weight == 0).sum() / (weight.size + 24)


def test_operations_of_other_layers_by_hand() -> None:
    x = (torch.rand(9, 4, 6, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    delayed = Sequential(DelayedLinear(6, 8, 3), Neuron(LIF(0.8, 0.5)))
    assert metric.work(delayed, x).accumulates == float(x.sum()) * 8 / 4
    turned = nn.ConvTranspose2d(1, 2, 3, stride=2, padding=1, output_padding=1)
    pictures, count = x.reshape(9, 4, 1, 2, 3), torch.zeros(())
    for at in pictures.flatten(0, 1).nonzero().tolist():
        one = torch.zeros(1, 1, 2, 3)
        one[(0, *at[1:])] = 1
        count += (nn.functional.conv_transpose2d(one, torch.ones(1, 2, 3, 3), None, 2, 1, 1) != 0).sum()
    assert metric.work(Sequential(turned, Neuron(LIF())), pictures).accumulates == float(count) / 4
    with pytest.warns(SpikeflowWarning, match=r"layers\.0\.1: operations of a Bilinear are not counted"):
        metric.work(Sequential(_Pair(), Neuron(LIF())), x)


class _Pair(nn.Sequential):
    """Layers of which one is of a kind that nobody counts."""

    def __init__(self) -> None:
        super().__init__(nn.Identity(), nn.Bilinear(6, 6, 4))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self[1](input, input)


def test_a_membrane_s_state_is_that_of_the_samples() -> None:
    cells = MembraneNormLIF(3, dims=1).eval()
    _, state = cells(torch.rand(4, 1, 3))
    with pytest.raises(ShapeError, match=r"MPBN, state v: got shape \(1, 3\), expected \(4, 3\)"):
        cells(torch.rand(4, 4, 3), state)
    with pytest.raises(DataError, match=r"MPBN, state v: got torch\.float32.*float64"):
        cells(torch.rand(4, 1, 3).double(), state)
    net = Sequential(nn.Linear(4, 3), MembraneNormLIF(3, 0.999, dims=1)).bfloat16().eval()
    _, after = net(torch.full((400, 1, 4), 0.1).bfloat16())
    assert after[1].v.dtype is torch.float32 and net.layers[1].norm.running_var.dtype is torch.float32


def _normed(*layers: nn.Module, shape: tuple[int, ...]) -> Sequential:
    net = Sequential(*layers)
    torch.manual_seed(1)
    for _ in range(3):
        net(torch.randn(5, 4, *shape))
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.BatchNorm1d):
                part.weight.uniform_(0.5, 2)
                part.bias.uniform_(-1, 1)
    return net.eval()


def test_a_norm_of_another_axis_than_the_linear_before_it_is_not_folded_without_a_word() -> None:
    torch.manual_seed(0)
    shape = (4, 5)
    net = _normed(nn.Linear(5, 4), nn.BatchNorm1d(4), Neuron(LIF(0.9, 0.3)), nn.Flatten(), nn.Linear(16, 3), shape=shape)
    x = torch.randn(6, 1, *shape)
    with pytest.raises(ShapeError, match=r"layers\.1: got moments of shape \(4, 4\), of which the batch norm's channels"):
        deployed(net)(x)
    made = capture_trained(net, Input(shape, "current"), 1e-3, 6)
    wanted = net(x)[0].cumsum(0).detach().numpy()
    assert np.allclose(sim.run(made.graph, sim.Dense(x.numpy()), 6).output, wanted, atol=1e-4)


def test_a_block_that_stands_in_two_places_is_folded_once() -> None:
    torch.manual_seed(0)
    block = Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), Neuron(LIF(0.9, 0.3)))
    net, x = _normed(block, block, nn.Linear(4, 3), Neuron(Integrator()), shape=(4,)), torch.randn(6, 2, 4)
    folded = deployed(net)
    assert torch.allclose(folded(x)[0], net(x)[0], atol=1e-5)
    assert not any(isinstance(part, nn.BatchNorm1d) for part in folded.modules())


def test_spikes_of_half_precision_are_counted_beyond_256() -> None:
    spikes = torch.zeros(600, 2, 3, dtype=torch.bfloat16)
    spikes[:301, 0, 1] = 1
    spikes[:302, 0, 2] = 1  # one more: both were 300 in bfloat16
    spikes[:599, 1, 0] = 1
    assert read(spikes, "sum").tolist() == [[0, 301, 302], [599, 0, 0]]
    assert metric.accuracy(spikes, torch.tensor([2, 0]), reading="sum") == 1
    wide = loss.count(spikes.float(), LABELS[:2], correct=301, incorrect=0)
    assert torch.equal(loss.count(spikes, LABELS[:2], correct=301, incorrect=0), wide)
    late = loss.van_rossum(spikes, torch.zeros_like(spikes), 0.99)
    assert torch.allclose(late, loss.van_rossum(spikes.float(), torch.zeros(600, 2, 3), 0.99))
    assert read(spikes, "mean", torch.arange(600)[:, None].expand(600, 2) < 599)[1, 0] == 1


def test_a_state_is_that_of_its_own_neurons() -> None:
    one, other = Neuron(ALIF()), Neuron(LIF(refractory=2))
    _, state = one(torch.rand(3, 2, 4))
    with pytest.raises(ShapeError, match="LIF: got a state of v, a, expected one of v, r"):
        other(torch.rand(3, 2, 4), state)
    assert torch.equal(one(torch.ones(3, 2, 4), tuple(state))[0], one(torch.ones(3, 2, 4), state)[0])
    net = Net({"one": one, "two": other}, [Edge("input", "one"), Edge("one", "two"), Edge("two", "output")])
    _, after = net(torch.rand(3, 2, 4))
    with pytest.raises(ShapeError, match="not so: two"):
        net(torch.rand(3, 2, 4), (dict(list(after.nodes.items())[:1]), after.past))


def test_local_losses_belong_to_neurons() -> None:
    net = Sequential(DelayedLinear(6, 8, 3), Neuron(LIF(0.8, 0.5)), nn.Linear(8, 3), Neuron(Integrator()))
    with pytest.raises(UnsupportedLayer, match=r"layers\.0, rule local: DelayedLinear, which has no spikes"):
        backward(Rule("local"), net, torch.rand(9, 4, 6), _loss)
    backward(Rule("truncated", 3), net, torch.rand(9, 4, 6), _loss)
    assert all(p.grad is not None for p in net.parameters())


def test_firing_scales_biases_of_integer_weights_too() -> None:
    net = _hidden()
    with torch.no_grad():
        net.layers[0].weight.mul_(0.01)
        net.layers[0].bias.fill_(0.001)
    quantised(net, 8)
    found = make_fire(net, (torch.rand(9, 4, 6, generator=torch.Generator().manual_seed(1)) < 0.5).float(), 0.05, 0.3)
    gain = found["layers.1"].gain
    assert gain > 2 and torch.allclose(net.layers[0].bias, torch.full((8,), 0.001 * gain))


def test_integers_follow_a_threshold_that_is_loaded() -> None:
    def made(threshold: float) -> Sequential:
        torch.manual_seed(0)
        net = Sequential(nn.Linear(6, 8), Neuron(LIF(0.8, threshold)), nn.Linear(8, 3), Neuron(Integrator()))
        quantised(net, 4)
        return net

    other, wanted = made(0.5), made(0.83)
    assert not torch.equal(other.layers[0].weight, wanted.layers[0].weight)
    other.load_state_dict(wanted.state_dict())
    assert torch.equal(other.layers[0].weight, wanted.layers[0].weight)
