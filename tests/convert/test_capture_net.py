"""Capturing a Net copies its topology; the engine gives the spikes of torch, and the chips take it.

Drawn: the networks of `tests.neurons.random_nets`, whose sums are exact, so that spikes agree bit for bit; 3 samples
of 12 steps. Networks of other weights are compared up to ties, and mapped on samples of 15 steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from spikeflow.convert import capture_trained
from spikeflow.convert.verify.ties import compare_layers
from spikeflow.errors import ConversionError, DataError, GraphError, SpikeflowWarning, UnsupportedLayer
from spikeflow.hw import map_network
from spikeflow.ir.graph import Edge
from spikeflow.ir.nodes import BatchNorm, Population, Scale
from spikeflow.ir.record import Network
from spikeflow.neurons import (
    IF,
    LIF,
    CubaLIF,
    Integrator,
    Net,
    Neuron,
    Recurrent,
    Residual,
    Sequential,
    TwoPointLIF,
)
from spikeflow.sim import Dense, run
from spikeflow.sim.classify import classify
from tests.convert.networks import settled
from tests.neurons.random_nets import Drawn, tensors

N, STEPS = 8, 15
Array = np.ndarray[Any, Any]


@pytest.mark.parametrize("seed", range(12))
def test_a_captured_network_is_the_network(seed: int) -> None:
    """Names, edges and their order; spikes of all neurons bit for bit, on both engines."""
    drawn = Drawn(seed)
    net, x = drawn.net(), drawn.moments(12, 3, seed)
    network = capture_trained(net, {n: (drawn.size[n],) for n in drawn.inputs}, dt=1e-3, steps=12)
    wanted, graph = drawn.graph(), network.graph
    assert [n for n in graph.nodes if not n.startswith("readout")] == list(wanted.nodes)
    for name in drawn.nodes:
        assert graph.inputs_of(name) == wanted.inputs_of(name)
    cells = tuple(n for n, node in drawn.nodes.items() if isinstance(node, Population))
    with torch.no_grad():
        spikes, _ = net(tensors(x), record=cells)
    for engine in ("reference", "cpp"):
        found = run(graph, {n: Dense(v) for n, v in x.items()}, 12, engine=engine, record=cells)
        for name in cells:
            np.testing.assert_array_equal(found.recorded[name].dense(), spikes[name].numpy(), err_msg=name)
        for name in drawn.outputs:
            np.testing.assert_array_equal(
                found.outputs[name], np.cumsum(spikes[name].numpy(), 0), err_msg=name
            )


@pytest.mark.parametrize("seed", range(4))
def test_networks_within_networks_are_opened(seed: int) -> None:
    drawn = Drawn(seed)
    inner, sources = drawn.net(), {n: (drawn.size[n],) for n in drawn.inputs}
    outputs = [Edge("block", n, src_port=n if len(drawn.outputs) > 1 else "out") for n in drawn.outputs]
    around = Net(
        {"block": AveragedModel(inner) if seed % 2 else inner},
        [*(Edge(n, "block", n) for n in drawn.inputs), *outputs],
        drawn.inputs,
        drawn.outputs,
    )
    graph = capture_trained(around, sources, dt=1e-3).graph
    flat = capture_trained(inner, sources, dt=1e-3).graph
    named = {
        n: n if n in (*flat.inputs, *flat.outputs) or n.startswith("readout") else f"block.{n}"
        for n in flat.nodes
    }
    assert set(graph.nodes) == set(named.values())
    for name in flat.nodes:
        assert [(e.src, e.port, e.delay) for e in graph.inputs_of(named[name])] == [
            (named[e.src], e.port, e.delay) for e in flat.inputs_of(name)
        ]


def residual() -> Net:
    def block() -> Net:
        body = Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3))
        return Sequential(Residual(body), Neuron(LIF(0.8)))

    return Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        Neuron(LIF(0.8)),
        block(),
        Residual(
            Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4)), nn.Sequential(nn.Conv2d(3, 4, 1, 2))[0]
        ),
        Neuron(IF()),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4, 3),
        Neuron(Integrator()),
    )


def two_stream() -> Net:
    return Net(
        {
            "left": nn.Linear(5, N),
            "right": nn.Linear(4, N),
            "cells": Neuron(TwoPointLIF(decay_apical=0.5, gain=3.0, threshold=0.15)),
            "context": nn.Linear(N, N),
            "answer": nn.Linear(N, 3),
            "readout": Neuron(Integrator()),
        },
        [
            Edge("what", "left"),
            Edge("where", "right"),
            Edge("left", "cells", "basal"),
            Edge("right", "cells", "apical"),
            Edge("cells", "context", delay=2),
            Edge("context", "cells", "apical"),
            Edge("cells", "answer"),
            Edge("answer", "readout"),
            Edge("readout", "output"),
        ],
        ("what", "where"),
    )


def delayed() -> Net:
    """Two layers that drive each other, a fast and a slow way, an output each."""
    nodes: dict[str, nn.Module] = {
        "in": nn.Linear(5, N),
        "late": nn.Linear(5, N),
        "a": Neuron(LIF(0.9)),
        "ab": nn.Linear(N, N),
        "b": Neuron(CubaLIF(0.7, 0.8)),
        "ba": nn.Linear(N, N),
        "first": nn.Linear(N, 3),
        "second": nn.Linear(N, 2),
    }
    edges = [
        Edge("input", "in"),
        Edge("in", "a"),
        Edge("ba", "a"),
        Edge("a", "ab"),
        Edge("ab", "b"),
        Edge("input", "late", delay=3),
        Edge("late", "b"),
        Edge("b", "ba", delay=2),
        Edge("a", "first"),
        Edge("b", "first", delay=1),
        Edge("b", "second"),
        Edge("first", "one"),
        Edge("second", "two"),
    ]
    return Net(nodes, edges, outputs=("one", "two"))


def nested() -> Net:
    inner = Net(
        {"lin": nn.Linear(N, N), "cells": Recurrent(Neuron(LIF(0.8)), nn.Linear(N, N))},
        [
            Edge("input", "lin"),
            Edge("lin", "cells"),
            Edge("cells", "output"),
            Edge("input", "output", delay=1),
        ],
    )
    return Sequential(
        nn.Linear(5, N), nn.Sequential(Neuron(LIF(0.9)), inner), Residual(inner), nn.Linear(N, 3)
    )


def norm_across_a_delay() -> Net:
    """Batch norm behind two ways of which one is late, and behind a sum that others read too."""
    nodes: dict[str, nn.Module] = {
        "a": nn.Linear(5, N),
        "b": nn.Linear(5, N, bias=False),
        "norm": nn.BatchNorm1d(N),
        "cells": Neuron(LIF(0.8)),
        "again": nn.BatchNorm1d(N),
        "more": Neuron(LIF(0.7)),
    }
    edges = [Edge("input", "a"), Edge("input", "b"), Edge("a", "norm"), Edge("b", "norm", delay=1)]
    edges += [Edge("norm", "cells"), Edge("cells", "again"), Edge("a", "again"), Edge("again", "more")]
    return Net(nodes, [*edges, Edge("more", "output"), Edge("cells", "more", delay=2)])


ZOO: dict[str, tuple[Callable[[], Net], Any]] = {
    "residual": (residual, (2, 4, 4)),
    "two streams": (two_stream, {"what": (5,), "where": (4,)}),
    "delayed": (delayed, (5,)),
    "nested": (nested, (5,)),
    "norm": (norm_across_a_delay, (5,)),
}
every = pytest.mark.parametrize("name", ZOO)


def made(name: str) -> tuple[Net, Network]:
    make, source = ZOO[name]
    torch.manual_seed(0)
    net = make()
    settled(net)
    return net, capture_trained(net, source, dt=1e-3, steps=STEPS)


def samples(name: str, count: int, seed: int = 0) -> Any:
    """Spikes ``(N, T, *shape)`` for each input, with a label."""
    draw, source = np.random.default_rng(seed), ZOO[name][1]
    if isinstance(source, dict):
        return {n: (draw.random((count, STEPS, *s)) < 0.4).astype(np.float32) for n, s in source.items()}
    return (draw.random((count, STEPS, *source)) < 0.4).astype(np.float32)


def in_time(x: Any) -> Any:
    return {n: np.moveaxis(v, 1, 0) for n, v in x.items()} if isinstance(x, dict) else np.moveaxis(x, 1, 0)


@every
@pytest.mark.parametrize("engine", ["reference", "cpp"])
def test_the_engine_gives_the_spikes_of_torch_up_to_ties(name: str, engine: str) -> None:
    net, network = made(name)
    assert not network.graph.of_kind(BatchNorm)
    found = compare_layers(net, network, in_time(samples(name, 20)), engine=engine)
    assert found.equal and found.unexplained == 0, str(found)
    assert sum(layer.spikes for layer in found.layers) > 150


@every
def test_answers_are_those_of_torch(name: str) -> None:
    net, network = made(name)
    x = samples(name, 20)
    moments = in_time(x)
    given = (
        {n: torch.from_numpy(v) for n, v in moments.items()}
        if isinstance(x, dict)
        else torch.from_numpy(moments)
    )
    with torch.no_grad():
        wanted, _ = net(given)
    found = classify(network, x)
    for output, value in (wanted if isinstance(wanted, dict) else {net.outputs[0]: wanted}).items():
        total = value if name in ("residual", "two streams") else value.cumsum(0)
        got = found.outputs[output]
        agree = np.isclose(got[-1], total[-1].numpy(), rtol=1e-3, atol=0.05).mean()
        assert agree > 0.9, (output, agree)  # a tie changes a spike, and all that follows


@every
@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
def test_chips_take_it(name: str, chip: str) -> None:
    """Quantised, mapped, rebuilt from the tables and run: answers near those of the float network."""
    _, network = made(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpikeflowWarning)
        mapping = map_network(network, chip, samples(name, 60), accept_loss=True)
        found = classify(mapping.as_network(), samples(name, 40, seed=1))
        wanted = classify(network, samples(name, 40, seed=1))
    for output in wanted.outputs:
        a, b = found.outputs[output][-1].argmax(-1), wanted.outputs[output][-1].argmax(-1)
        assert (a == b).mean() > 0.6, (output, (a == b).mean())


def test_wrong_topology_would_be_seen() -> None:
    """The proof of `capture_trained` sees a lost edge, a wrong port, a wrong delay."""
    net, network = made("two streams")
    graph, x = network.graph, in_time(samples("two streams", 8))
    assert compare_layers(net, network, x).unexplained == 0
    for old, new in (
        (Edge("right", "cells", "apical"), Edge("right", "cells", "basal")),
        (Edge("cells", "context", "in", 2), Edge("cells", "context", "in", 1)),
        (Edge("context", "cells", "apical"), Edge("context", "cells", "apical", 1)),
    ):
        assert old in graph.edges
        changed = replace(graph, edges=tuple(new if e == old else e for e in graph.edges))
        assert compare_layers(net, Network(changed, network.record), x).unexplained > 0


def test_a_bias_that_is_late_is_refused_by_the_chips_with_what_to_do() -> None:
    torch.manual_seed(0)
    nodes = {"a": nn.Linear(N, N), "cells": Neuron(LIF(0.9))}
    net = Net(nodes, [Edge("input", "a"), Edge("a", "cells", delay=2), Edge("cells", "output")])
    x = (np.random.default_rng(0).random((20, STEPS, N)) < 0.4).astype(np.float32)
    network = capture_trained(net, (N,), dt=1e-3, steps=STEPS)
    assert compare_layers(net, network, np.moveaxis(x, 1, 0)).unexplained == 0
    with pytest.raises(
        GraphError, match="bias reaches cells only 2 step.*a delay on the edge into the layer"
    ):
        map_network(network, "loihi2", x)


def test_several_inputs_and_outputs_are_described_by_name() -> None:
    net, network = made("two streams")
    assert network.graph.inputs == ("what", "where") and network.record.input_shape == ()
    _, two = made("delayed")
    assert [o.name for o in two.outputs] == ["one", "two"]
    for wrong in ((5,), {"what": (5,)}, {"what": (5,), "where": (4,), "more": (1,)}):
        with pytest.raises(DataError, match="what, where"):
            capture_trained(net, wrong, dt=1e-3)


def test_averaging_before_neurons_and_between() -> None:
    torch.manual_seed(0)
    net = Net(
        {"pool": nn.AvgPool2d(2), "cells": Neuron(LIF(0.5)), "flat": nn.Flatten(), "a": nn.Linear(8, 3)},
        [
            Edge("input", "pool"),
            Edge("pool", "cells"),
            Edge("pool", "flat"),
            Edge("flat", "a"),
            Edge("a", "output"),
        ]
        + [Edge("cells", "flat", delay=1)],
    )
    network = capture_trained(net, (2, 4, 4), dt=1e-3)
    x = (np.random.default_rng(0).random((STEPS, 6, 2, 4, 4)) < 0.5).astype(np.float32)
    assert compare_layers(net, network, x).unexplained == 0
    with torch.no_grad():
        wanted = net(torch.from_numpy(x))[0].cumsum(0).numpy()
    found = run(network.graph, Dense(x), STEPS).output
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert all(isinstance(network.graph.nodes[n], Scale) for n in network.graph.of_kind(Scale))


class Own(Net):
    def forward(self, x: Any, states: Any = None, record: Any = ()) -> Any:
        out, after = super().forward(2 * x, states, record)
        return out, after


@pytest.mark.parametrize(
    "make",
    [
        lambda: Own({"a": nn.Linear(N, 3)}, [Edge("input", "a"), Edge("a", "output")]),
        lambda: Sequential(Own({"a": nn.Linear(N, 3)}, [Edge("input", "a"), Edge("a", "output")])),
        lambda: Net({"a": nn.ReLU()}, [Edge("input", "a"), Edge("a", "output")]),
        lambda: Residual(Sequential(nn.Linear(N, N), nn.Tanh(), Neuron(LIF()))),
    ],
)
def test_what_has_no_counterpart_is_refused_by_path(make: Callable[[], Net]) -> None:
    with pytest.raises(UnsupportedLayer, match="the network: Own|layers.0: Own|a: ReLU|body.layers.1: Tanh"):
        capture_trained(make(), (N,), dt=1e-3)


def test_values_that_go_around_without_neurons_are_refused() -> None:
    nodes = {"a": nn.Linear(N, N), "b": nn.Identity()}
    leak = Net(nodes, [Edge("input", "a"), Edge("a", "b", delay=1), Edge("b", "a"), Edge("a", "output")])
    with pytest.raises((GraphError, ConversionError), match="cycle without"):
        capture_trained(leak, (N,), dt=1e-3)
    around = Net({"b": nn.Identity()}, [Edge("input", "b"), Edge("b", "b", delay=1), Edge("b", "output")])
    with pytest.raises(GraphError, match="cycle without"):
        capture_trained(around, (N,), dt=1e-3)


def test_a_hook_that_changes_a_network_within_is_seen() -> None:
    torch.manual_seed(0)
    net = Sequential(
        nn.Linear(N, N), Sequential(nn.Linear(N, N), Neuron(LIF(0.9))), nn.Linear(N, 3), Neuron(IF())
    )
    net.layers[1].register_forward_hook(
        lambda m, i, out: (1 - out[0] if torch.is_tensor(out[0]) else out[0], out[1])
    )
    with pytest.raises(ConversionError):
        capture_trained(net, (N,), dt=1e-3)
