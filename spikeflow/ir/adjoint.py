"""The gradient of a program is a program: reverse mode over the straight line, surrogates put in at slots.

Write d.x for the derivative of a loss by x. One step is ``out, state' = program(params, state, inputs)``. Its
adjoint,

    d.state, d.inputs, d.params = adjoint(params, inputs, state, d.out, d.state')

is a `Program` that runs from the last step to the first: d.state is the state that it carries, and what the
forward pass saw enters at its ports. Names: ``state.v``, ``input.in``, ``param.decay``; ``d.state.v`` is the
cotangent of one.

Source: A. Griewank and A. Walther, Evaluating Derivatives, SIAM 2008, chapter 3 (reverse mode).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from spikeflow.errors import GraphError, OperationRefused
from spikeflow.ir.evaluate import evaluate
from spikeflow.ir.instructions import Instruction
from spikeflow.ir.operations import FLOAT, Local, Parts
from spikeflow.ir.program import Program, without_unused
from spikeflow.ir.recording import Recording
from spikeflow.ir.symbol import Symbol

Slots = Mapping[int, Program]
Key = TypeVar("Key", int, str)
NO_SLOTS: Slots = MappingProxyType({})


def adjoint(program: Program, slots: Slots = NO_SLOTS, wrt: Collection[str] | None = None) -> Program:
    """The program of a step's cotangents.

    Parameters
    ----------
    program : of floats.
    slots : for each slot that the program reads a surrogate, the program of a slope: one input, no state. Its
        parameters become parameters ``slot0.NAME``, for slot 0.
    wrt : names of the inputs and parameters whose cotangents are wanted; None for all. Those of the states
        are always there.

    Returns
    -------
    Program
        params: the program's own, then those of the surrogates. inputs: ``input.*`` and ``state.*`` as the
        step saw them, and ``d.out``. states: ``d.state.*``, of the state after the step where they are read
        and of the state before it where they are handed on; then ``d.input.*`` and ``d.param.*`` of this step
        alone, which are never read. `output` is the first of these.

    Raises
    ------
    GraphError, OperationRefused
        For integers, an operation without a derivative, a slot without a surrogate, a name that the program
        lacks.
    """
    reverse = Reverse(program, slots)
    wanted = asked(program, wrt)
    found = reverse.leaves(reverse.cotangents(reverse.seeds()))
    return reverse.program(("d.out",), {f"d.{name}": found.get(name) for name in wanted})


def jacobian(program: Program, slots: Slots = NO_SLOTS, wrt: Collection[str] | None = None) -> Program:
    """The program of one step's partial derivatives, for rules that run forward in time (e-prop, OTTT).

    Parameters
    ----------
    program, slots, wrt : as of `adjoint`.

    Returns
    -------
    Program
        inputs: ``input.*`` and ``state.*``. states: one for each pair of what the step hands on, ``out`` and
        ``state.*``, and what it depends on: ``d.state.v/d.input.in``. They are never read. An entry that is 0
        whatever enters is the constant 0.
    """
    reverse = Reverse(program, slots)
    wanted = asked(program, wrt)
    handed_on = ("out", *(f"state.{name}" for name in program.states))
    ends: dict[str, Symbol | None] = {}
    for result, register in zip(handed_on, program.ends, strict=True):
        found = reverse.leaves(reverse.cotangents([(register, reverse.ops.const(1.0))]))
        ends |= {f"d.{result}/d.{name}": found.get(name) for name in wanted}
    return reverse.program((), ends)


def asked(program: Program, wrt: Collection[str] | None) -> tuple[str, ...]:
    """The names of which cotangents are wanted; GraphError for one that the program lacks."""
    states = [f"state.{name}" for name in program.states]
    others = [f"input.{name}" for name in program.inputs] + [f"param.{name}" for name in program.params]
    for name in () if wrt is None else wrt:
        if name not in states + others:
            raise GraphError("adjoint", f"the program has no {name!r}", ", ".join(states + others))
    wanted = (*states, *(name for name in others if wrt is None or name in wrt))
    if not wanted:
        raise GraphError("adjoint", "the program depends on nothing that a gradient is asked of")
    return wanted


class _Leaves:
    """The leaves of one kind, each recorded when it is asked for."""

    def __init__(self, leaf: Callable[[str], Symbol]) -> None:
        self.leaf = leaf

    def __getitem__(self, name: str) -> Symbol:
        return self.leaf(name)


class Reverse:
    """A program that begins as a copy of another and goes on with cotangents of its registers.

    `registers` are those of the copy, by number; who puts others there has them read instead.
    """

    def __init__(self, program: Program, slots: Slots) -> None:
        for instruction in program.code:
            _derivative(instruction)
        self.of, self.slots, self.ops = program, slots, Recording()
        self.params = list(program.params)
        parameters = _Leaves(lambda name: self.leaf("param", name))
        # the state of the new program is its cotangents, so the step's own enters at a port
        states = _Leaves(lambda name: self.leaf("input", f"state.{name}"))
        inputs = _Leaves(lambda name: self.leaf("input", f"input.{name}"))
        self.registers = evaluate(program, self.ops, parameters, states, inputs)

    def leaf(self, kind: str, name: str) -> Symbol:
        """A parameter, state or input of the new program."""
        return self.ops.emit(kind, name=name)

    def seeds(self) -> list[tuple[int, Symbol]]:
        """The cotangents that enter a step of the adjoint, with their registers."""
        states = zip(self.of.states, self.of.next_states, strict=True)
        carried = [(register, self.leaf("state", f"d.state.{name}")) for name, register in states]
        return [(self.of.output, self.leaf("input", "d.out")), *carried]

    def cotangents(
        self, seeds: Sequence[tuple[int, Symbol]], ends: Collection[int] = ()
    ) -> dict[int, Symbol]:
        """Those of the registers, from those of some; none goes on behind a register of `ends`. A register on
        which nothing depends is not there.
        """
        found: dict[int, Symbol] = {}
        for register, seed in seeds:
            self._add(found, register, seed)
        for index in reversed(range(len(self.of.code))):
            if index in found and index not in ends:
                self._spread(found, index)
        return found

    def leaves(self, found: Mapping[int, Symbol]) -> dict[str, Symbol]:
        """Those of the parameters, states and inputs by name, from those of the registers."""
        leaves: dict[str, Symbol] = {}
        for index, i in enumerate(self.of.code):
            if i.op in ("param", "state", "input") and index in found:
                self._add(leaves, f"{i.op}.{i.name}", found[index])
        return leaves

    def _spread(self, found: dict[int, Symbol], index: int) -> None:
        """From one register to the arguments of its instruction."""
        i = self.of.code[index]
        args = tuple(self.registers[a] for a in i.args)
        result, slope = self.registers[index], partial(self._slope, i)
        local = Local(self.ops, i.value, args, result, found[index], slope, self.ops.product)
        for argument, part in zip(i.args, _derivative(i)(local), strict=True):
            if part is not None and self.of.code[argument].op != "const":
                self._add(found, argument, part)

    def _add(self, found: dict[Key, Symbol], key: Key, part: Symbol) -> None:
        found[key] = self.ops.sum(found[key], part) if key in found else part

    def _slope(self, i: Instruction, x: Symbol) -> Symbol:
        """The surrogate of an instruction's slot at x, written into the new program."""
        slot = int(i.value)
        if slot not in self.slots:
            hint = f"slots={{{slot}: surrogate.atan.program()}}"
            raise GraphError("adjoint", f"slot {slot}, of a {i.op}, has no surrogate", hint)
        surrogate = self.slots[slot]
        if len(surrogate.inputs) != 1 or surrogate.states:
            got = f"{len(surrogate.inputs)} inputs and {len(surrogate.states)} states"
            raise GraphError("adjoint", f"the surrogate of slot {slot} has {got}", "one input, no state")
        for part in surrogate.code:
            _derivative(part)
        names = {name: f"slot{slot}.{name}" for name in surrogate.params}
        self.params += [name for name in names.values() if name not in self.params]
        parameters = _Leaves(lambda name: self.leaf("param", names[name]))
        made = evaluate(surrogate, self.ops, parameters, {}, {surrogate.inputs[0]: x})
        return made[surrogate.output]

    def program(self, more: tuple[str, ...], ends: Mapping[str, Symbol | None]) -> Program:
        """The finished program, whose next states are `ends`: 0 where nothing depends on one."""
        registers = [(self.ops.const(0.0) if end is None else end).index for end in ends.values()]
        code, registers = without_unused(self.ops.code, registers)
        inputs = [f"input.{name}" for name in self.of.inputs] + [f"state.{name}" for name in self.of.states]
        names = (*inputs, *more), tuple(ends), tuple(self.params)
        made = Program(*names, code, registers[0], tuple(registers))
        made.check("adjoint")
        return made


def _derivative(i: Instruction) -> Callable[[Local], Parts]:
    """Of an instruction; raises where it has none."""
    row = i.operation
    if (row is not None and FLOAT not in row.stages) or (i.op == "mul" and i.value):
        hint = "the float program that the integers were made from"
        raise GraphError("adjoint", f"{i.op} computes with integers, which have no gradient", hint)
    if row is None or row.derivative is None:
        raise OperationRefused("the adjoint", row.name if row else i.op, "a derivative in ir/operations.py")
    return row.derivative
