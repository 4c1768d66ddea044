"""The table of operations: all that a neuron's step is made of. A row is a method of `Operations`.

The method's name is that of the operation, its docstring the meaning, its body what a step that calls it
records; what stands above it says where the operation is legal and what its derivative is. An operation
means the same everywhere. What it does on one kind of values (float32 arrays, integers, tensors, intervals)
is a method of that kind's `ir.evaluate.Domain`, of the same name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

from spikeflow.ir.fixed import NARROWINGS
from spikeflow.ir.symbol import Symbol

FLOAT, FIXED = "snn", "fixed"
BOTH = (FLOAT, FIXED)
HIGHEST = 62  # of a count of bits and of a slot
Method = TypeVar("Method", bound=Callable[..., Symbol])
Parts = tuple["Symbol | None", ...]  # one for each argument; None where no gradient reaches it


@dataclass(frozen=True)
class Local:
    """One instruction while a gradient is recorded: the values around it, and the cotangent of its result.

    Parameters
    ----------
    ops : record more.
    value : the instruction's.
    args, result, cotangent : registers.
    surrogate : the derivative that stands in its slot, at a register.
    product : of two registers; nothing is recorded for a factor of 1.
    """

    ops: Operations
    value: float | int
    args: tuple[Symbol, ...]
    result: Symbol
    cotangent: Symbol
    surrogate: Callable[[Symbol], Symbol]
    product: Callable[[Symbol, Symbol], Symbol]

    def times(self, slope: Symbol) -> Symbol:
        """The cotangent times a derivative."""
        return self.product(self.cotangent, slope)


@dataclass(frozen=True)
class Operation:
    """One row of the table, which stands above the method that it describes.

    Parameters
    ----------
    arguments : how many earlier registers it reads.
    derivative : cotangents of its arguments from that of its result; None for what integers alone have.
    stages : where it is legal.
    takes : what else it reads of its instruction, handed to the domain behind the arguments.
    names : what its name must be one of: a part of the program. Empty where a name is only a label.
    lowest : smallest legal value where that is a whole number of at most 62; None where it is any number.
    rounds : the sign of the values that need a rounding mode; 0 for none.
    modes : its modes where it needs one whatever its value.
    shown : how value, mode and name read in a text, where there is more to say than the name.
    stored : its word in files, where that is not its name.
    name, meaning : of the method.
    """

    arguments: int
    derivative: Callable[[Local], Parts] | None = None
    stages: tuple[str, ...] = BOTH
    takes: tuple[str, ...] = ()
    names: str = ""
    lowest: int | None = None
    rounds: int = 0
    modes: tuple[str, ...] = ()
    shown: str = ""
    stored: str = ""
    name: str = ""
    meaning: str = ""

    @property
    def op(self) -> str:
        """The word in files and in `Instruction.op`."""
        return self.stored or self.name

    def __call__(self, method: Method) -> Method:
        """The method, with this row."""
        vars(method)["row"] = replace(self, name=method.__name__, meaning=method.__doc__ or "")
        return method


# Derivatives. At kinks: a tie of minimum or maximum gives its gradient to the second argument, abs has 0
# at 0, `where` selects gradients, its condition gets none; stop_gradient gives none, nor do floor and round
# without a slot. What is selected is never multiplied by 0, so that an infinity on the other side stays.


def _extreme(c: Local, difference: Symbol) -> Parts:
    """Of minimum and maximum: to the first argument where this difference is above 0, else to the second."""
    # not 0 exactly where the difference is above 0: a NaN and a tie of infinities are none
    first = c.ops.maximum(difference, 0.0)
    return c.ops.where(first, c.cotangent, 0.0), c.ops.where(first, 0.0, c.cotangent)


def _abs(c: Local) -> Parts:
    (x,), ops = c.args, c.ops
    negative = ops.where(ops.minimum(x, 0.0), 0.0 - c.cotangent, 0.0)
    return (ops.where(ops.maximum(x, 0.0), c.cotangent, negative),)


def _where(c: Local) -> Parts:
    return None, c.ops.where(c.args[0], c.cotangent, 0.0), c.ops.where(c.args[0], 0.0, c.cotangent)


def _jump(c: Local) -> Parts:
    return (c.times(c.surrogate(c.args[0])),)


def _rounding(c: Local) -> Parts:
    """Slots of floor and round count from 1; 0 is none."""
    return _jump(c) if c.value else (None,)


class Operations(ABC):
    """All operations; what records them says how in `emit`. ``+ - * /`` are operators of symbols, too."""

    @abstractmethod
    def emit(
        self, operation: str, *args: Any, name: str = "", value: float | int = 0, mode: str = ""
    ) -> Symbol:
        """Record an operation of the table on registers or plain numbers."""

    @Operation(0, lambda c: (), takes=("value",), shown="{value!r}")
    def const(self, value: float | int) -> Symbol:
        """The same number for every neuron."""
        return self.emit("const", value=value)

    @Operation(0, lambda c: (), takes=("name",), names="params")
    def param(self, name: str) -> Symbol:
        """The parameter of this name."""
        return self.emit("param", name=name)

    @Operation(0, lambda c: (), takes=("name",), names="states")
    def state(self, name: str) -> Symbol:
        """The state of this name before the step."""
        return self.emit("state", name=name)

    @Operation(0, lambda c: (), takes=("name",), names="inputs")
    def input(self, name: str) -> Symbol:
        """The sum that arrived at the port of this name."""
        return self.emit("input", name=name)

    @Operation(2, lambda c: (c.cotangent, c.cotangent))
    def add(self, a: Any, b: Any) -> Symbol:
        """a + b."""
        return self.emit("add", a, b)

    @Operation(2, lambda c: (c.cotangent, 0.0 - c.cotangent))
    def sub(self, a: Any, b: Any) -> Symbol:
        """a - b."""
        return self.emit("sub", a, b)

    @Operation(
        2,
        lambda c: (c.times(c.args[1]), c.times(c.args[0])),
        takes=("value", "mode"),
        lowest=0,
        rounds=1,
        shown=">> {value} {mode}",
    )
    def mul(self, a: Any, b: Any, count: int = 0, mode: str = "") -> Symbol:
        """a b; at stage fixed the product of 64 bits shifted right by `count`, rounded by `mode`."""
        return self.emit("mul", a, b, value=count, mode=mode if count else "")

    # -(a / b) / b: the quotient is at hand, and a square of b would overflow first
    @Operation(
        2,
        lambda c: (c.cotangent / c.args[1], 0.0 - c.cotangent * (c.result / c.args[1])),
        stages=(FLOAT,),
    )
    def div(self, a: Any, b: Any) -> Symbol:
        """a / b."""
        return self.emit("div", a, b)

    @Operation(2, lambda c: _extreme(c, c.args[1] - c.args[0]), stored="min")
    def minimum(self, a: Any, b: Any) -> Symbol:
        """a < b ? a : b."""
        return self.emit("minimum", a, b)

    @Operation(2, lambda c: _extreme(c, c.args[0] - c.args[1]), stored="max")
    def maximum(self, a: Any, b: Any) -> Symbol:
        """a > b ? a : b."""
        return self.emit("maximum", a, b)

    @Operation(1, _rounding, stages=(FLOAT,), takes=("value",), lowest=0, shown="slot {value}")
    def floor(self, x: Any, slot: int = 0) -> Symbol:
        """The largest whole number not above x; trained where a slot, from 1 on, has a surrogate gradient."""
        return self.emit("floor", x, value=slot)

    @Operation(3, _where)
    def where(self, condition: Any, a: Any, b: Any) -> Symbol:
        """condition != 0 ? a : b; no gradient reaches the condition."""
        return self.emit("where", condition, a, b)

    @Operation(1, _jump, takes=("value",), lowest=0, shown="slot {value}")
    def spike(self, x: Any, slot: int = 0) -> Symbol:
        """1 where x >= 0, else 0; trained with the surrogate gradient of its slot."""
        return self.emit("spike", x, value=slot)

    @Operation(1, lambda c: (None,), stored="hold")
    def stop_gradient(self, x: Any) -> Symbol:
        """x itself, through which no gradient flows."""
        return self.emit("stop_gradient", x)

    # of tanh itself: its formula differs from it by less than 3e-8, whose own derivative would be noise
    @Operation(1, lambda c: (c.times(1.0 - c.result * c.result),), stages=(FLOAT,), stored="function")
    def tanh(self, x: Any) -> Symbol:
        """tanh(x) by the fixed formula of `ir.functions`."""
        return self.emit("tanh", x)

    @Operation(1, lambda c: (c.times(c.result * (1.0 - c.result)),), stages=(FLOAT,), stored="function")
    def sigmoid(self, x: Any) -> Symbol:
        """1 / (1 + exp(-x)) by the fixed formula of `ir.functions`."""
        return self.emit("sigmoid", x)

    @Operation(
        1,
        stages=(FIXED,),
        takes=("value", "mode"),
        lowest=-HIGHEST,
        rounds=-1,
        shown="by {value} {mode}",
    )
    def shift(self, x: Any, amount: int, mode: str = "floor") -> Symbol:
        """Fixed stage: x 2**amount; to the right rounded by `mode`."""
        return self.emit("shift", x, value=amount, mode=mode if amount < 0 else "")

    @Operation(
        1,
        stages=(FIXED,),
        takes=("value", "mode", "name"),
        lowest=2,
        modes=NARROWINGS,
        shown="to {value} bits, {mode} ({name})",
    )
    def narrow(self, x: Any, bits: int, mode: str, name: str) -> Symbol:
        """Fixed stage: x brought into `bits` bits by `mode`; what changes is counted under `name`."""
        return self.emit("narrow", x, value=bits, mode=mode, name=name)

    @Operation(1, stages=(FIXED,), takes=("name",), names="tables")
    def table(self, x: Any, name: str) -> Symbol:
        """Fixed stage: the entry of table `name` at index x, clamped to its ends."""
        return self.emit("table", x, name=name)

    @Operation(1, _abs)
    def abs(self, x: Any) -> Symbol:
        """x without its sign; at stage fixed the smallest number of 64 bits stays."""
        return self.emit("abs", x)

    @Operation(1, _rounding, stages=(FLOAT,), takes=("value",), lowest=0, shown="slot {value}")
    def round(self, x: Any, slot: int = 0) -> Symbol:
        """The nearest whole number, ties to the even one; trained as floor is."""
        return self.emit("round", x, value=slot)

    @Operation(1, lambda c: (c.times(c.result),), stages=(FLOAT,))
    def exp(self, x: Any) -> Symbol:
        """exp(x) by the fixed formula of `ir.functions`."""
        return self.emit("exp", x)


_ROWS: list[Operation] = [made.row for made in vars(Operations).values() if hasattr(made, "row")]
OPERATIONS: Mapping[str, Operation] = MappingProxyType({row.name: row for row in _ROWS})
