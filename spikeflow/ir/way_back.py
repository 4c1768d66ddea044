"""The adjoint as a sweep runs it: no step is computed twice, and what parameters alone decide only once.

From the last step to the first, a segment of steps at a time:

- `again`: the segment's steps once more, from the states at its beginning. Besides the next states it leaves
  on a tape each register that the cotangents of the step are made from.
- `adjoint`: the cotangents of one step, from the tape. Where the step reads a register that parameters alone
  decide (exp(-exp(log_rate + log_dt)), or a parameter itself), it gives that register's cotangent.
- `gathered`, after the last: the sum over steps of d.p is dr/dp times the sum over steps of d.r for such a
  register r, so that the sums go through the rest of the adjoint once.

Source: A. Griewank and A. Walther, Evaluating Derivatives, SIAM 2008, chapters 4 and 12 (tapes, checkpoints).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from spikeflow.ir.adjoint import Reverse, Slots, asked
from spikeflow.ir.program import Program, without_unused


@dataclass(frozen=True)
class WayBack:
    """The programs of a sweep back through time.

    Parameters
    ----------
    again : states ``v``, then ``tape.K``, which are never read; K is the register of the step.
    adjoint : inputs ``input.*``, ``state.*``, ``d.out``, ``tape.K``; states ``d.state.*``, ``d.input.*``,
        then ``sum.K``: this step's part of the cotangent of register K.
    gathered : inputs ``sum.K``, over all steps; states ``d.param.*``. None where no parameter is asked for.
    """

    again: Program
    adjoint: Program
    gathered: Program | None


def way_back(program: Program, slots: Slots, wrt: Collection[str]) -> WayBack:
    """The programs for the gradients of states and of what `wrt` names; raises what `ir.adjoint` does."""
    wanted = asked(program, wrt)
    origin = _parameters(program)
    fixed = [i for i, names in enumerate(origin) if names is not None]
    reverse = Reverse(program, slots)
    _from_tape(reverse, fixed)
    found = reverse.cotangents(reverse.seeds(), fixed)
    leaves, params = reverse.leaves(found), [n for n in wanted if n.startswith("param.")]
    sums = [i for i in fixed if i in found and not set(params).isdisjoint(origin[i] or ())]
    ends = {f"d.{n}": leaves.get(n) for n in wanted if n not in params} | {f"sum.{i}": found[i] for i in sums}
    adjoint = _reading(reverse.program(("d.out", *(f"tape.{i}" for i in range(len(origin)))), ends))
    gathered = _gathered(program, slots, sums, params) if params else None
    return WayBack(_again(program, adjoint), adjoint, gathered)


def _parameters(program: Program) -> list[frozenset[str] | None]:
    """For each register the parameters that it is made of; None where an input or a state is in it, too."""
    origin: list[frozenset[str] | None] = []
    for i in program.code:
        if i.op in ("state", "input"):
            origin.append(None)
        elif i.op == "param":
            origin.append(frozenset({f"param.{i.name}"}))
        else:
            parts = [origin[a] for a in i.args]
            known = [part for part in parts if part is not None]
            origin.append(frozenset().union(*known) if len(known) == len(parts) else None)
    return origin


def _from_tape(reverse: Reverse, fixed: Sequence[int]) -> None:
    """Have every register read from the tape but those of parameters, and what entered."""
    for index, i in enumerate(reverse.of.code):
        if i.op == "hold":
            reverse.registers[index] = reverse.registers[i.args[0]]
        elif index not in fixed and i.op not in ("state", "input"):
            reverse.registers[index] = reverse.leaf("input", f"tape.{index}")


def _reading(adjoint: Program) -> Program:
    """Without the places on the tape that it does not read."""
    read = {i.name for i in adjoint.code if i.op == "input"}
    return replace(adjoint, inputs=tuple(n for n in adjoint.inputs if n in read or not n.startswith("tape.")))


def _again(program: Program, adjoint: Program) -> Program:
    taped = [n for n in adjoint.inputs if n.startswith("tape.")]
    ends = [*program.next_states, *(int(n.removeprefix("tape.")) for n in taped)]
    if not ends:
        return program
    code, ends = without_unused(program.code, ends)
    return replace(
        program, states=(*program.states, *taped), code=code, output=ends[0], next_states=tuple(ends)
    )


def _gathered(program: Program, slots: Slots, sums: Sequence[int], params: Sequence[str]) -> Program:
    reverse, names = Reverse(program, slots), tuple(f"sum.{i}" for i in sums)
    seeds = [(i, reverse.leaf("input", name)) for i, name in zip(sums, names, strict=True)]
    found = reverse.leaves(reverse.cotangents(seeds))
    return replace(reverse.program(names, {f"d.{n}": found.get(n) for n in params}), inputs=names)
