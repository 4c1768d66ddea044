"""The meaning of a Program: one step of all neurons of a population, in numpy.

Float programs compute in float32, each operation rounded by itself. Integer programs compute in int64.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.ir import functions
from spikeflow.ir.fixed import narrow, shift, shift_right
from spikeflow.ir.program import Instruction, Program

Array = npt.NDArray[Any]
FLUSH = np.float32(2.0**-100)


def _minimum(a: Any, b: Any) -> Array:
    return np.where(a < b, a, b)


def _maximum(a: Any, b: Any) -> Array:
    return np.where(a > b, a, b)


def _clip(x: Array, low: float, high: float) -> Array:
    return _minimum(_maximum(x, np.float32(low)), np.float32(high))


_PLAIN: Mapping[str, Callable[..., Array]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "div": lambda a, b: a / b,
    "min": _minimum,
    "max": _maximum,
    "floor": np.floor,
    "where": lambda c, a, b: np.where(c != 0, a, b),
    "hold": lambda x: x,
}
_FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "tanh": lambda x: functions.tanh(x, _clip),
    "sigmoid": lambda x: functions.sigmoid(x, _clip),
}


class Step:
    """One population's program, ready to be stepped.

    Parameters
    ----------
    params : arrays that broadcast to the population's shape.
    fixed : integers (stage fixed) instead of float32.
    """

    def __init__(self, program: Program, params: Mapping[str, Array], fixed: bool) -> None:
        self.program, self.fixed = program, fixed
        self.dtype: Any = np.int64 if fixed else np.float32
        self.params = {name: value.astype(self.dtype) for name, value in params.items()}
        self.narrowed_low: Counter[str] = Counter()
        self.narrowed_high: Counter[str] = Counter()
        self.overflowed: Array = np.zeros((), bool)  # in the last step, by neuron

    def __call__(self, state: Sequence[Array], inputs: Sequence[Array]) -> tuple[Array, tuple[Array, ...]]:
        """Output and next state; state and inputs have the shape ``(B, *shape)``."""
        shape = (state or inputs)[0].shape
        leaves = {
            "state": dict(zip(self.program.states, state, strict=True)),
            "input": dict(zip(self.program.inputs, inputs, strict=True)),
            "param": self.params,
        }
        registers: list[Array] = []
        self.overflowed = np.zeros(shape, bool)
        with np.errstate(all="ignore"):
            for instruction in self.program.code:
                registers.append(self._execute(instruction, registers, leaves))
                if instruction.op == "narrow":
                    self._count(instruction, registers[instruction.args[0]], registers[-1], shape)
        full = [
            np.broadcast_to(registers[i], shape) for i in (self.program.output, *self.program.next_states)
        ]
        return full[0], tuple(self._settle(s) for s in full[1:])

    def _count(self, i: Instruction, wide: Array, narrowed: Array, shape: tuple[int, ...]) -> None:
        """What left its format: every format holds 0, so the sign tells at which end."""
        changed = np.broadcast_to(wide != narrowed, shape)
        self.overflowed = self.overflowed | changed
        for counter, outside in ((self.narrowed_low, wide < 0), (self.narrowed_high, wide > 0)):
            # counted for each neuron and sample, also where the register is one number for all
            counter[i.name] += int((changed & outside).sum())

    def _execute(
        self, i: Instruction, registers: list[Array], leaves: Mapping[str, Mapping[str, Array]]
    ) -> Array:
        args = [registers[a] for a in i.args]
        if i.op in leaves:
            return leaves[i.op][i.name]
        if i.op == "const":
            return np.asarray(i.value, self.dtype)
        if i.op == "spike":
            return (args[0] >= 0).astype(self.dtype)
        if i.op == "function":
            return _FUNCTIONS[i.name](args[0])
        if i.op == "mul":
            product = args[0] * args[1]
            return shift_right(product, int(i.value), i.mode) if i.value else product
        if i.op in _PLAIN:
            return _PLAIN[i.op](*args)
        return self._fixed_only(i, args[0])

    def _fixed_only(self, i: Instruction, x: Array) -> Array:
        if i.op == "shift":
            return shift(x, int(i.value), i.mode)
        if i.op == "table":
            table = np.asarray(self.program.tables[i.name], np.int64)
            return table[np.clip(x, 0, len(table) - 1)]
        return narrow(x, int(i.value), i.mode)

    def _settle(self, state: Array) -> Array:
        """The end of a step: a float state of magnitude below 2**-100 becomes +0."""
        if self.fixed:
            return np.array(state)
        return np.where(np.abs(state) < FLUSH, np.float32(0), state)
