"""Learned delays: the bump's sums against a loop of the equation, gradients, and whole steps equal to graph and engine.

Drawn: sizes 1 to 6, longest delays 1 to 7, positions within and beyond their range, both scopes, kernels and widths.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow import sim
from spikeflow.convert import capture_trained, graph_of
from spikeflow.errors import GraphError, SpikeflowWarning, UnsupportedLayer
from spikeflow.hw import map_network
from spikeflow.ir.graph import Edge
from spikeflow.ir.nodes import Linear
from spikeflow.neurons import LIF, DelayedLinear, Net, Neuron, NodeLayer, Sequential

both = pytest.mark.parametrize("scope", ["synapse", "source"])
kernels = pytest.mark.parametrize("kernel", ["gaussian", "triangle"])


def drawn(seed: int, scope: str, kernel: str = "gaussian") -> tuple[DelayedLinear, torch.Tensor]:
    torch.manual_seed(seed)
    inputs, outputs, longest = (int(n) for n in torch.randint(1, 7, (3,)))
    layer = DelayedLinear(inputs, outputs, longest, scope=scope, kernel=kernel, width=0.1 + float(torch.rand(())) * 3)
    with torch.no_grad():
        layer.position.copy_(torch.rand(layer.position.shape) * (longest + 2) - 1)
    return layer, torch.randint(0, 3, (9, 2, inputs)).float()


@both
@kernels
@pytest.mark.parametrize("seed", range(8))
def test_it_is_the_equation_written_out(seed: int, scope: str, kernel: str) -> None:
    layer, x = drawn(seed, scope, kernel)
    y, _ = layer(x)
    weight, bias, width = (part.detach().double().numpy() for part in (layer.weight, layer.bias, layer.width))
    position = np.broadcast_to(layer.position.detach().double().numpy().clip(0, layer.longest), weight.shape)
    wanted = np.zeros(y.shape)
    for i, j in np.ndindex(*weight.shape):
        away = np.arange(layer.longest + 1) - position[i, j]
        k = np.exp(-((away / width) ** 2) / 2) if kernel == "gaussian" else np.maximum(0, 1 - abs(away) / (width + 1))
        k = k / k.sum() if k.sum() > 1e-250 else np.eye(len(k))[abs(away).argmin()]
        for t in range(len(x)):
            for d in range(min(t, layer.longest) + 1):
                wanted[t, :, i] += weight[i, j] * k[d] * x[t - d, :, j].numpy()
    np.testing.assert_allclose(y.detach().numpy(), wanted + bias, rtol=2e-5, atol=2e-5)


@both
@pytest.mark.parametrize("width", [0.7, 0])
def test_a_stretch_in_pieces_is_the_whole(scope: str, width: float) -> None:
    layer, x = drawn(3, scope)
    layer.narrow(width)
    whole, last = layer(x)
    state, pieces = None, []
    for part in (x[:1], x[1:4], x[4:]):
        y, state = layer(part, state)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=0, atol=0 if not width else 1e-6)
    assert torch.equal(state, last)


@both
@kernels
def test_gradients_are_those_of_finite_differences(scope: str, kernel: str) -> None:
    layer, x = drawn(5, scope, kernel)
    layer.double()
    with torch.no_grad():  # away from the kinks of the triangle and of the bounds
        layer.position.copy_(torch.rand(layer.position.shape).double() * 0.2 + 0.4)
    leaves = [layer.weight, layer.position]
    assert torch.autograd.gradcheck(lambda *_: layer(x.double())[0], leaves)


def test_a_position_beyond_its_range_acts_at_the_limit_and_comes_back() -> None:
    layer = DelayedLinear(1, 1, 4, scope="source", width=1.0)
    optimiser = torch.optim.SGD([layer.position], 0.5)
    for wanted in (0.0, 4.0, 1.0):
        for _ in range(60):
            optimiser.zero_grad()
            ((layer.bumps()[:, 0] @ torch.arange(5.0) - wanted) ** 2).backward()
            optimiser.step()
            assert 0 <= int(layer.delays()) <= 4
    assert int(layer.delays()) == 1


@pytest.mark.parametrize("width", [0.05, 0.3, 50.0, 1e6])
@kernels
def test_a_bump_sums_to_one_and_never_vanishes(width: float, kernel: str) -> None:
    layer = DelayedLinear(5, 4, 9, kernel=kernel, width=width)
    with torch.no_grad():
        layer.position.flatten()[:3] = torch.tensor([0.5, 8.5, 9.0])
    torch.testing.assert_close(layer.bumps().sum(0), torch.ones(4, 5))


def test_delays_that_were_planted_are_found() -> None:
    """A target neuron hears three inputs at delays of 1, 4 and 6 steps; from a wide bump they are learned."""
    torch.manual_seed(0)
    planted = NodeLayer(Linear(np.ones((1, 3), np.float32), None, np.array([[1, 4, 6]])))
    layer = DelayedLinear(3, 1, 7, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.position.fill_(3.5)
    optimiser = torch.optim.Adam([layer.position], 0.1)
    for epoch in range(150):
        layer.narrow(3.5 * (1 - epoch / 150) + 0.3)
        x = (torch.rand(30, 8, 3) < 0.2).float()
        optimiser.zero_grad()
        ((layer(x)[0] - planted(x)[0]) ** 2).mean().backward()
        optimiser.step()
    layer.narrow(0)
    assert layer.delays().tolist() == [[1, 4, 6]]
    torch.testing.assert_close(layer(x)[0], planted(x)[0])


def spiking(scope: str) -> Sequential:
    torch.manual_seed(2)
    net = Sequential(DelayedLinear(6, 5, 4, scope=scope), Neuron(LIF(0.8, 0.4)), DelayedLinear(5, 3, 3, scope=scope),
                     Neuron(LIF(0.9, 0.3)))  # fmt: skip
    for layer in net.modules():
        if isinstance(layer, DelayedLinear):
            layer.narrow(0)
            with torch.no_grad():
                layer.weight.copy_((layer.weight * 16).round() / 16)
                layer.bias.copy_((layer.bias * 16).round() / 16)
    return net


@both
def test_whole_steps_are_the_same_bits_in_layer_reference_and_engine(scope: str) -> None:
    net, x = spiking(scope), (torch.rand(20, 3, 6) < 0.4).float()
    out = net(x)[0]
    assert out.any()
    graph = graph_of(net, (6,))
    assert graph.of_kind(Linear) and all(graph.nodes[n].delays is not None for n in graph.of_kind(Linear))  # type: ignore[union-attr]
    for engine in ("reference", "cpp"):
        result = sim.run(graph, sim.Dense(x.numpy()), 20, engine=engine)
        np.testing.assert_array_equal(result.output, out.detach())


@both
def test_a_chip_takes_them(scope: str) -> None:
    net = spiking(scope)
    data = (np.random.default_rng(0).random((40, 20, 6)) < 0.4).astype(np.float32)
    network = capture_trained(net, (6,), dt=1e-3, steps=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpikeflowWarning)  # of so few samples
        mapping = map_network(network, "loihi2", data)  # an error where its classes are not the network's
    graph = mapping.as_graph()
    late = [edge.delay for edge in graph.edges] + [
        int(node.delays.max()) for node in graph.nodes.values() if getattr(node, "delays", None) is not None
    ]
    assert max(late) >= 3


def test_on_a_cycle_with_a_delay_of_its_edge() -> None:
    torch.manual_seed(0)
    back = DelayedLinear(4, 4, 3, bias=False)
    net = Net({"in_": nn.Linear(5, 4), "cells": Neuron(LIF(0.8, 0.5)), "back": back},
              [Edge("input", "in_"), Edge("in_", "cells"), Edge("cells", "back"), Edge("back", "cells", delay=1),
               Edge("cells", "output")])  # fmt: skip
    x = (torch.rand(10, 2, 5) < 0.5).float()
    net(x)[0].sum().backward()
    assert back.position.grad is not None and back.position.grad.any()


def test_what_is_refused_is_named() -> None:
    layer = DelayedLinear(3, 2, 4)
    with pytest.raises(UnsupportedLayer, match="narrow\\(0\\)"):
        graph_of(Sequential(layer, Neuron(LIF(0.9))), (3,))
    for arguments in ((0, 2, 4), (3, 2, 0), (3, True, 4), (3, 2, 1.5)):
        with pytest.raises(GraphError, match="a size of"):
            DelayedLinear(*arguments)  # type: ignore[arg-type]
    for options in ({"scope": "target"}, {"kernel": "box"}):
        with pytest.raises(GraphError, match="unknown"):
            DelayedLinear(3, 2, 4, **options)
    for width in (-1, float("nan"), "wide", 0.01, True):
        with pytest.raises(GraphError, match="a width of"):
            layer.narrow(width)  # type: ignore[arg-type]
    state = layer.state_dict()
    other = DelayedLinear(3, 2, 4)
    layer.narrow(0)
    other.load_state_dict(layer.state_dict())
    x = torch.rand(5, 1, 3)
    assert torch.equal(other(x)[0], layer(x)[0]) and float(state["width"]) == 0
