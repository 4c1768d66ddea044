"""Symbol: a register of a program while a step is being recorded."""

from __future__ import annotations

from typing import Any, Protocol


class Recorded(Protocol):
    """What records: each operation becomes an instruction, whose register comes back."""

    def emit(self, operation: str, *args: Any) -> Symbol:
        """Record an operation on registers or plain numbers."""
        ...


class Symbol:
    """A register while a step is being recorded; ``+ - * /`` are recorded, too."""

    # numpy must not take a Symbol apart when an array stands on the left
    __array_ufunc__ = None

    def __init__(self, ops: Recorded, index: int) -> None:
        self.ops, self.index = ops, index

    def __add__(self, other: Any) -> Symbol:
        return self.ops.emit("add", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return self.ops.emit("add", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return self.ops.emit("sub", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return self.ops.emit("sub", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return self.ops.emit("mul", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return self.ops.emit("mul", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return self.ops.emit("div", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self.ops.emit("div", other, self)

    def __neg__(self) -> Symbol:
        return self.ops.emit("sub", 0.0, self)

    def __bool__(self) -> bool:
        raise TypeError("a step may not branch on a value; use ops.where")
