"""The evaluated program has the bits of `model.step` run on tensors, gradients included.

How the C++ core compares with it is in `test_layer_compiled`.

Currents are normal (mean 0.2, deviation 0.6) with a stretch of silence; states start at rest or normal; every
parameter is learned. Until commit 2bb3037 the layer ran the step itself; `tests.laws.eager` keeps that way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.ir.ops import Ops
from spikeflow.neurons import NeuronModel, surrogate
from spikeflow.neurons.model import Value, param
from tests.laws import eager
from tests.laws.models import CASES, SIZE, label, read_by

DTYPES = (torch.float32, torch.float64)
SHAPES = ((1, 1, SIZE), (30, 2, SIZE), (20, 3, 2, SIZE), (12, 1, 3, 2, SIZE), (40, 5, 1, SIZE))


@dataclass(frozen=True, eq=False)
class Wild(NeuronModel):
    """Every operation of a float program, quotients of numbers among them; states that jump and stand still."""

    decay: Value = param(0.8, low=0, high=1)
    threshold: Value = param(0.7, low=0)
    width: Value = param(1.3, low=0.1)

    def states(self) -> tuple[str, ...]:
        return ("v", "w", "still")

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v = ops.minimum(p.decay * s.v + x[0] / p.width, 3.0)
        w = ops.maximum(ops.sigmoid(s.w) - 0.25 * ops.floor(v * 4.0), -2.0)
        z = ops.spike(v + ops.tanh(w) * 0.5 - p.threshold)
        burst = ops.spike(w - 0.1, 1)
        return ops.where(burst, z, z * 0.5), (v - ops.stop_gradient(z) * p.threshold, 1.0 - w, s.still)


MODELS = (*CASES, Wild(), Wild(threshold=np.linspace(0.1, 2, SIZE)))


def name_of(model: NeuronModel) -> str:
    return label(model) if model in CASES else f"Wild-{MODELS.index(model)}"


def drawn(model: NeuronModel, shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> Any:
    """Currents by port, and a state for the first moment."""
    rng = np.random.default_rng(seed)
    x = {}
    for port in model.inputs:
        values = rng.normal(0.2, 0.6, shape)
        values[len(values) // 3 : len(values) // 2] = 0
        x[port] = torch.from_numpy(values).to(dtype).requires_grad_()
    return x, [torch.from_numpy(rng.normal(0, 0.5, shape[1:])).to(dtype) for _ in model.states()]


def same(got: torch.Tensor | None, wanted: torch.Tensor | None, what: str) -> None:
    assert (got is None) == (wanted is None), what
    if got is not None and wanted is not None:
        assert got.dtype == wanted.dtype, what
        np.testing.assert_array_equal(got.detach().numpy(), wanted.detach().numpy(), what)


@pytest.mark.parametrize("started", [False, True], ids=["rest", "started"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_spikes_states_and_gradients_are_those_of_the_step_itself(
    model: NeuronModel, dtype: torch.dtype, started: bool
) -> None:
    for seed, shape in enumerate(SHAPES):
        seen = []
        for run in (lambda layer, x, s: layer(x, s), eager.stretch):
            layer = eager.Evaluated(model, learn=read_by(model), derivative=surrogate.fast_sigmoid)
            x, state = drawn(model, shape, dtype, seed)
            z, after = run(layer, x, state if started else None)
            weights = torch.linspace(0.5, 1.5, z.numel(), dtype=z.dtype).reshape(z.shape)
            (z * weights).sum().backward(retain_graph=True)
            if after:
                sum(v.double().sum() for v in after).backward()
            seen.append((z, tuple(after), x, layer))
        (z, after, x, layer), (wanted, wanted_after, wanted_x, other) = seen
        same(z, wanted, "spikes")
        for state_name, a, b in zip(model.states(), after, wanted_after, strict=True):
            same(a, b, state_name)
        for port in x:
            same(x[port].grad, wanted_x[port].grad, f"gradient of {port}")
        for param_name, value in layer.named_parameters():
            same(value.grad, dict(other.named_parameters())[param_name].grad, f"gradient of {param_name}")
