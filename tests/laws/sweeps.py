"""A stretch of time through the C++ core, on numpy arrays: the forms of `sim.gradient`, without torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from spikeflow.ir.program import Program
from spikeflow.neurons.compiled import Compiled, Extent, Given
from spikeflow.sim.gradient import Gradients
from tests.laws.surrogates import SURROGATES
from tests.sim.random_programs import population

Arrays = Mapping[str, np.ndarray]


class Swept:
    """A program run onward; `output`, `after` and the states kept. `back` gives the gradients.

    Parameters
    ----------
    extent : all of an `Extent` but its shape and type.
    """

    def __init__(self, compiled: Compiled, params: Arrays, inputs: Arrays, state: Arrays, **extent: int) -> None:
        first = next(iter(inputs.values()))
        self.compiled, self.program, self.shape, self.dtype = compiled, compiled.program, first.shape, first.dtype
        self.extent = Extent(first.shape, first.itemsize, **extent)
        self.inputs = {n: np.ascontiguousarray(inputs[n]) for n in self.program.inputs}
        self.params = {n: np.ascontiguousarray(params[n], self.dtype) for n in self.program.params}
        self.state = {n: np.ascontiguousarray(state[n]) for n in self.program.states}
        self.output, self.after = np.empty(self.shape, self.dtype), self._states()
        self.kept = np.empty((self.extent.moments, len(self.state), *self.shape[1:]), self.dtype)
        self.given = Given(
            [(x.ctypes.data, x.size) for x in self.inputs.values()],
            [(x.ctypes.data, x.shape) for x in self.params.values()],
            [x.ctypes.data for x in self.state.values()],
        )
        after = [x.ctypes.data for x in self.after.values()]
        self.compiled.forward(self.extent, self.given, self.output.ctypes.data, after, self.kept.ctypes.data)

    def _states(self) -> dict[str, np.ndarray]:
        return {n: np.empty(self.shape[1:], self.dtype) for n in self.program.states}

    def back(self, out: np.ndarray, after: Arrays, chosen: Collection[str] | None = None) -> Gradients:
        """From the cotangents of the output and of the states after the last step; 0-dimensional ones are for all.

        `chosen`: of which ports and parameters (``input.in``, ``param.decay``), those of the others stay 0; None for all.
        """
        ports = {n: np.zeros(self.shape, self.dtype) for n in self.program.inputs}
        params = {n: np.zeros(x.shape, self.dtype) for n, x in self.params.items()}
        state, held = self._states(), [np.ascontiguousarray(x) for x in (out, *after.values())]
        wanted = {f"input.{n}": x.ctypes.data for n, x in ports.items()}
        wanted |= {f"param.{n}": x.ctypes.data for n, x in params.items()}
        wanted = {n: address for n, address in wanted.items() if chosen is None or n in chosen}
        given = [(x.ctypes.data, x.size) for x in held]
        into: Any = wanted, [x.ctypes.data for x in state.values()]
        self.compiled.backward(self.extent, self.given, self.kept.ctypes.data, given, into)
        return Gradients(ports, state, params)


def same(a: Gradients, b: Gradients) -> None:
    """Bit for bit."""
    for one, other in ((a.inputs, b.inputs), (a.state, b.state), (a.params, b.params)):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], name)


def with_slots(program: Program, slope: Program) -> Compiled:
    """A program with one surrogate in every slot."""
    slots = {int(i.value) for i in program.code if i.op in ("spike", "floor", "round")}
    return Compiled(program, dict.fromkeys(slots, slope))


def random_case(
    draw: np.random.Generator, seed: int, shapes: tuple[tuple[int, ...], ...], dtype: Any
) -> tuple[Compiled, Arrays, Arrays, Arrays]:
    """A random program of every float operation with its parameters, 6 steps of inputs and a first state.

    Values are 0 in a fifth of the places and whole in three tenths; shape and surrogate go round with the seed.
    """
    shape = shapes[seed % len(shapes)]
    cells = population(draw, shape, False, 1 + seed % 2)
    program, size = cells.program, (6, 2, *shape)

    def values(*sizes: int) -> np.ndarray:
        x, kind = draw.normal(0, 2, sizes), draw.random(sizes)
        return np.where(kind < 0.2, 0.0, np.where(kind < 0.5, np.round(x), x)).astype(dtype)

    x = {port: values(*size) for port in program.inputs}
    state = {name: values(*size[1:]) for name in program.states}
    return with_slots(program, SURROGATES[seed % len(SURROGATES)].program()), cells.params, x, state
