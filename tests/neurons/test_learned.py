"""Learned parameters: for whom, within which bounds, with which gradient; and that what is captured is the parameter.

Drawn: three optimisers with steps of 0.01 to 100 on random losses, 30 steps each; gradients in double precision of
programs that do not spike, against central differences of 1e-6.
"""

from __future__ import annotations

import copy
import io
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.errors import GraphError, ShapeError
from spikeflow.ir.nodes import Population
from spikeflow.ir.ops import Ops
from spikeflow.neurons import LIF, GraphNet, Integrator, Learned, Neuron, NeuronModel, Sequential, TwoPointLIF
from spikeflow.neurons.model import Value, param

SHAPE = (3, 4, 5)
SCOPED = {"shared": (), "channel": (3, 1, 1), "neuron": SHAPE}


@pytest.mark.parametrize("scope", SCOPED)
@pytest.mark.parametrize("bounds", [(), (0.5, 0.99)], ids=["legal range", "bounds"])
def test_each_scope_has_its_numbers_and_starts_as_declared(scope: str, bounds: Any) -> None:
    layer = Neuron(LIF(0.9), {"decay": Learned(scope, *bounds)}, shape=SHAPE)
    (parameter,) = layer.parameters()
    assert tuple(parameter.shape) == SCOPED[scope]
    assert torch.allclose(layer.values()["decay"], torch.tensor(0.9), atol=1e-6)
    z, _ = layer(torch.rand(6, 2, *SHAPE))
    z.sum().backward()
    assert parameter.grad is not None and parameter.grad.shape == parameter.shape and parameter.grad.any()


@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
@pytest.mark.parametrize("rate", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("bounds", [(), (0.6, 0.95)], ids=["legal range", "bounds"])
def test_no_step_of_an_optimiser_leads_out_of_range(optimiser: Any, rate: float, bounds: Any) -> None:
    torch.manual_seed(0)
    way = Learned("neuron", *bounds)
    layer = Neuron(LIF(0.8), {"decay": way, "threshold": "channel"}, shape=(7,))
    taken = optimiser(layer.parameters(), lr=rate)
    low, high = bounds or (0.0, 1.0)
    for _ in range(30):
        taken.zero_grad()
        z, state = layer(torch.randn(10, 2, 7))
        ((z * torch.randn_like(z)).sum() + (state.v * torch.randn(2, 7)).sum()).backward()  # type: ignore[attr-defined]
        taken.step()
        decay = layer.values()["decay"]
        assert decay.min() >= np.float32(low) and decay.max() <= np.float32(high)
        assert layer.values()["threshold"].min() > 0
        node = Neuron(layer.model).model  # the declaration stays what it was
        assert node.params()["decay"] == 0.8


@dataclass(frozen=True, eq=False)
class Leaky(NeuronModel):
    """A read-out that leaks and saturates: smooth in all its parameters."""

    decay: Value = param(0.9, low=0, high=1)
    gain: Value = param(0.7, low=-5, high=5)

    def states(self) -> tuple[str, ...]:
        return ("v",)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v = p.decay * s.v + (1.0 - p.decay) * ops.tanh(p.gain * x[0])
        return v, (v,)


@pytest.mark.parametrize("scope", SCOPED)
@pytest.mark.parametrize("bounded", [False, True])
def test_the_gradient_is_that_of_finite_differences(scope: str, bounded: bool) -> None:
    ways = {
        "decay": Learned(scope, 0.5, 0.99) if bounded else Learned(scope),
        "gain": Learned(scope, -3.0, 2.0) if bounded else Learned(scope),
    }
    layer = Neuron(Leaky(), ways, shape=SHAPE).double()
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(8, 2, *SHAPE, generator=draw, dtype=torch.float64)
    weights = torch.randn(8, 2, *SHAPE, generator=draw, dtype=torch.float64)

    def loss() -> torch.Tensor:
        return (layer(x)[0] * weights).sum()

    loss().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None
        for index in list(np.ndindex(*parameter.shape))[:6]:
            ends = []
            for step in (1e-6, -1e-6):
                with torch.no_grad():
                    parameter[index] += step
                    ends.append(float(loss()))
                    parameter[index] -= step
            difference = (ends[0] - ends[1]) / 2e-6
            # tanh is a formula of float32's accuracy, 3e-8, whose slope the gradient does not follow
            assert abs(float(parameter.grad[index]) - difference) < 1e-5 * (1 + abs(difference)), (
                name,
                index,
            )


def test_what_is_captured_is_the_parameter() -> None:
    ways = {"decay": Learned("channel", 0.5, 0.99), "threshold": "neuron"}
    net = Sequential(
        Neuron(LIF(0.9), ways, shape=(3, 2, 2)), nn.Flatten(), nn.Linear(12, 2), Neuron(Integrator())
    )
    with torch.no_grad():
        for parameter in net.layers[0].parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    network = capture_trained(net, (3, 2, 2), dt=1e-3, steps=5)
    node = network.graph.nodes["layers.0"]
    assert isinstance(node, Population) and set(node.params) == {"decay", "threshold"}
    values = net.layers[0].values()  # type: ignore[operator]
    for name, value in node.params.items():
        np.testing.assert_array_equal(value, values[name].detach().numpy())
    again = GraphNet(network.graph, {"decay": Learned("neuron", 0.1, 0.995)})
    assert tuple(dict(again.named_parameters())["nodes.layers/0.decay_raw"].shape) == (3, 2, 2)
    after = again(torch.ones(5, 1, 3, 2, 2))[0]
    assert torch.isfinite(after).all()


def test_bounded_layers_are_saved_copied_and_loaded() -> None:
    layer = Neuron(LIF(0.9), {"decay": Learned("shared", 0.5, 0.99)})
    with torch.no_grad():
        layer.decay_raw.add_(0.7)  # type: ignore[operator]
    for again in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert torch.equal(again.values()["decay"], layer.values()["decay"])
    held = io.BytesIO()
    torch.save(layer.state_dict(), held)
    held.seek(0)
    fresh = Neuron(LIF(0.9), {"decay": Learned("shared", 0.5, 0.99)})
    fresh.load_state_dict(torch.load(held))
    assert torch.equal(fresh.values()["decay"], layer.values()["decay"])
    assert "learn=['decay']" in repr(layer) and "decay=0.9" in repr(Neuron(LIF(0.9), learn="decay"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Neuron(LIF(), {"decay": "channel"}), "channel needs their number.*shape="),
        (lambda: Neuron(LIF(), {"decay": "layer"}), "scope 'layer'.*shared, channel, neuron"),
        (lambda: Neuron(LIF(), {"decay": Learned("shared", 0.95, 0.99)}), "starts at 0.9.*not within"),
        (lambda: Neuron(LIF(), {"decay": Learned("shared", 0.5, 1.5)}), r"beyond its range \[0, 1\]"),
        (lambda: Learned("shared", 0.5), "one bound alone"),
        (lambda: Learned("shared", 0.9, 0.5), "low < high"),
        (lambda: Learned("shared", float("nan"), 0.5), "low < high"),
        (lambda: Neuron(LIF(), {"decays": "shared"}), "no parameter 'decays'.*decay, threshold"),
        (lambda: Neuron(TwoPointLIF(), {"strength": "shared"}), "no parameter 'strength'"),
    ],
)
def test_what_cannot_be_learned_is_refused(make: Any, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        make()


def test_numbers_of_each_neuron_are_no_shared_number() -> None:
    with pytest.raises(ShapeError, match="one number for each shared"):
        Neuron(LIF(np.full(7, 0.9)), {"decay": "shared"})
