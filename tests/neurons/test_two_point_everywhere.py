"""Two-point cells in Linear, convolution and recurrent networks: torch, its graph, reference and engine, the same bits.

Drawn, seeds 0 to 2 for each place: resets, back-propagating spikes, apical discharge, bursts, both conventions, the
parameters that the mode reads; weights and biases in eighths, so that every sum is exact in any order. Two streams
of 24 steps and 3 samples, spikes of rate 0.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import graph_of
from spikeflow.ir.graph import Edge
from spikeflow.neurons import Net, Neuron, Recurrent, Sequential, TwoPointLIF
from spikeflow.neurons.gates import GATES
from spikeflow.sim import Dense, run

MODES = (*GATES, "coupled")
PORTS = ("basal", "apical")
SHAPES = {"dense": ((6,), (4,)), "conv": ((2, 5, 6), (1, 5, 6))}
T, B = 24, 3


def cell(mode: str, draw: np.random.Generator) -> TwoPointLIF:
    """A cell of this mode with options of its own."""
    leaks = mode != "coupled"
    options: dict[str, Any] = {
        "reset": str(draw.choice(["zero", "subtract", "value"])),
        "apical_discharge": bool(draw.random() < 0.5),
        "burst": bool(draw.random() < 0.5),
        "back_propagation": leaks and bool(draw.random() < 0.5),
        "convention": str(draw.choice(["raw", "normalised"])) if leaks else "raw",
        "threshold": float(draw.uniform(0.3, 0.8)),
    }
    if options["reset"] == "value":
        options["reset_value"] = float(draw.uniform(-0.3, 0.2))
    if options["back_propagation"]:
        options["bap"] = float(draw.uniform(-0.3, 0.6))
    if options["burst"]:
        options["burst_threshold"] = float(draw.uniform(0, 0.3))
    if leaks:
        options |= {"decay": float(draw.uniform(0.3, 0.95)), "decay_apical": float(draw.uniform(0.3, 0.9))}
    if mode in GATES:
        drawn = {"gain": (0.5, 4), "strength": (0.5, 2), "apical_threshold": (-0.4, 0.0)}
        options |= {name: float(draw.uniform(*drawn[name])) for name in GATES[mode].reads}
    return TwoPointLIF(mode=mode, **options)


def on_grid(layer: nn.Module, draw: np.random.Generator) -> nn.Module:
    """The layer with weights and biases in eighths."""
    with torch.no_grad():
        for name, value in layer.named_parameters():
            low, high = (-5, 6) if name == "weight" else (-1, 3)
            value.copy_(torch.from_numpy(draw.integers(low, high, tuple(value.shape)) / 8))
    return layer


def layer(kind: str, inputs: int, draw: np.random.Generator, cells: int = 5) -> nn.Module:
    made = nn.Linear(inputs, cells) if kind == "dense" else nn.Conv2d(inputs, cells, 3, padding=1)
    return on_grid(made, draw)


def streams(model: TwoPointLIF, kind: str, draw: np.random.Generator, second: str, back: str) -> Net:
    """A stream into the basal point, one into `second`, and the cells' own spikes a step later into `back`."""
    what, where = (shape[0] for shape in SHAPES[kind])
    nodes = {
        "seen": layer(kind, what, draw),
        "heard": layer(kind, where, draw),
        "back": layer(kind, 5, draw),
        "cells": Neuron(model),
    }
    edges = [
        Edge("what", "seen"), Edge("seen", "cells", "basal"), Edge("where", "heard"), Edge("heard", "cells", second),
        Edge("cells", "back", delay=1), Edge("back", "cells", back), Edge("cells", "output"),
    ]  # fmt: skip
    return Net(nodes, edges, ("what", "where"))


def moments(kind: str, draw: np.random.Generator) -> dict[str, np.ndarray]:
    what, where = ((draw.random((T, B, *shape)) < 0.5).astype(np.float32) for shape in SHAPES[kind])
    return {"what": what, "where": where}


@pytest.mark.parametrize("back", PORTS)
@pytest.mark.parametrize("second", PORTS)
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("mode", MODES)
def test_torch_reference_and_engine_agree_bit_for_bit(mode: str, kind: str, second: str, back: str) -> None:
    outputs = []
    for seed in range(3):
        draw = np.random.default_rng([seed, MODES.index(mode)])
        net, x = streams(cell(mode, draw), kind, draw, second, back), moments(kind, draw)
        wanted, _ = net({n: torch.from_numpy(v) for n, v in x.items()}, record=("cells.u", "cells.a"))
        graph = graph_of(net, dict(zip(("what", "where"), SHAPES[kind], strict=True)))
        for engine in ("reference", "cpp"):
            found = run(graph, {n: Dense(v) for n, v in x.items()}, T, engine=engine, record=("cells.u", "cells.a"))
            np.testing.assert_array_equal(found.output, wanted["output"].detach())
            for state in ("cells.u", "cells.a"):
                np.testing.assert_array_equal(found.recorded[state], wanted[state].detach())
        outputs.append(wanted["output"].detach().numpy())
    assert 0.005 < np.mean([y > 0 for y in outputs]) < 0.95


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("mode", MODES)
def test_a_recurrent_layer_is_the_network_of_its_edges_and_learns(mode: str, kind: str, port: str) -> None:
    """Outputs bit for bit, gradients of every weight too where steps run one by one; gradients reach the feedback."""
    draw = np.random.default_rng([7, MODES.index(mode)])
    model = cell(mode, draw)
    forward, back = layer(kind, SHAPES[kind][0][0], draw), layer(kind, 5, draw)
    short = Sequential(forward, Recurrent(Neuron(model), back, port))
    edges = [Edge("input", "f"), Edge("f", "cells", "basal"), Edge("cells", "b", delay=1), Edge("b", "cells", port)]
    long = Net({"f": forward, "cells": Neuron(model), "b": back}, [*edges, Edge("cells", "output")])
    x = torch.from_numpy(moments(kind, draw)["what"])
    found = []
    for net in (short, long):
        net.zero_grad()
        y, _ = net(x)
        y.mul(torch.linspace(-1, 1, y.numel()).view(y.shape)).sum().backward()
        found.append([y.detach(), *(p.grad.clone() for p in (*forward.parameters(), *back.parameters()))])
    (y, *gradients), (wanted, *expected) = found
    assert torch.equal(y, wanted)
    # a dense layer runs all its steps in one call, whose gradients are sums in another order
    bound = 1e-5 if kind == "dense" else 0.0
    for a, b in zip(gradients, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=bound * float(b.abs().max()))
    # without apical effect a feedback to the apical point has no gradient
    assert all(g.any() for g in found[0]) or (mode == "isolation" and port == "apical")
