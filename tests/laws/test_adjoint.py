"""The gradient of a program is that of torch, for every neuron model and every surrogate, to the bound of roundings.

Drawn: currents of the laws of models, 20 steps of 2 samples, one neuron of which is silent and two stand on a grid of
1/4, so that they meet their threshold; weights of the loss, normal, on outputs and states of all steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.ir.adjoint import adjoint
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output, Population
from spikeflow.neurons import Neuron, NeuronModel, surrogate
from spikeflow.sim import Dense
from spikeflow.sim import run as simulate
from spikeflow.sim.gradient import Gradients, backward, forward
from tests.laws.models import CASES, SIZE, currents, label, read_by, slots_of
from tests.laws.rounding import assert_within, bounds
from tests.laws.surrogates import SURROGATES

each = pytest.mark.parametrize("model", CASES, ids=label)
types = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def drawn(model: NeuronModel, dtype: Any, seed: int = 0) -> dict[str, np.ndarray]:
    x = currents(model, 20, 2, seed)
    for values in x.values():
        values[..., 0] = 0
        values[..., 1:3] = np.round(values[..., 1:3] * 4) / 4
    return {port: values.astype(dtype) for port, values in x.items()}


def weights(model: NeuronModel, dtype: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    draw = np.random.default_rng(1)
    states = {n: draw.normal(0, 1, (20, 2, SIZE)).astype(dtype) for n in model.states()}
    return draw.normal(0, 1, (20, 2, SIZE)).astype(dtype), states


def of_torch(layer: Neuron, x: dict[str, np.ndarray], loss: Any) -> tuple[np.ndarray, Gradients]:
    inputs = {p: torch.from_numpy(v).requires_grad_() for p, v in x.items()}
    first = next(iter(inputs.values()))
    state = tuple(s.requires_grad_() for s in layer.initial(first[0]))
    names = [n for n, _ in layer.named_parameters()]
    outputs, now, total = [], layer.state_type(*state), torch.zeros((), dtype=first.dtype)
    for t, weight in enumerate(loss[0]):
        z, now = layer({p: v[t : t + 1] for p, v in inputs.items()}, now)
        total = total + (z[0] * torch.from_numpy(weight)).sum()
        total = total + sum((getattr(now, n) * torch.from_numpy(w[t])).sum() for n, w in loss[1].items())
        outputs.append(z.detach().numpy())
    leaves = [*inputs.values(), *state, *layer.parameters()]
    made = torch.autograd.grad(total, leaves, allow_unused=True)
    found = [np.zeros(leaf.shape) if g is None else g.numpy() for g, leaf in zip(made, leaves, strict=True)]
    parts = iter(found)
    return np.concatenate(outputs), Gradients(
        {p: next(parts) for p in inputs},
        {n: next(parts) for n in layer.model.states()},
        {n: next(parts) for n in names},
    )


@each
@types
def test_the_gradient_is_torchs(model: NeuronModel, dtype: Any) -> None:
    x, loss = drawn(model, dtype), weights(model, dtype)
    params = {n: np.asarray(v, np.float32) for n, v in model.params().items()}
    run = forward(model.program(), params, x)
    assert (run.output != 0).any(), "a law about silence proves nothing"
    layer = Neuron(model, read_by(model)).to(torch.from_numpy(np.zeros(0, dtype)).dtype)
    for derivative in SURROGATES:
        layer.derivative = derivative
        z, wanted = of_torch(layer, x, loss)
        np.testing.assert_array_equal(run.output, z)
        slots = slots_of(model, derivative)
        got, allowed = backward(run, loss[0], slots, loss[1]), bounds(run, loss[0], slots, loss[1])
        assert_within(got.inputs, wanted.inputs, allowed.inputs)
        assert_within(got.state, wanted.state, allowed.state)
        learned = {n: b for n, b in allowed.params.items() if n in wanted.params}
        assert_within(got.params, wanted.params, learned)
        assert all(not got.params[n].any() for n in got.params if n not in wanted.params)


@each
@pytest.mark.parametrize("engine", ["cpp", "reference"])
def test_the_engine_runs_the_adjoint_as_any_program(model: NeuronModel, engine: str) -> None:
    """A population whose program is the adjoint, fed in reverse with what the forward pass saw: the same bits."""
    x, loss = drawn(model, np.float32), weights(model, np.float32)[0]
    params = {n: np.asarray(v, np.float32) for n, v in model.params().items()}
    run, slots = forward(model.program(), params, x), slots_of(model, surrogate.atan)
    text, wanted = adjoint(model.program(), slots), backward(run, loss, slots)
    seen = {f"input.{n}": v for n, v in run.inputs.items()} | {
        f"state.{n}": v[:-1] for n, v in run.states.items()
    }
    seen["d.out"] = loss
    for port, gradient in wanted.inputs.items():
        handed_on = text.next_states[text.states.index(f"d.input.{port}")]
        cells = Population("adjoint", replace(text, output=handed_on), run.params, (SIZE,))
        nodes = {name: Input((SIZE,), "current") for name in text.inputs}
        edges = (*(Edge(name, "cells", name) for name in nodes), Edge("cells", "out"))
        graph = Graph({**nodes, "cells": cells, "out": Output()}, edges)
        backwards = {name: Dense(np.ascontiguousarray(v[::-1])) for name, v in seen.items()}
        made = simulate(graph, backwards, len(loss), engine=engine).output[::-1]
        np.testing.assert_array_equal(made, gradient)
