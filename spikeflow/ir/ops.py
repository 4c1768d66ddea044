"""Ops: the small arithmetic in which a neuron's step is written, recorded as a program while the step is
traced.

``+ - * /`` are the operators of the values themselves; everything else is a method of Ops. A step is only
ever traced; whoever runs it evaluates the program (`ir.evaluate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from spikeflow.ir.evaluate import Domain
from spikeflow.ir.instructions import Instruction, instruction
from spikeflow.ir.operations import Operations
from spikeflow.ir.program import Program
from spikeflow.ir.symbol import Symbol as Symbol
from spikeflow.moved import Renamed


class Ops(Operations, Domain[Symbol]):
    """What a step may use, all of `Operations`; each becomes one instruction, equal ones only once.

    It is a domain too: evaluating a program on its symbols copies the program, as part of a larger one.
    """

    hold = Renamed("stop_gradient")

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self._known: dict[tuple[object, ...], int] = {}

    def record(self, one: Instruction) -> Symbol:
        """The register of this instruction, which is recorded unless it already was."""
        key = (one, type(one.value), str(one.value))
        if key not in self._known:
            self._known[key] = len(self.code)
            self.code.append(one)
        return Symbol(self, self._known[key])

    def emit(
        self, operation: str, *args: Any, name: str = "", value: float | int = 0, mode: str = ""
    ) -> Symbol:
        registers = tuple(self._register(a) for a in args)
        return self.record(instruction(operation, registers, name, value, mode))

    def _register(self, x: Any) -> int:
        if isinstance(x, Symbol):
            return x.index
        whole = isinstance(x, int | np.integer)
        return self.const(int(x) if whole else float(x)).index


class Recorder:
    """Record a program by hand: ``p.name`` and ``s.name`` are symbols, ``x`` the inputs in order, ``ops``
    records.
    """

    def __init__(self, inputs: Sequence[str], states: Sequence[str], params: Sequence[str]) -> None:
        self.inputs, self.states, self.params = tuple(inputs), tuple(states), tuple(params)
        self.ops = Ops()
        self.p = self._symbols("param", self.params)
        self.s = self._symbols("state", self.states)
        self.x = tuple(self.ops.emit("input", name=n) for n in self.inputs)

    def _symbols(self, op: str, names: Sequence[str]) -> Any:
        return SimpleNamespace(**{n: self.ops.emit(op, name=n) for n in names})

    def program(
        self, output: Symbol, next_states: Sequence[Symbol], tables: dict[str, tuple[int, ...]] | None = None
    ) -> Program:
        """The finished program."""
        return Program(
            self.inputs,
            self.states,
            self.params,
            tuple(self.ops.code),
            output.index,
            tuple(s.index for s in next_states),
            tables or {},
        )
