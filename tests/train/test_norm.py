"""Normalisation: by its equations, and folded equal to unfolded, in torch and as an exported graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.errors import GraphError, ShapeError, UnsupportedLayer
from spikeflow.ir.graph import Edge
from spikeflow.neurons import LIF, Integrator, Net, Neuron, Sequential
from spikeflow.sim import Dense, run
from spikeflow.train.deploy import deployed
from spikeflow.train.norm import MembraneNormLIF, TemporalBatchNorm, td_batch_norm

T, B = 6, 4


def _used(net: Net, shape: tuple[int, ...]) -> Net:
    """A network whose statistics have seen a few batches and whose weights of norms are not 1."""
    torch.manual_seed(3)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.affine:
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.uniform_(layer.bias, -0.3, 0.3)
    for _ in range(5):
        net.train()(torch.rand(T, B, *shape))
    return net.eval()


def test_tdbn_is_the_published_equation() -> None:
    layer, x = Sequential(td_batch_norm(3, threshold=0.5, share=0.7)), torch.randn(T, B, 3, 5, 5) * 3 + 1
    y = layer(x)[0].detach().numpy()
    o = x.numpy()
    mean, var = o.mean((0, 1, 3, 4), keepdims=True), o.var((0, 1, 3, 4), keepdims=True)
    assert np.allclose(y, 0.7 * 0.5 * (o - mean) / np.sqrt(var + 1e-5), atol=1e-5)


def test_tebn_by_its_equation_in_pieces_and_refused_where_it_is_exported() -> None:
    net = Sequential(nn.Linear(6, 3), TemporalBatchNorm(3, T, dims=1), Neuron(LIF(0.9, 0.3)))
    layer = net.layers[1]
    with torch.no_grad():
        layer.factors[:] = torch.linspace(0.5, 2, T)
    x = torch.randn(T, B, 3)
    y, o = layer(x)[0].detach().numpy(), x.numpy()
    wanted = (o - o.mean((0, 1))) / np.sqrt(o.var((0, 1)) + 1e-5)
    assert np.allclose(y, wanted * np.linspace(0.5, 2, T)[:, None, None], atol=1e-5)
    whole, _ = net.eval()(torch.rand(T, B, 6))
    torch.manual_seed(0)
    x = torch.rand(T, B, 6)
    whole, _ = net(x)
    first, state = net(x[:2])
    rest, state = net(x[2:], state)
    assert torch.equal(whole, torch.cat([first, rest]))
    with pytest.raises(ShapeError, match="at most 6 steps"):
        net(x, state)
    for export in (lambda: deployed(net), lambda: capture_trained(net, (6,), 1e-3, T)):
        with pytest.raises(UnsupportedLayer, match=r"layers\.1.*TemporalBatchNorm"):
            export()


def test_mpbn_by_its_equation() -> None:
    layer, x = MembraneNormLIF(3, 0.8, 0.7, dims=1), torch.randn(T, B, 3)
    spikes, state = layer(x)
    v = np.zeros((B, 3), np.float32)
    for t in range(T):
        v = 0.8 * v + x[t].numpy()
        z = (v - v.mean(0)) / np.sqrt(v.var(0) + 1e-5) >= 0.7
        assert np.array_equal(spikes[t].detach().numpy(), z)
        v = np.where(z, 0, v)
    assert np.allclose(state.v.detach().numpy(), v)
    spikes.sum().backward()
    assert layer.norm.weight.grad is not None and torch.isfinite(layer.norm.weight.grad).all()


def _convolutional() -> Sequential:
    return Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False),
        td_batch_norm(6, threshold=0.5),
        Neuron(LIF(0.8, 0.5)),
        nn.Conv2d(6, 6, 3, stride=2),
        MembraneNormLIF(6, 0.7, 1.0),
        Sequential(nn.Flatten(), nn.Linear(24, 8), nn.BatchNorm1d(8)),
        Neuron(LIF(0.9, 0.5)),
        nn.Linear(8, 3),
        Neuron(Integrator()),
    )


def _plain() -> Sequential:
    """Norms without weights of their own."""
    return Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6, affine=False), Neuron(LIF(0.8, 0.5)), nn.Flatten(),
        nn.Linear(96, 8, bias=False), nn.BatchNorm1d(8, affine=False), Neuron(LIF(0.9, 0.5)), nn.Linear(8, 3),
        Neuron(Integrator()),
    )  # fmt: skip


def _wired() -> Net:
    nodes = {
        "in": nn.Linear(5, 7),
        "norm": nn.BatchNorm1d(7),
        "cells": Neuron(LIF(0.9, 0.4)),
        "back": nn.Linear(7, 7),
        "late": nn.BatchNorm1d(7),
        "more": MembraneNormLIF(7, dims=1),
        "read": nn.Linear(7, 3),
        "sum": Neuron(Integrator()),
    }
    # `back` is read twice, once late: neither norm may take it up
    edges = [
        Edge("input", "in"), Edge("in", "norm"), Edge("norm", "cells"), Edge("cells", "back"), Edge("back", "late", delay=1),
        Edge("late", "more"), Edge("back", "more"), Edge("more", "read"), Edge("read", "sum"), Edge("sum", "output"),
    ]  # fmt: skip
    return Net(nodes, edges)


@pytest.mark.parametrize(
    ("make", "shape"), ((_convolutional, (2, 6, 6)), (_plain, (2, 6, 6)), (_wired, (5,)))
)
def test_folded_is_unfolded_in_torch_and_exported(make: type[Net], shape: tuple[int, ...]) -> None:
    torch.manual_seed(5)  # weights, too: most draws have thresholds of MPBN below 0, which are refused
    net = _used(make(), shape)
    x = (torch.rand(T, 40, *shape) < 0.5).float()
    with torch.no_grad():
        wanted, folded = net(x)[0], deployed(net)
        found = folded(x)[0]
    assert wanted.abs().max() > 0.1
    off = ((found - wanted).abs() > 1e-4).any(0).any(1)
    assert int(off.sum()) <= 1  # a sample with a tie, of 40
    kept = [
        type(m) for m in folded.modules() if isinstance(m, MembraneNormLIF | nn.BatchNorm1d | nn.BatchNorm2d)
    ]
    assert len(kept) == (make is _wired)
    if make is _convolutional:
        graph = capture_trained(folded, shape, 1e-3, T).graph
        got = run(graph, Dense(x.numpy()), T).outputs["output"]
        assert int((np.abs(got - found.numpy()) > 1e-4).any((0, 2)).sum()) <= 1


def test_mpbn_is_refused_unfolded_and_below_zero() -> None:
    net = Sequential(nn.Linear(2, 2), MembraneNormLIF(2, dims=1))
    with pytest.raises(UnsupportedLayer, match="MembraneNormLIF"):
        capture_trained(net, (2,), 1e-3, T)
    with torch.no_grad():
        net.layers[1].norm.bias[1] = 5
    with pytest.raises(GraphError, match=r"layers\.1.*channels \[1\]"):
        deployed(net)
