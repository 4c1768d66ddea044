"""Torch's own tools on every model: pickle, copies, torch.compile, torch.func, double backward, DDP.

Drawn: currents of the laws of models, 12 steps of 3 samples; each tool against the plain layer, bit for bit where
nothing is summed in another order.
"""

from __future__ import annotations

import copy
import io
import pickle
import socket
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from spikeflow.errors import ShapeError, SpikeflowWarning
from spikeflow.neurons import (
    IF,
    LIF,
    CubaLIF,
    Integrator,
    Neuron,
    NeuronModel,
    Recurrent,
    Sequential,
    TwoPointLIF,
    surrogate,
)
from tests.laws.models import CASES, SIZE, currents, feeds_back, label, read_by, spikes_of

each = pytest.mark.parametrize("model", CASES, ids=label)
MODELS = (IF(), LIF(), CubaLIF(), TwoPointLIF(bap=0.4, back_propagation=True), Integrator())
per_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
Ports = dict[str, torch.Tensor]


def driven(model: NeuronModel, seed: int = 0) -> Ports:
    return {p: torch.from_numpy(v) for p, v in currents(model, 12, 3, seed).items()}


def trained(model: NeuronModel, **more: Any) -> Neuron:
    return Neuron(model, read_by(model), **more)


def network(model: NeuronModel) -> Sequential:
    """A layer of the model, a recurrent one, a read-out."""
    torch.manual_seed(0)
    again = Recurrent(trained(model), nn.Linear(SIZE, SIZE), port=model.inputs[-1])
    return Sequential(
        nn.Linear(6, SIZE), trained(model), again, nn.Sequential(nn.Linear(SIZE, 3)), Neuron(Integrator())
    )


def spikes(seed: int = 0) -> torch.Tensor:
    return 2 * torch.rand(7, 4, 6, generator=torch.Generator().manual_seed(seed))


def through_file(thing: Any) -> Any:
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "torch.save": through_file,
    "deepcopy": copy.deepcopy,
}


@each
@pytest.mark.parametrize("way", COPIES)
def test_copies_go_on_bit_for_bit(model: NeuronModel, way: str) -> None:
    with torch.no_grad():
        net = network(model)
        _, states = net(spikes())
        again, kept = COPIES[way]((net, states))
        wanted, after = net(spikes(1), states)
        got, then = again(spikes(1), kept)
    assert torch.equal(got, wanted) and repr(again) == repr(net)
    assert kept[1]._fields == states[1]._fields and type(kept[1]) is type(states[1])
    assert all(torch.equal(a, b) for a, b in zip(after[1], then[1], strict=True))
    assert COPIES[way](model).params().keys() == model.params().keys()


@per_model
def test_compiled_as_one_graph(model: NeuronModel) -> None:
    torch._dynamo.reset()
    x, layer = driven(model), trained(model)
    other = copy.deepcopy(layer)
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    wanted, state = layer(x)
    got, after = compiled(x)
    assert torch.equal(got, wanted) and all(torch.equal(a, b) for a, b in zip(state, after, strict=True))
    if model.params():
        for z in (wanted, got):
            (z * torch.linspace(0, 1, SIZE)).sum().backward()
        for a, b in zip(layer.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)


def test_whole_networks_compile_as_one_graph() -> None:
    torch._dynamo.reset()
    net = network(TwoPointLIF(bap=0.4, back_propagation=True))
    compiled = torch.compile(copy.deepcopy(net), fullgraph=True, backend="aot_eager")
    wanted, states = net(spikes())
    got, after = compiled(spikes())
    assert torch.equal(got, wanted)
    assert torch.equal(compiled(spikes(1), after)[0], net(spikes(1), states)[0])


@pytest.mark.long
@per_model
def test_compiled_to_machine_code(model: NeuronModel) -> None:
    """Through C++: the same bits, since torch's compiler contracts no products on its own."""
    torch._dynamo.reset()
    with torch.no_grad():
        x, layer = driven(model), trained(model)
        wanted, _ = layer(x)
        assert torch.equal(torch.compile(layer, fullgraph=True)(x)[0], wanted)


def test_a_training_step_with_dropout_compiles() -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    net = Sequential(nn.Linear(6, 8), Neuron(LIF(0.9)), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    torch.manual_seed(1)
    wanted, _ = net(spikes())
    torch.manual_seed(1)
    got, _ = compiled(spikes())
    assert torch.equal(got, wanted)


def parameters_of(layer: nn.Module) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in layer.named_parameters()}


def answer(layer: Neuron, p: dict[str, torch.Tensor], x: Ports) -> torch.Tensor:
    z, _ = torch.func.functional_call(layer, p, (x,))
    return (z * torch.linspace(0, 1, SIZE)).square().sum()


@each
def test_vmap_and_gradients_of_single_samples(model: NeuronModel) -> None:
    """vmap over samples is the batch; gradients of single samples are those of a loop."""
    x, layer = driven(model), trained(model)
    alone = torch.vmap(
        lambda v: layer({p: a[:, None] for p, a in v.items()})[0][:, 0], in_dims=1, out_dims=1
    )(x)
    assert torch.equal(alone, layer(x)[0])
    gradient = torch.func.grad(lambda v: answer(layer, parameters_of(layer), v))
    single = torch.vmap(gradient, in_dims=1, out_dims=1)({p: v[:, :, None] for p, v in x.items()})
    for i in range(3):
        own = {p: v[:, i : i + 1].clone().requires_grad_() for p, v in x.items()}
        answer(layer, parameters_of(layer), own).backward()
        for port, value in own.items():
            if value.grad is not None:
                torch.testing.assert_close(single[port][:, i], value.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", [m for m in CASES if m.params()], ids=label)
def test_gradients_of_parameters_for_single_samples(model: NeuronModel) -> None:
    x, layer = driven(model), trained(model)
    p = parameters_of(layer)
    per_sample = torch.vmap(torch.func.grad(lambda q, v: answer(layer, q, v)), (None, 1))(
        p, {k: v[:, :, None] for k, v in x.items()}
    )
    answer(layer, dict(layer.named_parameters()), x).backward()
    for name, parameter in layer.named_parameters():
        whole = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(per_sample[name].sum(0), whole, rtol=1e-3, atol=1e-3)


@each
def test_forward_mode_is_the_gradient_along_the_tangent(model: NeuronModel) -> None:
    x, layer = driven(model), trained(model)
    p = parameters_of(layer)
    along = {k: torch.randn(v.shape, generator=torch.Generator().manual_seed(1)) for k, v in x.items()}
    turned = {k: torch.randn(v.shape, generator=torch.Generator().manual_seed(2)) for k, v in p.items()}
    _, tangent = torch.func.jvp(lambda q, v: answer(layer, q, v), (p, x), (turned, along))
    by_p, by_x = torch.func.grad(lambda q, v: answer(layer, q, v), argnums=(0, 1))(p, x)
    wanted = sum((by_x[k] * along[k]).sum() for k in x) + sum((by_p[k] * turned[k]).sum() for k in p)
    torch.testing.assert_close(tangent, torch.as_tensor(wanted), rtol=1e-3, atol=1e-3)


SMOOTH = [m for m in CASES if len(spikes_of(m)) < 2 and not feeds_back(m)]


@pytest.mark.parametrize("model", SMOOTH, ids=label)
def test_double_backward_is_the_derivative_of_the_gradient(model: NeuronModel) -> None:
    """Between spikes the gradient is smooth: a small step changes it as the second derivative says.

    Not so of a gate that jumps, or of a spike that moves the neuron's own later steps (adaptation) by its gradient:
    it is a factor of the gradient, and its surrogate is no slope of that.
    """
    x, layer = driven(model, 3), Neuron(model).double()
    like = {p: v.double().requires_grad_() for p, v in x.items()}

    def slope(v: Ports, graph: bool) -> tuple[torch.Tensor, ...]:
        z, _ = layer(v)
        # of a spike a sum, whose own derivative holds no spike; a read-out hands on what is smooth
        weighted = (
            z * torch.linspace(0, 1, SIZE, dtype=torch.float64) * (1 if model.program().spikes() else z)
        ).sum()
        return torch.autograd.grad(weighted, list(v.values()), create_graph=graph, allow_unused=True)

    first = [g for g in slope(like, True) if g is not None]
    total = sum(g.square().sum() for g in first)
    assert isinstance(total, torch.Tensor)
    second = torch.autograd.grad(total, list(like.values()), allow_unused=True)
    step = 1e-6
    moved = {p: (v + step * torch.sign(torch.sin(v))).detach().requires_grad_() for p, v in like.items()}
    if not torch.equal(layer(moved)[0] != 0, layer(like)[0] != 0):
        pytest.fail("the step changes a spike; take another seed")
    after = sum(g.square().sum() for g in slope(moved, False) if g is not None)
    wanted = sum(
        (g * (moved[p] - like[p])).sum() for (p, g) in zip(like, second, strict=True) if g is not None
    )
    torch.testing.assert_close(
        (after - total).detach(), torch.as_tensor(wanted).detach(), rtol=1e-2, atol=1e-9
    )


class Slope(nn.Module):
    def __init__(self, count: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full(count, 2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.alpha * torch.sigmoid(self.alpha * x) * torch.sigmoid(-self.alpha * x)


@pytest.mark.parametrize("count", [(), (SIZE,)])
def test_a_surrogate_that_is_a_module_is_part_of_the_layer(count: tuple[int, ...]) -> None:
    with pytest.warns(SpikeflowWarning, match="Slope"):
        layer = Neuron(LIF(), derivative=Slope(count))
    assert "derivative.alpha" in dict(layer.named_parameters()) and "derivative.alpha" in layer.state_dict()
    x = driven(LIF())["in"].requires_grad_()
    (first,) = torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)
    first.sum().backward()  # a gradient of gradients does reach it
    alpha = layer.derivative.alpha
    assert isinstance(alpha, nn.Parameter) and alpha.grad is not None and alpha.grad.any()
    (again,) = torch.autograd.grad(copy.deepcopy(layer)(x)[0].sum(), x)
    assert torch.equal(again, first)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert torch.equal(torch.autograd.grad(compiled(x)[0].sum(), x)[0], first)


@pytest.mark.parametrize("make", [lambda: lambda x: torch.exp(-x.abs()), lambda: surrogate.triangle])
def test_a_surrogate_is_any_function(make: Callable[[], surrogate.Derivative]) -> None:
    x = driven(LIF())["in"].requires_grad_()
    z, _ = Neuron(LIF(), derivative=make())(x)
    z.sum().backward()
    assert x.grad is not None and x.grad.any()


def test_a_surrogate_of_another_shape_is_refused() -> None:
    x = driven(LIF())["in"].requires_grad_()
    z, _ = Neuron(LIF(), derivative=lambda v: torch.ones(2, *v.shape))(x)
    with pytest.raises(ShapeError, match="derivative"):
        z.sum().backward()


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _joined(rank: int, port: int, out: Any) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    for model in MODELS:
        net = DistributedDataParallel(network(model))
        half = spikes()[:, 2 * rank : 2 * rank + 2]
        for _ in range(2):  # the second pass finds what the first left unfinished
            net.zero_grad()
            z, _ = net(half)
            z.square().sum().backward()
        if rank == 0:
            out.put({n: p.grad.numpy() for n, p in net.module.named_parameters()})
    dist.destroy_process_group()


def test_data_parallel_training_is_training_on_the_whole_batch() -> None:
    """Two processes on the loopback, half of the samples each; every model."""
    context = processes.get_context("spawn")
    queue, port = context.Queue(), _free_port()
    workers = [context.Process(target=_joined, args=(rank, port, queue)) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    shared = [queue.get(timeout=200) for _ in MODELS]
    for worker in workers:
        worker.join(timeout=60)
        assert worker.exitcode == 0
    for model, got in zip(MODELS, shared, strict=True):
        net = network(model)
        (net(spikes())[0].square().sum() / 2).backward()
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(torch.from_numpy(got[name]), parameter.grad, rtol=1e-3, atol=1e-3)
