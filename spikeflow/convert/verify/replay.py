"""A population's program replayed in float64 on recorded spikes, with the running error bound of float32."""

from __future__ import annotations

from collections.abc import Mapping
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
SMALLEST = 2.0**-149
_FLOAT64 = Float64()


def replay(node: Population, ports: Mapping[str, Bounded], spikes: Array) -> Bounded:
    """What decides each output: the argument of the spike, or the output itself where nothing spikes.

    Parameters
    ----------
    ports : currents ``(T, B, *shape)`` with their bounds.
    spikes : ``(T, B, *shape)``, which the neurons are made to emit, so that they reset as recorded.
    """
    shape = spikes.shape[1:]
    zero = Bounded(np.zeros(shape), np.zeros(shape))
    state = {
        s: Bounded(
            np.broadcast_to(node.initial.get(s, np.zeros(())), shape).astype(np.float64), np.zeros(shape)
        )
        for s in node.program.states
    }
    values, errors = [], []
    for t in range(len(spikes)):
        inputs = {
            p: Bounded(ports[p].value[t], ports[p].error[t]) if p in ports else zero for p in node.ports
        }
        decided, state = _step(node, state, inputs, spikes[t])
        values.append(np.broadcast_to(decided.value, shape))
        errors.append(np.broadcast_to(decided.error, shape))
    return Bounded(np.stack(values), np.stack(errors))


def _step(
    node: Population, state: Mapping[str, Bounded], inputs: Mapping[str, Bounded], spikes: Array
) -> tuple[Bounded, dict[str, Bounded]]:
    program = node.program
    params = {n: Bounded(v.astype(np.float64), np.zeros(v.shape)) for n, v in node.params.items()}
    with np.errstate(invalid="ignore"):  # an unknown error times 0
        registers = evaluate(program, Bounds(spikes.astype(np.float64)), params, state, inputs)
    after = {
        s: Bounded(registers[r].value, registers[r].error + _TINY)
        for s, r in zip(program.states, program.next_states, strict=True)
    }
    return registers[_deciding(node)], after


def unbounded(program: Program) -> tuple[str, ...]:
    """The operations of a program of which the error of float32 is not known."""
    words = {operation for operation, _, _ in program.plan}
    return tuple(sorted(words - vars(Bounds).keys() - {"param", "state", "input"}))


def _deciding(node: Population) -> int:
    """The register whose sign decides the spike; the output itself where nothing spikes."""
    code = node.program.code
    slots = [index for index, i in enumerate(code) if i.op == "spike"]
    if not node.program.spikes():
        return node.program.output
    if len(slots) != 1:
        raise ConversionError(
            node.model, f"its program has {len(slots)} spike slots; ties are told for one", "one slot"
        )
    return code[slots[0]].args[0]


class Bounds(Domain[Bounded]):
    """Operations in float64, each with the largest error that float32 makes of it, infinite where it is not
    known.

    Parameters
    ----------
    spikes : what every spike is made to be.
    """

    stages = (FLOAT,)

    def __init__(self, spikes: Array) -> None:
        self.spikes = spikes

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
        return Bounded(self.spikes, np.zeros(self.spikes.shape))

    def stop_gradient(self, x: Bounded) -> Bounded:
        return x

    def tanh(self, x: Bounded) -> Bounded:
        return Bounded(functions.tanh(x.value, _FLOAT64), x.error + _FUNCTION_ROUNDINGS * UNIT)

    def sigmoid(self, x: Bounded) -> Bounded:
        return Bounded(functions.sigmoid(x.value, _FLOAT64), 0.25 * x.error + _FUNCTION_ROUNDINGS * UNIT)

    def exp(self, x: Bounded) -> Bounded:
        value = functions.exp(x.value, _FLOAT64)
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
