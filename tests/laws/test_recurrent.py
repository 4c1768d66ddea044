"""A recurrent layer in one call: outputs and states of the reference bit for bit, gradients of the stepwise layer to the
rounding of their sums.

Drawn: every model of the laws, its feedback into each port; 3 samples of 7 or 70 neurons, 20 steps, so that states are kept
and computed again; currents of the laws, or normal (mean 0.2, deviation 0.6), with silence, states and last outputs normal or spikes, weights
normal with a bias. The reference adds the sources of a feedback in their order from +0, the bias last, and that to what
comes from outside.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.neurons import LIF, Neuron, NeuronModel, Recurrent, Sequential, TwoPointLIF, surrogate
from spikeflow.neurons.bounds import settled
from tests.laws.eager import numpy_step
from tests.laws.models import CASES, SIZE, currents, label, read_by

AT_ONCE = "compiled forward and backward"
each = pytest.mark.parametrize(
    ("model", "port"),
    [(m, p) for m in CASES for p in m.inputs],
    ids=lambda x: x if isinstance(x, str) else label(x),
)
one_each = pytest.mark.parametrize("model", {type(m): m for m in reversed(CASES)}.values(), ids=label)


def layer_of(model: NeuronModel, port: str, size: int, **options: Any) -> Recurrent:
    torch.manual_seed(0)
    feedback = nn.Linear(size, size)
    neuron = Neuron(model, read_by(model), surrogate.fast_sigmoid, **options)
    return Recurrent(neuron, feedback, port)


def drawn(layer: Recurrent, steps: int, size: int) -> tuple[torch.Tensor, Any]:
    """Currents and a state before them."""
    draw = torch.Generator().manual_seed(1)
    model = layer.neuron.model
    x = 0.2 + 0.6 * torch.randn(steps, 3, size, generator=draw)
    if size == SIZE:
        x = torch.from_numpy(currents(model, steps, 3, 0)[model.inputs[0]])
    x[5:9, 1] = 0
    states = [0.5 * torch.randn(3, size, generator=draw) for _ in model.states()]
    last = (torch.rand(3, size, generator=draw) < 0.3).float()
    return x, (layer.neuron.state_type(*states), last)


def stepwise(layer: Recurrent) -> Recurrent:
    """The same layer, run step by step."""
    other = copy.deepcopy(layer)
    other.feedback.register_forward_hook(lambda *_: None)
    return other


def summed(values: Any, weight: Any) -> Any:
    """``weight @ values`` for each sample: terms in their order, each rounded before it is added."""
    total = np.zeros_like(values)
    for source in range(values.shape[1]):
        total = total + np.where(
            values[:, source : source + 1] != 0,
            values[:, source : source + 1] * weight[:, source],
            np.float32(0),
        )
    return total


@each
def test_outputs_and_states_are_those_of_the_reference(model: NeuronModel, port: str) -> None:
    layer = layer_of(model, port, SIZE)
    x, state = drawn(layer, 20, SIZE)
    with torch.no_grad():
        found, (after, last) = layer(x, state)
    assert layer.kernel == AT_ONCE and found.any()
    weight, bias = (p.detach().numpy() for p in layer.feedback.parameters())
    states, z = tuple(v.numpy() for v in state[0]), state[1].numpy()
    for t, moment in enumerate(x.numpy()):
        ports = [np.zeros_like(moment) for _ in model.inputs]
        ports[0] = moment
        at = model.inputs.index(port)
        ports[at] = ports[at] + (summed(z, weight) + bias)
        with np.errstate(all="ignore"):
            z, states = numpy_step(model, states, tuple(ports))
        states = tuple(settled(torch.from_numpy(np.asarray(v))).numpy() for v in states)
        np.testing.assert_array_equal(found[t].numpy(), z, str(t))
    for one, other in zip(after, states, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)
    np.testing.assert_array_equal(last.numpy(), z)


def gradients(layer: Recurrent, x: torch.Tensor, state: Any) -> dict[str, torch.Tensor]:
    """Outputs, and the gradients of all that entered."""
    x, begin, last = (
        x.clone().requires_grad_(),
        [s.clone().requires_grad_() for s in state[0]],
        state[1].clone().requires_grad_(),
    )
    z, (after, _) = layer(x, (layer.neuron.state_type(*begin), last))
    out = torch.linspace(0.5, 1.5, z.numel()).reshape(z.shape)
    loss = (z * out).sum() + sum(v.sum() for v in after)
    named = {
        "x": x,
        "last": last,
        **dict(zip(layer.neuron.model.states(), begin, strict=True)),
        **dict(layer.named_parameters()),
    }
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {
        "z": z.detach(),
        **{n: g for n, g in zip(named, found, strict=True) if isinstance(g, torch.Tensor)},
    }


@one_each
@pytest.mark.parametrize("budget", [None, 0])
def test_gradients_are_those_of_the_steps(model: NeuronModel, budget: int | None) -> None:
    layer = layer_of(model, model.inputs[-1], SIZE, budget=budget)
    x, state = drawn(layer, 20, SIZE)
    found, wanted = gradients(layer, x, state), gradients(stepwise(layer), x, state)
    assert layer.kernel == AT_ONCE and found.keys() == wanted.keys()
    if model.program().spikes():
        assert torch.equal(found["z"], wanted["z"]), "of 7 sources torch's order of sums turns no spike here"
    for name, value in wanted.items():
        size = value.abs().max()
        assert ((found[name] - value).abs() <= 1e-3 * size + 1e-12).all(), name


@pytest.mark.parametrize("model", [LIF(0.9), TwoPointLIF()], ids=str)
def test_threads_change_no_bit(model: NeuronModel) -> None:
    layer = layer_of(model, model.inputs[-1], 70)
    x, state = drawn(layer, 40, 70)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3, 5):
            torch.set_num_threads(count)
            found.append(gradients(layer, x, state))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        torch.testing.assert_close(other.pop("last"), found[0]["last"])  # a product of torch's own
        assert all(torch.equal(value, found[0][name]) for name, value in other.items())
    assert layer.kernel == AT_ONCE and all(value.any() for value in found[0].values())


@pytest.mark.parametrize("batch", [1, 4, 8, 13])
def test_every_number_of_samples_is_the_samples_one_by_one(batch: int) -> None:
    """Spikes bit for bit, gradients to the rounding of their sums; the kernels take eight, four or one."""
    layer = layer_of(LIF(0.8), "in", 70)
    x = torch.randn(10, batch, 70, generator=torch.Generator().manual_seed(0)).requires_grad_()
    out = torch.linspace(0.5, 1.5, x.numel()).reshape(x.shape)
    z, _ = layer(x)
    (found,) = torch.autograd.grad((z * out).sum(), x)
    for i in range(batch):
        alone = x[:, i : i + 1].detach().clone().requires_grad_()
        one, _ = layer(alone)
        assert torch.equal(one[:, 0], z[:, i])
        (wanted,) = torch.autograd.grad((one * out[:, i : i + 1]).sum(), alone)
        torch.testing.assert_close(found[:, i], wanted[:, 0], rtol=1e-4, atol=1e-6)


def test_a_cut_stretch_is_the_whole_one() -> None:
    layer = layer_of(TwoPointLIF(), "apical", SIZE)
    x, state = drawn(layer, 20, SIZE)
    whole, (cells, last) = layer(x, state)
    first, between = layer(x[:7], state)
    second, (cells_too, last_too) = layer(x[7:], between)
    assert torch.equal(torch.cat([first, second]), whole) and torch.equal(last, last_too)
    assert all(torch.equal(a, b) for a, b in zip(cells, cells_too, strict=True))


def test_a_second_derivative_is_that_of_the_steps() -> None:
    found = []
    layer = layer_of(LIF(0.8), "in", 7)
    for one in (layer, stepwise(layer)):
        x, _ = drawn(one, 6, 7)
        x.requires_grad_()
        z, (after, _) = one(x)
        (first,) = torch.autograd.grad(z.square().sum() + after[0].square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), [x, *one.feedback.parameters()]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_layer_says_what_ran() -> None:
    layer = layer_of(LIF(0.8), "in", 70)
    x, _ = drawn(layer, 3, 70)
    assert layer.kernel == "step by step: not run yet"
    wanted, _ = layer(x)
    assert layer.kernel == AT_ONCE
    recorded, _ = layer(x, record=("v",))
    assert (
        torch.equal(recorded["output"], wanted) and layer.kernel == "step by step: states that are recorded"
    )
    double = copy.deepcopy(layer).double()
    double(x.double())
    assert "torch.float64" in double.kernel
    (other := stepwise(layer))(x)
    assert other.kernel == "step by step: a feedback of Linear, or one that was changed"
    conv = Recurrent(Neuron(LIF(0.8)), nn.Conv2d(2, 2, 3, padding=1))
    conv(torch.randn(3, 2, 2, 5, 5))
    assert conv.kernel == "step by step: a feedback of Conv2d, or one that was changed"
    layer.neuron.derivative = lambda v: 1 / (1 + v.abs())
    layer(x)
    assert layer.kernel.startswith("step by step: eager")


def test_within_a_network_it_is_the_same() -> None:
    layer = layer_of(LIF(0.8), "in", 70)
    x, _ = drawn(layer, 12, 70)
    net = Sequential(nn.Linear(70, 70), layer, nn.Linear(70, 3))
    net(x)[0].sum().backward()
    grads = [p.grad for p in layer.feedback.parameters()]
    assert layer.kernel == AT_ONCE and all(g is not None and bool(g.any()) for g in grads)


def test_a_bias_of_another_shape_is_torchs_to_spread() -> None:
    layer = layer_of(LIF(0.8), "in", 70)
    x, _ = drawn(layer, 12, 70)
    one = torch.randn(1)
    found = []
    for bias in (one, one.expand(70).clone(), one.expand(3, 70).clone()):
        layer.feedback.bias = nn.Parameter(bias)
        found.append((layer(x)[0], layer.kernel))
    assert [word for _, word in found] == [
        "step by step: a bias of shape (1,)",
        AT_ONCE,
        "step by step: a bias of shape (3, 70)",
    ]
    assert all(torch.equal(z, found[1][0]) for z, _ in found)


def test_what_another_thread_finds_out_meanwhile_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = layer_of(LIF(0.8), "in", 70).double()
    x = drawn(layer, 6, 70)[0].double()
    wanted, _ = layer(x)

    def overwritten(self: nn.Module, name: str, value: Any) -> None:
        kept: Any = {"_because": ""}.get(name, value)
        nn.Module.__setattr__(self, name, kept)

    monkeypatch.setattr(Recurrent, "__setattr__", overwritten)
    assert torch.equal(layer(x)[0], wanted) and wanted.any()
