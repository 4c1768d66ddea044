"""Surrogates: their programs against their formulas, in numpy and torch, and in the slots of a layer."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.errors import GraphError, SpikeflowWarning
from spikeflow.ir.evaluate import evaluate
from spikeflow.neurons import LIF, Integrator, Neuron, NeuronModel, Recurrent, Sequential, surrogate
from spikeflow.neurons.surrogate import Surrogate
from spikeflow.sim.domains import Float32, Float64

X = np.linspace(-3, 3, 241)  # holds 0 and the edges of rectangle and triangle


def normal(x: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-0.5 * (x / width) ** 2) / (width * np.sqrt(2 * np.pi))


FORMULAS: dict[Surrogate, Callable[[np.ndarray], Any]] = {
    surrogate.atan: lambda x: 1 / (1 + (np.pi * x) ** 2),
    surrogate.ArcTangent(5): lambda x: 2.5 / (1 + (2.5 * np.pi * x) ** 2),
    surrogate.triangle: lambda x: np.maximum(0, 1 - np.abs(x)),
    surrogate.Triangle(0.3, 2): lambda x: 0.3 * np.maximum(0, 1 - np.abs(x) / 2),
    surrogate.rectangle: lambda x: np.abs(x) <= 0.5,
    surrogate.Rectangle(2, 0.5): lambda x: 2.0 * (np.abs(x) <= 0.25),
    surrogate.sigmoid: lambda x: 4 * np.exp(-4 * x) / (1 + np.exp(-4 * x)) ** 2,
    surrogate.fast_sigmoid: lambda x: 1 / (1 + 10 * np.abs(x)) ** 2,
    surrogate.FastSigmoid(25): lambda x: 1 / (1 + 25 * np.abs(x)) ** 2,
    surrogate.slayer_exponential: lambda x: np.exp(-5 * np.abs(x)),
    surrogate.SlayerExponential(2, 0.5): lambda x: 0.5 * np.exp(-np.abs(x) / 2),
    surrogate.multi_gaussian: lambda x: (
        0.5 * (1.15 * normal(x, 0.5) - 0.15 * (normal(x - 0.5, 3.0) + normal(x + 0.5, 3.0)))
    ),
    surrogate.straight_through: np.ones_like,
}
each = pytest.mark.parametrize("derivative", FORMULAS, ids=str)
named = pytest.mark.parametrize(
    "derivative", [surrogate.atan, surrogate.triangle, surrogate.fast_sigmoid], ids=str
)


@named
def test_spike_is_a_step_with_the_surrogate_behind(derivative: surrogate.Derivative) -> None:
    x = torch.linspace(-2, 2, 9, requires_grad=True)
    z = surrogate.Spike.apply(x, derivative)
    assert torch.equal(z, (x >= 0).float())
    z.sum().backward()
    torch.testing.assert_close(x.grad, derivative(x.detach()))
    assert derivative(torch.zeros(1)).item() == 1.0


def test_a_spike_at_equality() -> None:
    assert surrogate.Spike.apply(torch.tensor(0.0), surrogate.atan).item() == 1.0
    assert surrogate.spike(torch.tensor(0.0), surrogate.atan).item() == 1.0


@each
def test_a_program_is_its_formula_in_numpy_and_torch(derivative: Surrogate) -> None:
    for domain in (Float32(), Float64()):
        x = X.astype(domain.dtype)
        text = derivative.program()
        made = evaluate(text, domain, {}, {}, {"x": x})[text.output]
        np.testing.assert_array_equal(np.broadcast_to(made, x.shape), derivative(torch.from_numpy(x)).numpy())
        # a dozen roundings, of numbers of at most 4; the formulas of the logistic function and of exp are those of float32
        by_formula = derivative.program().operations() & {"function", "exp"}
        allowed = 12 * 4 * np.finfo(domain.dtype).eps + (1e-7 if by_formula else 0)
        assert np.abs(made - FORMULAS[derivative](x.astype(np.float64))).max() <= allowed


def test_numbers_of_numpy_are_numbers_and_their_products_must_be() -> None:
    assert surrogate.ArcTangent(np.float32(2)).program() == surrogate.atan.program()
    for first, second in ((1e-15, 1e15), (1e15, 1e-15), (1e15, 1e15), (1e-15, 1e-15)):
        for kind in (surrogate.Triangle, surrogate.SlayerExponential, surrogate.MultiGaussian):
            made = kind(first, second)  # type: ignore[call-arg]
            made.program().check(kind.__name__)
            assert not made(torch.linspace(-1, 1, 5)).isnan().any()


def test_whole_numbers_are_numbers() -> None:
    assert surrogate.ArcTangent(0.5)(torch.tensor([0, 0])).tolist() == [0.25, 0.25]


@each
def test_a_surrogate_is_a_value(derivative: Surrogate) -> None:
    for again in (pickle.loads(pickle.dumps(derivative)), copy.deepcopy(derivative)):
        assert again == derivative and again.program() == derivative.program()
        assert hash(again) == hash(derivative)


@pytest.mark.parametrize("wrong", [0, -1.0, 1e-16, 1e16, float("nan"), float("inf"), True, "2", None])
def test_numbers_that_make_no_slope_are_refused(wrong: Any) -> None:
    with pytest.raises(GraphError, match="slope"):
        surrogate.ArcTangent(wrong)
    with pytest.raises(GraphError, match="width is .* Try: a number from 1e-15 to 1e\\+15"):
        surrogate.Triangle(1.0, wrong)


def test_one_of_ones_own_is_a_traced_function() -> None:
    steep = surrogate.traced(lambda x, ops: ops.maximum(0.0, 1.0 - 4.0 * ops.abs(x)))
    assert steep(torch.tensor([-0.125, 0.0, 3.0])).tolist() == [0.5, 1.0, 0.0]
    again = pickle.loads(pickle.dumps(steep))
    assert again == steep and again(torch.tensor([0.125])).item() == 0.5
    assert surrogate.traced(lambda x, ops: 1)(torch.zeros(2)).tolist() == [1.0, 1.0]
    with pytest.raises(TypeError, match="branch"):
        surrogate.traced(lambda x, ops: 1.0 if x else 0.0)


class Two(NeuronModel):
    """Two spikes with slots of their own."""

    def states(self) -> tuple[str, ...]:
        return ()

    def step(self, p: Any, s: Any, x: Any, ops: Any) -> Any:
        return ops.spike(x[0]) + ops.spike(x[0] - 1.0, 4), ()


def slope_of(layer: Neuron, at: float) -> float:
    x = torch.full((1, 1, 1), at, requires_grad=True)
    layer(x)[0].sum().backward()
    assert x.grad is not None
    return x.grad.item()


def test_slots_are_filled_one_by_one() -> None:
    flat, double = surrogate.StraightThrough(0.25), surrogate.StraightThrough(2)
    for given, wanted in (
        (flat, 0.5),
        ({0: flat, 4: double}, 2.25),
        ({4: lambda x: torch.full_like(x, 8)}, 9.0),
        ({}, (1 + surrogate.atan(torch.tensor(-1.0))).item()),
    ):
        assert slope_of(Neuron(Two(), derivative=given), 0.0) == wanted


class Counting(NeuronModel):
    """Several spikes a step: the floor of the membrane, from 0 to 3."""

    def states(self) -> tuple[str, ...]:
        return ("v",)

    def step(self, p: Any, s: Any, x: Any, ops: Any) -> Any:
        v = s.v + x[0]
        z = ops.floor(ops.minimum(ops.maximum(v, 0.0), 3.0), 1)
        return z, (v - ops.stop_gradient(z),)


@pytest.mark.parametrize("at, wanted", [(1.5, 1.0), (-0.5, 0.0), (3.5, 0.0)])
def test_a_floor_with_a_slot_is_trained(at: float, wanted: float) -> None:
    assert slope_of(Neuron(Counting()), at) == wanted, "straight through, within the bounds"
    assert slope_of(Neuron(Counting(), derivative={1: surrogate.StraightThrough(0.5)}), at) == wanted / 2
    assert slope_of(Neuron(Counting(), derivative=surrogate.triangle), at) == wanted, "it is of spikes"


def test_what_is_no_surrogate_is_refused_when_it_is_given() -> None:
    layer = Neuron(Two())
    for wrong, text in (
        (3, "no function"),
        (surrogate.ArcTangent, r"no function. Try: ArcTangent\(\)"),
        ({0: None}, "no function"),
        ({1: surrogate.atan}, "no slot 1"),
        ({0: nn.Identity()}, "module in a dict"),
    ):
        with pytest.raises(GraphError, match=text):
            Neuron(Two(), derivative=wrong)
        with pytest.raises(GraphError, match=text):
            layer.derivative = wrong
    assert layer.derivative is surrogate.atan
    Neuron(Integrator(), derivative=surrogate.triangle)
    with pytest.raises(GraphError, match="no function"):
        Neuron(Integrator(), derivative=3)


def network() -> Sequential:
    torch.manual_seed(0)
    again = Recurrent(Neuron(LIF(), "decay"), nn.Linear(5, 5))
    return Sequential(
        nn.Linear(4, 5), Neuron(LIF(), "threshold"), again, nn.Linear(5, 2), Neuron(Integrator())
    )


def neurons(net: nn.Module) -> list[Neuron]:
    return [part for part in net.modules() if isinstance(part, Neuron)]


def gradient(net: nn.Module) -> torch.Tensor:
    x = 2 * torch.rand(8, 3, 4, generator=torch.Generator().manual_seed(1))
    x.requires_grad_()
    net(x)[0].square().sum().backward()
    assert x.grad is not None
    return x.grad


def test_a_surrogate_is_replaced_without_touching_a_trained_network() -> None:
    net, fresh = network(), network()
    before, x = copy.deepcopy(net.state_dict()), 2 * torch.rand(8, 3, 4)
    spikes, first = net(x)[0], gradient(net)
    for layer in neurons(net):
        layer.derivative = surrogate.Triangle(0.5, 2.0)
        assert "Triangle" not in repr(Neuron(LIF())) and "Triangle(height=0.5, width=2.0)" in repr(layer)
    for layer in neurons(fresh):
        layer.derivative = surrogate.Triangle(0.5, 2.0)
    assert torch.equal(net(x)[0], spikes) and list(net.state_dict()) == list(before)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), before.values(), strict=True))
    second = gradient(net)
    assert not torch.equal(second, first) and torch.equal(second, gradient(fresh))
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    assert torch.equal(gradient(torch.load(file, weights_only=False)), second)
    assert torch.equal(gradient(copy.deepcopy(net)), second)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.alpha * torch.ones_like(x)


def test_a_module_takes_the_place_of_a_surrogate_and_gives_it_back() -> None:
    layer = Neuron(Two())
    with pytest.warns(SpikeflowWarning, match="Scaled") as told:
        layer.derivative = Scaled()
    assert told[0].filename == __file__
    assert slope_of(layer, 0.0) == 4.0 and list(layer.state_dict()) == ["derivative.alpha"]
    for given in (surrogate.straight_through, torch.ones_like):
        layer.derivative = given
        assert slope_of(layer, 0.0) == 2.0 and not layer.state_dict() and layer.derivative is given
    with pytest.warns(SpikeflowWarning, match="Scaled") as told:
        Neuron(Two(), derivative=Scaled())
    assert told[0].filename == __file__


def test_the_layer_says_what_computes_it() -> None:
    layer = Neuron(Two())
    assert layer.kernel == Neuron(Integrator()).kernel == "compiled forward and backward"
    layer.derivative = surrogate.traced(lambda x, ops: ops.where(x, 1.0, 2.0))
    assert layer.kernel == "compiled forward and backward"
    for eager in (torch.zeros_like, {4: torch.zeros_like}, nn.Identity()):
        layer.derivative = eager
        assert layer.kernel.startswith("eager: a function of tensors"), "it runs in torch alone"


def test_a_compiled_layer_sees_a_new_surrogate() -> None:
    torch._dynamo.reset()
    layer = Neuron(LIF())
    x = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    seen = []
    for derivative in (surrogate.atan, surrogate.triangle, surrogate.Triangle(0.5, 2), torch.ones_like):
        layer.derivative = derivative
        made, wanted = (torch.autograd.grad(f(x)[0].sum(), x)[0] for f in (compiled, layer))
        torch.testing.assert_close(made, wanted)
        assert not any(torch.equal(made, other) for other in seen)
        seen.append(made)


@each
def test_compiled_with_any_surrogate(derivative: Surrogate) -> None:
    torch._dynamo.reset()
    layer = Neuron(LIF(), derivative=derivative)
    x = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    wanted, made = (
        torch.autograd.grad((f(x)[0] * torch.linspace(0, 1, 4)).sum(), x)[0] for f in (layer, compiled)
    )
    torch.testing.assert_close(made, wanted, rtol=1e-5, atol=1e-6)
