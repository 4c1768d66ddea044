"""Every layer fires after initialisation by data; what cannot is refused by name, the network left as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikeflow.errors import DataError, GraphError
from spikeflow.neurons import LIF, Integrator, Neuron, Sequential
from spikeflow.train.init import make_fire
from tests.train.test_metric import _net
from tests.train.test_norm import _wired


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", (1e-3, 1.0, 40.0))
def test_every_layer_fires_within_bounds(seed: int, scale: float) -> None:
    net = _net(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(scale)
    x = (torch.rand(12, 8, 2, 6, 6) < 0.3).float()
    found = make_fire(net, x, 0.05, 0.3)
    assert list(found) == ["layers.1", "layers.3", "layers.5", "layers.8"]
    recorded, _ = net(x, record=tuple(found))
    for name, firing in found.items():
        assert 0.05 <= recorded[name].mean().item() <= 0.3
        assert recorded[name].mean().item() == pytest.approx(firing.rate)
        assert firing.silent == float((recorded[name].amax((0, 1)) == 0).float().mean())


def test_training_mode_with_batch_norm_and_dropout() -> None:
    torch.manual_seed(0)
    net = Sequential(
        nn.Linear(9, 20), nn.BatchNorm1d(20), Neuron(LIF(0.9, 5.0)), nn.Dropout(0.3), nn.Linear(20, 8), Neuron(LIF(0.9, 3.0))
    )  # fmt: skip
    statistics = net.layers[1].running_mean.clone()
    found = make_fire(net, torch.rand(10, 16, 9))
    assert all(0.05 <= f.rate <= 0.3 for f in found.values()) and found["layers.2"].gain > 1
    assert torch.equal(net.layers[1].running_mean, statistics)


def test_a_layer_within_bounds_is_left_alone() -> None:
    net, x = Sequential(nn.Linear(4, 4), Neuron(LIF(0.9, 0.2))), torch.rand(20, 8, 4)
    make_fire(net, x)
    before = net.layers[0].weight.clone()
    assert make_fire(net, x)["layers.1"].gain == 1 and torch.equal(net.layers[0].weight, before)


def test_what_nothing_drives_is_refused_and_nothing_is_changed() -> None:
    net = Sequential(nn.Linear(4, 4), Neuron(LIF()), nn.Linear(4, 3, bias=False), Neuron(LIF()), nn.Linear(3, 2), Neuron(Integrator()))
    with torch.no_grad():
        net.layers[2].weight.zero_()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(GraphError, match=r"layers\.3: no gain"):
        make_fire(net, torch.rand(10, 8, 4))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    with torch.no_grad():
        net.layers[2].weight.fill_(-1)  # inhibition alone
    assert make_fire(net, torch.rand(10, 8, 4))["layers.3"].turned == 3
    with pytest.raises(DataError, match="low < high"):
        make_fire(net, torch.rand(10, 8, 4), 0.3, 0.1)
    assert make_fire(_wired().eval(), torch.rand(10, 8, 5))["cells"].rate > 0
