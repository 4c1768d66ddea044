"""Instruction: one operation of the table (`ir.operations`) on earlier registers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikeflow.ir.fixed import ROUNDINGS
from spikeflow.ir.operations import HIGHEST, OPERATIONS, Operation

# files name a function of one argument by two words: "function", and which one
_FUNCTIONS = {row.name: row for row in OPERATIONS.values() if row.stored == "function"}
_PLAIN = {row.op: row for row in OPERATIONS.values() if row.stored != "function"}


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
