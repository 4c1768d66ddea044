"""Quantisation-aware weights: codes as the chips' mapping finds them, straight-through, refused where it cannot be."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.errors import DataError, GraphError
from spikeflow.hw.chips import loihi1, loihi2, spinnaker2
from spikeflow.hw.integer.quantise import quantise
from spikeflow.hw.passes.compose import compose
from spikeflow.neurons import LIF, Integrator, Neuron, Sequential
from spikeflow.train.deploy import deployed
from spikeflow.train.init import make_fire
from spikeflow.train.quantise import FakeQuantised, clip, quantised


def _net(seed: int) -> Sequential:
    """Thresholds one and one for each neuron; weights between a half and five times torch's."""
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    net = Sequential(
        nn.Conv2d(2, 4, 3, bias=False),
        Neuron(LIF(0.875, 1.0)),
        nn.Flatten(),
        nn.Linear(36, 12, bias=False),
        Neuron(LIF(0.875, draw.uniform(0.9, 1.1, 12))),
        nn.Linear(12, 4, bias=False),
        Neuron(Integrator()),
    )
    with torch.no_grad():
        for layer in (0, 3, 5):
            net.layers[layer].weight.add_(0.05).mul_(float(draw.uniform(0.5, 5)))
    return net


@pytest.mark.parametrize("chip", (loihi2.CHIP, spinnaker2.CHIP, loihi1.CHIP), ids=lambda c: c.name)
@pytest.mark.parametrize("seed", range(3))
def test_the_codes_are_those_of_the_chip(seed: int, chip: object) -> None:
    net = _net(seed)
    x = (np.random.default_rng(seed).random((64, 12, 2, 5, 5)) < 0.4).astype(np.float32)
    moments = torch.from_numpy(np.moveaxis(x, 1, 0).copy())
    make_fire(net, moments, 0.2, 0.4)
    quantised(net)
    spikes, _ = net(moments, record=("layers.1", "layers.4"))
    assert all(bool((spikes[n].amax((0, 1)) > 0).all()) for n in ("layers.1", "layers.4")), "all sources spike"
    network = capture_trained(net.eval(), (2, 5, 5), 1e-3, 12)
    network = replace(network, graph=compose(network.graph))
    nodes = quantise(network, chip, x).network.graph.nodes  # type: ignore[arg-type]
    for layer in (0, 3, 5):
        held = net.layers[layer].parametrizations.weight
        codes, _ = held[0].codes(held.original)
        found = next(n for name, n in nodes.items() if name.startswith(f"layers.{layer}"))
        assert np.array_equal(np.asarray(found.stored_weights).reshape(codes.shape), codes.numpy())
        assert codes.abs().max() == 127


def test_values_and_gradients_by_hand() -> None:
    weight = torch.tensor([[0.5, -1.0, 0.26], [0.0, 0.0, 0.0]], requires_grad=True)
    layer = FakeQuantised(3, torch.tensor([1.0]))  # codes -3 to 3; 1 / (1/3) = 3 levels
    codes, unit = layer.codes(weight)
    assert codes.tolist() == [[2, -3, 1], [0, 0, 0]] and unit[0].item() == pytest.approx(1 / 3)
    made = layer(weight)
    assert torch.allclose(made, torch.tensor([[2 / 3, -1, 1 / 3], [0, 0, 0]]))
    (made * torch.arange(6.0).reshape(2, 3)).sum().backward()
    assert weight.grad is not None and weight.grad.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(DataError, match="2 to 16"):
        FakeQuantised(1)


def test_training_moves_the_floats_and_deployed_holds_the_integers() -> None:
    net, x = _net(0), (torch.rand(6, 8, 2, 5, 5) < 0.5).float()
    quantised(net, 4)
    start = net.layers[5].parametrizations.weight.original.clone()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    net(x)[0].square().mean().backward()
    optimiser.step()
    held = net.layers[5].parametrizations.weight.original
    assert not torch.equal(held, start) and len(net.layers[5].weight.unique()) <= 15
    plain = deployed(net)
    assert torch.equal(plain.layers[5].weight, net.layers[5].weight)
    assert torch.equal(plain(x)[0], net.eval()(x)[0])
    assert "layers.5.weight" in plain.state_dict()


def test_refusals_by_name() -> None:
    normed = Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), Neuron(LIF()))
    with pytest.raises(GraphError, match=r"layers\.0: batch norm"):
        quantised(normed)
    with pytest.raises(GraphError, match=r"layers\.0: the threshold behind it is learned"):
        quantised(Sequential(nn.Linear(2, 2), Neuron(LIF(), learn="threshold")))
    with pytest.raises(GraphError, match="no layer with weights"):
        quantised(Sequential(Neuron(LIF())))
    twice = _net(0)
    quantised(twice)
    with pytest.raises(GraphError, match=r"layers\.0: its weights are parametrised"):
        quantised(twice)


def test_clipping() -> None:
    net = _net(0)
    before = sum(int((net.layers[i].weight.abs() > 0.1).sum()) for i in (0, 3, 5))
    assert clip(net, 0.1) == before > 0 and clip(net, 0.1) == 0
    assert max(float(net.layers[i].weight.abs().max()) for i in (0, 3, 5)) == pytest.approx(0.1)


def test_weights_that_whole_units_of_a_threshold_change_are_told() -> None:
    """A threshold a thousandth of the largest weight is 0.13 of a code: as one whole unit it makes weights an eighth."""
    for threshold, told in ((1.0, False), (0.05, False), (0.001, True)):
        torch.manual_seed(0)
        net = Sequential(nn.Linear(6, 8), Neuron(LIF(0.9, threshold)), nn.Linear(8, 3), Neuron(Integrator()))
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            quantised(net)
        texts = [str(w.message) for w in heard]
        assert bool(texts) == told and all("layers.0: the thresholds behind it" in text for text in texts)
