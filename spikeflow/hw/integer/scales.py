"""Which scale each state of a program has, from the scales of its ports alone; and which states are
currents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikeflow.hw.chips.arithmetic import Arithmetic
from spikeflow.ir.evaluate import Domain, evaluate
from spikeflow.ir.nodes import Population
from spikeflow.ir.operations import FLOAT, Operation
from spikeflow.ir.program import Program
from spikeflow.typing import Float

FLAG, STATIC, FREE, UNKNOWN = "flag", "static", "free", "unknown"
Kind = str | Float  # a scale, or one of these words


def current_ports(program: Program) -> Mapping[str, str]:
    """The states that only filter a port, ``u <- ... + x``, with that port: the chip's register of a current.

    Such a state is not handed on; its next value is a sum with the port itself, and is only added to others.
    """
    found: dict[str, str] = {}
    for state, register in zip(program.states, program.next_states, strict=True):
        at = _behind(program, register)
        instruction = program.code[at]
        if instruction.op != "add" or at == _behind(program, program.output) or not _only_added(program, at):
            continue
        for argument in instruction.args:
            source = program.code[_behind(program, argument)]
            if source.op == "input":
                found[state] = source.name
    return found


def lasts(node: Population, state: str) -> bool:
    """Whether a current keeps anything of the step before, so that a bias that enters it adds up there."""
    code = node.program.code
    reads = [i for i, c in enumerate(code) if c.op == "state" and c.name == state]
    uses = [c for c in code if set(c.args) & set(reads)]
    return not all(c.op == "mul" and _is_zero(node, [a for a in c.args if a not in reads]) for c in uses)


def _is_zero(node: Population, registers: Sequence[int]) -> bool:
    """Whether these registers hold 0 for every neuron, as far as params and constants tell."""
    found = [node.program.code[r] for r in registers]
    values = [
        node.params[i.name] if i.op == "param" else i.value for i in found if i.op in ("param", "const")
    ]
    return bool(found) and len(values) == len(found) and not any(np.any(v) for v in values)


def _only_added(program: Program, register: int) -> bool:
    return all(
        i.op in ("add", "hold") for i in program.code if any(_behind(program, a) == register for a in i.args)
    )


def _behind(program: Program, register: int) -> int:
    while program.code[register].op == "hold":
        register = program.code[register].args[0]
    return register


def state_scales(
    program: Program, ports: Mapping[str, Float], arithmetic: Arithmetic
) -> Mapping[str, Float | None]:
    """The scale of each state; None for one that is 0 or 1.

    A state takes the scale of what is added to it, else that of what it is added to or compared with itself:
    so does what a neuron handed on, beside what arrived. One that only counts flags gets 2**decay_bits.
    """
    known: dict[str, Kind] = dict.fromkeys(program.states, UNKNOWN)
    static: dict[str, Kind] = dict.fromkeys(program.params, STATIC)
    domain = Scales(arithmetic)
    while True:
        kinds = evaluate(program, domain, static, known, ports)
        after = {
            s: _settled(known[s], kinds[r]) for s, r in zip(program.states, program.next_states, strict=True)
        }
        if all(after[s] is known[s] for s in known):
            open_states = [s for s, k in known.items() if isinstance(k, str) and k != FLAG]
            if not open_states:
                return {s: None if isinstance(k, str) else k for s, k in known.items()}
            beside = {s: _beside(program, s, kinds) for s in open_states}
            first = next((s for s in open_states if beside[s] is not None), open_states[0])
            found = beside[first]
            after[first] = np.asarray(2.0**arithmetic.decay_bits) if found is None else found
        known = after


def _beside(program: Program, state: str, kinds: Sequence[Kind]) -> Float | None:
    """The scale of what a state is added to or compared with, by itself; None where there is none."""
    reads = {i for i, c in enumerate(program.code) if c.op == "state" and c.name == state}
    for instruction in program.code:
        if instruction.op in ("add", "sub", "min", "max") and reads & set(instruction.args):
            for argument in instruction.args:
                kind = kinds[argument]
                if argument not in reads and not isinstance(kind, str):
                    return kind
    return None


def _settled(before: Kind, now: Kind) -> Kind:
    if not isinstance(before, str) or before == FLAG:
        return before
    return before if isinstance(now, str) and now != FLAG else now


class Scales(Domain[Kind]):
    """Which scale a register has if its ports and states have theirs."""

    stages = (FLOAT,)

    def __init__(self, arithmetic: Arithmetic) -> None:
        self.entry = np.asarray(2.0**arithmetic.table_frac)

    def const(self, value: float | int) -> Kind:
        return STATIC

    def add(self, a: Kind, b: Kind) -> Kind:
        scale = next((x for x in (a, b) if not isinstance(x, str)), None)
        if scale is not None:
            return scale
        if a == b == STATIC:
            return STATIC
        return UNKNOWN if UNKNOWN in (a, b) else FREE

    sub = minimum = maximum = add

    def where(self, condition: Kind, a: Kind, b: Kind) -> Kind:
        return self.add(a, b)

    def mul(self, a: Kind, b: Kind, count: int = 0, mode: str = "") -> Kind:
        if not isinstance(a, str) and not isinstance(b, str):
            return resolve(a, b)[1]
        if isinstance(a, str) and isinstance(b, str):
            if a == b and a in (STATIC, FLAG):
                return a
            return UNKNOWN if UNKNOWN in (a, b) else FREE
        return (
            a
            if isinstance(b, str) and b != UNKNOWN
            else b
            if isinstance(a, str) and a != UNKNOWN
            else UNKNOWN
        )

    div = mul

    def floor(self, x: Kind, slot: int) -> Kind:
        return np.ones(())

    def spike(self, x: Kind, slot: int) -> Kind:
        return FLAG

    def stop_gradient(self, x: Kind) -> Kind:
        return x

    def tanh(self, x: Kind) -> Kind:
        return self.entry

    sigmoid = tanh

    def round(self, x: Kind, slot: int) -> Kind:
        return np.ones(())

    def abs(self, x: Kind) -> Kind:
        return x

    def unlisted(self, operation: Operation, *args: Any) -> Kind:
        """Of numbers known before the run, one; else the integers have no form of it (`Forms.unlisted`)."""
        known = all(isinstance(a, str) and a == STATIC for a in args[: operation.arguments])
        return STATIC if known else UNKNOWN


def resolve(a: Float, b: Float) -> tuple[int, Float]:
    """How far a product of two scales is shifted down, and the scale that is left.

    A pure binary fraction (a table's entry) gives way to the other; otherwise the smaller scale is shifted
    out.
    """
    for one, other in ((b, a), (a, b)):
        power = np.log2(one)
        if one.size == 1 and float(power.reshape(())) == round(float(power.reshape(()))):
            return int(power.reshape(())), other
    count = max(0, int(np.floor(np.log2(min(a.min(), b.min())))))
    return count, a * b / 2.0**count
