"""Laws of GraphNet: a graph becomes a network, computes as the reference, trains, and is captured as that graph.

Drawn: graphs of every kind of node with delays, recurrence and neurons of random programs (`tests.sim`), 9 steps of
2 samples, weights of any size: each node on what its sources gave, since a different order of sums may change a
spike, and all that follows. Networks whose sums are exact (`tests.neurons.random_nets`) are compared as a whole.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained, convert, graph_of
from spikeflow.convert.verify.ties import compare_layers
from spikeflow.errors import GraphError, SpikeflowError, StageError, UnsupportedLayer
from spikeflow.events import Spikes
from spikeflow.ir import file
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Input, Linear, MaxPool, Output, Population
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, LIF, GraphNet, Neuron, NodeLayer, Sequential
from spikeflow.sim import Dense, run
from tests.neurons.random_nets import Drawn, tensors
from tests.sim import random_graphs

seeds = pytest.mark.parametrize("seed", range(40))
STEPS, SAMPLES = 9, 2


def drawn(seed: int) -> Graph:
    """A random graph that a network can be: every population and Input in it is used."""
    rng = np.random.default_rng(seed)
    while True:
        graph = random_graphs.graph(rng, fixed=False)
        unread = [n for n in graph.inputs if not graph.outputs_of(n)]
        if not unread:
            return graph


def moments(graph: Graph, seed: int) -> dict[str, np.ndarray]:
    found = {}
    for name, x in random_graphs.inputs(np.random.default_rng(seed), graph, STEPS, SAMPLES, False).items():
        values = x.dense() if isinstance(x, Spikes) else x.values
        found[name] = (
            values if isinstance(x, Dense | Spikes) else np.broadcast_to(values, (STEPS, *values.shape))
        )
    return {n: np.array(v, np.float32) for n, v in found.items()}


def alone(graph: Graph, name: str, seen: dict[str, np.ndarray]) -> np.ndarray:
    """A node of the reference on given values of all that it reads."""
    lone = isinstance(graph.nodes[name], Output)
    nodes: dict[str, Any] = {name: graph.nodes[name]} | ({} if lone else {"the end": Output()})
    edges = [] if lone else [Edge(name, "the end")]
    for edge in graph.inputs_of(name):
        whole = bool((seen[edge.src] == np.round(seen[edge.src])).all())  # counting takes whole numbers
        nodes[f"from {edge.src}"] = Input(graph.shapes[edge.src], "spikes" if whole else "current")
        edges.append(replace(edge, src=f"from {edge.src}"))
    inputs = {f"from {e.src}": Dense(seen[e.src]) for e in graph.inputs_of(name)}
    return run(Graph(nodes, tuple(edges)), inputs, STEPS, engine="reference").output


@seeds
def test_every_node_computes_as_the_reference(seed: int) -> None:
    graph = drawn(seed)
    net, x = GraphNet(graph), moments(graph, seed)
    inner = [n for n, node in graph.nodes.items() if not isinstance(node, Input | Output)]
    with torch.no_grad():
        outputs, _ = net({n: torch.from_numpy(v) for n, v in x.items()}, record=inner)
    seen = {**x, **{n: v.numpy() for n, v in outputs.items()}}
    for name in (*inner, *graph.outputs):
        wanted, got = alone(graph, name, seen), seen[name]
        node = graph.nodes[name]
        if isinstance(node, Population):
            np.testing.assert_array_equal(got, wanted, err_msg=name)
        else:
            size = max(float(np.abs(seen[e.src]).max(initial=0)) for e in graph.inputs_of(name))
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=2e-5 * max(size, 1), err_msg=name)


@seeds
def test_captured_again_it_is_the_graph(seed: int, tmp_path: Path) -> None:
    graph = drawn(seed)
    file.write(tmp_path / "net.h5", Network(graph, RunRecord(STEPS, "spikes")))
    read = file.read(tmp_path / "net.h5").graph
    assert read.digest == graph.digest and graph_of(GraphNet(read)).digest == graph.digest


@pytest.mark.parametrize("seed", range(10))
def test_exact_networks_are_the_reference_bit_for_bit(seed: int) -> None:
    d = Drawn(seed)
    graph, x = d.graph(), d.moments(12, 3, seed)
    net, kept = GraphNet(graph), tuple(d.nodes)
    with torch.no_grad():
        outputs, _ = net(tensors(x), record=kept)
        first, states = net({n: torch.from_numpy(v[:5]) for n, v in x.items()}, record=kept)
        rest, _ = net({n: torch.from_numpy(v[5:]) for n, v in x.items()}, states, record=kept)
    found = run(graph, {n: Dense(v) for n, v in x.items()}, 12, engine="reference", record=kept)
    for name in kept:
        np.testing.assert_array_equal(outputs[name].numpy(), found.recorded[name].dense(), err_msg=name)
        assert torch.equal(torch.cat([first[name], rest[name]]), outputs[name])
    assert graph_of(net).digest == graph.digest


def test_all_kinds_were_drawn() -> None:
    """What the laws above rest on."""
    nodes = [node for seed in range(40) for node in drawn(seed).nodes.values()]
    kinds = {type(node).__name__ for node in nodes}
    assert {"Linear", "Conv2d", "Sparse", "SumPool", "MaxPool", "Scale", "Concat", "Pad", "Slice"} <= kinds
    assert sum(getattr(node, "delays", None) is not None for node in nodes) > 10
    assert sum(isinstance(node, MaxPool) and node.counts for node in nodes) >= 1
    assert sum(isinstance(node, Population) and node.start > 0 for node in nodes) > 20


def touched(net: GraphNet, x: dict[str, np.ndarray]) -> list[str]:
    """The parameters that the mean square of the outputs has a gradient for."""
    outputs, _ = net({n: torch.from_numpy(v) for n, v in x.items()}, record=net.outputs)
    loss = torch.stack([v.square().mean() for v in outputs.values()]).sum()
    if not loss.requires_grad:  # no node with numbers leads to an output
        return []
    loss.backward()
    return [n for n, p in net.named_parameters() if p.grad is not None and bool(p.grad.any())]


def test_weights_and_parameters_of_neurons_get_gradients() -> None:
    found = {
        seed: touched(GraphNet(drawn(seed), ("a", "b", "c")), moments(drawn(seed), seed))
        for seed in range(12)
    }
    assert sum(bool(names) for names in found.values()) >= 10
    kinds = {name.rpartition(".")[2] for names in found.values() for name in names}
    assert {"weight", "bias", "factor", "a"} <= kinds


@pytest.mark.parametrize("seed", range(6))
def test_what_was_trained_is_captured_and_nothing_else_changes(seed: int) -> None:
    graph = drawn(seed)
    net = GraphNet(graph)
    name = next((n for n, node in graph.nodes.items() if getattr(node, "bias", None) is not None), None)
    if name is not None:
        with torch.no_grad():
            net.modules_by_name()[name].bias += 0.125  # type: ignore[operator, union-attr]
    again = graph_of(net)
    for key, node in graph.nodes.items():
        if key == name:
            wanted = np.asarray(node.bias) + np.float32(0.125)  # type: ignore[union-attr]
            np.testing.assert_array_equal(again.nodes[key].bias, wanted)  # type: ignore[union-attr]
        elif not isinstance(node, Population | Input | Output):
            assert again.nodes[key] is node
    assert again.edges == graph.edges and tuple(again.nodes) == tuple(graph.nodes)
    assert (again.digest == graph.digest) == (name is None)


def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x / 16).astype(np.float32), y


def test_a_converted_network_is_trained_on_and_runs_as_recorded() -> None:
    """Populations with a start and an initial state; the run record stays that of the file."""
    x, y = digits()
    torch.manual_seed(0)
    ann = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimiser = torch.optim.Adam(ann.parameters(), 0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(ann(torch.from_numpy(x[:600])), torch.from_numpy(y[:600])).backward()
        optimiser.step()
    network = convert(ann.eval(), x[:200], y[:200], steps=16).network
    net = GraphNet(network.graph, learn=("threshold",))
    assert graph_of(net).digest == network.graph.digest
    given = torch.from_numpy(x[600:700])
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        out, _ = net(given.expand(16, *given.shape))
        loss = nn.functional.cross_entropy(out[-1] / 16, torch.from_numpy(y[600:700]))
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(bool((p != before[n]).any()) for n, p in net.named_parameters() if p.grad is not None)
    trained = Network(graph_of(net.eval()), network.record)
    trained.check()
    with torch.no_grad():
        wanted, _ = net(given.expand(16, *given.shape))
    found = run(trained.graph, Dense(given.expand(16, *given.shape).numpy()), 16).output
    agree = np.isclose(found[-1], wanted[-1].numpy(), rtol=1e-3, atol=0.05).mean()
    assert agree > 0.95  # a tie changes a spike


@pytest.mark.parametrize("mode", ["any", "running"])
@pytest.mark.parametrize("seed", range(6))
def test_max_pooling_is_that_of_the_reference_and_can_be_cut(mode: str, seed: int) -> None:
    """Windows of 1 to 3, strides of 1 to 2, padding of 0 or 1 (below half a window), dilation of 1 or 2."""
    draw = np.random.default_rng(seed)
    kernel, stride, dilation = (tuple(draw.integers(1, top, 2).tolist()) for top in (4, 3, 3))
    padding = tuple((int(draw.integers(0, 1 + (k > 1))),) * 2 for k in kernel)
    node = MaxPool(kernel, stride, padding, dilation, mode)
    shape = (2, 7, 8)
    graph = Graph(
        {"in": Input(shape, "spikes"), "pool": node, "out": Output()},
        (Edge("in", "pool"), Edge("pool", "out")),
    )
    x = (draw.random((STEPS, SAMPLES, *shape)) < 0.3).astype(np.float32)
    layer = NodeLayer(node)
    whole, _ = layer(torch.from_numpy(x))
    first, state = layer(torch.from_numpy(x[:4]))
    rest, _ = layer(torch.from_numpy(x[4:]), state)
    assert torch.equal(torch.cat([first, rest]), whole)
    np.testing.assert_array_equal(whole.numpy(), run(graph, Dense(x), STEPS, engine="reference").output)


@pytest.mark.parametrize("seed", range(6))
def test_a_graph_net_is_captured_with_its_proof(seed: int) -> None:
    d = Drawn(seed)
    net = GraphNet(d.graph())
    network = capture_trained(net)
    assert network.graph.dt == d.graph().dt
    x = d.moments(10, 3, seed)
    assert compare_layers(net, network, x).unexplained == 0


def test_layers_of_a_graph_stand_beside_layers_of_torch() -> None:
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    late = Linear(draw.normal(0, 0.5, (5, 4)).astype(np.float32), delays=draw.integers(0, 4, 4))
    net = Sequential(NodeLayer(late), Neuron(LIF(0.9)), nn.Linear(5, 3), nn.BatchNorm1d(3), Neuron(IF()))
    net.eval()
    x = (draw.random((12, 6, 4)) < 0.5).astype(np.float32)
    with torch.no_grad():
        whole, _ = net(torch.from_numpy(x))
        first, states = net(torch.from_numpy(x[:2]))
        rest, _ = net(torch.from_numpy(x[2:]), states)
    assert torch.equal(torch.cat([first, rest]), whole) and whole.any()
    network = capture_trained(net, (4,), dt=1e-3)
    assert network.graph.nodes["layers.0"] is late
    assert compare_layers(net, network, x).unexplained == 0


def test_what_is_no_spiking_graph_is_refused() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    with pytest.raises((StageError, UnsupportedLayer)):
        GraphNet(random_graphs.graph(rng, fixed=True))
    ends = {"in": Input((3,), "spikes"), "cells": IF().node((3,)), "out": Output()}
    with pytest.raises(GraphError, match="cells: reads nothing"):
        GraphNet(Graph({**ends, "more": Output()}, (Edge("in", "more"), Edge("cells", "out"))))
    with pytest.raises(UnsupportedLayer):
        NodeLayer(IF().node((3,)))
    with pytest.raises(GraphError, match="decai.*threshold"):
        GraphNet(Drawn(0).graph(), learn=("decai",))
    woken = replace(IF().node((3,)), start=2)
    late = GraphNet(Graph({**ends, "cells": woken}, (Edge("in", "cells"), Edge("cells", "out"))))
    with pytest.raises(GraphError, match="cells.v: is nothing to record"):
        late(torch.zeros(4, 1, 3), record=("cells.v",))
    layer = NodeLayer(Linear(np.ones((2, 3), np.float32), delays=np.array([0, 1, 2])))
    for wrong in (torch.zeros(1, 2, 3), 3, (None,)):
        with pytest.raises(SpikeflowError):
            layer(torch.zeros(4, 2, 3), wrong)


def test_behind_a_running_maximum_every_layer_is_compared() -> None:
    """Trained on and captured again; a weight that differs behind the maximum is seen."""
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    x = np.random.default_rng(0).normal(size=(60, 1, 8, 8)).astype(np.float32)
    graph = convert(ann, x, steps=6, max_pool="running").network.graph
    assert any(isinstance(node, MaxPool) and node.counts for node in graph.nodes.values())
    net = GraphNet(graph)
    with torch.no_grad():
        for value in net.parameters():
            value.mul_(1.1)
    made, given = capture_trained(net, steps=6), np.repeat(x[None, :8], 6, axis=0)
    found = compare_layers(net, made, given)
    assert found.equal and all(layer.spikes for layer in found.layers[:2]), str(found)
    nodes = dict(made.graph.nodes)
    name = made.graph.of_kind(Conv2d)[-1]
    nodes[name] = replace(nodes[name], weight=weight_values(nodes[name].weight) * np.float32(1.05))
    other = replace(made, graph=Graph(nodes, made.graph.edges, made.graph.dt))
    assert sum(layer.unexplained for layer in compare_layers(net, other, given).layers) > 0
