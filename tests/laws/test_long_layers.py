"""A layer of few neurons over many steps says that chunks of time ran side by side, and gives what it gives step by step."""

from __future__ import annotations

import pickle

import pytest
import torch

from spikeflow.errors import GraphError
from spikeflow.neurons import IF, LIF, Neuron


def test_the_layer_says_which_way_it_went() -> None:
    plain = "compiled forward and backward"
    found = {}
    for choice in (None, True, False):
        layer = Neuron(LIF(), learn="decay")
        layer.parallel_in_time = choice
        torch.manual_seed(0)
        x = torch.randn(3000, 1, 4).requires_grad_()
        z, state = layer(x)
        (z * torch.linspace(0, 1, 3000)[:, None, None]).sum().backward()
        assert layer.kernel == plain + ("" if choice is False else ", in chunks of time")
        found[choice] = (z, state.v, x.grad, layer.decay.grad)
        layer.step(x[0], state)
        assert layer.kernel == plain
    for name in (None, True):
        assert all(torch.equal(a, b) for a, b in zip(found[name][:2], found[False][:2], strict=True))
        assert all(torch.allclose(a, b, 1e-4, 1e-6) and b.any() for a, b in zip(found[name][2:], found[False][2:], strict=True))
    with torch.no_grad():
        layer = Neuron(IF())
        layer(torch.randn(3000, 1, 1))
        assert layer.kernel.startswith(f"{plain}, in chunks of time up to step ")
        budgeted = Neuron(LIF(), budget=1000)
        budgeted(torch.randn(3000, 1, 1))
        assert budgeted.kernel == plain
    with pytest.raises(GraphError, match="parallel_in_time='yes' is no choice"):
        layer.parallel_in_time = "yes"  # type: ignore[assignment]


def test_a_second_derivative_and_a_pickled_layer() -> None:
    layer = Neuron(LIF())
    layer.parallel_in_time = True
    again = pickle.loads(pickle.dumps(layer))
    assert again.parallel_in_time is True
    x = torch.randn(70, 1, 2).requires_grad_()
    found = []
    for one in (again, layer):
        one.parallel_in_time = one is again
        (g,) = torch.autograd.grad(one(x)[0].sum(), x, create_graph=True)
        found.append(torch.autograd.grad(g.square().sum(), x)[0])
    assert torch.allclose(*found, 1e-4, 1e-6) and found[0].any()
