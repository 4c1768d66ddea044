"""Program: what one neuron does in one step, as a straight line of instructions.

Instruction i defines register i. The same text runs in numpy (``sim.interpreter``), in C++
(``src/engine/program.cpp``) and, through the model's ``step``, in torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from spikeflow.errors import GraphError
from spikeflow.frozen import Frozen
from spikeflow.ir.fixed import NARROWINGS, ROUNDINGS

# operation -> number of arguments
ARITY: Mapping[str, int] = MappingProxyType(
    {
        "const": 0,  # value
        "param": 0,  # name
        "state": 0,  # name: the state before this step
        "input": 0,  # name: the sum that arrived at this port
        "add": 2,
        "sub": 2,
        "mul": 2,  # fixed: 64-bit product, then right shift by value, rounded by mode
        "div": 2,  # float only
        "min": 2,  # a < b ? a : b
        "max": 2,  # a > b ? a : b
        "floor": 1,  # float only
        "where": 3,  # c != 0 ? a : b
        "spike": 1,  # x >= 0 ? 1 : 0; value is the spike's slot
        "hold": 1,  # x, with zero gradient
        "function": 1,  # name: tanh or sigmoid (float only)
        "shift": 1,  # fixed only: value > 0 left, < 0 right, rounded by mode
        "narrow": 1,  # fixed only: value bits, overflow by mode; name labels the register for counting
        "table": 1,  # fixed only: name's entry at index x, clamped to the table's ends
    }
)
FIXED_ONLY = frozenset({"shift", "narrow", "table"})
FLOAT_ONLY = frozenset({"div", "floor", "function"})
FUNCTIONS = frozenset({"tanh", "sigmoid"})
# operations whose value is a count of bits, or a slot, and the smallest it may be
LOWEST: Mapping[str, int] = MappingProxyType({"mul": 0, "spike": 0, "shift": -62, "narrow": 2})
HIGHEST = 62
MAX_INSTRUCTIONS = 4096


@dataclass(frozen=True)
class Instruction:
    """One operation on earlier registers; see `ARITY` for what each operation reads."""

    op: str
    args: tuple[int, ...] = ()
    name: str = ""
    value: float | int = 0
    mode: str = ""


@dataclass(frozen=True)
class Program(Frozen):
    """A neuron's step: inputs and old state in, an output and the new state out.

    Parameters
    ----------
    inputs, states, params : names, in order.
    code : the instructions; register i is made by ``code[i]``.
    output : register handed on to other nodes.
    next_states : for each state, the register that holds it after the step.
    tables : integer look-up tables by name.
    """

    inputs: tuple[str, ...]
    states: tuple[str, ...]
    params: tuple[str, ...]
    code: tuple[Instruction, ...]
    output: int
    next_states: tuple[int, ...]
    tables: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", MappingProxyType(dict(self.tables)))

    def operations(self) -> frozenset[str]:
        """The set of operations used; a programmable core accepts a program by it."""
        return frozenset(instruction.op for instruction in self.code)

    def spikes(self) -> bool:
        """Whether the output can only be 0 or 1: it is a spike instruction, or one held."""
        index = self.output
        while self.code[index].op == "hold":
            index = self.code[index].args[0]
        return self.code[index].op == "spike"

    def check(self, name: str) -> None:
        """Raise GraphError unless every register, name, mode and value is legal."""
        if not 0 < len(self.code) <= MAX_INSTRUCTIONS:
            allowed = f"1 to {MAX_INSTRUCTIONS} are allowed"
            raise GraphError(name, f"a program of {len(self.code)} instructions; {allowed}")
        for names in (self.inputs, self.states, self.params):
            if len(set(names)) != len(names):
                raise GraphError(name, f"the program's names {names} are not all different")
        for table, entries in self.tables.items():
            if not entries or not -(2**31) <= min(entries) <= max(entries) < 2**31:
                raise GraphError(name, f"table {table!r} is empty or holds more than 32 bits")
        for index, instruction in enumerate(self.code):
            problem = self._problem(index, instruction)
            if problem:
                raise GraphError(name, f"instruction {index} ({instruction.op}): {problem}")
        ends = (self.output, *self.next_states)
        if len(self.next_states) != len(self.states) or any(not 0 <= e < len(self.code) for e in ends):
            raise GraphError(name, "the program's output or next states are not registers")

    def _problem(self, index: int, instruction: Instruction) -> str:
        if instruction.op not in ARITY:
            return "unknown operation"
        op, value, count = instruction.op, instruction.value, ARITY[instruction.op]
        if len(instruction.args) != count or any(not 0 <= a < index for a in instruction.args):
            return f"arguments {instruction.args} are not {count} earlier registers"
        names = {
            "param": self.params,
            "state": self.states,
            "input": self.inputs,
            "function": FUNCTIONS,
            "table": self.tables,
        }
        if op in names and instruction.name not in names[op]:
            return f"unknown name {instruction.name!r}"
        if isinstance(value, bool) or not isinstance(value, int if op in LOWEST else int | float):
            return f"its value {value!r} is not a number of the kind it takes"
        # a comparison that NaN fails too
        largest = 2**63 - 1 if isinstance(value, int) else 3.4e38
        if not abs(value) <= largest or (op in LOWEST and not LOWEST[op] <= value <= HIGHEST):
            return f"its value {value} is out of range"
        if op == "narrow" and instruction.mode not in NARROWINGS:
            return f"unknown overflow {instruction.mode!r}"
        if (
            (op == "shift" and value < 0) or (op == "mul" and value > 0)
        ) and instruction.mode not in ROUNDINGS:
            return f"unknown rounding {instruction.mode!r}"
        if op != "narrow" and instruction.mode not in ("", *ROUNDINGS):
            return f"unknown mode {instruction.mode!r}"
        return ""


def without_unused(
    code: Sequence[Instruction], ends: Sequence[int]
) -> tuple[tuple[Instruction, ...], list[int]]:
    """The instructions that the registers `ends` need, renumbered, and where `ends` are now."""
    needed = set(ends)
    for index in reversed(range(len(code))):
        if index in needed:
            needed.update(code[index].args)
    at = {old: new for new, old in enumerate(sorted(needed))}
    kept = tuple(replace(code[old], args=tuple(at[a] for a in code[old].args)) for old in at)
    return kept, [at[e] for e in ends]
