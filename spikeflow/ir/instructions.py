"""The table of operations: all that a neuron's step is made of, each with its meaning in a line; and
Instruction.

An operation means the same everywhere. What it does on one kind of values (float32 arrays, integers, tensors,
intervals, text) is a method of that kind's `ir.evaluate.Domain`, named as the operation is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from spikeflow.ir.fixed import NARROWINGS, ROUNDINGS

FLOAT, FIXED = "snn", "fixed"
BOTH = (FLOAT, FIXED)
HIGHEST = 62  # of a count of bits and of a slot


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    Parameters
    ----------
    name : the method of a domain; files say `stored` where that is another word.
    arguments : how many earlier registers it reads.
    meaning : in a line; a, b, c are the arguments.
    stages : where it is legal.
    takes : what else it reads of its instruction, handed to the domain behind the arguments.
    names : what its name must be one of: a part of the program. Empty where a name is only a label.
    lowest : smallest legal value where that is a whole number of at most 62; None where it is any number.
    rounds : the sign of the values that need a rounding mode; 0 for none.
    modes : its modes where it needs one whatever its value.
    shown : how value, mode and name read in a text, where there is more to say than the name.
    """

    name: str
    arguments: int
    meaning: str
    stages: tuple[str, ...] = BOTH
    takes: tuple[str, ...] = ()
    names: str = ""
    stored: str = ""
    lowest: int | None = None
    rounds: int = 0
    modes: tuple[str, ...] = ()
    shown: str = ""

    @property
    def op(self) -> str:
        """The word in files and in `Instruction.op`."""
        return self.stored or self.name


_ROWS = (
    Operation("const", 0, "the value", takes=("value",), shown="{value!r}"),
    Operation("param", 0, "the parameter of this name", takes=("name",), names="params"),
    Operation("state", 0, "the state of this name before the step", takes=("name",), names="states"),
    Operation("input", 0, "the sum that arrived at the port of this name", takes=("name",), names="inputs"),
    Operation("add", 2, "a + b"),
    Operation("sub", 2, "a - b"),
    Operation(
        "mul",
        2,
        "a b; in integers the product of 64 bits, then shifted right by value and rounded by mode",
        takes=("value", "mode"),
        lowest=0,
        rounds=1,
        shown=">> {value} {mode}",
    ),
    Operation("div", 2, "a / b", stages=(FLOAT,)),
    Operation("minimum", 2, "a < b ? a : b", stored="min"),
    Operation("maximum", 2, "a > b ? a : b", stored="max"),
    Operation(
        "floor",
        1,
        "the largest whole number not above a; a value above 0 is the slot of its surrogate",
        stages=(FLOAT,),
        takes=("value",),
        lowest=0,
        shown="slot {value}",
    ),
    Operation("where", 3, "a != 0 ? b : c"),
    Operation(
        "spike",
        1,
        "a >= 0 ? 1 : 0; value is the slot of its surrogate",
        takes=("value",),
        lowest=0,
        shown="slot {value}",
    ),
    Operation("stop_gradient", 1, "a, through which no gradient flows", stored="hold"),
    Operation("tanh", 1, "tanh(a) by the formula of ir.functions", stages=(FLOAT,), stored="function"),
    Operation(
        "sigmoid", 1, "1 / (1 + exp(-a)) by the formula of ir.functions", stages=(FLOAT,), stored="function"
    ),
    Operation(
        "shift",
        1,
        "a 2^value; to the right rounded by mode",
        stages=(FIXED,),
        takes=("value", "mode"),
        lowest=-HIGHEST,
        rounds=-1,
        shown="by {value} {mode}",
    ),
    Operation(
        "narrow",
        1,
        "a in value bits, overflow by mode; name labels the register for counting",
        stages=(FIXED,),
        takes=("value", "mode", "name"),
        lowest=2,
        modes=NARROWINGS,
        shown="to {value} bits, {mode} ({name})",
    ),
    Operation(
        "table",
        1,
        "the entry of the table of this name at index a, clamped to its ends",
        stages=(FIXED,),
        takes=("name",),
        names="tables",
    ),
    Operation("abs", 1, "a without its sign; in integers the smallest of 64 bits stays"),
    Operation(
        "round",
        1,
        "the nearest whole number, ties to the even one; a value above 0 is the slot of its surrogate",
        stages=(FLOAT,),
        takes=("value",),
        lowest=0,
        shown="slot {value}",
    ),
    Operation("exp", 1, "exp(a) by the formula of ir.functions", stages=(FLOAT,)),
)
OPERATIONS: Mapping[str, Operation] = MappingProxyType({row.name: row for row in _ROWS})
# files name a function of one argument by two words: "function", and which one
_FUNCTIONS = {row.name: row for row in _ROWS if row.stored == "function"}
_PLAIN = {row.op: row for row in _ROWS if row.stored != "function"}


@dataclass(frozen=True)
class Instruction:
    """One operation on earlier registers; `OPERATIONS` says what each reads."""

    op: str
    args: tuple[int, ...] = ()
    name: str = ""
    value: float | int = 0
    mode: str = ""

    @property
    def operation(self) -> Operation | None:
        """Its row of the table; None where there is none."""
        return (_FUNCTIONS if self.op == "function" else _PLAIN).get(
            self.name if self.op == "function" else self.op
        )

    @property
    def taken(self) -> tuple[Any, ...]:
        """What its operation takes besides arguments."""
        row = self.operation
        return () if row is None else tuple(getattr(self, name) for name in row.takes)

    def __str__(self) -> str:
        row, words = self.operation, [self.op, *(f"r{a}" for a in self.args)]
        says = row.shown if row is not None and (self.value or row.lowest != 0) else ""
        if self.name and "{name}" not in says:
            words.append(self.name)
        told = says.format(value=self.value, mode=self.mode, name=self.name).rstrip()
        return " ".join([*words, told] if told else words)

    def problem(self, index: int, names: Mapping[str, object]) -> str:
        """What is illegal about it as instruction `index` of a program; empty where nothing is.

        Parameters
        ----------
        names : the program's params, states, inputs and tables.
        """
        row, value = self.operation, self.value
        if row is None:
            return f"unknown name {self.name!r}" if self.op == "function" else "unknown operation"
        if len(self.args) != row.arguments or any(not 0 <= a < index for a in self.args):
            return f"arguments {self.args} are not {row.arguments} earlier registers"
        if row.names and self.name not in names[row.names]:  # type: ignore[operator]
            return f"unknown name {self.name!r}"
        whole = row.lowest is not None
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            return f"its value {value!r} is not a number of the kind it takes"
        # a comparison that NaN fails too
        largest = 2**63 - 1 if isinstance(value, int) else 3.4e38
        if not abs(value) <= largest or (row.lowest is not None and not row.lowest <= value <= HIGHEST):
            return f"its value {value} is out of range"
        if row.modes and self.mode not in row.modes:
            return f"unknown overflow {self.mode!r}"
        if row.rounds * value > 0 and self.mode not in ROUNDINGS:
            return f"unknown rounding {self.mode!r}"
        return "" if row.modes or self.mode in ("", *ROUNDINGS) else f"unknown mode {self.mode!r}"


def instruction(
    operation: str, args: tuple[int, ...] = (), name: str = "", value: float | int = 0, mode: str = ""
) -> Instruction:
    """The instruction of an operation of the table, as files write it."""
    row = OPERATIONS[operation]
    return Instruction(row.op, args, operation if operation in _FUNCTIONS else name, value, mode)
