"""Plasticity: what changes synapses, as programs: traces of neurons, and what a synapse does at events.

In a step, after the neurons: synapses at which a spike arrives run `at_pre`, its delay over; then those whose
target spikes run `at_post`; then those whose modulator is not 0 run `at_modulator`; then, behind every
`every` steps, the weights of each target are scaled. Each reads the traces as they stand at the beginning of
the step, those of the source as late as its spikes, so that spikes of one step do not see each other. Then
the traces take their step. A weight is delivered as the step began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import GraphError
from spikeflow.frozen import Frozen
from spikeflow.ir.limits import FLUSH
from spikeflow.ir.program import Program

MODULATOR = "modulator"
SUM = "sum"
MOST_STEPS = 1 << 20  # after which an eligibility has faded
FADED = FLUSH  # what is left of an eligibility that is gone


@dataclass(frozen=True)
class Plasticity(Frozen):
    """A rule for synapses.

    Parameters
    ----------
    pre, post : programs of the traces of a source and of a target; their one input is the spike of the step.
    at_pre, at_post, at_modulator : programs of a synapse, of the states ``w`` and those of `eligibility`;
        inputs are traces, ``pre.NAME`` and ``post.NAME``, and the ``modulator``.
    params : numbers of all these programs, by name.
    eligibility : for each state besides ``w`` its decay in a step. It is held as a value and the steps since
        an event last changed it, and read as the value times `faded` of these.
    scaling : program of a target, without states; inputs are the ``sum`` of the weights onto it, from +0 in
        stored order, and its traces, ``post.NAME``. Its output is the factor that each of these weights is
        multiplied by.
    every : steps from one scaling to the next; the first is at the end of step `every` - 1.
    bounds : within which a weight is held after whatever changes it.

    Raises
    ------
    GraphError
        For programs that read what there is not, and bounds or steps that are none.
    """

    pre: Program
    post: Program
    at_pre: Program
    at_post: Program
    at_modulator: Program | None = None
    params: Mapping[str, float] = field(default_factory=dict[str, float])
    # its order is that of the programs' states
    eligibility: Mapping[str, float] = field(default_factory=dict[str, float], metadata={"ordered": True})
    scaling: Program | None = None
    every: int = 0
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("params", "eligibility"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        traces = {f"{side}.{n}" for side in ("pre", "post") for n in getattr(self, side).states}
        for name in ("pre", "post"):
            _check(name, getattr(self, name), {"spike"}, None, self.params)
        for name in ("at_pre", "at_post", "at_modulator"):
            if (program := getattr(self, name)) is not None:
                allowed = traces | ({MODULATOR} if name == "at_modulator" else set())
                _check(name, program, allowed, self.states, self.params)
        for decay in self.eligibility.values():
            faded(decay)
        self._check_scaling({f"post.{n}" for n in self.post.states})

    def _check_scaling(self, traces: set[str]) -> None:
        if self.scaling is not None:
            _check("scaling", self.scaling, traces | {SUM}, (), self.params)
            if not self.scaling.inputs:
                raise GraphError("plasticity, scaling", "reads nothing", f"the input {SUM}, or a trace")
        if (self.scaling is None) != (self.every == 0) or not 0 <= self.every < 2**31:
            raise GraphError(
                "plasticity", f"scaling every {self.every} steps", "1 or more; 0 without scaling"
            )
        if self.bounds is not None and not (
            np.isfinite(self.bounds).all() and self.bounds[0] <= self.bounds[1]
        ):
            raise GraphError("plasticity", f"bounds {self.bounds}", "low <= high")

    @property
    def programs(self) -> Mapping[str, Program]:
        """Those that it has, by name."""
        names = ("pre", "post", "at_pre", "at_post", "at_modulator", "scaling")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @property
    def states(self) -> tuple[str, ...]:
        """Those of a synapse."""
        return ("w", *self.eligibility)


def _check(
    where: str, program: Program, inputs: set[str], states: tuple[str, ...] | None, params: Mapping[str, Any]
) -> None:
    for kind, held, known in (("input", program.inputs, inputs), ("parameter", program.params, set(params))):
        if left := [name for name in held if name not in known]:
            raise GraphError(f"plasticity, {where}", f"reads the {kind} {left[0]}", ", ".join(sorted(known)))
    if states is not None and program.states != states:
        raise GraphError(f"plasticity, {where}", f"has the states {program.states}", f"{states}")


def changed(program: Program) -> tuple[bool, ...]:
    """For each state whether a program changes it: one that it hands on as it was stays as it is held."""
    return tuple(not _same(program, r, n) for n, r in zip(program.states, program.next_states, strict=True))


def _same(program: Program, register: int, name: str) -> bool:
    while program.code[register].op == "hold":
        register = program.code[register].args[0]
    return program.code[register].op == "state" and program.code[register].name == name


def faded(decay: float) -> npt.NDArray[np.float32]:
    """What is left of 1 after 0, 1, 2, ... steps: decay to that power, 0 from where it is below 2^-100.

    Powers are made by multiplication in float64, one after the other, and rounded to float32 once: so numpy
    and C++ have the same bits, however many steps are taken at once. The last value stands for all later.

    Raises
    ------
    GraphError
        For a decay outside 0 to 1, and one that takes more than 2^20 steps.
    """
    if not 0 <= decay <= 1:
        raise GraphError("eligibility", f"a decay of {decay}", "a number from 0 to 1")
    if decay == 1:
        return np.ones(1, np.float32)
    if decay > FADED ** (1 / MOST_STEPS):
        reason = f"a decay of {decay} lasts more than {MOST_STEPS} steps"
        raise GraphError("eligibility", reason, "1, or a longer step")
    powers, now = list[float](), 1.0
    while now >= FADED:
        powers.append(now)
        now *= decay
    return np.array([*powers, 0.0], np.float32)
