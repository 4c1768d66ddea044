"""A population's program replayed in float64 on recorded spikes, with the running error bound of float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.convert.verify.magnitude import UNIT, Bounded
from spikeflow.errors import ConversionError
from spikeflow.ir import functions
from spikeflow.ir.nodes import Population
from spikeflow.ir.program import Instruction

Array = npt.NDArray[Any]
_TINY = 2.0**-99  # what the end of a step may cut off
_LIPSCHITZ = {"tanh": 1.0, "sigmoid": 0.25}
_FUNCTION_ROUNDINGS = 32


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
    program, registers = node.program, list[Bounded]()
    params = {n: Bounded(v.astype(np.float64), np.zeros(v.shape)) for n, v in node.params.items()}
    leaves = {"state": state, "input": inputs, "param": params}
    for i in program.code:
        if i.op in leaves:
            registers.append(leaves[i.op][i.name])
        elif i.op == "spike":
            registers.append(Bounded(spikes.astype(np.float64), np.zeros(spikes.shape)))
        else:
            registers.append(_execute(i, [registers[a] for a in i.args]))
    decided = registers[_deciding(node)]
    after = {
        s: Bounded(registers[r].value, registers[r].error + _TINY)
        for s, r in zip(program.states, program.next_states, strict=True)
    }
    return decided, after


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


def _execute(i: Instruction, x: list[Bounded]) -> Bounded:
    if i.op == "const":
        # a constant that float32 rounds is the same number in torch and in the engine
        return Bounded(np.asarray(np.float32(i.value), np.float64), np.zeros(()))
    if i.op == "hold":
        return x[0]
    if i.op in ("min", "max"):
        pick = np.minimum if i.op == "min" else np.maximum
        return Bounded(pick(x[0].value, x[1].value), np.maximum(x[0].error, x[1].error))
    if i.op == "where":
        chosen = x[0].value != 0
        return Bounded(np.where(chosen, x[1].value, x[2].value), np.where(chosen, x[1].error, x[2].error))
    if i.op == "floor":
        value = np.floor(x[0].value)
        sure = np.minimum(x[0].value - value, value + 1 - x[0].value) > x[0].error
        return Bounded(value, np.where(sure, 0.0, 1.0))
    if i.op == "function":
        made = functions.tanh if i.name == "tanh" else functions.sigmoid
        value = made(x[0].value, np.clip)
        return Bounded(value, _LIPSCHITZ[i.name] * x[0].error + _FUNCTION_ROUNDINGS * UNIT)
    return _rounded(*_ARITHMETIC[i.op](*x))


def _rounded(value: Array, error: Array) -> Bounded:
    return Bounded(value, error + UNIT * (np.abs(value) + error))


def _quotient(a: Bounded, b: Bounded) -> tuple[Array, Array]:
    value = a.value / b.value
    least = np.maximum(np.abs(b.value) - b.error, 1e-300)
    return value, (a.error + np.abs(value) * b.error) / least


_ARITHMETIC: Mapping[str, Any] = {
    "add": lambda a, b: (a.value + b.value, a.error + b.error),
    "sub": lambda a, b: (a.value - b.value, a.error + b.error),
    "mul": lambda a, b: (
        a.value * b.value,
        np.abs(a.value) * b.error + np.abs(b.value) * a.error + a.error * b.error,
    ),
    "div": _quotient,
}
