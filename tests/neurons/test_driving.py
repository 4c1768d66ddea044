"""A Linear of spikes and the neurons behind it run at once where nothing else sees what lies between: the same spikes and
states bit for bit, gradients to rounding, and neither currents nor their gradients held. The core: `tests/laws/test_driven.py`.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from spikeflow.ir.graph import Edge
from spikeflow.neurons import (
    LIF,
    CubaLIF,
    Net,
    Neuron,
    Recurrent,
    Sequential,
    SpikeLinear,
    TwoPointLIF,
    spike_linear,
)
from spikeflow.neurons.spike_linear import ACTIVE, WITH_NEURONS

STEPS, SAMPLES, WIDTH = 60, 8, 256
Tensor = torch.Tensor


def task(share: float = 0.05, steps: int = STEPS) -> Tensor:
    drawn = torch.rand(steps, SAMPLES, WIDTH, generator=torch.Generator().manual_seed(0))
    return (drawn < share).float()


def network(*neurons: Neuron) -> Sequential:
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for layer in neurons or (Neuron(LIF(0.9)),):
        linear = nn.Linear(WIDTH, WIDTH)
        with torch.no_grad():
            linear.weight.mul_(6)
        layers += [linear, layer]
    return Sequential(*layers)


def apart(net: Any) -> Any:
    """The same network, a hook on each layer of neurons, so that these run alone."""
    other = copy.deepcopy(net)
    for layer in other.modules():
        layer.register_forward_hook(lambda *_: None) if isinstance(layer, Neuron) else None
    return other


def outcome(net: Any, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Spikes and last states; gradients of the input and of all parameters."""
    x = x.clone().requires_grad_()
    z, states = net(x)
    ends = [v for state in states if state is not None for v in state]
    weights = torch.randn(z.shape, generator=torch.Generator().manual_seed(2))
    ((z * weights).sum() + sum(v.square().sum() for v in ends)).backward()
    return [z.detach(), *(v.detach() for v in ends)], [x.grad, *(p.grad for p in net.parameters())]  # type: ignore[list-item]


@pytest.mark.parametrize(
    "neurons",
    [
        (Neuron(LIF(0.9), learn="decay"),),
        (Neuron(LIF(0.9), budget=0), Neuron(CubaLIF(), learn={"threshold": "neuron"}, shape=(WIDTH,))),
        (Neuron(TwoPointLIF()), Neuron(LIF(0.8))),
    ],
    ids=["learned", "two layers", "two ports"],
)
def test_both_at_once_are_one_after_the_other(neurons: tuple[Neuron, ...]) -> None:
    net = network(*neurons)
    other = apart(net)
    (found, gradients), (wanted, exact) = outcome(net, task()), outcome(other, task())
    assert [layer.product for layer in net.layers[::2]] == [WITH_NEURONS] * len(neurons)
    assert all(layer.product == ACTIVE for layer in other.layers[::2])
    assert all(layer.kernel == "compiled forward and backward" for layer in net.layers[1::2])
    assert wanted[0].any()
    for one, two in zip(found, wanted, strict=True):
        assert torch.equal(one, two)
    for one, two in zip(gradients, exact, strict=True):
        assert (one - two).abs().max() <= 1e-5 * two.abs().max()


def test_a_stretch_may_be_cut_and_needs_no_gradient() -> None:
    net, x = network(), task()
    with torch.no_grad():
        whole, (_, end) = net(x)
        first, states = net(x[:25])
        rest, (_, last) = net(x[25:], states)
    assert net.layers[0].product == WITH_NEURONS
    assert torch.equal(torch.cat([first, rest]), whole) and torch.equal(last.v, end.v)
    assert not whole.requires_grad
    bits, _ = net(x.bool())
    assert bits.dtype is torch.float32 and torch.equal(bits, whole)


def test_currents_are_not_held() -> None:
    held: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        held.append(tensor.numel())
        return tensor

    sums = []
    for net in (network(), apart(network())):
        held.clear()
        x = task()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            net(x)
        sums.append(sum(held) - x.numel() - WIDTH * WIDTH)
    assert sums[0] < x.numel() / 4 and sums[1] >= x.numel(), "states of every 16th step alone, and the currents"


def test_gradients_have_gradients() -> None:
    found = []
    for net in (network(), apart(network())):
        z, _ = net(task())
        (gradient,) = torch.autograd.grad(z.square().sum(), [net.layers[0].weight], create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), [net.layers[0].weight, net.layers[0].bias]))
    for one, two in zip(*found, strict=True):
        assert two.any() and (one - two).abs().max() <= 1e-4 * two.abs().max()


def test_what_is_looked_at_runs_alone() -> None:
    net, x = network(), task()
    expected, _ = net(x)
    named, _ = net(x, record=("layers.0", "layers.1.v"))
    assert net.layers[0].product == ACTIVE and torch.equal(named["output"], expected)
    assert torch.equal(named["layers.0"], spike_linear.linear(x, *net.layers[0].parameters())[0])
    seen: list[Tensor] = []
    net.layers[0].register_forward_hook(lambda _, __, y: seen.append(y))
    net(x)
    assert len(seen) == 1


def products(**changes: Any) -> str:
    """Which product the Linear takes between an input and neurons, with other nodes and edges."""
    linear = nn.Linear(WIDTH, WIDTH)
    nodes = {"linear": linear, "cells": Neuron(LIF(0.9)), **changes.get("nodes", {})}
    edges = changes.get("edges", [("linear", "cells"), ("cells", "output")])
    named = [Edge("input", "linear"), *(e if isinstance(e, Edge) else Edge(*e) for e in edges)]
    Net(nodes, named)(changes.get("x", task()))
    return str(getattr(linear, "product", ""))


def test_where_both_run_at_once() -> None:
    assert products() == WITH_NEURONS
    assert products(nodes={"linear": SpikeLinear(WIDTH, WIDTH)}) == ""  # another module took its place
    ends = ("cells", "output")
    for edges in (
        [("linear", "cells"), ends, ("linear", "output")],
        [Edge("linear", "cells", delay=2), ends],
        [("linear", "cells"), Edge("cells", "cells", delay=1), ends],
        [("linear", "cells"), ("input", "cells"), ends],
    ):
        assert products(edges=edges) == ACTIVE, edges
    recurrent = Recurrent(Neuron(LIF(0.9)), nn.Linear(WIDTH, WIDTH))
    assert products(nodes={"cells": recurrent}) == ACTIVE
    eager = Neuron(LIF(0.9), derivative=lambda v: 1 / (1 + v * v))
    assert products(nodes={"cells": eager}) == ACTIVE
    assert products(x=task(0.3)) == ACTIVE, "to sum so many twice takes longer"
    assert products(x=task(steps=1)) == "float32: a small product"


def test_a_state_that_does_not_fit_is_refused_as_ever() -> None:
    net, x = network(), task()
    _, states = net(x[:, :3])
    told = []
    for one in (net, apart(net)):
        with pytest.raises(Exception, match="state v") as caught:
            one(x, states)
        told.append((type(caught.value), str(caught.value)))
    assert told[0] == told[1]
