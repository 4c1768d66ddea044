"""Program: what one neuron does in one step, as a straight line of instructions.

Instruction i defines register i. `ir.evaluate` runs it on any kind of values: numpy arrays, torch tensors,
intervals; ``src/engine/program.cpp`` on blocks of neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from spikeflow.errors import GraphError
from spikeflow.frozen import Frozen
from spikeflow.ir.instructions import Instruction as Instruction

MAX_INSTRUCTIONS = 4096


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
    # each instruction as `evaluate` reads it: its operation, arguments, and what the operation takes besides
    plan: tuple[tuple[str, tuple[int, ...], tuple[Any, ...]], ...] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", MappingProxyType(dict(self.tables)))
        rows = ((i.operation, i) for i in self.code)
        # a word that is no operation must not reach another method of a domain
        plan = tuple((row.name if row else f"unknown {i.op}", i.args, i.taken) for row, i in rows)
        object.__setattr__(self, "plan", plan)

    @property
    def ends(self) -> tuple[int, ...]:
        """The registers that live on after a step: the output, then the next states."""
        return (self.output, *self.next_states)

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
        for listed in (self.inputs, self.states, self.params):
            if len(set(listed)) != len(listed):
                raise GraphError(name, f"the program's names {listed} are not all different")
        for table, entries in self.tables.items():
            if not entries or not -(2**31) <= min(entries) <= max(entries) < 2**31:
                raise GraphError(name, f"table {table!r} is empty or holds more than 32 bits")
        names = {n: getattr(self, n) for n in ("params", "states", "inputs", "tables")}
        for index, instruction in enumerate(self.code):
            problem = instruction.problem(index, names)
            if problem:
                raise GraphError(name, f"instruction {index} ({instruction.op}): {problem}")
        if len(self.next_states) != len(self.states) or any(not 0 <= e < len(self.code) for e in self.ends):
            raise GraphError(name, "the program's output or next states are not registers")


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
