"""The derivative of each operation: cotangents of its arguments, from that of its result, as instructions.

At kinks: a tie of minimum or maximum gives its gradient to the second argument, abs has 0 at 0, `where`
selects gradients, its condition gets none; stop_gradient gives none, nor do floor and round without a slot.
What is selected is never multiplied by 0, so that an infinity on the other side stays there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from spikeflow.ir.instructions import Instruction
from spikeflow.ir.ops import Ops, Symbol

Parts = tuple["Symbol | None", ...]  # one for each argument; None where no gradient reaches it


class Recording(Ops):
    """Ops that record as little as they can: nothing for a factor of 1, a negation as part of a sum."""

    def stop_gradient(self, x: Symbol) -> Symbol:
        """x: within the gradient there is nothing left to stop."""
        return x

    def sum(self, a: Symbol, b: Symbol) -> Symbol:
        """a + b."""
        for x, y in ((a, b), (b, a)):
            made = self.code[y.index]
            if made.op == "sub" and self.is_constant(made.args[0], 0.0):
                return x - Symbol(self, made.args[1])
        return a + b

    def product(self, a: Symbol, b: Symbol) -> Symbol:
        """a b."""
        if self.is_constant(a.index, 1.0):
            return b
        return a if self.is_constant(b.index, 1.0) else a * b

    def is_constant(self, register: int, value: float) -> bool:
        """Whether a register is this number."""
        made = self.code[register]
        return made.op == "const" and made.value == value


@dataclass(frozen=True)
class Local:
    """One instruction, the values around it, the cotangent of its own, and the surrogate of its slot."""

    ops: Recording
    instruction: Instruction
    args: tuple[Symbol, ...]
    result: Symbol
    cotangent: Symbol
    surrogate: Callable[[Instruction, Symbol], Symbol]


def _sub(c: Local) -> Parts:
    return c.cotangent, 0.0 - c.cotangent


def _mul(c: Local) -> Parts:
    a, b = c.args
    return c.ops.product(c.cotangent, b), c.ops.product(c.cotangent, a)


def _div(c: Local) -> Parts:
    b = c.args[1]
    # -(a / b) / b: the quotient is at hand, and a square of b would overflow first
    return c.cotangent / b, 0.0 - c.cotangent * (c.result / b)


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


def _tanh(c: Local) -> Parts:
    # of tanh itself: its formula differs from it by less than 3e-8, whose own derivative would be noise
    return (c.ops.product(c.cotangent, 1.0 - c.result * c.result),)


def _sigmoid(c: Local) -> Parts:
    return (c.ops.product(c.cotangent, c.result * (1.0 - c.result)),)


def _exp(c: Local) -> Parts:
    return (c.ops.product(c.cotangent, c.result),)


def _slot(c: Local) -> Parts:
    return (c.ops.product(c.cotangent, c.surrogate(c.instruction, c.args[0])),)


def _rounding(c: Local) -> Parts:
    """Slots of floor and round count from 1; 0 is none."""
    return _slot(c) if c.instruction.value else (None,)


DERIVATIVES: Mapping[str, Callable[[Local], Parts]] = MappingProxyType(
    {
        "const": lambda c: (),
        "param": lambda c: (),
        "state": lambda c: (),
        "input": lambda c: (),
        "add": lambda c: (c.cotangent, c.cotangent),
        "sub": _sub,
        "mul": _mul,
        "div": _div,
        "minimum": lambda c: _extreme(c, c.args[1] - c.args[0]),
        "maximum": lambda c: _extreme(c, c.args[0] - c.args[1]),
        "abs": _abs,
        "where": _where,
        "stop_gradient": lambda c: (None,),
        "tanh": _tanh,
        "sigmoid": _sigmoid,
        "exp": _exp,
        "spike": _slot,
        "floor": _rounding,
        "round": _rounding,
    }
)
