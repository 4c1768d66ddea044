"""Backward through time in numpy: the forward pass kept, then the adjoint program from the last step to
the first.

It is to the adjoint what the reference is to a network: slow, and the meaning of what kernels compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeflow.errors import DataError
from spikeflow.ir.adjoint import NO_SLOTS, Slots, adjoint
from spikeflow.ir.evaluate import evaluate
from spikeflow.ir.program import Program
from spikeflow.sim.domains import Float32, Float64
from spikeflow.sim.interpreter import FLUSH
from spikeflow.typing import Array


@dataclass(frozen=True)
class Forward:
    """What a run of a program leaves for its gradient.

    Parameters
    ----------
    params : by name, each of a shape that broadcasts to the population's.
    inputs : by port, ``(T, B, *shape)``.
    states : by name, ``(T + 1, B, *shape)``: before each step, then after the last.
    output : ``(T, B, *shape)``.
    """

    program: Program
    params: Mapping[str, Array]
    inputs: Mapping[str, Array]
    states: Mapping[str, Array]
    output: Array


@dataclass(frozen=True)
class Gradients:
    """Derivatives of a loss: by the inputs of each step, by the initial state, by the parameters."""

    inputs: Mapping[str, Array]
    state: Mapping[str, Array]
    params: Mapping[str, Array]


def forward(
    program: Program,
    params: Mapping[str, Array],
    inputs: Mapping[str, Array],
    state: Mapping[str, Array] | None = None,
) -> Forward:
    """A float program run over time, in the type of its inputs (float32 or float64), from rest or from a
    state.

    Parameters
    ----------
    inputs : for each port ``(T, B, *shape)``; a program without ports takes one input of any name, for its
        shape.
    state : by name, ``(B, *shape)``.
    """
    like = next(iter(inputs.values()))
    domain = _domain(like)
    params = {name: np.asarray(value, like.dtype) for name, value in params.items()}
    states = {name: np.zeros((len(like) + 1, *like.shape[1:]), like.dtype) for name in program.states}
    for name, value in (state or {}).items():
        states[name][0] = value
    output = np.zeros_like(like)
    for t in range(len(like)):
        before = {name: values[t] for name, values in states.items()}
        arriving = {name: values[t] for name, values in inputs.items()}
        with np.errstate(all="ignore"):
            registers = evaluate(program, domain, params, before, arriving)
        output[t], *after = (registers[end] for end in program.ends)
        for name, value in zip(program.states, after, strict=True):
            states[name][t + 1] = np.where(np.abs(value) < FLUSH, 0, value)
    return Forward(program, params, inputs, states, output)


def backward(
    run: Forward, cotangent: Array, slots: Slots = NO_SLOTS, states: Mapping[str, Array] | None = None
) -> Gradients:
    """The gradients of a loss by backpropagation through time.

    Parameters
    ----------
    cotangent : the loss's derivative by the output of each step, ``(T, B, *shape)``.
    slots : the surrogates, as of `ir.adjoint.adjoint`; their parameters are among those of the run.
    states : its derivative by each state after each step, where the loss or another node reads one; by name,
        of the shape of `cotangent`.
    """
    program, text = run.program, adjoint(run.program, slots)
    carried = {f"d.state.{name}": np.zeros_like(cotangent[0]) for name in program.states}
    inputs = {name: np.zeros_like(cotangent) for name in program.inputs}
    params = {name: np.zeros_like(cotangent[0]) for name in program.params}
    for t in reversed(range(len(cotangent))):
        arriving = {f"input.{name}": values[t] for name, values in run.inputs.items()}
        arriving |= {f"state.{name}": values[t] for name, values in run.states.items()}
        arriving["d.out"] = cotangent[t]
        carried |= {f"d.state.{n}": carried[f"d.state.{n}"] + read[t] for n, read in (states or {}).items()}
        with np.errstate(all="ignore"):
            registers = evaluate(text, _domain(cotangent), run.params, carried, arriving)
        made = {name: registers[end] for name, end in zip(text.states, text.next_states, strict=True)}
        carried = {name: made[name] for name in carried}
        for name, values in inputs.items():
            values[t] = made[f"d.input.{name}"]
        for name, total in params.items():
            total += made[f"d.param.{name}"]
    first = {name: np.broadcast_to(carried[f"d.state.{name}"], cotangent[0].shape) for name in program.states}
    shaped = {name: summed_to(total, run.params[name].shape) for name, total in params.items()}
    return Gradients(inputs, first, shaped)


def summed_to(values: Array, shape: tuple[int, ...]) -> Array:
    """Summed over all axes along which a parameter of this shape is one number."""
    padded = (1,) * (values.ndim - len(shape)) + shape
    axes = tuple(k for k, length in enumerate(padded) if length == 1)
    return values.sum(axes, keepdims=True).reshape(shape)


def _domain(like: Array) -> Float32 | Float64:
    if like.dtype.type not in (np.float32, np.float64):
        raise DataError(
            "gradient", f"values of {like.dtype}", "float32 or float64", "values.astype(np.float32)"
        )
    return Float64() if like.dtype == np.float64 else Float32()
