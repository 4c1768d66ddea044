"""A population's program replayed in float64 on recorded spikes, with the running error bound of float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow.convert.verify.magnitude import UNIT, Bounded
from spikeflow.errors import ConversionError
from spikeflow.ir import functions
from spikeflow.ir.evaluate import Domain, evaluate, rule
from spikeflow.ir.nodes import Population
from spikeflow.ir.operations import FLOAT, Operation
from spikeflow.ir.program import Program
from spikeflow.sim.domains import Float64
from spikeflow.typing import Array

_TINY = 2.0**-99  # what the end of a step may cut off
_FUNCTION_ROUNDINGS = 32
SMALLEST = 2.0**-149  # of float32, which a rounding to 0 may lose
_FLOAT64 = Float64()
_FORMULAS = functions.NumpyFloats(np.float64)


@dataclass(frozen=True, eq=False)
class Replayed:
    """A population replayed, ``(T, B, *shape)``.

    Parameters
    ----------
    output : what it hands on; a spike is the recorded one.
    event : the argument of the spike that the output is, or is multiplied by; None where there is none.
    unsure : where another spike, a gate or a burst, may have been decided either way.
    """

    output: Bounded
    event: Bounded | None
    unsure: Array


def replay(node: Population, ports: Mapping[str, Bounded], outputs: Array) -> Replayed:
    """The population with the recorded outputs' events, so that it resets as recorded.

    Parameters
    ----------
    ports : currents ``(T, B, *shape)`` with their bounds.
    outputs : as recorded, ``(T, B, *shape)``.
    """
    shape = outputs.shape[1:]
    zero = Bounded(np.zeros(shape), np.zeros(shape))
    state = {
        s: Bounded(
            np.broadcast_to(node.initial.get(s, np.zeros(())), shape).astype(np.float64), np.zeros(shape)
        )
        for s in node.program.states
    }
    steps = []
    for t in range(len(outputs)):
        inputs = {
            p: Bounded(ports[p].value[t], ports[p].error[t]) if p in ports else zero for p in node.ports
        }
        found, state = _step(node, state, inputs, outputs[t])
        steps.append(found)
    events = [step.event for step in steps if step.event is not None]
    output = _stacked([step.output for step in steps], shape)
    unsure = np.stack([np.broadcast_to(step.unsure, shape) for step in steps])
    return Replayed(output, _stacked(events, shape) if events else None, unsure)


def _stacked(parts: list[Bounded], shape: tuple[int, ...]) -> Bounded:
    values, errors = ([np.broadcast_to(getattr(p, k), shape) for p in parts] for k in ("value", "error"))
    return Bounded(np.stack(values), np.stack(errors))


def _step(
    node: Population, state: Mapping[str, Bounded], inputs: Mapping[str, Bounded], outputs: Array
) -> tuple[Replayed, dict[str, Bounded]]:
    program, event = node.program, _event(node)
    params = {n: Bounded(v.astype(np.float64), np.zeros(v.shape)) for n, v in node.params.items()}
    slot = None if event is None else int(program.code[event].value)
    bounds = Bounds((outputs != 0).astype(np.float64), slot)
    with np.errstate(invalid="ignore"):  # an unknown error times 0
        registers = evaluate(program, bounds, params, state, inputs)
    after = {
        s: Bounded(registers[r].value, registers[r].error + _TINY)
        for s, r in zip(program.states, program.next_states, strict=True)
    }
    argument = None if event is None else registers[program.code[event].args[0]]
    return Replayed(registers[program.output], argument, bounds.unsure), after


def unbounded(program: Program) -> tuple[str, ...]:
    """The operations of a program of which the error of float32 is not known."""
    words = {operation for operation, _, _ in program.plan}
    return tuple(sorted(words - vars(Bounds).keys() - {"param", "state", "input"}))


def _event(node: Population) -> int | None:
    """The spike that the output is, or is multiplied by (a graded event, a burst), which the output tells."""
    code, index = node.program.code, node.program.output
    while code[index].op == "hold":
        index = code[index].args[0]
    factors = code[index].args if code[index].op == "mul" else (index,)
    found = [f for f in factors if code[f].op == "spike"]
    if not found:
        return None
    slot = code[found[0]].value
    if sum(i.op == "spike" and i.value == slot for i in code) > 1:
        raise ConversionError(
            node.model, f"several spikes share slot {slot}, its output's", "a slot for each, ops.spike(x, 1)"
        )
    return found[0]


class Bounds(Domain[Bounded]):
    """Operations in float64, each with the largest error that float32 makes of it, infinite where it is not
    known.

    Parameters
    ----------
    spikes : what the spike of a slot is made to be; others are decided by their arguments.
    slot : of that spike; None for none.
    """

    stages = (FLOAT,)

    def __init__(self, spikes: Array, slot: int | None = 0) -> None:
        self.spikes, self.slot = spikes, slot
        self.unsure = np.zeros((), bool)  # where a spike that was decided may have fallen otherwise

    def const(self, value: float | int) -> Bounded:
        # a constant that float32 rounds is the same number in torch and in the engine
        return Bounded(np.asarray(np.float32(value), np.float64), np.zeros(()))

    def add(self, a: Bounded, b: Bounded) -> Bounded:
        return _rounded(a.value + b.value, a.error + b.error)

    def sub(self, a: Bounded, b: Bounded) -> Bounded:
        return _rounded(a.value - b.value, a.error + b.error)

    def mul(self, a: Bounded, b: Bounded, count: int, mode: str) -> Bounded:
        error = np.abs(a.value) * b.error + np.abs(b.value) * a.error + a.error * b.error
        return _rounded(a.value * b.value, error)

    def div(self, a: Bounded, b: Bounded) -> Bounded:
        value = a.value / b.value
        least = np.maximum(np.abs(b.value) - b.error, 1e-300)
        return _rounded(value, (a.error + np.abs(value) * b.error) / least)

    def minimum(self, a: Bounded, b: Bounded) -> Bounded:
        return Bounded(np.minimum(a.value, b.value), np.maximum(a.error, b.error))

    def maximum(self, a: Bounded, b: Bounded) -> Bounded:
        return Bounded(np.maximum(a.value, b.value), np.maximum(a.error, b.error))

    def floor(self, x: Bounded, slot: int) -> Bounded:
        value = np.floor(x.value)
        sure = np.minimum(x.value - value, value + 1 - x.value) > x.error
        return _jumped(value, x, sure)

    def round(self, x: Bounded, slot: int) -> Bounded:
        value = np.rint(x.value)
        sure = 0.5 - np.abs(x.value - value) > x.error
        return _jumped(value, x, sure)

    def abs(self, x: Bounded) -> Bounded:
        return Bounded(np.abs(x.value), x.error)

    def where(self, condition: Bounded, a: Bounded, b: Bounded) -> Bounded:
        chosen = condition.value != 0
        value, error = np.where(chosen, a.value, b.value), np.where(chosen, a.error, b.error)
        # where the condition may be 0 or not, the other value may be the right one
        sure = (condition.error == 0) | (np.abs(condition.value) > condition.error)
        either = np.abs(a.value - b.value) + a.error + b.error
        return Bounded(value, np.where(sure, error, np.where(np.isnan(either), np.inf, either)))

    def spike(self, x: Bounded, slot: int) -> Bounded:
        if slot == self.slot:
            return Bounded(self.spikes, np.zeros(self.spikes.shape))
        sure = np.abs(x.value) > x.error
        self.unsure = self.unsure | ~sure
        return Bounded((x.value >= 0).astype(np.float64), np.where(sure, 0.0, 1.0))

    def stop_gradient(self, x: Bounded) -> Bounded:
        return x

    def tanh(self, x: Bounded) -> Bounded:
        return Bounded(functions.tanh(x.value, _FORMULAS), x.error + _FUNCTION_ROUNDINGS * UNIT)

    def sigmoid(self, x: Bounded) -> Bounded:
        return Bounded(functions.sigmoid(x.value, _FORMULAS), 0.25 * x.error + _FUNCTION_ROUNDINGS * UNIT)

    def exp(self, x: Bounded) -> Bounded:
        value = functions.exp(x.value, _FORMULAS)
        return Bounded(value, value * (np.expm1(x.error) + _FUNCTION_ROUNDINGS * UNIT) + SMALLEST)

    def unlisted(self, operation: Operation, *args: Any) -> Bounded:
        """Its value; how wrong float32 can be is not known, so that every difference stays one."""
        given, taken = args[: operation.arguments], args[operation.arguments :]
        value = np.asarray(rule(_FLOAT64, operation.name)(*(x.value for x in given), *taken))
        return Bounded(value, np.full(value.shape, np.inf))


def _jumped(value: Array, x: Bounded, sure: Array) -> Bounded:
    """A whole number next to x; where it is not sure, as many others as the error of x reaches."""
    return Bounded(value, np.where(sure, 0.0, np.floor(x.error) + 1))


def _rounded(value: Array, error: Array) -> Bounded:
    return Bounded(value, error + UNIT * (np.abs(value) + error))
