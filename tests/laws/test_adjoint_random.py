"""Random programs: the adjoint is torch's gradient, and the Jacobian carried forward in time gives the same.

Drawn: the float programs of `tests.sim.random_programs` (every float operation, ties by shared registers, infinities
and NaN where they arise), 5 steps of 2 samples, states and currents normal with a share of exact zeros and of whole
numbers; surrogates and parameters at random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.ir.adjoint import jacobian
from spikeflow.ir.evaluate import evaluate
from spikeflow.ir.program import Program
from spikeflow.neurons import surrogate
from spikeflow.neurons.bounds import settled
from spikeflow.neurons.tensors import Slopes, Tensors
from spikeflow.sim.domains import Float64
from spikeflow.sim.gradient import Forward, Gradients, backward, forward, summed_to
from tests.laws.models import CASES, label, slots_of
from tests.laws.rounding import assert_within, bounds
from tests.laws.surrogates import SURROGATES
from tests.laws.test_adjoint import drawn, weights
from tests.sim.random_programs import population

T, B, N = 5, 2, 3
Named = dict[str, np.ndarray]


def values(draw: np.random.Generator, *shape: int) -> np.ndarray:
    x = draw.normal(0, 2, shape)
    kind = draw.random(shape)
    return np.where(kind < 0.2, 0.0, np.where(kind < 0.5, np.round(x), x))


def of_torch(
    program: Program, slots: Any, leaves: tuple[Named, Named, Named], loss: Any
) -> tuple[np.ndarray, Gradients]:
    """torch's own gradient of an evaluated program."""
    params, inputs, state = (
        {n: torch.tensor(v, requires_grad=True) for n, v in part.items()} for part in leaves
    )
    now, total, outputs = dict(state), torch.zeros((), dtype=loss[0].dtype), []
    for t in range(T):
        domain = Tensors(slots, loss[0][t])
        registers = evaluate(program, domain, params, now, {n: v[t] for n, v in inputs.items()})
        z, *after = (domain.full(registers[i]) for i in program.ends)
        now = {n: settled(v) for n, v in zip(program.states, after, strict=True)}
        total = total + (z * loss[0][t]).sum() + sum((now[n] * w[t]).sum() for n, w in loss[1].items())
        outputs.append(z.detach().numpy())
    named = [*inputs.values(), *state.values(), *params.values()]
    reached = total.requires_grad  # not where the program hands on nothing but constants
    made = torch.autograd.grad(total, named, allow_unused=True) if reached else (None,) * len(named)
    parts = iter([np.zeros(v.shape) if g is None else g.numpy() for g, v in zip(made, named, strict=True)])
    found = [{n: next(parts) for n in part} for part in (inputs, state, params)]
    return np.stack(outputs), Gradients(*found)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(60))
def test_random_programs_have_torchs_gradient(seed: int, dtype: Any) -> None:
    draw = np.random.default_rng(seed)
    node = population(draw, (N,), False, int(draw.integers(0, 3)))
    program, one, other = node.program, *(SURROGATES[(seed + k) % len(SURROGATES)] for k in (0, 4))
    params = {n: np.asarray(v, dtype) for n, v in node.params.items()}
    inputs = {n: values(draw, T, B, N).astype(dtype) for n in program.inputs or ("none",)}
    state = {n: values(draw, B, N).astype(dtype) for n in program.states}
    loss = (
        draw.normal(0, 1, (T, B, N)).astype(dtype),
        {n: draw.normal(0, 1, (T, B, N)).astype(dtype) for n in state},
    )
    run, slots = forward(program, params, inputs, state), {0: one.program(), 1: other.program()}
    leaves = params, {n: inputs[n] for n in program.inputs}, state
    as_tensors = torch.from_numpy(loss[0]), {n: torch.from_numpy(w) for n, w in loss[1].items()}
    z, wanted = of_torch(program, {k: Slopes(s) for k, s in slots.items()}, leaves, as_tensors)
    np.testing.assert_array_equal(run.output, z)
    got, allowed = backward(run, loss[0], slots, loss[1]), bounds(run, loss[0], slots, loss[1])
    assert_within(got.inputs, wanted.inputs, allowed.inputs)
    assert_within(got.state, wanted.state, allowed.state)
    assert_within(got.params, wanted.params, allowed.params)


def carried_forward(run: Forward, loss: Any, slots: Any) -> tuple[Named, int]:
    """Gradients of the parameters by carrying d state / d parameter along with the states; and roundings of a step."""
    program, text = run.program, jacobian(run.program, slots)
    states, shape = program.states, run.output[0].shape
    along = {(s, p): np.zeros(shape) for s in states for p in program.params}
    total = {p: np.zeros(shape) for p in program.params}
    for t in range(len(run.output)):
        inputs = {f"input.{n}": v[t] for n, v in run.inputs.items()} | {
            f"state.{n}": v[t] for n, v in run.states.items()
        }
        registers = evaluate(text, Float64(), run.params, {}, inputs)
        entry = {n: registers[i] for n, i in zip(text.states, text.next_states, strict=True)}

        def moved(result: str, p: str, entry: Named = entry, along: Any = along) -> Any:
            through = sum(entry[f"d.{result}/d.state.{s}"] * along[s, p] for s in states)
            return through + entry[f"d.{result}/d.param.{p}"]

        for p in program.params:
            total[p] = total[p] + loss[0][t] * moved("out", p)
        along = {(s, p): moved(f"state.{s}", p) for s in states for p in program.params}
        for (s, p), value in along.items():
            total[p] = total[p] + loss[1][s][t] * value
    rounded = sum(i.op in ("add", "sub", "mul", "div") for i in text.code) + 2 * (len(states) + 1) ** 2
    return {p: summed_to(v, run.params[p].shape) for p, v in total.items()}, rounded


@pytest.mark.parametrize("model", [m for m in CASES if m.params()], ids=label)
def test_the_jacobian_carried_forward_gives_the_gradient(model: Any) -> None:
    """What e-prop and OTTT take, exact where neurons do not feed each other: forward in time equals backward."""
    x, loss = drawn(model, np.float64), weights(model, np.float64)
    params = {n: np.asarray(v, np.float32) for n, v in model.params().items()}
    run, slots = forward(model.program(), params, x), slots_of(model, surrogate.atan)
    got, rounded = carried_forward(run, loss, slots)
    assert_within(
        got,
        backward(run, loss[0], slots, loss[1]).params,
        bounds(run, loss[0], slots, loss[1], rounded).params,
    )
