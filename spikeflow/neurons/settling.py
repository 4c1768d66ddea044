"""Where a torch layer need not bring states below 2^-100 to 0, as the engine does at the end of every step.

Such a state changes a result only where something decides on it alone. A spike of (state - threshold) does
not: beside a threshold of at least 2^-76 what lies below 2^-100 is lost in float32, so the decision is the
same bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.evaluate import Domain, evaluate
from spikeflow.ir.operations import FLOAT, Operation
from spikeflow.ir.program import Program

SEEN = 2.0**-76


def compared(program: Program) -> tuple[str, ...] | None:
    """The parameters to which a program compares, once each; None where it also decides in another way."""
    params = {name: _Register(param=name) for name in program.params}
    states, inputs = dict.fromkeys(program.states, PLAIN), dict.fromkeys(program.inputs, PLAIN)
    decisions = _Decisions()
    evaluate(program, decisions, params, states, inputs)
    return None if decisions.others else tuple(decisions.compared)


@dataclass(frozen=True)
class _Register:
    """What a decision needs to know of a register: which parameter it is or has taken off; whether it is a
    spike.
    """

    param: str = ""
    minus: str = ""
    spike: bool = False


PLAIN = _Register()


class _Decisions(Domain[_Register]):
    """Follows where a program decides: an operation whose result jumps."""

    stages = (FLOAT,)

    def __init__(self) -> None:
        self.compared: dict[str, None] = {}
        self.others = False

    def spike(self, x: _Register, slot: int) -> _Register:
        if x.minus:
            self.compared[x.minus] = None
        self.others |= not x.minus
        return _Register(spike=True)

    def where(self, condition: _Register, a: _Register, b: _Register) -> _Register:
        self.others |= not condition.spike
        return PLAIN

    def sub(self, a: _Register, b: _Register) -> _Register:
        return _Register(minus=b.param)

    def stop_gradient(self, x: _Register) -> _Register:
        return _Register(spike=x.spike)

    def _smooth(self, *args: object) -> _Register:
        return PLAIN

    const = add = mul = minimum = maximum = abs = tanh = sigmoid = exp = _smooth

    def unlisted(self, operation: Operation, *args: Any) -> _Register:
        self.others = True  # its result may jump
        return PLAIN
