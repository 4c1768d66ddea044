"""Overflow in a run of integers: what changes answers, apart from silent membranes that stop at the low end.

A neuron that is driven downwards for long drifts to the low end of its register and stays there; it is silent
either way. Any other value that leaves its register is not the value that the network meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Node, Population
from spikeflow.ir.program import Program
from spikeflow.sim.result import Counts, added

_STOPS = ("saturate", "symmetric")


@dataclass(frozen=True)
class Narrowed:
    """How many values of one node narrowing changed, over a whole run, by register.

    Parameters
    ----------
    low_clips : of membranes, at their low end.
    overflow : all others.
    """

    low_clips: Mapping[str, int]
    overflow: Mapping[str, int]


def narrowed(node: Node, counts: Counts) -> Narrowed:
    """The counts of one node, clips of a membrane's low end apart."""
    low = {r: n for r, n in counts.narrowed_low.items() if n}
    mild = {r: n for r, n in low.items() if isinstance(node, Population) and _stops(node, r)}
    rest = {r: n for r, n in low.items() if r not in mild}
    high = {r: n for r, n in counts.narrowed_high.items() if n}
    return Narrowed(mild, added(rest, high))


def overflow_warnings(graph: Graph, counts: Mapping[str, Counts], steps: tuple[int, int]) -> tuple[str, ...]:
    """What a user is to be told of overflow in the populations, if anything.

    Parameters
    ----------
    steps : that were run, and that the network was made for.
    """
    found = {n: narrowed(graph.nodes[n], counts[n]).overflow for n in graph.of_kind(Population)}
    parts = [f"{node}.{register}: {n:,}" for node, all_of in found.items() for register, n in all_of.items()]
    if not parts:
        return ()
    run, made_for = steps
    longer = f"--steps {made_for}, for which its scales were chosen" if run > made_for else ""
    hint = longer or "spikeflow map with calibration samples like these"
    return (
        f"values left their integer registers, so answers may be wrong ({', '.join(parts)}). Try: {hint}",
    )


def is_membrane(node: Population, state: str) -> bool:
    """Whether a state takes in what arrives and is reset by what the neuron hands on: as low as it may be,
    nothing is handed on.

    A sum over all steps, or a trace of the neuron's own spikes, is none.
    """
    program = node.program
    if not node.spikes or state not in program.states:
        return False
    found = _directly_behind(program, program.next_states[program.states.index(state)])
    handed_on = any(r == program.output or program.code[r].op == "spike" for r in found)
    return handed_on and any(program.code[r].op == "input" for r in found)


def _stops(node: Population, register: str) -> bool:
    """Whether a register is that of a membrane which stops at its ends."""
    narrowing = (i for i in node.program.code if i.op == "narrow" and i.name == register)
    return is_membrane(node, register) and all(i.mode in _STOPS for i in narrowing)


def _directly_behind(program: Program, register: int) -> set[int]:
    """The register and all that its value is made of, up to what is handed on."""
    found: set[int] = set()
    left = [register]
    while left:
        at = left.pop()
        if at not in found:
            found.add(at)
            ends = at == program.output or program.code[at].op == "spike"
            left += () if ends else program.code[at].args
    return found
