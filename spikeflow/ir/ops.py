"""Ops: the small arithmetic in which a neuron's step is written; numpy runs it, tracing records it.

``+ - * /`` are the operators of the values themselves; everything else is a method here. The torch version
lives with the layers (``neurons.layer``).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np

from spikeflow.ir import functions
from spikeflow.ir.program import Instruction, Program


class Ops(Protocol):
    """What a step may use besides + - * /."""

    def minimum(self, a: Any, b: Any) -> Any:
        """a < b ? a : b."""
        ...

    def maximum(self, a: Any, b: Any) -> Any:
        """a > b ? a : b."""
        ...

    def floor(self, x: Any) -> Any:
        """The largest whole number not above x."""
        ...

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """condition != 0 ? a : b; no gradient reaches the condition."""
        ...

    def spike(self, x: Any, slot: int = 0) -> Any:
        """1 where x >= 0, else 0; trained with the surrogate gradient of its slot."""
        ...

    def hold(self, x: Any) -> Any:
        """x itself, through which no gradient flows."""
        ...

    def tanh(self, x: Any) -> Any:
        """The fixed formula of ``ir.functions``."""
        ...

    def sigmoid(self, x: Any) -> Any:
        """The fixed formula of ``ir.functions``."""
        ...


class NumpyOps:
    """The step run on float32 numpy arrays."""

    def minimum(self, a: Any, b: Any) -> Any:
        return np.where(np.less(a, b), np.float32(a), np.float32(b))

    def maximum(self, a: Any, b: Any) -> Any:
        return np.where(np.greater(a, b), np.float32(a), np.float32(b))

    def floor(self, x: Any) -> Any:
        return np.floor(x)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return np.where(np.not_equal(condition, 0), np.float32(a), np.float32(b))

    def spike(self, x: Any, slot: int = 0) -> Any:
        return np.greater_equal(x, 0).astype(np.float32)

    def hold(self, x: Any) -> Any:
        return x

    def tanh(self, x: Any) -> Any:
        return functions.tanh(x, self._clip)

    def sigmoid(self, x: Any) -> Any:
        return functions.sigmoid(x, self._clip)

    def _clip(self, x: Any, low: float, high: float) -> Any:
        return self.minimum(self.maximum(x, low), high)


class Symbol:
    """A register while a step is being recorded."""

    # numpy must not take a Symbol apart when an array stands on the left
    __array_ufunc__ = None

    def __init__(self, trace: TraceOps, index: int) -> None:
        self.trace, self.index = trace, index

    def __add__(self, other: Any) -> Symbol:
        return self.trace.emit("add", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return self.trace.emit("add", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return self.trace.emit("sub", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return self.trace.emit("sub", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return self.trace.emit("mul", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return self.trace.emit("mul", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return self.trace.emit("div", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self.trace.emit("div", other, self)

    def __neg__(self) -> Symbol:
        return self.trace.emit("sub", 0.0, self)

    def __bool__(self) -> bool:
        raise TypeError("a step may not branch on a value; use ops.where")


class TraceOps:
    """The step recorded: every operation becomes one instruction, equal ones only once."""

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self._known: dict[tuple[object, ...], int] = {}

    def add(self, instruction: Instruction) -> Symbol:
        """The register of this instruction, which is recorded unless it already was."""
        key = (instruction, type(instruction.value), str(instruction.value))
        if key not in self._known:
            self._known[key] = len(self.code)
            self.code.append(instruction)
        return Symbol(self, self._known[key])

    def emit(self, op: str, *args: Any, name: str = "", value: float | int = 0, mode: str = "") -> Symbol:
        """Record `op` on registers or plain numbers."""
        registers = tuple(self._register(a) for a in args)
        return self.add(Instruction(op, registers, name, value, mode))

    def _register(self, x: Any) -> int:
        if isinstance(x, Symbol):
            return x.index
        whole = isinstance(x, int | np.integer)
        return self.add(Instruction("const", value=int(x) if whole else float(x))).index

    def minimum(self, a: Any, b: Any) -> Symbol:
        return self.emit("min", a, b)

    def maximum(self, a: Any, b: Any) -> Symbol:
        return self.emit("max", a, b)

    def floor(self, x: Any) -> Symbol:
        return self.emit("floor", x)

    def where(self, condition: Any, a: Any, b: Any) -> Symbol:
        return self.emit("where", condition, a, b)

    def spike(self, x: Any, slot: int = 0) -> Symbol:
        return self.emit("spike", x, value=slot)

    def hold(self, x: Any) -> Symbol:
        return self.emit("hold", x)

    def tanh(self, x: Any) -> Symbol:
        return self.emit("function", x, name="tanh")

    def sigmoid(self, x: Any) -> Symbol:
        return self.emit("function", x, name="sigmoid")

    def shift(self, x: Any, amount: int, mode: str = "floor") -> Symbol:
        """Fixed stage: x 2**amount."""
        return self.emit("shift", x, value=amount, mode=mode if amount < 0 else "")

    def multiply_shift(self, a: Any, b: Any, count: int, mode: str) -> Symbol:
        """Fixed stage: a b / 2**count, rounded by `mode`."""
        return self.emit("mul", a, b, value=count, mode=mode if count else "")

    def narrow(self, x: Any, bits: int, mode: str, name: str) -> Symbol:
        """Fixed stage: x brought into `bits` bits; what changes is counted under `name`."""
        return self.emit("narrow", x, value=bits, mode=mode, name=name)

    def table(self, x: Any, name: str) -> Symbol:
        """Fixed stage: the entry of table `name` at index x, clamped to its ends."""
        return self.emit("table", x, name=name)


class Recorder:
    """Record a program by hand: ``p.name`` and ``s.name`` are symbols, ``x`` the inputs in order, ``ops`` records."""

    def __init__(self, inputs: Sequence[str], states: Sequence[str], params: Sequence[str]) -> None:
        self.inputs, self.states, self.params = tuple(inputs), tuple(states), tuple(params)
        self.ops = TraceOps()
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
