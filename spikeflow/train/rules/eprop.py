"""e-prop: eligibility traces forward in time, times learning signals from the outputs.

    eps[t] = (ds/ds) eps[t-1] + (ds/dI) x[t];  e[t] = (dz/ds) eps[t-1] + (dz/dI) x[t];
    dW_ji = sum over t of L_j[t] e_ji[t],  L[t] = B dL/dc[t]

with the partial derivatives of one step of the neuron's own program (`ir.adjoint.jacobian`), x the inputs and
the spikes that come back, c the current of the read-out. Without recurrence, and with B the output weights,
it is the exact gradient; with it the way through other neurons' spikes is left out. Source: Bellec et al.
2020, doi 10.1038/s41467-020-17236-y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from spikeflow.errors import UnsupportedLayer
from spikeflow.ir.adjoint import jacobian
from spikeflow.ir.evaluate import evaluate
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.recurrent import Recurrent
from spikeflow.neurons.tensors import Slopes, Tensors
from spikeflow.train.rules.parts import LossOf, Parts, joined, parts_of


@dataclass(frozen=True)
class _Layer:
    """The one hidden layer: weights in, neurons, weights back or None, weights out."""

    into: nn.Linear
    neuron: Neuron
    back: nn.Linear | None
    out: nn.Linear


def backward(
    net: nn.Module, x: torch.Tensor, loss_of: LossOf, seed: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of e-prop; `seed` of random feedback, None for that of the output weights."""
    parts = parts_of("eprop", net)
    layer = _layer(parts)
    with torch.no_grad():
        x = x.flatten(2)
        current = joined((layer.out(z)[None] for z, _, _, _ in _steps(layer, x)), len(x))
    outputs, value, wanted = parts.signal(current, loss_of)
    feedback = layer.out.weight.detach() if seed is None else _random(layer.out.weight, seed)
    with torch.no_grad():
        gradient, out = _eligible(layer, x, (wanted, feedback))
    _hand_out(layer, gradient, x.shape[2])
    _add(layer.out.weight, out)
    _add(layer.out.bias, wanted.sum((0, 1)))
    return outputs, value


def _random(like: torch.Tensor, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(like.shape, generator=generator) / like.shape[1] ** 0.5).to(like)


def _steps(layer: _Layer, x: torch.Tensor) -> Any:
    """Of each step: spikes, state and current before it, and what the weights saw, ``(B, inputs)``."""
    state, z = None, torch.zeros(())
    values = layer.neuron.values(x.dtype)
    for now in x:
        current = layer.into(now)
        if state is None:
            state, z = layer.neuron.initial(current), torch.zeros_like(current)
        if layer.back is not None:
            current = current + layer.back(z)
            now = torch.cat([now, z], 1)
        seen = torch.cat([now, torch.ones_like(now[:, :1])], 1)  # the last of them is the bias's
        before = state
        z, state = layer.neuron.advance(values, (current,), state)
        yield z, before, current, seen


def _eligible(
    layer: _Layer, x: torch.Tensor, signal: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The sums over steps and samples of learning signal times eligibility, ``(neurons, inputs)``, and of the
    loss's gradient by the read-out's current times the spikes, ``(outputs, neurons)``.

    Parameters
    ----------
    signal : that gradient ``(T, B, outputs)``, and the feedback that makes the learning signal of it.
    """
    wanted, feedback = signal
    neuron = layer.neuron
    program = neuron.model.program()
    names, port = program.states, program.inputs[0]
    slots = {slot: s.program for slot, s in neuron._slots.items() if isinstance(s, Slopes)}  # pyright: ignore[reportPrivateUsage]
    partial = jacobian(program, slots, wrt=(f"input.{port}",))
    values = neuron.values(x.dtype)
    traces: dict[str, Any] = dict.fromkeys(names, 0.0)
    gradient = out = torch.zeros(())
    for (z, before, current, seen), error in zip(_steps(layer, x), wanted, strict=True):
        learning = error @ feedback
        entered = {f"input.{port}": current, **{f"state.{n}": v for n, v in zip(names, before, strict=True)}}
        domain = Tensors({}, current)
        registers = evaluate(partial, domain, values, {}, entered)
        ends = {
            n: domain.full(registers[r])[..., None]
            for n, r in zip(partial.states, partial.next_states, strict=True)
        }
        moved = {
            result: sum(ends[f"d.{result}/d.state.{n}"] * traces[n] for n in names)
            + ends[f"d.{result}/d.input.{port}"] * seen[:, None, :]
            for result in ("out", *(f"state.{n}" for n in names))
        }
        gradient = gradient + torch.einsum("bn,bnp->np", learning, moved["out"])
        out = out + error.T @ z
        traces = {n: moved[f"state.{n}"] for n in names}
    return gradient, out


def _hand_out(layer: _Layer, gradient: torch.Tensor, inputs: int) -> None:
    found = [(layer.into.weight, gradient[:, :inputs]), (layer.into.bias, gradient[:, -1])]
    if layer.back is not None:
        found += [(layer.back.weight, gradient[:, inputs:-1]), (layer.back.bias, gradient[:, -1])]
    for parameter, part in found:
        _add(parameter, part)


def _add(weights: torch.Tensor | None, part: torch.Tensor) -> None:
    """To the parameters: of weights that are made of others, such as integers, to those."""
    if isinstance(weights, nn.Parameter) and weights.requires_grad:
        weights.grad = part.clone() if weights.grad is None else weights.grad + part
    elif weights is not None and weights.requires_grad:
        weights.backward(part)


def _layer(parts: Parts) -> _Layer:
    hint = "Sequential(Linear, Neuron or Recurrent, Linear, a read-out), or another rule"
    first, last = parts.blocks[0], parts.blocks[-1]
    weights = [
        [m for m in block.layers if not isinstance(m, nn.Flatten | nn.Identity)] for block in (first, last)
    ]
    if len(parts.blocks) != 2 or any(
        len(found) != 1 or not isinstance(found[0], nn.Linear) for found in weights
    ):
        raise UnsupportedLayer(
            "the rule eprop", "a network of several hidden layers, or without Linear", hint
        )
    cells: Any = first.cells
    neuron, back = (cells.neuron, cells.feedback) if isinstance(cells, Recurrent) else (cells, None)
    if (
        not isinstance(neuron, Neuron)
        or len(neuron.model.inputs) != 1
        or not (back is None or isinstance(back, nn.Linear))
    ):
        raise UnsupportedLayer(f"{first.path}, rule eprop", type(cells).__name__, hint)
    for linear in (weights[0][0], weights[1][0], *([] if back is None else [back])):
        if "weight" not in dict(linear.named_parameters(recurse=False)) and not is_parametrized(linear):
            hint = "torch.nn.utils.parametrizations, or rule bptt"
            raise UnsupportedLayer(f"{first.path}, rule eprop", "weights that a hook makes", hint)
    if not neuron.declared or any(True for _ in neuron.parameters()):
        what = "a function for a surrogate" if not neuron.declared else "learned parameters of neurons"
        raise UnsupportedLayer(f"{first.path}, rule eprop", what, "a Surrogate, and learn=()")
    return _Layer(weights[0][0], neuron, back, weights[1][0])  # type: ignore[arg-type]
