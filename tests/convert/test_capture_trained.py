"""Laws of capture_trained: what it cannot take is refused by path and class, what it takes is proved; the step is told.

Drawn: wrappers up to 3 deep, containers up to 3 deep, steps of 1 us to 1 s.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.optim.swa_utils import AveragedModel

from spikeflow.convert import capture_trained
from spikeflow.convert.verify.ties import compare_layers
from spikeflow.errors import ConversionError, DataError, SpikeflowError, SpikeflowWarning, UnsupportedLayer
from spikeflow.ir.nodes import Input, Linear
from spikeflow.neurons import IF, LIF, Integrator, Neuron, Recurrent, Sequential, TwoPointLIF
from spikeflow.sim import Dense, run

N = 6


def dense(*more: nn.Module) -> Sequential:
    torch.manual_seed(0)
    return Sequential(nn.Linear(N, 8), Neuron(LIF(0.9)), *more, nn.Linear(8, 3), Neuron(Integrator()))


def captured(net: Any, **more: Any) -> Any:
    return capture_trained(net, (N,), **{"dt": 1e-3, "steps": 20, **more})


class Own(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor, states: Any = None) -> Any:
        return self.inner(x, states)


@pytest.mark.parametrize("seed", range(8))
def test_known_wrappers_are_taken_off(seed: int) -> None:
    draw, net = np.random.default_rng(seed), dense()
    wraps: tuple[Callable[[Any], Any], ...] = (
        AveragedModel,
        nn.DataParallel,
        lambda m: torch.compile(m, backend="eager"),
    )
    wrapped: nn.Module = net
    for index in draw.integers(0, 3, draw.integers(1, 4)):
        if index < 2 or not hasattr(wrapped, "_orig_mod"):  # torch compiles no compiled module again
            wrapped = wraps[index](wrapped)
    assert captured(wrapped).graph.digest == captured(net).graph.digest


@pytest.mark.parametrize(
    "net",
    [
        Own(dense()),
        AveragedModel(Own(dense())),
        nn.Sequential(nn.Linear(N, N), nn.ReLU()),
        Neuron(LIF()),
        Recurrent(Neuron(LIF()), nn.Linear(N, N)),
        "net.pt",
        None,
    ],
    ids=lambda net: type(net).__name__,
)
def test_what_is_no_network_is_refused_by_its_class(net: Any) -> None:
    kind = "Own" if isinstance(net, AveragedModel) else type(net).__name__
    with pytest.raises(UnsupportedLayer, match=rf"{kind} is not supported.*Sequential"):
        captured(net)


def test_every_refusal_is_listed_with_path_and_class() -> None:
    net = dense(
        nn.ReLU(), Sequential(nn.Tanh(), nn.Sequential(nn.Identity())), Recurrent(Neuron(IF()), nn.Sigmoid())
    )
    with pytest.raises(UnsupportedLayer) as caught:
        captured(net)
    for words in (
        "layers.2: ReLU",
        "layers.3.layers.0: Tanh",
        "layers.3.layers.1: Sequential",
        "layers.4.feedback: Sigmoid",
    ):
        assert words in str(caught.value)
    assert (caught.value.name, caught.value.kind) == ("layers.2", "ReLU")


class Doubling(Neuron):
    def step(self, x: Any, state: Any) -> Any:
        return super().step(2 * x, state)


class Skipping(Sequential):
    def forward(self, x: torch.Tensor, states: Any = None) -> Any:
        out, after = super().forward(x, states)
        return out + 1, after


class Louder(Recurrent):
    def forward(self, x: torch.Tensor, state: Any = None) -> Any:
        return super().forward(3 * x, state)


def with_hook(net: Sequential, index: int | None, factor: float) -> Sequential:
    module = net if index is None else net.layers[index]
    module.register_forward_hook(
        lambda m, i, out: (factor * out[0], out[1]) if isinstance(out, tuple) else factor * out
    )
    return net


def patched(net: Sequential) -> Sequential:
    layer = net.layers[1]
    own = layer.forward
    layer.forward = lambda x, state=None: own(2 * x, state)  # type: ignore[method-assign]
    return net


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential(nn.Linear(N, 8), Doubling(LIF(0.9)), nn.Linear(8, 3)),
        lambda: Sequential(nn.Linear(N, 8), Louder(Neuron(LIF(0.9)), nn.Linear(8, 8))),
        lambda: Skipping(nn.Linear(N, 8), Neuron(LIF(0.9))),
        lambda: Sequential(Skipping(nn.Linear(N, 8), Neuron(LIF(0.9))), nn.Linear(8, 3)),
        lambda: with_hook(dense(), 1, 0.5),
        lambda: with_hook(dense(), None, 0.5),
        lambda: patched(dense()),
    ],
)
def test_what_the_layers_do_beside_their_model_is_refused(make: Callable[[], Sequential]) -> None:
    """A step or forward of one's own, a hook that changes values: the graph would be another network."""
    torch.manual_seed(0)
    with pytest.raises((UnsupportedLayer, ConversionError)):
        captured(make())


def test_a_hook_that_only_looks_is_no_obstacle() -> None:
    net, seen = dense(), []
    net.layers[1].register_forward_hook(lambda m, i, out: seen.append(out[0].mean()))
    assert captured(net).graph.digest == captured(dense()).graph.digest and seen


def test_nested_networks_are_captured_under_their_paths() -> None:
    torch.manual_seed(0)
    inner = Sequential(nn.Linear(8, 8), Recurrent(Neuron(TwoPointLIF()), nn.Linear(8, 8), "apical"))
    net = Sequential(
        nn.Linear(N, 8), Neuron(LIF(0.9)), Sequential(inner), nn.Linear(8, 3), Neuron(Integrator())
    )
    network = captured(net)
    assert {
        "layers.2.layers.0.layers.0",
        "layers.2.layers.0.layers.1",
        "layers.2.layers.0.layers.1.feedback",
    } <= set(network.graph.nodes)
    x = (np.random.default_rng(0).random((20, 10, N)) < 0.5).astype(np.float32)
    assert compare_layers(net, network, x).unexplained == 0


def test_a_network_in_half_precision_is_that_of_its_numbers() -> None:
    half = dense().half()
    with torch.no_grad():
        full = dense()
        for a, b in zip(full.parameters(), half.parameters(), strict=True):
            a.copy_(b.float())
    assert captured(half).graph.digest == captured(full).graph.digest
    assert next(half.parameters()).dtype is torch.float16


@pytest.mark.parametrize(
    "make",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        parametrizations.orthogonal,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
)
def test_weights_of_a_parametrised_layer_are_its_weights(make: Callable[[nn.Module], nn.Module]) -> None:
    torch.manual_seed(0)
    layer = make(nn.Linear(N, 8)).eval()
    graph = captured(Sequential(layer, Neuron(LIF(0.9)))).graph
    (name,) = graph.of_kind(Linear)
    node = graph.nodes[name]
    assert isinstance(node, Linear) and name.startswith("layers.0")
    assert isinstance(layer.weight, torch.Tensor)
    np.testing.assert_allclose(np.asarray(node.weight), layer.weight.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_the_length_of_a_step_is_taken_from_the_user() -> None:
    draw = np.random.default_rng(1)
    for dt in (*np.exp(draw.uniform(np.log(1e-6), 0, 5)), 1, np.float32(0.015)):
        with warnings.catch_warnings():
            warnings.simplefilter("error", SpikeflowWarning)
            network = captured(dense(), dt=dt)
        assert network.graph.dt == float(dt) and "step" not in network.record.notes


def test_a_step_of_unknown_length_is_told_and_noted() -> None:
    with pytest.warns(SpikeflowWarning, match="dt.*step"):
        network = capture_trained(dense(), (N,))
    assert network.record.notes["step"] == "1 ms, assumed"


@pytest.mark.parametrize("wrong", [0, -1e-3, float("nan"), float("inf"), "1 ms", True, 1e7])
def test_a_step_is_a_number_of_seconds(wrong: Any) -> None:
    with pytest.raises(DataError, match="dt"):
        captured(dense(), dt=wrong)


@pytest.mark.parametrize("wrong", [6, "6", None, (6.5,), np.zeros(6), [True]])
def test_a_source_is_a_shape(wrong: Any) -> None:
    with pytest.raises(DataError, match="source"):
        capture_trained(dense(), wrong, dt=1e-3)


@pytest.mark.parametrize(
    "more", [{"steps": 2.5}, {"steps": "10"}, {"steps": True}, {"labels": "abc"}, {"steps": 0}]
)
def test_steps_and_labels_are_what_they_say(more: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=next(iter(more))):
        captured(dense(), **more)


def test_a_layer_that_cannot_take_the_shape_is_named() -> None:
    with pytest.raises(SpikeflowError, match=r"layers\.0: .*7"):
        capture_trained(dense(), (7,), dt=1e-3)
    with pytest.raises(SpikeflowError, match=r"layers\.3: .*8"):
        captured(Sequential(nn.Linear(N, 8), Neuron(LIF()), nn.Identity(), nn.Linear(9, 3)))


def test_a_network_without_neurons_is_captured() -> None:
    """A read-out is put behind its last layer; it ended in an IndexError of torch."""
    torch.manual_seed(0)
    net = Sequential(nn.Linear(6, 8), nn.Linear(8, 3))
    x = torch.rand(5, 4, 6)
    graph = capture_trained(net, Input((6,), "current"), dt=1e-3, steps=5).graph
    with torch.no_grad():
        wanted = net(x)[0].cumsum(0).numpy()
    np.testing.assert_allclose(run(graph, Dense(x.numpy()), 5).output, wanted, rtol=1e-5, atol=1e-5)
