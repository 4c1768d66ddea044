"""Moves and arithmetic: captured as torch computes them, scales by channel follow them, engine and chips agree.

Draws: samples of 1 to 4 axes of 1 to 6, arguments at random (`random_moves`), thresholds of 0.3 to 2 a channel.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert.capture.traced import capture
from spikeflow.convert.passes.balance import balance, readout_of
from spikeflow.convert.passes.fold import fold
from spikeflow.convert.passes.forward import forward
from spikeflow.convert.passes.observe import observe
from spikeflow.convert.passes.thresholds import percentile_thresholds
from spikeflow.errors import UnsupportedLayer
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation, Gather, Move, Permute, Reshape, Slice, Upsample
from spikeflow.sim import Constant, run
from tests.convert.networks import Calls, answers, captured, samples, traced
from tests.convert.random_moves import AFFINE, ALL, drawn

STEPS = 12


def same(graph: Graph, module: nn.Module, x: Any) -> None:
    wanted = answers(module, x)
    scale = max(float(np.abs(wanted).max()), 1e-6)
    got = forward(graph, x)
    assert np.abs(got.reshape(wanted.shape) - wanted).max() <= 2e-6 * scale


@pytest.mark.parametrize("name", ALL)
def test_values_are_torchs(name: str) -> None:
    for seed in range(9):
        function, shape = drawn(name, seed)
        module = Calls(lambda m, x, f=function: f(x))
        aten = traced(module, shape)
        found = capture(aten)
        stages.check(found.graph, "ann")
        same(found.graph, module, samples(shape))
        assert [v.operation for v in found.verdicts] == [node.op for node in aten.nodes]
        assert all(v.verdict and (not v.node or v.node in found.graph.nodes) for v in found.verdicts)


def spiking(name: str, seed: int) -> tuple[Any, Graph, dict[str, Any], Any]:
    """A layer of neurons, the operation on what they send, weights: its tail behind the neurons, the spiking
    network, its thresholds, and samples.
    """
    function, shape = drawn(name, seed)
    torch.manual_seed(seed)
    count = prod(function(torch.zeros(2, *shape)).shape[1:])
    tail = Calls(lambda m, x: m.b(function(x).reshape(len(x), -1)), b=nn.Linear(count, 3))
    front = nn.Linear(prod(shape), prod(shape))
    whole = Calls(lambda m, x: m.t(torch.relu(m.a(x.flatten(1)).reshape(len(x), *shape))), a=front, t=tail)
    ann = fold(captured(whole.eval(), shape).graph)
    rng = np.random.default_rng(seed)
    thresholds = {
        n: rng.uniform(0.3, 2, ann.shapes[n][0]).astype(np.float32) for n in ann.of_kind(Activation)
    }
    return tail.eval(), balance(ann, thresholds), thresholds, samples(shape, 3)


@pytest.mark.parametrize("name", AFFINE)
def test_thresholds_of_channels_follow_what_is_moved(name: str) -> None:
    """The read-out is the tail of the network on threshold x count, to rounding; engine and reference agree."""
    for seed in range(3):
        tail, graph, thresholds, x = spiking(name, seed)
        (neurons,) = thresholds
        record = (neurons,)
        found = run(graph, Constant(x), STEPS, engine="reference", record=record)
        again = run(graph, Constant(x), STEPS, record=record)
        np.testing.assert_array_equal(again.output, found.output)
        counts = found.recorded[neurons].dense().sum(axis=0)
        theta = thresholds[neurons].reshape(-1, *(1,) * (counts.ndim - 2))
        wanted = answers(tail, (counts * theta / STEPS).astype(np.float32)) * STEPS
        np.testing.assert_allclose(found.output[-1], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
        assert readout_of(graph)


def test_a_chain_of_moves_is_one_node() -> None:
    def shuffle(m: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view(len(x), 2, 3, 4, 5).transpose(1, 2).contiguous().view(len(x), 6, 4, 5)

    graph = captured(Calls(shuffle), (6, 4, 5)).graph
    assert [type(graph.nodes[n]) for n in graph.of_kind(Move)] == [Gather]
    assert not captured(Calls(lambda m, x: x.flip(2).flip(2)), (2, 3)).graph.of_kind(Move)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda m, x: x.reshape(len(x), 3, 4), Reshape),
        (lambda m, x: x.index_select(2, torch.tensor([1, 2])), Slice),
        (lambda m, x: x.repeat_interleave(3, 2), Upsample),
        (lambda m, x: x.transpose(1, 2), Permute),
        (lambda m, x: x.roll(1, 2), Gather),
    ],
)
def test_the_plainest_kind_stands_for_a_move(function: Any, kind: type) -> None:
    graph = captured(Calls(function), (4, 3)).graph
    assert [type(graph.nodes[n]) for n in graph.of_kind(Move)] == [kind]


ACROSS: dict[str, Any] = {
    "flip": lambda m, x: x.flip(0),
    "roll": lambda m, x: x.roll(1, 0),
    "reshape": lambda m, x: x.reshape(-1, 2, 3),
    "select": lambda m, x: x[0],
    "concat": lambda m, x: torch.cat([x, x], 0),
    "stack": lambda m, x: torch.stack([x, x], 0),
    "repeat": lambda m, x: x.repeat(2, 1, 1),
    "split": lambda m, x: x.split(1, 0)[0],
    "transpose": lambda m, x: x.transpose(0, 1),
    "added": lambda m, x: x[:, 0, 0] + x[:, :1, 0],
    "square": lambda m, x: x**2,
    "gate": lambda m, x: x * torch.relu(x),
    "gathered by values": lambda m, x: x.gather(1, (x > 0).long()),
    "limits of the network": lambda m, x: x.clamp(x.flip(1), None),
}


@pytest.mark.parametrize("name", ACROSS)
def test_what_mixes_samples_or_multiplies_values_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedLayer):
        captured(Calls(ACROSS[name]), (4, 3))


@pytest.mark.parametrize("seed", range(12))
def test_rectified_operations_spike_towards_their_values(seed: int) -> None:
    """Thresholds at the largest values of 20 samples, 1,000 steps: within 2 % of torch's answers."""
    function, shape = drawn("rectified", seed)
    torch.manual_seed(seed)
    count = prod(function(torch.zeros(2, *shape)).shape[1:])
    net = Calls(lambda m, x: m.b(function(x).reshape(len(x), -1)), b=nn.Linear(count, 3)).eval()
    ann, x = fold(captured(net, shape).graph), samples(shape, 20)
    graph = balance(ann, percentile_thresholds(observe(ann, x), 100.0).values)
    found, wanted = run(graph, Constant(x), 1000).output[-1] / 1000, answers(net, x)
    assert np.abs(found - wanted).sum() <= 0.02 * np.abs(wanted).sum()
