"""Activations are captured as torch computes them, and converted in the alphabet that they need."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.errors import ConversionError
from spikeflow.ir.activations import FUNCTIONS
from spikeflow.ir.nodes import Activation, MaxPool, Population
from spikeflow.sim.classify import RunOptions, evaluate
from tests.convert.networks import Calls, apart, captured, samples, settled

F = torch.nn.functional

# the module, the alphabet that it gets by default, and its function
ACTIVATIONS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "ReLU": (nn.ReLU, "binary", "relu"),
    "ReLU6": (nn.ReLU6, "binary", "clamp"),
    "relu6": (lambda: Calls(lambda m, x: F.relu6(x)), "binary", "clamp"),
    "clipped": (lambda: nn.Hardtanh(0, 2), "binary", "clamp"),
    "Hardtanh": (nn.Hardtanh, "signed", "clamp"),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), "signed", "leaky_relu"),
    "negative slope": (lambda: nn.LeakyReLU(-0.2), "binary", "leaky_relu"),
    "PReLU": (nn.PReLU, "signed", "leaky_relu"),
    "PReLU by channel": (lambda: nn.PReLU(6), "signed", "leaky_relu"),
    "RReLU": (nn.RReLU, "signed", "leaky_relu"),
    "ELU": (lambda: nn.ELU(1.3), "signed", "elu"),
    "CELU": (lambda: nn.CELU(0.7), "signed", "elu"),
    "SELU": (nn.SELU, "signed", "elu"),
    "Sigmoid": (nn.Sigmoid, "binary", "sigmoid"),
    "Tanh": (nn.Tanh, "signed", "tanh"),
    "Softplus": (lambda: nn.Softplus(2.0, 1.5), "binary", "softplus"),
    "GELU": (nn.GELU, "signed", "gelu"),
    "GELU by tanh": (lambda: nn.GELU("tanh"), "signed", "gelu_tanh"),
    "SiLU": (nn.SiLU, "signed", "silu"),
    "Mish": (nn.Mish, "signed", "mish"),
    "Hardswish": (nn.Hardswish, "signed", "hard_swish"),
    "Hardsigmoid": (nn.Hardsigmoid, "binary", "hard_sigmoid"),
    "abs": (lambda: Calls(lambda m, x: x.abs()), "binary", "abs"),
    "Threshold": (lambda: nn.Threshold(0.1, -0.2), "signed", "threshold"),
    "LogSigmoid": (nn.LogSigmoid, "signed", "log_sigmoid"),
    "Hardshrink": (nn.Hardshrink, "signed", "hard_shrink"),
    "Softshrink": (nn.Softshrink, "signed", "soft_shrink"),
    "Tanhshrink": (nn.Tanhshrink, "signed", "tanh"),
}  # fmt: skip


def between(activation: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    with torch.no_grad():
        for p in activation.parameters():
            p.copy_(torch.linspace(0.1, 0.5, p.numel()))
    return nn.Sequential(nn.Linear(5, 6), activation, nn.Linear(6, 3)).eval()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_are_torchs_and_the_alphabet_is_what_the_function_needs(name: str) -> None:
    made, alphabet, kind = ACTIVATIONS[name]
    net, x = between(made()), samples((5,), 60)
    found = captured(net, (5,))
    assert apart(found.graph, net, 2 * x) < 2e-6
    (node,) = (n for n in found.graph.nodes.values() if isinstance(n, Activation))
    assert node.kind == kind
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = convert(net, x, steps=128)
    neurons = [n for n in result.network.graph.nodes.values() if isinstance(n, Population) and n.values]
    assert [n.values.name for n in neurons if n.values] == [alphabet]
    (verdict,) = (v for v in result.report.verdicts if v.word in ("spiking", "approximated"))
    assert (alphabet in verdict.verdict) == (alphabet != "binary")
    # of other functions than the rectifier the word has the bound
    bound = f"approximated (threshold / (2 T) from {kind} of the mean input, where spikes keep up)"
    assert verdict.parts[0] == ("spiking" if kind == "relu" else bound)
    assert result.report.layers[0].bits == {"binary": 1, "signed": 2}[alphabet]


@pytest.mark.parametrize("alphabet", ["signed", "burst:3", "multi-threshold:3"])
@pytest.mark.parametrize("name", ["Tanh", "GELU", "Sigmoid"])
def test_neurons_keep_within_the_bound_that_their_verdict_states(name: str, alphabet: str) -> None:
    """60 samples of seed 5, held constant over 50 steps, wherever the function is within the threshold."""
    made, _, kind = ACTIVATIONS[name]
    net, x, steps = between(made()), samples((5,), 60, 5), 50
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = convert(net, x, steps=steps, alphabet=alphabet, method="largest")
    graph, (layer,) = found.network.graph, found.report.layers
    spikes = evaluate(found.network, x, RunOptions(record=(layer.name,))).recorded[layer.name]
    counts = np.concatenate([part.dense() for part in spikes], axis=1).cumsum(axis=0)
    neurons = graph.nodes[layer.name]
    assert isinstance(neurons, Population) and neurons.values is not None
    theta = np.broadcast_to(neurons.params["threshold"], (6,))
    high = neurons.values.high
    assert theta.max() * high == pytest.approx(layer.maximum)  # the threshold of the report
    (verdict,) = (v for v in found.report.verdicts if v.word == "approximated")
    part = {"signed": 2, "burst:3": 6, "multi-threshold:3": 4}[neurons.values.name]
    assert f"(threshold / ({part} T) from {kind} " in verdict.parts[0]
    wanted = net[1](net[0](torch.from_numpy(x))).detach().numpy()
    within = np.abs(wanted) <= theta * high
    assert within.mean() > 0.9
    for t in range(1, steps + 1):
        off = np.abs(theta * counts[t - 1] / t - wanted)
        assert (off <= theta * high / (part * t) + 1e-5)[within].all()


@pytest.mark.parametrize("kind", [k for k, (_, _, f) in ACTIVATIONS.items() if f in FUNCTIONS])
def test_every_activation_in_signed_spikes_comes_near_the_network(kind: str) -> None:
    """Two hidden layers, 64 steps, thresholds at the largest activation: within 3 % of the largest answer."""
    made, _, _ = ACTIVATIONS[kind]
    torch.manual_seed(4)
    net = nn.Sequential(nn.Linear(5, 6), made(), nn.Linear(6, 6), made(), nn.Linear(6, 3)).eval()
    x = samples((5,), 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = convert(net, x, steps=64, alphabet="signed", thresholds="largest")
        from spikeflow.sim import run
        from spikeflow.sim.inputs import Constant

        answers = next(iter(run(found.network.graph, Constant(x), 64).outputs.values()))[-1] / 64
    wanted: Any = net(torch.from_numpy(x)).detach().numpy()
    # samples that set no threshold may lie a little above all that did
    assert np.median(np.abs(answers - wanted).max(axis=1)) < 0.03 * np.abs(wanted).max()


def test_reset_to_zero_is_for_rectifiers_in_binary_spikes() -> None:
    x = samples((5,), 40)
    for net, alphabet in ((between(nn.Tanh()), "binary"), (between(nn.ReLU()), "signed")):
        with pytest.raises(ConversionError, match="reset"):
            convert(net, x, reset="zero", alphabet=alphabet)


def test_max_pooling_before_a_function_that_falls_reads_spikes_of_the_current() -> None:
    """SiLU of the largest is not the largest SiLU, so that the pooling stays where it is."""
    net = settled(nn.Sequential(nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.SiLU(), nn.Flatten(), nn.Linear(36, 3)))
    x = samples((2, 8, 8), 40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = convert(net, x, steps=64, thresholds="largest")
    graph = found.network.graph
    (pool,) = (n for n, node in graph.nodes.items() if isinstance(node, MaxPool))
    (before,) = (e.src for e in graph.inputs_of(pool))
    node = graph.nodes[before]
    assert isinstance(node, Population) and node.values is not None and node.values.name == "signed"
    assert found.fidelity.outputs[0].error < 0.1 if found.fidelity.outputs else True


def test_max_pooling_before_a_function_that_rises_moves_behind_it() -> None:
    net = settled(nn.Sequential(nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(36, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = convert(net, samples((2, 8, 8), 40), steps=8).network.graph
    (pool,) = (n for n, node in graph.nodes.items() if isinstance(node, MaxPool))
    assert all(isinstance(graph.nodes[e.src], Population) for e in graph.inputs_of(pool))
    assert len(graph.of_kind(Population)) == 2


def test_thresholds_of_signed_functions_are_magnitudes() -> None:
    net = nn.Sequential(nn.Linear(1, 2), nn.Hardtanh(-3, 1), nn.Linear(2, 2)).eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        net[0].bias.zero_()
    x = np.linspace(-2.5, 0.5, 200, dtype=np.float32)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = convert(net, x, steps=4, thresholds="largest")
    assert found.report.layers[0].maximum > 2 and found.report.layers[0].minimum <= 1


def test_counts_of_signed_spikes_follow_the_activations() -> None:
    """What was taken back, and values below 0, count as they are: each layer's counts go with its activation."""
    net = nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 12), nn.PReLU(), nn.Linear(12, 3)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = convert(net, samples((5,), 200), steps=64, thresholds="largest")
    assert len(found.fidelity.layers) == 2
    assert all(layer.correlation is not None and layer.correlation > 0.98 for layer in found.fidelity.layers)
