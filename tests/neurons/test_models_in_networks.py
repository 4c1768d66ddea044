"""Point neurons in networks: several ports and graded events wired by edges, captured, run by reference and engine.

Drawn: weights as torch draws them from a seed, 40 steps of 4 samples of 5 inputs, uniform in 0 and 1.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.ir.graph import Edge
from spikeflow.ir.record import Network
from spikeflow.neurons import (
    ALIF,
    DHLIF,
    EGRU,
    ILIF,
    LIF,
    TCLIF,
    AdLIF,
    CSiLIF,
    LeakyIntegrator,
    Net,
    Neuron,
    NeuronModel,
    Recurrent,
    Sequential,
    SiLIF,
    SlidingPSN,
    branch_masks,
)
from spikeflow.sim import Dense, run

T, B, INPUTS, CELLS = 40, 4, 5, 12


def gated() -> Net:
    """An EGRU: every gate reads the input and the events of the step before."""
    torch.manual_seed(0)
    layers: dict[str, nn.Module] = {}
    edges = []
    for port in EGRU.inputs:
        if port != "recurrent":
            layers[f"x {port}"] = nn.Linear(INPUTS, CELLS)
            edges += [Edge("input", f"x {port}"), Edge(f"x {port}", "cells", port)]
        layers[f"y {port}"] = nn.Linear(CELLS, CELLS, bias=False)
        edges += [Edge("cells", f"y {port}", delay=1), Edge(f"y {port}", "cells", port)]
    layers |= {"cells": Neuron(EGRU(threshold=0.1)), "out": nn.Linear(CELLS, 3), "read": Neuron(LeakyIntegrator())}
    return Net(layers, [*edges, Edge("cells", "out"), Edge("out", "read"), Edge("read", "output")])


def branched() -> Net:
    """A DH-LIF with three branches, each of which sees its part of the inputs."""
    torch.manual_seed(1)
    masks = torch.from_numpy(branch_masks(INPUTS, CELLS, 3))
    layers: dict[str, nn.Module] = {}
    edges = []
    for k, mask in enumerate(masks, 1):
        layers[f"x{k}"] = nn.Linear(INPUTS, CELLS, bias=False)
        with torch.no_grad():
            layers[f"x{k}"].weight.mul_(4 * mask)
        edges += [Edge("input", f"x{k}"), Edge(f"x{k}", "cells", f"branch{k}")]
    layers |= {"cells": Neuron(DHLIF(3, 0.5, 0.05)), "out": nn.Linear(CELLS, 3), "read": Neuron(LeakyIntegrator())}
    return Net(layers, [*edges, Edge("cells", "out"), Edge("out", "read"), Edge("read", "output")])


def recurrent(model: NeuronModel) -> Sequential:
    torch.manual_seed(2)
    back = nn.Linear(CELLS, CELLS, bias=False)
    return Sequential(
        nn.Linear(INPUTS, CELLS), Recurrent(Neuron(model), back), nn.Linear(CELLS, 3), Neuron(LeakyIntegrator(0.9, "raw"))
    )


NETS = {
    "EGRU": gated,
    "DHLIF": branched,
    **{
        model.name: lambda model=model: recurrent(model)
        for model in (
            LIF(threshold=0.3, convention="normalised", refractory=2),
            ALIF(threshold=0.5),
            AdLIF(threshold=0.05),
            SiLIF(threshold=0.05),
            CSiLIF(),
            TCLIF(),
            ILIF(threshold=0.3),
            SlidingPSN(threshold=0.4),
        )
    },
}


def answered(network: Network, x: np.ndarray, engine: str) -> np.ndarray:
    return run(network.graph, {network.graph.inputs[0]: Dense(x)}, len(x), engine=engine).output


@pytest.mark.parametrize("name", NETS)
def test_a_trained_network_is_its_graph(name: str) -> None:
    """Gradients reach every weight; the read-out's values are the graph's, to the rounding of sums; both engines agree."""
    net = NETS[name]()
    x = torch.rand(T, B, INPUTS, generator=torch.Generator().manual_seed(3))
    y = net(x)[0]
    (y * torch.linspace(-1, 1, 3)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters()), "a weight learns nothing"
    network = capture_trained(net, (INPUTS,), dt=1e-3, steps=T)
    reference = answered(network, x.numpy(), "reference")
    np.testing.assert_allclose(reference, y.detach().numpy(), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(reference, answered(network, x.numpy(), "cpp"))
    assert reference.std() > 1e-3


def test_a_leaky_read_out_is_read_as_it_is() -> None:
    """An Integrator behind it would add up what it hands on, and answer otherwise than the layers did."""
    network = capture_trained(recurrent(LIF(0.5, 0.3)), (INPUTS,), dt=1e-3, steps=T)
    assert not any(getattr(node, "model", "") == "Integrator" for node in network.graph.nodes.values())
