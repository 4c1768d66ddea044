"""Learning rules: equal to the exact gradient where they should be, else to their published update, by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.errors import DataError, UnsupportedLayer
from spikeflow.neurons import IF, LIF, CubaLIF, Integrator, Neuron, Recurrent, Sequential, surrogate
from spikeflow.neurons import MODELS as ALL
from spikeflow.train import loss
from spikeflow.train.init import make_fire
from spikeflow.train.rules import Rule, backward
from spikeflow.train.rules.local import read_out

T, B, C = 9, 4, 3
LABELS = torch.tensor([0, 2, 1, 1])
Gradients = dict[str, torch.Tensor]


def last(outputs: torch.Tensor) -> torch.Tensor:
    return loss.cross_entropy(outputs, LABELS)


def each(outputs: torch.Tensor) -> torch.Tensor:
    return loss.per_step(outputs, LABELS)


def _of(rule: Rule, net: Sequential, x: torch.Tensor, loss_of: Callable[[torch.Tensor], torch.Tensor]) -> Gradients:
    net.zero_grad()
    outputs, value = backward(rule, net, x, loss_of)
    exact = net(x)[0].detach()
    assert torch.allclose(outputs, exact) and torch.allclose(value, loss_of(exact))
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def _same(a: Gradients, b: Gradients, names: list[str] | None = None) -> None:
    assert a.keys() == b.keys() and a
    for name in names or list(a):
        assert b[name].abs().max() > 0, name
        assert (a[name] - b[name]).abs().max() <= 1e-4 * b[name].abs().max(), name


def _dense(model: object, bias: bool = True, seed: int = 0) -> Sequential:
    torch.manual_seed(seed)
    return Sequential(
        nn.Flatten(), nn.Linear(6, 8, bias), Neuron(model), nn.Linear(8, C, bias), Neuron(Integrator())  # type: ignore[arg-type]
    )  # fmt: skip


def _deep(decay: float, reset: str = "zero", recurrent: bool = False) -> Sequential:
    torch.manual_seed(1)
    cells: list[nn.Module] = [Neuron(LIF(decay, 0.5, reset)) for _ in range(2)]
    if recurrent:
        cells[1] = Recurrent(cells[1], nn.Linear(7, 7))  # type: ignore[arg-type]
    return Sequential(
        nn.Conv2d(1, 2, 2), cells[0], nn.Flatten(), nn.Linear(4, 7), cells[1], nn.Linear(7, C), Neuron(Integrator())
    )  # fmt: skip


def _pictures() -> torch.Tensor:
    torch.manual_seed(5)
    return torch.rand(T, B, 1, 2, 3)


@pytest.mark.parametrize("loss_of", (last, each))
@pytest.mark.parametrize("recurrent", (False, True))
def test_truncated_at_the_whole_length_is_exact(recurrent: bool, loss_of: Callable[[torch.Tensor], torch.Tensor]) -> None:
    net, x = _deep(0.8, recurrent=recurrent), _pictures()
    exact = _of(Rule(), net, x, loss_of)
    for steps in (T, T + 5):
        _same(_of(Rule("truncated", steps), net, x, loss_of), exact)
    shorter = _of(Rule("truncated", 3), net, x, loss_of)
    assert not torch.allclose(shorter["layers.0.weight"], exact["layers.0.weight"], rtol=1e-3)


def test_truncated_is_the_loop_that_detaches() -> None:
    net, x, steps = _deep(0.8, recurrent=True), _pictures(), 2
    found = _of(Rule("truncated", steps), net, x, each)
    net.zero_grad()
    cells, states, total = net.layers, [None] * 7, []
    for step, now in enumerate(x):
        y = now
        for index, layer in enumerate(cells):
            if isinstance(layer, Neuron | Recurrent):
                state = layer.initial(y) if states[index] is None else states[index]
                # the read-out is not cut
                if step % steps == 0 and index < 6:
                    state = tuple(_cut(part) for part in state) if isinstance(layer, Recurrent) else _cut(state)
                y, states[index] = layer.step(y, state)
            else:
                y = layer(y)
        total.append(y)
    each(torch.stack(total)).backward()
    _same(found, {name: p.grad for name, p in net.named_parameters()})


def _cut(state: object) -> object:
    if isinstance(state, torch.Tensor):
        return state.detach()
    return type(state)(*(part.detach() for part in state))  # type: ignore[call-overload, attr-defined]


def test_sltt_is_exact_without_memory_and_else_the_published_update() -> None:
    x = _pictures()
    forgetful = _deep(0.0)
    with torch.no_grad():
        for parameter in forgetful.parameters():
            parameter.mul_(3)
    _same(_of(Rule("sltt"), forgetful, x, each), _of(Rule(), forgetful, x, each))
    net = _dense(LIF(0.7, 0.5))
    found, spikes, factors = _of(Rule("sltt"), net, x, last), *_by_hand(net, x)
    # dW = sum over t of (W_out^T dL/dc[t]) surrogate(u[t] - threshold) x[t]^T; dL/dc is that of the last sum
    error = torch.softmax(net(x)[0][-1], 1) - nn.functional.one_hot(LABELS, C)
    above = error / B @ net.layers[3].weight
    by_hand = torch.einsum("bn,tbn,tbi->ni", above, factors, x.flatten(2)).detach()
    assert torch.allclose(found["layers.1.weight"], by_hand, rtol=1e-4, atol=1e-6)
    assert torch.allclose(found["layers.3.weight"], torch.einsum("bc,tbn->cn", error / B, spikes).detach(), atol=1e-6)


def _by_hand(net: Sequential, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes of a dense layer of LIF, and its surrogate at every step."""
    values = net.layers[2].values()
    v, spikes, factors = torch.zeros(B, 8), [], []
    for now in x.flatten(2):
        v = values["decay"] * v + net.layers[1](now)
        z = (v >= values["threshold"]).float()
        over = v - values["threshold"]
        factors.append(1 / (1 + (torch.pi * over) ** 2))  # arctan of slope 2
        spikes.append(z)
        v = v - z * values["threshold"] if net.layers[2].model.reset == "subtract" else torch.where(z > 0, 0 * v, v)
    return torch.stack(spikes).detach(), torch.stack(factors).detach()


@pytest.mark.parametrize("model", (LIF(0.8, 0.5, "subtract"), IF(0.7, "subtract")), ids=("LIF", "IF"))
@pytest.mark.parametrize("loss_of", (last, each))
def test_ottt_is_exact_for_one_layer_whose_reset_subtracts(model: object, loss_of: Callable[[torch.Tensor], torch.Tensor]) -> None:
    net, x = _dense(model, bias=False), _pictures()
    _same(_of(Rule("ottt"), net, x, loss_of), _of(Rule(), net, x, loss_of))


def test_ottt_of_two_layers_is_the_published_update() -> None:
    torch.manual_seed(2)
    decays = (0.8, 0.6)
    net = Sequential(
        nn.Linear(6, 8), Neuron(LIF(decays[0], 0.4)), nn.Linear(8, 7), Neuron(LIF(decays[1], 0.3)), nn.Linear(7, C)
    )  # fmt: skip
    x = _pictures().flatten(2)
    found = _of(Rule("ottt"), net, x, each)
    held = [layer.weight.detach() for layer in net.layers[::2]]
    traces, potentials, wanted = [torch.zeros(B, 6), torch.zeros(B, 8)], [torch.zeros(B, 8), torch.zeros(B, 7)], [0.0, 0.0, 0.0]
    for now in x:
        source, slopes, sources = now, [], []
        for index, threshold in enumerate((0.4, 0.3)):
            sources.append(source)
            v = decays[index] * potentials[index] + net.layers[2 * index](source).detach()
            slopes.append(1 / (1 + (torch.pi * (v - threshold)) ** 2))
            traces[index] = decays[index] * traces[index] + source
            source = (v >= threshold).float()
            potentials[index] = v * (1 - source)
        error = (torch.softmax(net.layers[4](source), 1) - nn.functional.one_hot(LABELS, C)).detach() / (B * T)
        second = error @ held[2] * slopes[1]
        first = second @ held[1] * slopes[0]
        for index, (g, a) in enumerate(((first, traces[0]), (second, traces[1]), (error, source))):
            wanted[index] = wanted[index] + g.T @ a
    for index in range(3):
        assert torch.allclose(found[f"layers.{2 * index}.weight"], wanted[index], rtol=1e-4, atol=1e-6)


MODELS = (
    *(LIF(0.8, 0.5), LIF(0.9, 0.4, "subtract"), IF(0.7), CubaLIF(0.8, 0.6, 0.5)),
    *(model for model in (kind() for kind in ALL) if len(model.inputs) == 1 and model.program().spikes()),
)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: f"{m.name} {m.choices().get('reset', '')}")
@pytest.mark.parametrize("loss_of", (last, each))
def test_eprop_without_recurrence_is_exact(model: object, loss_of: Callable[[torch.Tensor], torch.Tensor]) -> None:
    net, x = _dense(model), _pictures()
    make_fire(net, x, 0.02, 0.5)  # of any model: some count in millivolts
    _same(_of(Rule("eprop"), net, x, loss_of), _of(Rule(), net, x, loss_of))


def test_eprop_with_recurrence_is_exact_but_for_the_way_through_spikes() -> None:
    torch.manual_seed(3)
    neuron, back = Neuron(CubaLIF(0.8, 0.6, 0.4), derivative=surrogate.triangle), nn.Linear(8, 8)
    net = Sequential(nn.Linear(6, 8), Recurrent(neuron, back), nn.Linear(8, C), Neuron(Integrator()))
    x = _pictures().flatten(2)
    found = _of(Rule("eprop"), net, x, each)
    exact = _of(Rule(), net, x, each)
    assert not torch.allclose(found["layers.0.weight"], exact["layers.0.weight"], rtol=1e-3)
    net.zero_grad()
    state, z, spikes = neuron.initial(torch.zeros(B, 8)), torch.zeros(B, 8), []
    for now in x:
        z, state = neuron.step(net.layers[0](now) + back(z.detach()), state)
        spikes.append(z)
    each(net.layers[3](net.layers[2](torch.stack(spikes)))[0]).backward()
    _same(found, {name: p.grad for name, p in net.named_parameters()})
    random = _of(Rule("eprop", feedback="random", seed=4), net, x, each)
    assert not torch.allclose(random["layers.0.weight"], found["layers.0.weight"], rtol=1e-2)
    assert torch.equal(random["layers.0.weight"], _of(Rule("eprop", feedback="random", seed=4), net, x, each)["layers.0.weight"])
    assert torch.allclose(random["layers.2.weight"], found["layers.2.weight"])


def test_local_losses_do_not_cross_layers() -> None:
    net, x = _deep(0.8, recurrent=True), _pictures()
    found = _of(Rule("local", seed=6), net, x, last)
    with torch.no_grad():
        spikes = [net(x, record=(name,))[0][name] for name in ("layers.1", "layers.4")]
    first, second = Sequential(*net.layers[:2]), Sequential(*net.layers[3:5])
    inputs = (x, spikes[0].flatten(2))
    wanted: Gradients = {}
    for index, (part, given, names) in enumerate(((first, inputs[0], ("0", "1")), (second, inputs[1], ("3", "4")))):
        net.zero_grad()
        z, _ = part(given)
        own = z.flatten(2) @ read_out(z[0, 0].numel(), C, 6, index)
        last(net.layers[6](own)[0]).backward()
        wanted |= {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None and n.split(".")[1] in names}
    net.zero_grad()
    last(net.layers[6](net.layers[5](spikes[1]))[0]).backward()
    wanted |= {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}
    _same(found, wanted)
    # another label of the end moves no layer but by its own loss: what lies behind it does not matter
    with torch.no_grad():
        net.layers[5].weight.mul_(3)
    again = _of(Rule("local", seed=6), net, x, last)
    assert torch.equal(again["layers.0.weight"], found["layers.0.weight"])


@pytest.mark.parametrize("kind", ("truncated", "sltt", "ottt", "eprop", "local"))
def test_every_rule_learns(kind: str) -> None:
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    labels = torch.tensor(draw.integers(0, 3, 60))
    x = (torch.rand(12, 60, 9) < 0.1 + 0.4 * nn.functional.one_hot(labels % 3, 3).repeat_interleave(3, 1)).float()
    net = Sequential(nn.Linear(9, 30), Neuron(LIF(0.8, 0.5, "subtract")), nn.Linear(30, 3), Neuron(Integrator()))
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    before = None
    for _ in range(25):
        optimiser.zero_grad()
        outputs, value = backward(Rule(kind, 4), net, x, lambda o: loss.cross_entropy(o, labels))
        before = value if before is None else before
        optimiser.step()
    assert value < 0.5 * before and (outputs[-1].argmax(1) == labels).double().mean() > 0.85


def test_what_a_rule_does_not_cover_is_refused_by_name() -> None:
    x = _pictures().flatten(2)
    for kind in ("truncated", "sltt", "ottt", "eprop", "eventprop", "local"):
        normed = Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), Neuron(LIF()), nn.Linear(4, C))
        with pytest.raises(UnsupportedLayer, match=r"layers\.1, rule .*BatchNorm1d while training"):
            backward(Rule(kind), normed, x, last)
        with pytest.raises(UnsupportedLayer, match="ends in spikes"):
            backward(Rule(kind), Sequential(nn.Linear(6, C), Neuron(LIF())), x, last)
        with pytest.raises(UnsupportedLayer, match="a spikeflow Sequential"):
            backward(Rule(kind), nn.Linear(6, C), x, last)
    with pytest.raises(UnsupportedLayer, match=r"layers\.1, rule ottt: CubaLIF"):
        backward(Rule("ottt"), Sequential(nn.Linear(6, 4), Neuron(CubaLIF()), nn.Linear(4, C)), x, last)
    with pytest.raises(UnsupportedLayer, match="several hidden layers"):
        backward(Rule("eprop"), _deep(0.8), _pictures(), last)
    learned = Sequential(nn.Linear(6, 4), Neuron(LIF(), learn="decay"), nn.Linear(4, C))
    for kind in ("ottt", "eprop"):
        with pytest.raises(UnsupportedLayer, match=r"layers\.1, rule"):
            backward(Rule(kind), learned, x, last)
    with pytest.raises(DataError, match="Try: eprop"):
        Rule("e-prop")
    with pytest.raises(DataError, match="at least 1"):
        Rule("truncated", 0)


def _peak(kind: str, steps: int, hidden: int) -> int:
    """The most bytes of torch's that live at a time during one step of training, as its profiler counts them."""
    torch.manual_seed(0)
    net = Sequential(nn.Linear(6, hidden), Neuron(LIF(0.8, 0.5, "subtract")), nn.Linear(hidden, C), Neuron(Integrator()))
    x = torch.rand(steps, B, 6)
    backward(Rule(kind, 5), net, x[:6], last)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        backward(Rule(kind, 5), net, x, last)
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    live = np.cumsum([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())])
    assert len(events) > steps / 5
    return int(live.max())


@pytest.mark.parametrize("kind", ("truncated", "sltt", "ottt", "eprop"))
def test_memory_does_not_grow_with_the_steps_but_for_outputs(kind: str) -> None:
    """Spikes of hidden neurons would take 4 x 200 floats a step; outputs, their gradients and sums a few times 4 x 3."""
    short, long, hidden = 60, 120, 200
    grown = (_peak(kind, long, hidden) - _peak(kind, short, hidden)) / (long - short)
    assert grown <= 6 * 4 * B * C < 4 * B * hidden / 5
    assert _peak("bptt", long, hidden) - _peak("bptt", short, hidden) > (long - short) * 4 * B * hidden
