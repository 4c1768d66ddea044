"""Where a torch layer need not bring states below 2^-100 to 0, as the engine does at the end of every step.

Such a state changes a result only where something decides on it alone. A spike of (state - threshold) does not:
beside a threshold of at least 2^-76 what lies below 2^-100 is lost in float32, so the decision is the same bit.
"""

from __future__ import annotations

from spikeflow.ir.program import Program

SEEN = 2.0**-76


def compared(program: Program) -> tuple[str, ...] | None:
    """The parameters to which a program compares, once each; None where it also decides in another way."""
    code, found = program.code, dict[str, None]()
    for instruction in code:
        if instruction.op == "spike":
            argument = code[instruction.args[0]]
            threshold = code[argument.args[1]] if argument.op == "sub" else argument
            if argument.op != "sub" or threshold.op != "param":
                return None
            found[threshold.name] = None
        elif instruction.op in ("floor", "div"):
            return None
        elif instruction.op == "where":
            condition = code[instruction.args[0]]
            while condition.op == "hold":
                condition = code[condition.args[0]]
            if condition.op != "spike":
                return None
    return tuple(found)
