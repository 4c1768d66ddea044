"""Surrogates of whole networks: replaced, scheduled, and PDSG, whose width follows what it has seen."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.errors import GraphError
from spikeflow.neurons import (
    LIF,
    Neuron,
    Recurrent,
    Sequential,
    SurrogateSchedule,
    TwoPointLIF,
    between,
    replace_surrogates,
    surrogate,
    surrogates_of,
)
from spikeflow.neurons.pdsg import density


def network() -> Sequential:
    torch.manual_seed(0)
    inner = Recurrent(Neuron(LIF(0.8), learn="decay"), nn.Linear(6, 6))
    return Sequential(
        nn.Linear(4, 6), inner, nn.Linear(6, 5), Neuron(LIF(0.9), derivative=surrogate.triangle)
    )


def gradients(net: nn.Module) -> list[torch.Tensor]:
    net.zero_grad()
    z, _ = net(torch.rand(9, 3, 4, generator=torch.Generator().manual_seed(1)) * 2)
    (z * torch.linspace(0.1, 1, 5)).sum().backward()
    return [z.detach(), *(p.grad.clone() for p in net.parameters() if p.grad is not None)]


def test_another_surrogate_changes_gradients_alone_and_the_old_one_comes_back() -> None:
    net = network()
    first = gradients(net)
    before = replace_surrogates(net, surrogate.ArcTangent(5))
    assert before == {"layers.1.neuron": surrogate.atan, "layers.3": surrogate.triangle}
    second = gradients(net)
    assert torch.equal(first[0], second[0]) and first[0].any()
    assert any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))
    replace_surrogates(net, before)
    assert surrogates_of(net) == before
    assert all(torch.equal(a, b) for a, b in zip(first, gradients(net), strict=True))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"layers.9": surrogate.atan}, "'layers.9'.*is no layer of neurons.*layers.1.neuron"),
        ("atan", "is no function"),
        ({5: surrogate.atan}, "no slot 5"),
    ],
)
def test_what_is_refused_changes_nothing(given: Any, said: str) -> None:
    net = network()
    before = surrogates_of(net)
    with pytest.raises(GraphError, match=said):
        replace_surrogates(net, given)
    assert surrogates_of(net) == before
    with pytest.raises(GraphError, match="no layers of neurons"):
        replace_surrogates(nn.Linear(2, 2), surrogate.atan)


def test_a_schedule_goes_from_one_slope_to_the_other() -> None:
    net, steep = network(), between(surrogate.ArcTangent(2), surrogate.ArcTangent(8), 3)
    schedule = SurrogateSchedule(net, steep)
    seen = []
    for _ in range(5):
        (one,) = set(surrogates_of(net).values())
        seen.append(one.slope)  # type: ignore[union-attr]
        schedule.step()
    assert np.allclose(seen, [2, 4, 8, 8, 8]) and seen[0] == 2 and seen[2] == 8
    other = SurrogateSchedule(network(), steep)
    other.load_state_dict(schedule.state_dict())
    assert set(surrogates_of(other.net).values()) == {surrogate.ArcTangent(8)}
    for wrong in (surrogate.triangle, surrogate.straight_through):
        with pytest.raises(GraphError, match="two of one kind"):
            between(surrogate.atan, wrong, 3)
    with pytest.raises(GraphError, match="from 2 on"):
        between(surrogate.atan, surrogate.atan, 1)


# --- PDSG ---


def potentials(model: LIF, x: torch.Tensor) -> torch.Tensor:
    """v - threshold before the reset, for each step."""
    v, found = torch.zeros_like(x[0]), []
    for moment in x:
        v = model.decay * v + moment
        found.append(v - model.threshold)
        v = torch.where(v >= model.threshold, torch.zeros_like(v), v)
    return torch.stack(found)


@pytest.mark.parametrize("shape", [(7,), (3, 4, 2)], ids=["plain", "channels"])
def test_pdsg_is_the_density_of_what_was_seen(shape: tuple[int, ...]) -> None:
    x = torch.randn(6, 5, *shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    layer = Neuron(LIF(0.75, reset="zero"), derivative=surrogate.PDSG()).double()
    x.requires_grad_()
    z, _ = layer(x)
    plain, _ = Neuron(LIF(0.75, reset="zero")).double()(x)
    assert torch.equal(z, plain) and layer.kernel.startswith("eager")
    z[3].sum().backward()  # at step 3 the gradient of that step's input is the slope itself
    model = LIF(0.75)
    seen = potentials(model, x.detach())[:4]
    axes = (0, 1, 3, 4) if len(shape) > 1 else (0, 1, 2)
    deviation = seen.std(axes, correction=0, keepdim=True)[0, 0]
    assert x.grad is not None
    torch.testing.assert_close(x.grad[3], density(seen[3], deviation), rtol=1e-9, atol=1e-12)
    wanted = density(torch.tensor(0.25), torch.tensor(0.5))
    assert wanted == pytest.approx(1 / (np.sqrt(2 * np.pi) * 0.5))


def test_pdsg_starts_anew_with_a_sequence_and_keeps_still_at_evaluation() -> None:
    made = surrogate.PDSG()
    layer = Neuron(LIF(0.8), derivative=made)
    x = torch.randn(8, 4, 3, 2, generator=torch.Generator().manual_seed(3))
    layer(x)
    first = made.deviation.clone()
    layer(10 * x)
    assert (made.deviation > 3 * first).all()
    layer(x)
    assert torch.equal(made.deviation, first) and first.shape == (3, 1)
    _, state = layer(x[:5])
    layer(x[5:], state)
    torch.testing.assert_close(made.deviation, first)
    layer.eval()
    layer(10 * x)
    assert torch.equal(made.deviation, first)
    for again in (pickle.loads(pickle.dumps(layer)), Neuron(LIF(0.8), derivative=surrogate.PDSG())):
        again.load_state_dict(layer.state_dict())
        assert torch.equal(again.derivative.deviation, first)


def test_pdsg_of_silence_is_1_and_each_layer_has_its_own() -> None:
    net = network()
    replace_surrogates(net, surrogate.PDSG())
    one, other = surrogates_of(net).values()
    assert one is not other
    assert all(torch.isfinite(g).all() for g in gradients(net))
    layer = Neuron(LIF(), derivative=surrogate.PDSG())
    layer(torch.zeros(3, 2, 4))
    assert layer.derivative.deviation == 1  # type: ignore[union-attr]
    with pytest.raises(GraphError, match="follows one spike, and there are 2"):
        Neuron(TwoPointLIF(mode="pass"), derivative=surrogate.PDSG())
