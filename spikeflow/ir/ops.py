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
from spikeflow.ir.program import Program
from spikeflow.moved import Renamed


class Symbol:
    """A register while a step is being recorded."""

    # numpy must not take a Symbol apart when an array stands on the left
    __array_ufunc__ = None

    def __init__(self, ops: Ops, index: int) -> None:
        self.ops, self.index = ops, index

    def __add__(self, other: Any) -> Symbol:
        return self.ops.add(self, other)

    def __radd__(self, other: Any) -> Symbol:
        return self.ops.add(other, self)

    def __sub__(self, other: Any) -> Symbol:
        return self.ops.sub(self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return self.ops.sub(other, self)

    def __mul__(self, other: Any) -> Symbol:
        return self.ops.mul(self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return self.ops.mul(other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return self.ops.div(self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self.ops.div(other, self)

    def __neg__(self) -> Symbol:
        return self.ops.sub(0.0, self)

    def __bool__(self) -> bool:
        raise TypeError("a step may not branch on a value; use ops.where")


class Ops(Domain[Symbol]):
    """What a step may use; every operation becomes one instruction, equal ones only once.

    It is a domain too: evaluating a program on its symbols copies the program, as part of a larger one.
    """

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
        """Record an operation of the table on registers or plain numbers."""
        registers = tuple(self._register(a) for a in args)
        return self.record(instruction(operation, registers, name, value, mode))

    def _register(self, x: Any) -> int:
        if isinstance(x, Symbol):
            return x.index
        whole = isinstance(x, int | np.integer)
        return self.const(int(x) if whole else float(x)).index

    def const(self, value: float | int) -> Symbol:
        """The same number for every neuron."""
        return self.emit("const", value=value)

    def add(self, a: Any, b: Any) -> Symbol:
        """a + b."""
        return self.emit("add", a, b)

    def sub(self, a: Any, b: Any) -> Symbol:
        """a - b."""
        return self.emit("sub", a, b)

    def mul(self, a: Any, b: Any, count: int = 0, mode: str = "") -> Symbol:
        """a b; at stage fixed a b / 2**count, rounded by `mode`."""
        return self.emit("mul", a, b, value=count, mode=mode if count else "")

    def div(self, a: Any, b: Any) -> Symbol:
        """a / b."""
        return self.emit("div", a, b)

    def minimum(self, a: Any, b: Any) -> Symbol:
        """a < b ? a : b."""
        return self.emit("minimum", a, b)

    def maximum(self, a: Any, b: Any) -> Symbol:
        """a > b ? a : b."""
        return self.emit("maximum", a, b)

    def floor(self, x: Any, slot: int = 0) -> Symbol:
        """The largest whole number not above x; trained where a slot, from 1 on, has a surrogate gradient."""
        return self.emit("floor", x, value=slot)

    def round(self, x: Any, slot: int = 0) -> Symbol:
        """The nearest whole number, ties to the even one; trained where a slot, from 1 on, has a surrogate
        gradient.
        """
        return self.emit("round", x, value=slot)

    def abs(self, x: Any) -> Symbol:
        """x without its sign."""
        return self.emit("abs", x)

    def where(self, condition: Any, a: Any, b: Any) -> Symbol:
        """condition != 0 ? a : b; no gradient reaches the condition."""
        return self.emit("where", condition, a, b)

    def spike(self, x: Any, slot: int = 0) -> Symbol:
        """1 where x >= 0, else 0; trained with the surrogate gradient of its slot."""
        return self.emit("spike", x, value=slot)

    def stop_gradient(self, x: Any) -> Symbol:
        """x itself, through which no gradient flows."""
        return self.emit("stop_gradient", x)

    hold = Renamed("stop_gradient")

    def tanh(self, x: Any) -> Symbol:
        """The fixed formula of `ir.functions`."""
        return self.emit("tanh", x)

    def sigmoid(self, x: Any) -> Symbol:
        """The fixed formula of `ir.functions`."""
        return self.emit("sigmoid", x)

    def exp(self, x: Any) -> Symbol:
        """The fixed formula of `ir.functions`."""
        return self.emit("exp", x)

    def shift(self, x: Any, amount: int, mode: str = "floor") -> Symbol:
        """Fixed stage: x 2**amount."""
        return self.emit("shift", x, value=amount, mode=mode if amount < 0 else "")

    def narrow(self, x: Any, bits: int, mode: str, name: str) -> Symbol:
        """Fixed stage: x brought into `bits` bits; what changes is counted under `name`."""
        return self.emit("narrow", x, value=bits, mode=mode, name=name)

    def table(self, x: Any, name: str) -> Symbol:
        """Fixed stage: the entry of table `name` at index x, clamped to its ends."""
        return self.emit("table", x, name=name)


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
