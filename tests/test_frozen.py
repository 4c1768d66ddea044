"""Values pickle and copy through their constructors: equal, read-only, checked.

Drawn: 12 random graphs of every node kind, programs of every model, at every stage that a mapping passes.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained, convert
from spikeflow.hw import map_network
from spikeflow.hw.chips.chip import load
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population
from spikeflow.ir.record import Network
from spikeflow.neurons import LIF, Integrator, Neuron, Sequential
from spikeflow.sim import Dense, run
from tests.laws.models import CASES, SIZE, currents, label, lone_graph

WAYS = {"pickle": lambda x: pickle.loads(pickle.dumps(x)), "deepcopy": copy.deepcopy}
ways = pytest.mark.parametrize("way", WAYS)


def same(a: Graph, b: Graph) -> None:
    assert a.digest == b.digest and a.edges == b.edges and a.dt == b.dt
    for node in b.nodes.values():
        for value in vars(node).values():
            assert not isinstance(value, np.ndarray) or not value.flags.writeable
    with pytest.raises(TypeError):
        b.nodes["x"] = None  # type: ignore[index]


@ways
@pytest.mark.parametrize("model", CASES, ids=label)
def test_graphs_and_programs_of_every_model(model: Any, way: str) -> None:
    graph = lone_graph(model)
    again = WAYS[way](graph)
    same(graph, again)
    node, kept = graph.nodes["cells"], WAYS[way](graph.nodes["cells"])
    assert isinstance(node, Population) and kept.program == node.program
    assert WAYS[way](node.program) == node.program
    inputs = {p: Dense(v) for p, v in currents(model, 20, 2).items()}
    assert np.array_equal(run(again, inputs, 20).output, run(graph, inputs, 20).output)


def trained() -> Network:
    torch.manual_seed(0)
    net = Sequential(nn.Linear(6, SIZE), Neuron(LIF(0.9)), nn.Linear(SIZE, 3), Neuron(Integrator()))
    return capture_trained(net, (6,), dt=1e-3, steps=10)


@ways
def test_networks_records_and_chips(way: str) -> None:
    network = trained()
    again = WAYS[way](network)
    same(network.graph, again.graph)
    assert again.record == network.record
    for name in ("loihi1", "loihi2", "spinnaker2"):
        assert WAYS[way](load(name)) == load(name)


@ways
def test_mappings_and_integers(way: str) -> None:
    x = (np.random.default_rng(0).random((60, 10, 6)) < 0.5).astype(np.float32)
    mapping = map_network(trained(), "loihi2", x, accept_loss=True)
    same(mapping.as_graph(), WAYS[way](mapping).as_graph())
    same(mapping.as_graph(), WAYS[way](mapping.as_graph()))


@ways
def test_conversions(way: str) -> None:
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    )
    made = convert(ann.eval(), np.random.default_rng(0).random((40, 1, 8, 8)).astype(np.float32))
    same(made.network.graph, WAYS[way](made).network.graph)
