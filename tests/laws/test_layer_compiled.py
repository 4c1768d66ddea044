"""A layer that the C++ core sweeps: spikes and states of the evaluated program, gradients to the rounding bound.

Currents are normal (mean 0.2, deviation 0.6) with a stretch of silence, states normal, every parameter learned, the
loss weights every spike and the last states. States are compared after the rule for what is below 2^-100.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.neurons import LIF, MODELS, Neuron, NeuronModel, TwoPointLIF, surrogate
from spikeflow.neurons.bounds import settled
from spikeflow.neurons.compiled import Compiled
from spikeflow.neurons.surrogate import Surrogate
from spikeflow.neurons.sweep_ops import sweep
from spikeflow.neurons.tensors import Slopes
from spikeflow.sim.gradient import forward
from tests.laws.eager import Evaluated
from tests.laws.models import CASES, label, read_by
from tests.laws.rounding import assert_within, bounds
from tests.laws.test_layer_eager import DTYPES, SHAPES, drawn, name_of
from tests.laws.test_layer_eager import MODELS as DRAWN

COMPILED = "compiled forward and backward"
# two neurons of 7 by channel, row or both
BROADCAST = (LIF(decay=np.array([[0.5], [0.9]])), TwoPointLIF(gain=np.linspace(0, 2, 7), threshold=np.full((2, 1), 0.4)))
SLOPES = {type(s): s for s in vars(surrogate).values() if isinstance(s, Surrogate)}


def numbers(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {n: t.detach().numpy() for n, t in tensors.items()}


def learned(layer: Neuron) -> dict[str, torch.Tensor]:
    return {n: p for n, p in layer.named_parameters() if p.grad is not None}


def run(layer: Neuron, x: dict[str, torch.Tensor], state: Any) -> tuple[torch.Tensor, Any, torch.Tensor, list[Any]]:
    """Outputs, states and their cotangents, after a backward pass."""
    begin = [s.clone().requires_grad_() for s in state]
    z, after = layer(x, layer.state_type(*begin))
    out = torch.linspace(0.5, 1.5, z.numel(), dtype=z.dtype).reshape(z.shape)
    ((z * out).sum() + sum(v.sum() for v in after)).backward()
    return z, after, out, begin


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("model", (*DRAWN, *BROADCAST), ids=lambda m: name_of(m) if m in DRAWN else f"by-axis-{m.name}")
def test_spikes_and_states_are_equal_and_gradients_within_rounding(model: NeuronModel, dtype: torch.dtype) -> None:
    shapes = ((30, 3, 2, 7), (7, 1, 2, 7)) if model in BROADCAST else SHAPES
    for seed, shape in enumerate(shapes):
        found = []
        for kind in (Neuron, Evaluated):
            layer = kind(model, read_by(model), surrogate.fast_sigmoid, budget=None if seed else 4000)
            x, state = drawn(model, shape, dtype, seed)
            found.append((*run(layer, x, state), x, layer))
        (z, after, out, begin, x, layer), (wanted, wanted_after, _, other_begin, other_x, other) = found
        assert layer.kernel == COMPILED and z.grad_fn.name() == "SweepBackward"
        assert torch.equal(z, wanted) and z.dtype == dtype
        for a, b in zip(after, wanted_after, strict=True):
            assert torch.equal(a, settled(b))
        params = numbers({n: v for n, v in layer.values(dtype).items() if n in model.params()})
        reference = forward(model.program(), params, numbers(x), numbers(dict(zip(model.states(), begin, strict=True))))
        slots = {s: d.program for s, d in layer._slots.items() if isinstance(d, Slopes)}
        last = {n: np.zeros(shape, z.detach().numpy().dtype) for n in model.states()}
        for values in last.values():
            values[-1] = 1
        allowed = bounds(reference, out.numpy(), slots, last)
        assert_within(*(numbers({p: v.grad for p, v in g.items()}) for g in (x, other_x)), allowed.inputs)
        for a, b, bound in zip(begin, other_begin, allowed.state.values(), strict=True):
            assert_within({"s": a.grad.numpy()}, {"s": b.grad.numpy()}, {"s": bound})
        grads = [numbers({n: p.grad for n, p in learned(one).items()}) for one in (layer, other)]
        assert grads[0].keys() == grads[1].keys()
        # of parameters the layer's own are in float32, to which sums in float64 are rounded once more
        rounded = {n: allowed.params[n] + 2.0**-23 * np.abs(grads[1][n]) for n in grads[0]}
        assert_within(*grads, rounded)


@pytest.mark.parametrize("slope", SLOPES.values(), ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_every_model_with_every_surrogate_is_swept(model: type[NeuronModel], slope: Surrogate) -> None:
    assert set(SLOPES) >= {s for s in Surrogate.__subclasses__() if s is not surrogate.Traced}
    layer = Neuron(model(), learn=read_by(model()), derivative=slope)
    x = {port: torch.randn(4, 2, 3).requires_grad_() for port in layer.model.inputs}
    begin = layer.state_type(*(torch.randn(2, 3).requires_grad_() for _ in layer.model.states()))
    z, state = layer(x, begin)
    assert z.grad_fn is not None and z.grad_fn.name() == "SweepBackward"
    sum(v.sum() for v in (z, *state)).backward()
    assert layer.kernel == COMPILED
    assert all(v.grad is not None for v in (*x.values(), *begin, *layer.parameters()))
    after = layer.state_type(*(v.detach() for v in state))
    z, _ = layer.step({port: v[0] for port, v in x.items()}, after)
    assert z.grad_fn is not None and z.grad_fn.name() == "SweepBackward"
    z.sum().backward()
    assert layer.kernel == COMPILED and all(v.grad is not None for v in x.values())


def test_the_layer_says_why_it_was_eager() -> None:
    layer = Neuron(LIF())
    x = torch.randn(3, 2, 4)
    torch.func.vmap(lambda v: layer(v)[0])(x[None])
    assert layer.kernel == "eager: a transform of torch.func"
    with torch.autograd.forward_ad.dual_level():
        layer(x)
        assert layer.kernel == "eager: differentiated in forward mode"
    layer(x)
    assert layer.kernel == COMPILED


def test_threads_change_no_bit() -> None:
    x = torch.randn(50, 3, 3000).requires_grad_()
    found = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            layer, x.grad = Neuron(TwoPointLIF(), learn=("decay", "gain")), None
            layer({"basal": x, "apical": x})[0].square().sum().backward()
            found.append((x.grad, layer.decay.grad, layer.gain.grad))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) and a.any() for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("model", CASES, ids=label)
def test_the_operations_pass_torchs_own_checks(model: NeuronModel) -> None:
    """Schema, fake tensors and registration of gradients, as torch.library.opcheck knows them."""
    slopes = dict.fromkeys((0,), surrogate.atan.program())
    text = Compiled(model.program(), slopes if any(i.op == "spike" for i in model.program().code) else {}).text
    x = [torch.randn(5, 2, 7, requires_grad=True) for _ in model.inputs]
    params = [torch.tensor(np.asarray(v), dtype=torch.float32, requires_grad=True) for v in model.params().values()]
    state = [torch.randn(2, 7, requires_grad=True) for _ in model.states()]
    torch.library.opcheck(sweep, (text, -1, x, params, state), test_utils=("test_schema", "test_autograd_registration", "test_faketensor"))


def test_vmap_of_the_operation_is_a_loop() -> None:
    text = Compiled(LIF().program(), {0: surrogate.atan.program()}).text
    x, decay, v = torch.randn(5, 2, 3, 7), torch.rand(3), torch.randn(2, 7)

    def one(x: torch.Tensor, decay: torch.Tensor) -> list[torch.Tensor]:
        return sweep(text, -1, [x], [decay, torch.tensor(1.0)], [v])

    z, after, _ = torch.vmap(one, (2, 0))(x, decay)
    for i in range(3):
        wanted = one(x[:, :, i].contiguous(), decay[i])
        assert torch.equal(z[i], wanted[0]) and torch.equal(after[i], wanted[1])
