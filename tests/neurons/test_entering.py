"""Laws of what enters a layer: stretches, moments and states of the right shape, type and device, or an error of ours.

Drawn: T 1 to 6, B 0 to 5, populations of rank 0 to 3 with axes of 1 to 4; every model; every type of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.errors import DataError, ShapeError, SpikeflowError
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
)
from spikeflow.sim import Dense, run
from tests.laws.models import CASES, SIZE, currents, label, lone_graph

each = pytest.mark.parametrize("model", CASES, ids=label)
SCALAR = (IF(), LIF(), CubaLIF(), TwoPointLIF(), TwoPointLIF(bap=0.3, back_propagation=True), Integrator())
scalar = pytest.mark.parametrize("model", SCALAR, ids=lambda m: f"{m.name}{len(m.states())}")


def shapes(count: int, seed: int) -> Iterator[tuple[int, ...]]:
    draw = np.random.default_rng(seed)
    for _ in range(count):
        rank = draw.integers(0, 4)
        yield (*draw.integers(1, 7, 1), *draw.integers(0, 6, 1), *draw.integers(1, 5, rank))  # type: ignore[misc]


@scalar
def test_any_stretch_keeps_its_shape_and_can_be_cut(model: NeuronModel) -> None:
    layer = Neuron(model)
    for seed, shape in enumerate(shapes(25, 0)):
        torch.manual_seed(seed)
        x = 2 * torch.rand(tuple(map(int, shape)))
        for form in (x, x.transpose(0, 1).contiguous().transpose(0, 1), x.requires_grad_()):
            z, state = layer(form)
            assert z.shape == x.shape and all(s.shape == x.shape[1:] for s in state)
            first, middle = layer(form[:1])
            rest, end = layer(form[1:], middle) if len(x) > 1 else (z[1:], middle)
            assert torch.equal(torch.cat([first, rest]), z)
            assert all(torch.equal(a, b) for a, b in zip(end, state, strict=True))
            one, after = layer.step(form[0], layer.initial(form[0]))
            assert torch.equal(one, z[0]) and all(
                torch.equal(a, b) for a, b in zip(after, middle, strict=True)
            )


def layers() -> dict[str, nn.Module]:
    made: dict[str, nn.Module] = {f"{m.name}{len(m.states())}": Neuron(m) for m in SCALAR}
    made["recurrent"] = Recurrent(Neuron(LIF(0.9)), nn.Linear(6, 6))
    made["apical"] = Recurrent(Neuron(TwoPointLIF()), nn.Linear(6, 6), port="apical")
    made["sequential"] = Sequential(nn.Linear(6, 6), Neuron(LIF(0.9)))
    inner = Sequential(Neuron(CubaLIF()), nn.Identity())
    made["nested"] = Sequential(nn.Linear(6, 6), inner, nn.Sequential(nn.Identity(), Neuron(IF())))
    return made


LAYERS = layers()
any_layer = pytest.mark.parametrize("name", LAYERS)


def replaced(state: Any, change: Any, count: list[int]) -> Any:
    """The state with its tensor number `count` changed; the count goes down to below 0 where one was."""
    if isinstance(state, torch.Tensor):
        count[0] -= 1
        return change(state) if count[0] == -1 else state
    if isinstance(state, tuple):
        parts = [replaced(part, change, count) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    return state


CHANGES = {
    "one sample": lambda s: s[:1],
    "another batch": lambda s: torch.cat([s, s[:1]]),
    "one neuron": lambda s: s[:, :1],
    "a scalar": lambda s: s.sum(),
    "another rank": lambda s: s[None],
    "half": lambda s: s.half(),
    "bfloat16": lambda s: s.bfloat16(),
    "double": lambda s: s.double(),
    "integers": lambda s: s.long(),
    "another device": lambda s: s.to("meta"),
    "no tensor": lambda s: s.numpy(),
    "nothing": lambda s: None,
}


@any_layer
@pytest.mark.parametrize("change", CHANGES)
def test_a_state_of_another_kind_is_refused(name: str, change: str) -> None:
    """Whichever tensor of the state it is; so none broadcasts over samples or brings another precision in."""
    layer, x = LAYERS[name], torch.rand(4, 3, 6)
    with torch.no_grad():
        _, state = layer(x)
    index = 0
    while True:
        count = [index]
        wrong = replaced(state, CHANGES[change], count)
        if count[0] >= 0:
            break
        with pytest.raises(SpikeflowError):
            layer(x, wrong)
        index += 1
    assert index >= 1


@any_layer
def test_a_state_goes_on_with_its_own_batch_only(name: str) -> None:
    layer, draw = LAYERS[name], np.random.default_rng(5)
    for _ in range(8):
        batch, other = (int(n) for n in draw.integers(1, 6, 2))
        _, state = layer(torch.rand(3, batch, 6))
        if other == batch:
            layer(torch.rand(2, other, 6), state)
        else:
            with pytest.raises(ShapeError, match="state|shape"):
                layer(torch.rand(2, other, 6), state)


@any_layer
@pytest.mark.parametrize("wrong", [(), (None,), 7, "state", {}, (torch.zeros(3, 6),) * 9])
def test_what_is_no_state_is_refused(name: str, wrong: Any) -> None:
    with pytest.raises(SpikeflowError):
        LAYERS[name](torch.rand(4, 3, 6), wrong)


@any_layer
def test_what_is_no_stretch_is_refused(name: str) -> None:
    layer = LAYERS[name]
    x = torch.rand(4, 3, 6)
    for wrong in (x[:0], x[0, 0], torch.tensor(1.0), x.numpy(), [1.0], None, x.to(torch.complex64)):
        with pytest.raises(SpikeflowError):
            layer(wrong)


@any_layer
def test_no_samples_are_no_samples(name: str) -> None:
    layer = LAYERS[name]
    z, state = layer(torch.rand(4, 0, 6))
    assert z.shape == (4, 0, 6)
    assert layer(torch.rand(4, 0, 6), state)[0].shape == (4, 0, 6)


def test_ports_are_given_by_name_in_one_shape() -> None:
    cell, x = Neuron(TwoPointLIF()), torch.rand(5, 2, 3)
    for wrong in (
        {},
        {"in": x},
        {"basal": x, "apical": x[:, :1]},
        {"basal": x, "apical": x[:4]},
        {"basal": x.numpy()},
    ):
        with pytest.raises(SpikeflowError):
            cell(wrong)
    alone, _ = cell({"basal": x})
    assert torch.equal(alone, cell(x)[0])


def test_a_feedback_that_would_broadcast_is_refused() -> None:
    for out in (1, 5):
        with pytest.raises(ShapeError, match="feedback"):
            Recurrent(Neuron(LIF()), nn.Linear(6, out))(torch.rand(3, 2, 6))


@each
@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float64]
)
def test_every_type_of_numbers_drives_a_float_state(model: NeuronModel, dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (20, 3, SIZE), generator=draw)
    z, state = Neuron(model)({p: x.to(dtype) for p in model.inputs})
    wanted, end = Neuron(model)({p: x.float() for p in model.inputs})
    expected = torch.float64 if dtype is torch.float64 else torch.float32
    assert [s.dtype for s in state] == [expected] * len(model.states())
    if dtype is not torch.float64:
        assert torch.equal(z.float(), wanted)
        assert all(torch.equal(a, b) for a, b in zip(state, end, strict=True))


@each
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_and_half_precision_leave_the_state_exact(model: NeuronModel, dtype: torch.dtype) -> None:
    """On inputs that half precision holds exactly, states and spikes are those of float32, bit for bit."""
    draw = np.random.default_rng(6)
    x = {
        p: torch.from_numpy(draw.integers(-4, 8, (60, 3, SIZE)).astype(np.float32) / 16) for p in model.inputs
    }
    wanted, end = Neuron(model)(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z, state = Neuron(model)({p: v.to(dtype) for p, v in x.items()})
    low = Neuron(model).to(dtype)
    again, half_state = low({p: v.to(dtype) for p, v in x.items()})
    for got, after in ((z, state), (again, half_state)):
        assert torch.equal(got.float(), wanted)
        assert all(a.dtype is torch.float32 and torch.equal(a, b) for a, b in zip(after, end, strict=True))


@pytest.mark.parametrize("cast", [nn.Module.half, nn.Module.bfloat16, lambda m: m.to(torch.bfloat16)])
def test_networks_in_half_precision_keep_their_decays(cast: Any) -> None:
    net = cast(
        Sequential(
            nn.Linear(6, 6), Neuron(LIF(0.999), learn="decay"), Recurrent(Neuron(IF()), nn.Linear(6, 6))
        )
    )
    assert net.layers[0].weight.dtype is not torch.float32
    assert net.layers[1].decay.item() == np.float32(0.999)
    z, states = net(torch.rand(5, 2, 6).to(net.layers[0].weight.dtype))
    assert z.dtype is net.layers[0].weight.dtype and states[1].v.dtype is torch.float32
    assert states[2][1].dtype is torch.float32


def test_double_precision_stays_double() -> None:
    net = Sequential(
        nn.Linear(6, 6), Recurrent(Neuron(LIF(0.9)), nn.Linear(6, 6)), Neuron(Integrator())
    ).double()
    z, states = net(torch.rand(5, 2, 6, dtype=torch.float64))
    assert z.dtype is torch.float64 and states[1][0].v.dtype is torch.float64


# what lies below 2^-100 at the end of a step


@pytest.mark.parametrize("threshold", [0.0, 1e-44, 2.0**-110, 2.0**-90, 2.0**-76, 2.0**-60, 1.0])
@pytest.mark.parametrize("make", [IF, LIF, CubaLIF, TwoPointLIF], ids=lambda m: m.__name__)
def test_tiny_states_decide_as_in_the_reference(make: Any, threshold: float) -> None:
    """Currents of 2^-140 to 2^0 of both signs with silence between: spikes are the reference's bits, whatever is compared."""
    draw = np.random.default_rng(7)
    for reset in ("zero", "subtract"):
        model = make(threshold=threshold, reset=reset)
        x = {}
        for port in model.inputs:
            size = np.ldexp(draw.choice([-1.0, 1.0], (120, 2, SIZE)), draw.integers(-140, 1, (120, 2, SIZE)))
            x[port] = (size * (draw.random(size.shape) < 0.1)).astype(np.float32)
        z, state = Neuron(model)({p: torch.from_numpy(v) for p, v in x.items()})
        wanted = run(lone_graph(model), {p: Dense(v) for p, v in x.items()}, 120, engine="reference").output
        np.testing.assert_array_equal(z.numpy(), wanted)
        if threshold < 2.0**-76:
            assert all(((s == 0) | (s.abs() >= 2.0**-100)).all() for s in state)


@each
def test_currents_of_every_size_drive_layer_and_reference_alike(model: NeuronModel) -> None:
    x = {p: v * np.float32(2.0**-20) for p, v in currents(model, 60, 2).items()}
    z, _ = Neuron(model)({p: torch.from_numpy(v) for p, v in x.items()})
    wanted = run(lone_graph(model), {p: Dense(v) for p, v in x.items()}, 60, engine="reference").output
    np.testing.assert_array_equal(z.numpy(), wanted)


def test_the_errors_are_typed() -> None:
    with pytest.raises(DataError, match="float16"):
        Neuron(LIF())(torch.zeros(1, 1, 1), (torch.zeros(1, 1).half(),))
    with pytest.raises(ShapeError, match="state v"):
        Neuron(LIF())(torch.zeros(1, 2, 1), (torch.zeros(1, 1),))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_spikes_may_be_whole_numbers(dtype: torch.dtype) -> None:
    net, x = Sequential(nn.Linear(6, 6), Neuron(LIF(0.9))), torch.rand(5, 3, 6) > 0.5
    assert torch.equal(net(x.to(dtype))[0], net(x.float())[0])
    words = Sequential(nn.Embedding(4, 6), Neuron(LIF(0.9)))
    assert words(torch.randint(0, 4, (5, 3)))[0].shape == (5, 3, 6)


def test_a_half_precision_network_goes_on_behind_an_integrator() -> None:
    net = Sequential(nn.Linear(6, 6), Neuron(Integrator()), nn.Linear(6, 2)).half()
    out, states = net(torch.rand(5, 3, 6).half())
    assert out.dtype is torch.float16 and states[1].v.dtype is torch.float32


def test_layers_are_made_on_any_device() -> None:
    with torch.device("meta"):
        layer = Neuron(LIF(0.9), learn="decay")
    assert layer.decay.is_meta and "LIF" in repr(layer)
    assert Neuron(CubaLIF()).to("meta")(torch.zeros(2, 3, 4, device="meta"))[1].u.is_meta


def test_what_has_no_plain_numbers_here_is_refused_by_name() -> None:
    """A kernel reads memory: tensors without any, or with another order in it, must not get there."""
    x = torch.ones(3, 2, 4)
    for model in (LIF(), TwoPointLIF(), CubaLIF(np.full(4, 0.5))):
        with pytest.raises(DataError, match=r"got on meta, expected on cpu.*layer\.to"):
            Neuron(model).to("meta")(x)
        with pytest.raises(DataError, match=r"got on meta, expected on cpu"):
            Neuron(model).to("meta").step(x[0], Neuron(model).initial(x[0]))
    with pytest.raises(DataError, match="inputs on cpu, meta, expected one device"):
        Neuron(TwoPointLIF())({"basal": x, "apical": x.to("meta")})
    with pytest.raises(DataError, match=r"layout torch\.sparse_coo.*to_dense"):
        Neuron(LIF())(x.to_sparse())


def test_a_tensor_whose_sign_is_a_mark_enters_as_its_values() -> None:
    x = torch.rand(5, 2, 4) - 0.3
    marked = torch._neg_view(-x)
    imaginary = torch.complex(x, -x).conj().imag
    for model in (LIF(0.8, 0.5), TwoPointLIF(threshold=0.3)):
        assert marked.is_neg() and imaginary.is_neg()
        wanted, state = Neuron(model)(x)
        for given in (marked, imaginary):
            z, after = Neuron(model)(given)
            assert torch.equal(z, wanted) and all(torch.equal(a, b) for a, b in zip(after, state, strict=True))


@pytest.mark.filterwarnings("ignore")  # of torch, that tracing is old and follows no Python
def test_a_traced_layer_is_the_layer_on_other_values() -> None:
    x, y = torch.rand(5, 2, 4), torch.rand(5, 2, 4)
    for model in (LIF(0.8, 0.5), TwoPointLIF(threshold=0.3, mode="pass", apical_threshold=0.0)):
        traced = torch.jit.trace(Neuron(model), x, check_trace=False)
        assert torch.equal(traced(y)[0], Neuron(model)(y)[0])


def test_weights_that_come_back_are_not_read_where_they_are_not() -> None:
    """The core reads weights by address: those of another device end in torch's error, marked ones enter as values."""
    x = torch.rand(5, 2, 4)
    torch.manual_seed(0)
    layer = Recurrent(Neuron(LIF(0.8, 0.5)), nn.Linear(4, 4))
    wanted = layer(x)[0]
    assert wanted.any() and torch.equal(layer(torch._neg_view(-x))[0], wanted)
    weight = layer.feedback.weight.detach()  # type: ignore[operator,union-attr]
    layer.feedback.weight = nn.Parameter(torch._neg_view(-weight))  # type: ignore[assignment,union-attr]
    assert torch.equal(layer(x)[0], wanted)
    layer.feedback.to("meta")
    with pytest.raises(RuntimeError, match="meta"):
        layer(x)
    layer = Recurrent(Neuron(LIF(0.8, 0.5)), nn.Linear(4, 4))
    layer.neuron.to("meta")
    with pytest.raises(DataError, match="on meta, expected on cpu"):
        layer(x)
