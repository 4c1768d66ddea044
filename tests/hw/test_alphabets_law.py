"""Law: whatever a neuron hands on, the integers of a chip answer as the float network, within a bound for each alphabet.

Small networks from a seed, a layer of each function of straight lines, T = 32, 80 calibration samples of the test
distribution; the error is |integers - floats|_1 / |floats|_1 of the outputs on the samples that set no scale. No chip
may be far behind the other: loihi2, whose registers have 24 bits, lost 4 % of bursts where spinnaker2 lost 0.7.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.hw import map_network
from spikeflow.hw.chips.chip import load
from spikeflow.hw.passes.rests import with_rests
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Population
from spikeflow.neurons import Integrator
from spikeflow.neurons.burst_if import BurstIF
from spikeflow.neurons.following import Following, FollowingIF
from spikeflow.neurons.multi_threshold_if import MultiThresholdIF
from spikeflow.neurons.signed_if import SignedIF
from spikeflow.sim import Dense, prepare
from tests.hw import nets

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")
CHIPS = ("loihi2", "spinnaker2")
# of binary and signed codes a spike more or less is the larger share
WITHIN = {"binary": 0.05, "signed": 0.05, "burst:4": 0.025, "multi-threshold:3": 0.025, "burst:7": 0.025}
JUMP = 0.04  # more where a function jumps: a mean beside the jump may fall to either side


class Shifted(nn.Module):
    """abs behind a shift, so that sums go far below 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.abs(x - 0.5)


FUNCTIONS: tuple[Callable[[], nn.Module], ...] = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardsigmoid, Shifted, nn.Hardshrink)


def drawn(seed: int, make: Callable[[], nn.Module]) -> tuple[nn.Module, np.ndarray]:
    """A network with the function in its middle, of convolutions for even seeds, and samples."""
    torch.manual_seed(seed)
    if seed % 2:
        layers = [nn.Flatten(), nn.Linear(36, 24), nn.ReLU(), nn.Linear(24, 20), make(), nn.Linear(20, 5)]
    else:
        layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2), make(), nn.Flatten(), nn.Linear(24, 5)]
    x = np.random.default_rng(seed).normal(size=(80, 1, 6, 6)).astype(np.float32)
    return nn.Sequential(*layers).eval(), x


@pytest.mark.parametrize("make", FUNCTIONS)
@pytest.mark.parametrize("alphabet", WITHIN)
def test_integers_answer_as_floats_in_every_alphabet_on_every_chip(make: Callable[[], nn.Module], alphabet: str) -> None:
    seed = 2 * FUNCTIONS.index(make) + list(WITHIN).index(alphabet) % 2
    net, x = drawn(seed, make)
    network = convert(net, x, steps=32, alphabet=alphabet).network
    found = {}
    for chip in CHIPS:
        loss = map_network(network, chip, x, chips=4, accept_loss=True).loss
        assert loss is not None and loss.fidelity.worst is not None
        assert not any(layer.overflows for layer in loss.layers)
        found[chip] = loss.fidelity.worst.error
    jump = JUMP if make is nn.Hardshrink else 0.0
    assert max(found.values()) < WITHIN[alphabet] + jump, found
    assert found["loihi2"] < found["spinnaker2"] + 0.01 + jump, found


STEPS, SIZE = 40, 9
MODELS = (FollowingIF(0.25), SignedIF(0.5), BurstIF(0.25, most=3), MultiThresholdIF(0.25, levels=3))
CLIPS = tuple(type(m)(m.threshold, "clamp", high=0.75, **({"most": 3} if isinstance(m, BurstIF) else {})) for m in MODELS)


def graph_of(model: Following) -> Graph:
    nodes = {"x": Input((SIZE,), "current"), "w": Linear(np.eye(SIZE)), "n": model.node((SIZE,))}
    nodes |= {"v": Linear(np.eye(SIZE)), "readout": Integrator().node((SIZE,)), "out": Output()}
    names = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in zip(names[:-1], names[1:], strict=True)))


@pytest.mark.parametrize("model", [*MODELS, *CLIPS], ids=lambda m: f"{m.name}-{m.function}")
@pytest.mark.parametrize("chip", CHIPS)
def test_a_rest_hands_on_what_two_sums_do(model: Following, chip: str) -> None:
    """Multiples of 1/16 in [-2, 2], so that every sum is exact: the same values in every step."""
    graph = graph_of(model)
    after = with_rests(graph, load(chip), STEPS)
    node = after.nodes["n"]
    assert isinstance(node, Population) and node.program.states[0] == "v" and node.alphabet == model.alphabet
    x = Dense((np.random.default_rng(1).integers(-32, 33, (STEPS, 4, SIZE)) / 16).astype(np.float32))
    before, later = (prepare(g)(x, STEPS, ("n",)).recorded["n"].dense() for g in (graph, after))
    np.testing.assert_array_equal(before, later)


def test_what_is_no_rest_stays() -> None:
    for model in (SignedIF(0.5, "identity"), SignedIF(0.5, "leaky_relu"), FollowingIF(0.5, "abs"), SignedIF(0.5, "clamp", low=-1.0)):
        graph = graph_of(model)
        assert with_rests(graph, load("loihi2"), STEPS).nodes["n"] is graph.nodes["n"]
    graph = graph_of(MODELS[-1])  # more steps than 24 bits count values of 4 in
    assert with_rests(graph, load("loihi2"), 1024).nodes["n"] is graph.nodes["n"]
    assert with_rests(graph, load("loihi1"), STEPS).nodes["n"] is graph.nodes["n"]


@pytest.mark.parametrize("function", ["abs", "hard_sigmoid"])
def test_a_sum_that_falls_is_no_silent_membrane(function: str) -> None:
    """Inputs of -2 in every step: |sum| counts, or what grows beside it; the register holds all of it."""
    graph = graph_of(FollowingIF(1.0, function))
    x = np.repeat(np.linspace(-2, -0.5, 24)[:, None], SIZE, 1).astype(np.float32)
    loss = map_network(nets.network(graph, 64, "direct"), "loihi2", x, accept_loss=True).loss
    assert loss is not None and loss.fidelity.worst is not None and loss.fidelity.worst.error < 0.02
    assert not any(layer.low_clips or layer.overflows for layer in loss.layers)
