"""Learned delays on the way back of recurrent layers: torch, graph, reference and engine the same bits; mapped.

Drawn, seeds 0 to 3: both scopes, longest delays 1 to 5, the edge's own delay 1 to 3, LIF and two-point cells with the
feedback into either port; weights in sixteenths, so that every sum is exact in any order.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained, graph_of
from spikeflow.hw import map_network
from spikeflow.ir.graph import Edge
from spikeflow.ir.nodes import Linear
from spikeflow.neurons import LIF, DelayedLinear, Integrator, Net, Neuron, NeuronModel, TwoPointLIF
from spikeflow.sim import Dense, run
from spikeflow.sim.classify import RunOptions, classify

T, B, INPUTS, CELLS = 30, 3, 6, 8
PLACES: dict[str, tuple[NeuronModel, str]] = {
    "LIF": (LIF(0.8, 0.5), "in"),
    "basal": (TwoPointLIF(0.8, 0.7, threshold=0.5), "basal"),
    "apical": (TwoPointLIF(0.8, 0.7, threshold=0.5), "apical"),
}
places = pytest.mark.parametrize("place", PLACES)
scopes = pytest.mark.parametrize("scope", ["synapse", "source"])


def network(place: str, scope: str, seed: int) -> Net:
    draw = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model, port = PLACES[place]
    back = DelayedLinear(CELLS, CELLS, int(draw.integers(1, 6)), scope=scope, bias=False)
    nodes = {"w": nn.Linear(INPUTS, CELLS), "cells": Neuron(model), "back": back, "out": nn.Linear(CELLS, 3), "read": Neuron(Integrator())}
    with torch.no_grad():
        for layer in (nodes["w"], back, nodes["out"]):
            for name, value in layer.named_parameters():
                if name != "position":
                    value.copy_(torch.from_numpy(draw.integers(-5, 9, tuple(value.shape)) / 16))
    late = int(draw.integers(1, 4))
    edges = [Edge("input", "w"), Edge("w", "cells", model.inputs[0]), Edge("cells", "back", delay=late), Edge("back", "cells", port)]
    return Net(nodes, [*edges, Edge("cells", "out"), Edge("out", "read"), Edge("read", "output")])


def spikes(seed: int, *shape: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) < 0.4).astype(np.float32)


@places
@scopes
@pytest.mark.parametrize("seed", range(4))
def test_learned_and_narrowed_they_are_the_same_bits_everywhere(place: str, scope: str, seed: int) -> None:
    net, x = network(place, scope, seed), torch.from_numpy(spikes(seed, T, B, INPUTS))
    back = net.modules_by_name()["back"]
    assert isinstance(back, DelayedLinear)
    optimiser = torch.optim.SGD([back.position], 0.5)
    for _ in range(2):
        optimiser.zero_grad()
        net(x)[0][-1].square().sum().backward()
        assert back.position.grad is not None and back.position.grad.any()
        optimiser.step()
    back.narrow(0)
    wanted, states = net(x)
    # in two pieces, what is on its way goes on
    first, between = net(x[:11])
    second, last = net(x[11:], between)
    assert torch.equal(torch.cat([first, second]), wanted)
    assert all(torch.equal(a, b) for a, b in zip(last.nodes["cells"], states.nodes["cells"], strict=True))
    graph = graph_of(net, (INPUTS,))
    node = graph.nodes["back"]
    assert isinstance(node, Linear) and node.delays is not None
    np.testing.assert_array_equal(np.broadcast_to(node.delays, back.delays().shape), back.delays())
    for engine in ("reference", "cpp"):
        np.testing.assert_array_equal(run(graph, Dense(x.numpy()), T, engine=engine).output, wanted.detach())


@places
@scopes
@pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")  # of so few samples
def test_they_are_mapped(place: str, scope: str) -> None:
    """On loihi2: both engines the same integers, which answer as the float network; the delays are there."""
    net, x = network(place, scope, 5), spikes(6, 24, T, INPUTS)
    net.modules_by_name()["back"].narrow(0)  # type: ignore[operator]
    found = capture_trained(net, (INPUTS,), dt=1e-3, steps=T)
    mapping = map_network(found, "loihi2", x, accept_loss=True)
    fixed, again = (classify(mapping.as_network(), x, RunOptions(engine=e)).logits for e in ("cpp", "reference"))
    np.testing.assert_array_equal(fixed, again)
    floats = classify(found, x).logits
    assert floats.std() > 0.1 and np.corrcoef(floats.ravel(), fixed.ravel())[0, 1] > 0.95
    graph = mapping.as_graph()
    inner = [getattr(node, "delays", None) for node in graph.nodes.values()]
    late = max([e.delay for e in graph.edges] + [int(d.max()) for d in inner if d is not None])
    assert late >= max(e.delay for e in net.edges)
