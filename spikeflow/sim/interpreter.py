"""The meaning of a Program: one step of all neurons of a population, in numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from spikeflow.ir import limits
from spikeflow.ir.evaluate import evaluate
from spikeflow.ir.program import Program
from spikeflow.sim.domains import Float32, Integers
from spikeflow.typing import Array

FLUSH = np.float32(limits.FLUSH)


class Step:
    """One population's program, ready to be stepped.

    Parameters
    ----------
    params : arrays that broadcast to the population's shape.
    fixed : integers (stage fixed) instead of float32.
    """

    def __init__(self, program: Program, params: Mapping[str, Array], fixed: bool) -> None:
        self.program, self.fixed = program, fixed
        self.domain = Integers(program.tables) if fixed else Float32()
        self.params = {name: value.astype(self.domain.dtype) for name, value in params.items()}
        self.overflowed: Array = np.zeros((), bool)  # in the last step, by neuron

    @property
    def narrowed_low(self) -> Counter[str]:
        """How many values a register's format changed at its low end so far, by its label."""
        return self.domain.low if isinstance(self.domain, Integers) else Counter()

    @property
    def narrowed_high(self) -> Counter[str]:
        """The same at the high end."""
        return self.domain.high if isinstance(self.domain, Integers) else Counter()

    def __call__(self, state: Sequence[Array], inputs: Sequence[Array]) -> tuple[Array, tuple[Array, ...]]:
        """Output and next state; state and inputs have the shape ``(B, *shape)``."""
        shape = (state or inputs)[0].shape
        registers = self.registers(state, inputs)
        output, *after = (np.broadcast_to(registers[i], shape) for i in self.program.ends)
        return output, tuple(self._settle(s) for s in after)

    def registers(self, state: Sequence[Array], inputs: Sequence[Array]) -> list[Array]:
        """The value of every register, which broadcasts to the shape of state and inputs."""
        program, domain = self.program, self.domain
        shape = (state or inputs)[0].shape
        if isinstance(domain, Integers):
            domain.begin(shape)
        named_state = dict(zip(program.states, state, strict=True))
        named_inputs = dict(zip(program.inputs, inputs, strict=True))
        with np.errstate(all="ignore"):
            made = evaluate(program, domain, self.params, named_state, named_inputs)
        self.overflowed = domain.overflowed if isinstance(domain, Integers) else np.zeros(shape, bool)
        return made

    def _settle(self, state: Array) -> Array:
        """The end of a step: a float state of magnitude below 2**-100 becomes +0."""
        if self.fixed:
            return np.array(state)
        return np.where(np.abs(state) < FLUSH, np.float32(0), state)
