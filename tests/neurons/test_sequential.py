"""Laws of Sequential: nothing in it mixes samples or looks ahead in time; what would is refused by name.

Drawn: stacks of depth 1 to 3 of containers and wrappers around a user's module that holds neurons; inputs of 5
steps and 4 samples, changed in one sample or from one step on.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.optim.swa_utils import AveragedModel

from spikeflow.errors import ShapeError, SpikeflowError, UnsupportedLayer
from spikeflow.neurons import IF, LIF, CubaLIF, Integrator, Neuron, Recurrent, Sequential

T, B, N = 5, 4, 6


class Holding(nn.Module):
    """A user's module that holds neurons and hands on their spikes alone."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.ModuleDict({"cells": Neuron(LIF(0.9))})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inside["cells"](x)[0]


class Calling(nn.Module):
    """A user's module without neurons."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleDict(layers)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self, x)


def spikes(seed: int, *shape: int) -> torch.Tensor:
    return 2 * torch.rand(shape or (T, B, N), generator=torch.Generator().manual_seed(seed))


def mixes(net: Sequential, x: torch.Tensor) -> bool:
    """Whether a sample depends on another, or a step on a later one."""
    with torch.no_grad():
        out = net(x)[0]
        sample, later = x.clone(), x.clone()
        sample[:, 1], later[3:] = 0, 0
        return bool((net(sample)[0][:, 0] != out[:, 0]).any() or (net(later)[0][:3] != out[:3]).any())


class Wrapper(nn.Module):
    """As libraries wrap: the module is called as it is."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any) -> Any:
        return self.module(*args)


WRAPS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "Sequential": lambda m: nn.Sequential(nn.Identity(), m),
    "ModuleList": lambda m: nn.ModuleList([m]),
    "ModuleDict": lambda m: nn.ModuleDict({"a": m}),
    "DataParallel": nn.DataParallel,
    "AveragedModel": AveragedModel,
    "compiled": lambda m: torch.compile(m, backend="eager"),  # type: ignore[arg-type, return-value]
    "wrapper": Wrapper,
}


@pytest.mark.parametrize("seed", range(30))
def test_neurons_in_a_module_of_ones_own_are_found_however_deep(seed: int) -> None:
    draw = np.random.default_rng(seed)
    module: nn.Module = Holding()
    for name in draw.choice(list(WRAPS), draw.integers(0, 4)):
        module = WRAPS[name](module)
    with pytest.raises(UnsupportedLayer, match=r"layers\.1"):
        Sequential(nn.Linear(N, N), module, nn.Linear(N, 3))


def test_neurons_put_in_later_are_found_when_it_runs() -> None:
    net = Sequential(nn.Linear(N, N), nn.Identity())
    net.layers[1] = Holding()
    with pytest.raises(UnsupportedLayer, match=r"layers\.1: Holding"):
        net(spikes(0))


@pytest.mark.parametrize(
    "wrong",
    [F.relu, LIF(0.9), nn.Linear, "Linear", None, [nn.Linear(N, N)], nn.ModuleList(), nn.ParameterList()],
    ids=lambda x: type(x).__name__,
)
def test_what_is_no_layer_is_refused(wrong: Any) -> None:
    with pytest.raises(UnsupportedLayer, match=r"layers\.1"):
        Sequential(nn.Linear(N, N), wrong)


RELATING: dict[str, Callable[[], nn.Module]] = {
    "LSTM": lambda: nn.LSTM(N, N),
    "GRU within": lambda: Calling(lambda m, x: m.layers["a"](x)[0], a=nn.GRU(N, N)),
    "GRUCell": lambda: nn.GRUCell(N, N),
    "attention": lambda: nn.TransformerEncoderLayer(N, 2, 8),
    "attention without tokens": lambda: nn.TransformerEncoderLayer(N, 2, 8, batch_first=True),
    "Softmax(0)": lambda: nn.Softmax(0),
    "Softmax(-2)": lambda: nn.Softmax(-2),
    "Flatten(0)": lambda: nn.Flatten(0),
    "Unflatten(0)": lambda: nn.Unflatten(0, (T, B)),
    "Conv1d without channels": lambda: nn.Conv1d(T * B, T * B, 1),
    "Conv2d without channels": lambda: nn.Conv2d(T * B, T * B, 1),
    "Dropout1d without channels": lambda: nn.Dropout1d(),
    "several answers": lambda: Calling(lambda m, x: (x, x)),
    "another batch": lambda: Calling(lambda m, x: x[:1]),
    "a number": lambda: Calling(lambda m, x: x.mean()),
}


@pytest.mark.parametrize("name", RELATING)
def test_layers_that_relate_steps_and_samples_are_refused(name: str) -> None:
    x = spikes(1, T, B, 3, 3) if "Conv2d" in name else spikes(1)
    with pytest.raises(SpikeflowError, match=r"layers\.1"):
        Sequential(nn.Identity(), RELATING[name]())(x)


@pytest.mark.parametrize("axes", [(), (3,), (3, 4)])
def test_a_softmax_without_dim_is_taken_where_it_keeps_samples_apart(axes: tuple[int, ...]) -> None:
    net, x = Sequential(nn.Softmax(dim=None)), spikes(2, T, B, N, *axes)
    if len(axes) == 1:
        with pytest.raises(ShapeError, match="dim"):
            net(x)
    else:
        assert not mixes(net, x)


def inner() -> tuple[nn.Module, ...]:
    torch.manual_seed(0)
    return (
        nn.Linear(N, N),
        Neuron(LIF(0.9)),
        Recurrent(Neuron(CubaLIF()), nn.Linear(N, N)),
        nn.Linear(N, N),
        Neuron(IF()),
    )


NESTED: dict[str, Callable[..., Sequential]] = {
    "spikeflow": lambda *p: Sequential(p[0], Sequential(*p[1:])),
    "torch": lambda *p: Sequential(p[0], nn.Sequential(*p[1:3]), nn.Sequential(*p[3:])),
    "torch in torch": lambda *p: Sequential(
        nn.Sequential(p[0], nn.Sequential(p[1], nn.Sequential(p[2]))), *p[3:]
    ),
    "mixed": lambda *p: Sequential(
        nn.Sequential(Sequential(p[0], nn.Sequential(p[1])), p[2]), Sequential(*p[3:])
    ),
    "averaged": lambda *p: Sequential(p[0], AveragedModel(p[1]), AveragedModel(p[2]), *p[3:]),
    "compiled": lambda *p: Sequential(*(torch.compile(q, backend="eager") for q in p)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", NESTED)
def test_containers_within_are_the_layers_in_a_row(name: str) -> None:
    flat, nested = Sequential(*inner()), NESTED[name](*inner())
    for seed in range(3):
        x = spikes(seed)
        wanted, _ = flat(x)
        assert torch.equal(nested(x)[0], wanted)
        first, states = nested(x[:2])
        assert torch.equal(torch.cat([first, nested(x[2:], states)[0]]), wanted)
        assert not mixes(nested, x)
    with pytest.raises(SpikeflowError):
        nested(spikes(0), states[:-1])
    with pytest.raises(SpikeflowError):
        nested(spikes(0)[:, :2], states)


def test_a_hook_on_a_container_that_is_not_called_is_refused() -> None:
    net = Sequential(nn.Sequential(nn.Linear(N, N), Neuron(LIF())))
    net.layers[0].register_forward_hook(lambda *_: None)
    with pytest.raises(UnsupportedLayer, match="hook"):
        net(spikes(0))


def test_reparametrised_and_pruned_layers_stay_layers() -> None:
    torch.manual_seed(0)
    weighted = parametrizations.weight_norm(nn.Linear(N, N))
    net = Sequential(
        weighted, Neuron(LIF(0.9)), prune.l1_unstructured(nn.Linear(N, N), "weight", 0.5), Neuron(IF())
    )
    assert not mixes(net, spikes(3))


def test_state_dict_keys_are_those_of_the_first_version() -> None:
    net = Sequential(
        nn.Linear(N, N),
        Neuron(LIF(), learn="decay"),
        Recurrent(Neuron(IF()), nn.Linear(N, N)),
        nn.Sequential(nn.Linear(N, 2)),
    )
    assert set(net.state_dict()) == {
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.decay",
        "layers.1.threshold",
        "layers.2.neuron.threshold",
        "layers.2.feedback.weight",
        "layers.2.feedback.bias",
        "layers.3.0.weight",
        "layers.3.0.bias",
    }


def test_a_feedback_keeps_no_state() -> None:
    for wrong in (
        Holding(),
        Neuron(LIF()),
        nn.Sequential(nn.Linear(N, N), Neuron(LIF())),
        nn.GRUCell(N, N),
        F.relu,
        None,
    ):
        with pytest.raises(UnsupportedLayer, match="feedback"):
            Recurrent(Neuron(LIF()), wrong)  # type: ignore[arg-type]
    for wrong in (LIF(), nn.Linear(N, N), Sequential(Neuron(LIF()))):
        with pytest.raises(SpikeflowError, match="layer of neurons"):
            Recurrent(wrong, nn.Linear(N, N))  # type: ignore[arg-type]


# dropout

DROPS: dict[str, Callable[[], nn.Module]] = {
    "Dropout": lambda: nn.Dropout(0.5),
    "AlphaDropout": lambda: nn.AlphaDropout(0.5),
    "in torch's Sequential": lambda: nn.Sequential(nn.Identity(), nn.Sequential(nn.Dropout(0.5))),
    "in one's own": lambda: Calling(lambda m, x: m.layers["a"](x), a=nn.Dropout(0.5)),
    "as a function": lambda: Calling(lambda m, x: F.dropout(x, 0.5, m.training)),
    "as torch's function": lambda: Calling(lambda m, x: torch.dropout(x, 0.5, m.training)),
    "by keyword": lambda: Calling(lambda m, x: F.dropout(input=x, p=0.5, training=m.training)),
    "in place": lambda: Calling(lambda m, x: F.dropout(x.clone(), 0.5, m.training, inplace=True)),
    "beside batch norm": lambda: Calling(
        lambda m, x: F.dropout(0 * m.layers["a"](x) + 1, 0.5, m.training), a=nn.BatchNorm1d(N)
    ),
}


@pytest.mark.parametrize("name", DROPS)
def test_dropout_draws_one_mask_for_a_sequence(name: str) -> None:
    torch.manual_seed(0)
    net, x = Sequential(nn.Identity(), DROPS[name]()).train(), torch.ones(T, 8, N)
    out, _ = net(x)
    assert (out == out[:1]).all() and len(out.unique()) == 2
    assert len({tuple(row.tolist()) for row in out[0]}) > 1, "samples differ"
    assert not torch.equal(net(x)[0], out), "sequences differ"
    assert torch.equal(net.eval()(x)[0], x)


@pytest.mark.parametrize("kind", [nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.FeatureAlphaDropout])
def test_dropout_of_channels_draws_one_mask_too(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    axes = {nn.Dropout1d: 1, nn.Dropout3d: 3}.get(kind, 2)
    out, _ = Sequential(kind(0.5)).train()(torch.ones(T, B, 16, *(2,) * axes))
    assert (out == out[:1]).all()
    channels = out.flatten(3)
    assert (channels == channels[..., :1]).all() and len(channels.unique()) == 2


def test_dropout_keeps_the_expectation_and_the_gradient() -> None:
    torch.manual_seed(0)
    x = torch.ones(2, 2000, 10, requires_grad=True)
    out, _ = Sequential(nn.Dropout(0.3)).train()(x)
    assert abs(out.mean().item() - 1) < 0.02
    out.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, out.detach())


@pytest.mark.parametrize(
    "feedback",
    [
        lambda: nn.Sequential(nn.Linear(N, N), nn.Dropout(0.5)),
        lambda: nn.Dropout(0.5),
        lambda: Calling(lambda m, x: F.dropout(x, 0.5, m.training)),
        lambda: nn.Sequential(nn.Linear(N, N), nn.BatchNorm1d(N)),
        lambda: nn.BatchNorm1d(N),
    ],
)
def test_a_feedback_draws_nothing_anew_in_every_step(feedback: Callable[[], nn.Module]) -> None:
    layer = Recurrent(Neuron(LIF(0.9)), feedback())
    with pytest.raises(UnsupportedLayer, match="feedback"):
        layer.train()(spikes(0))
    assert layer.eval()(spikes(0))[0].shape == (T, B, N)


def test_batch_norm_takes_steps_and_samples_together() -> None:
    """As stated: over T and B while training; at evaluation nothing is mixed."""
    net, x = Sequential(nn.BatchNorm1d(N)), spikes(4)
    wanted = copy.deepcopy(net.layers[0])(x.flatten(0, 1)).unflatten(0, (T, B))
    assert torch.equal(net.train()(x)[0], wanted)
    assert not mixes(net.eval(), x)


def test_states_are_one_for_each_layer() -> None:
    net = Sequential(nn.Linear(N, N), Neuron(LIF()), nn.Linear(N, 2), Neuron(Integrator()))
    _, states = net(spikes(0))
    for wrong in (states[:3], (*states, None), states[1], (states[1], *states[1:]), 3, "abcd"):
        with pytest.raises(SpikeflowError):
            net(spikes(0), wrong)  # type: ignore[arg-type]
