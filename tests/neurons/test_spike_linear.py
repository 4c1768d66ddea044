"""Products of spikes in three parts: the parts are the weights, sums are as near to float64 as float32's, gradients too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import graph_of
from spikeflow.errors import UnsupportedLayer
from spikeflow.neurons import LIF, Neuron, Sequential, SpikeLinear, bfloat16_parts


def test_three_parts_are_the_number() -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(20_000, generator=draw) * torch.exp(20 * torch.randn(20_000, generator=draw))
    large = torch.finfo(torch.float32).max
    values = torch.cat([values, torch.tensor([0.0, -0.0, 1.0, large, -large])])
    values = values[(values == 0) | (values.abs() > 2.0**-110)]
    assert torch.equal(sum(part.double() for part in bfloat16_parts.split(values)), values.double())  # type: ignore[union-attr]
    tiny = torch.rand(1000, generator=draw) * 2.0**-110
    lost = sum(part.double() for part in bfloat16_parts.split(tiny)) - tiny.double()
    assert lost.abs().max() < 2.0**-126  # type: ignore[union-attr]


def test_what_is_not_finite_stays_so() -> None:
    first, second, third = bfloat16_parts.split(torch.tensor([float("inf"), float("-inf"), float("nan")]))
    assert first[0] == float("inf") and first[1] == float("-inf") and first[2].isnan()
    assert not second.any() and not third.any()


@pytest.mark.parametrize("seed", range(10))
def test_products_and_gradients_are_those_of_float64_to_the_rounding_of_sums(seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows, inputs, outputs = (int(n) for n in draw.integers(1, 200, 3))
    spikes = torch.from_numpy((draw.random((rows, 3, inputs)) < 0.2) * draw.integers(-256, 257, inputs)).float()
    weight = torch.from_numpy(draw.normal(0, 1, (outputs, inputs)).astype(np.float32))
    bias = torch.from_numpy(draw.normal(0, 1, outputs).astype(np.float32))
    given = torch.from_numpy(draw.normal(0, 1, (rows, 3, outputs)).astype(np.float32))
    assert bfloat16_parts.exact(spikes)
    found = []
    for kind in (torch.float32, torch.float64):
        leaves = [part.to(kind).requires_grad_() for part in (spikes, weight, bias)]
        function = bfloat16_parts.linear if kind is torch.float32 else torch.nn.functional.linear
        y = function(*leaves)
        found.append([y.detach(), *torch.autograd.grad(y, leaves, given.to(kind))])
    sizes = spikes.abs(), weight.abs(), bias.abs(), given.abs()
    # any order of a sum of n terms: n roundings of its absolute sum, and of each part's
    bounds = [
        (inputs + 6) * torch.nn.functional.linear(*sizes[:3]),
        (outputs + 6) * (sizes[3] @ sizes[1]),
        (3 * rows + 6) * (sizes[3].flatten(0, 1).T @ sizes[0].flatten(0, 1)),
        (3 * rows + 6) * sizes[3].sum((0, 1)),
    ]
    for one, exact, bound in zip(*found, bounds, strict=True):
        assert ((one - exact).abs() <= bound * 2.0**-23).all()


def test_a_second_derivative_is_refused() -> None:
    x, weight = torch.eye(3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    y = bfloat16_parts.linear(x, weight).square().sum()
    with pytest.raises(UnsupportedLayer, match="second derivative"):
        torch.autograd.grad(y, weight, create_graph=True)


def test_a_layer_says_which_product_it_took() -> None:
    layer = SpikeLinear(3, 2)
    assert layer.product == "not run yet"
    x = torch.eye(3)
    assert torch.equal(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias))
    assert layer.product == "float32: a small product"
    assert not bfloat16_parts.exact(torch.tensor([0.1])) and bfloat16_parts.exact(torch.tensor([0.0, 1.0, -256.0]))


def test_a_network_of_it_is_captured_as_one_of_linear() -> None:
    torch.manual_seed(0)
    own = Sequential(SpikeLinear(6, 4), Neuron(LIF(0.9)))
    plain = Sequential(nn.Linear(6, 4), Neuron(LIF(0.9)))
    plain.load_state_dict(own.state_dict())
    graphs = [graph_of(net, (6,)) for net in (own, plain)]
    assert graphs[0].digest == graphs[1].digest
