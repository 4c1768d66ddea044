"""Recording: Ops that record as little as they can, as a gradient's program is written."""

from __future__ import annotations

from spikeflow.ir.ops import Ops
from spikeflow.ir.symbol import Symbol


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
