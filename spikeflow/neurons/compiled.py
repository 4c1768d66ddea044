"""Compiled: a neuron's step and its adjoint, run by the C++ core over a stretch of time, without torch.

The core (``src/sweep``) takes addresses of arrays and checks nothing; who calls has checked them, and holds
them while it runs. Values are ``(T, B, *shape)`` in C order, of float32 or float64. On the same inputs
outputs and states are those of the reference bit for bit, whatever the number of threads; gradients are those
of `sim.gradient` to the rounding of their sums. Of these, cotangents below 2^-120 in float32 (2^-1000 in
float64) count as 0.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

import spikeflow.neurons._sweep as _sweep
from spikeflow.errors import GraphError, OperationRefused
from spikeflow.ir.adjoint import adjoint, jacobian
from spikeflow.ir.codec import decode_record, encode_record
from spikeflow.ir.program import Program
from spikeflow.ir.program_arrays import numbered, program_arrays
from spikeflow.ir.way_back import way_back

_NUMBERS = numbered(_sweep.operations())
_KINDS = {4: _sweep.Program32, 8: _sweep.Program64}
FASTEST = 2  # the widest vectors that the processor has
USUAL = 16  # steps between states that are kept: a segment of that many lies in the second-level cache

Values = tuple[int, int]  # an address, and how many values lie there: all, or one that stands for all
# of a feedback: addresses of weight, bias (0: none) and outputs before the first step; the number of its port
Fed = tuple[int, int, int, int]
# of a product: addresses of x, weight and bias (0: none), how many inputs, the number of its port
Driving = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Extent:
    """The size of a stretch of time, and how it is run.

    Parameters
    ----------
    shape : ``(T, B, *shape)``.
    bytes_each : of a value, 4 or 8.
    interval : states are kept every so many steps; those between are computed again on the way back.
    chunk : steps of a chunk of time, a multiple of the interval and no more than there are: chunks lie side
        by side in the processor's vectors, and on the way back all steps of a block do. 0: step by step.
    """

    shape: tuple[int, ...]
    bytes_each: int = 4
    interval: int = USUAL
    threads: int = 1
    isa: int = FASTEST
    chunk: int = 0

    @property
    def elements(self) -> int:
        """Neurons times samples."""
        return prod(self.shape[1:])

    @property
    def moments(self) -> int:
        """How often states are kept; those before the first step are not."""
        return (self.shape[0] - 1) // self.interval

    @property
    def sizes(self) -> tuple[int, int, int, int, int, int, int]:
        """As the core reads them."""
        population = prod(self.shape[2:])
        steps = self.shape[0]
        return (steps, self.elements, population, self.interval, self.threads, self.isa, self.chunk)


# chunks are faster from so many steps on, up to so many elements and one for each 500 steps
# (benchmarks/long_sequences.py)
LONG, FEW, EACH = 1000, 8, 500
CARRIED = 8  # states, at most, whose cotangents the core can carry in this way


def chunk(shape: tuple[int, ...], states: int, parallel: bool | None) -> int:
    """The steps of a chunk of time; 0 where a stretch is to be swept one step after the other.

    Parameters
    ----------
    parallel : True wherever chunks are possible; False nowhere; None where they are faster.
    """
    steps, elements = shape[0], prod(shape[1:])
    if parallel is False or not 0 < states <= CARRIED or not elements:
        return 0
    if parallel is None and (steps < LONG or elements > min(FEW, steps // EACH)):
        return 0
    # long enough for what was guessed to be forgotten, short enough for vectors to be full
    balanced = round((2 * steps * elements) ** 0.5 / USUAL) * USUAL
    found = max(2 * USUAL, balanced)
    return found if 2 * found <= steps else 0


def interval(shape: tuple[int, ...], states: int, bytes_each: int, budget: int | None) -> int:
    """How often to keep states, so that they take at most `budget` bytes; None: every 16 steps."""
    if budget is None:
        return USUAL
    each, steps = states * prod(shape[1:]) * bytes_each, shape[0]
    moments = min(steps - 1, budget // each) if each else steps - 1
    return -(-steps // (moments + 1))


@dataclass(frozen=True)
class Given:
    """What a step reads, by address: ports, parameters with their shapes, the state before the first step."""

    ports: Sequence[Values]
    params: Sequence[tuple[int, tuple[int, ...]]]
    state: Sequence[int]


class Compiled:
    """A float program and the slopes of its slots; compiled for a type of numbers when it first meets it.

    `text` is what `of_text` makes it of anew; `refused` says why the core does not run it, and is empty where
    it does. `settled`: of the last run forward the steps that chunks of time settled, and those that they
    were to settle.
    """

    def __init__(self, program: Program, slots: Mapping[int, Program]) -> None:
        self.program, self.slots = program, dict(slots)
        self._made: dict[Any, Any] = {}
        self.settled = (0, 0)
        # neither may be computed while torch.compile traces
        self.text, self.refused = _text(program, slots), self._refused()

    def _refused(self) -> str:
        try:
            self._backward(4, self._others)
        except (GraphError, OperationRefused) as error:
            return str(error)
        return ""

    @property
    def _others(self) -> tuple[str, ...]:
        return (*(f"input.{n}" for n in self.program.inputs), *(f"param.{n}" for n in self.program.params))

    def forward(self, extent: Extent, given: Given, out: int, after: Sequence[int], kept: int) -> None:
        """All steps; writes the output ``(T, B, *shape)``, the states after them, and into `kept` (0:
        nowhere) ``(moments, states, B, *shape)``.
        """
        held = _parameters(given, extent)
        step = self._native("step", extent.bytes_each)
        settled = step.forward(extent.sizes, given.ports, held[0], given.state, out, after, kept)
        self.settled = settled, extent.shape[0] // extent.chunk * extent.chunk if extent.chunk else 0

    def recurrent(
        self, extent: Extent, given: Given, fed: Fed, into: tuple[int, int, int], after: Sequence[int]
    ) -> None:
        """All steps, of float32, the outputs of each coming back in the next one.

        Parameters
        ----------
        into : where the output, the states kept (0: nowhere) and the currents that arrived in all at the fed
            port are written.
        """
        held, step = _parameters(given, extent), self._native("step", 4)
        _sweep.recurrent(step, fed, extent.sizes, given.ports, held[0], given.state, into, after)

    def recurrent_back(
        self, extent: Extent, given: Given, fed: Fed, kept: int, cotangents: Sequence[Values], total: int
    ) -> None:
        """Into `total` the cotangents of the outputs, what comes back through the feedback included.

        Parameters
        ----------
        given : at the fed port the currents that arrived in all.
        """
        (again, adjoint, _), _ = self._backward(4, (f"input.{self.program.inputs[fed[3]]}",))
        held, step = _parameters(given, extent), self._native("step", 4)
        backward = (extent.sizes, given.ports, held[0], given.state, kept, cotangents, total)
        _sweep.recurrent_back(step, again, adjoint, fed, *backward)

    def driven(
        self, extent: Extent, given: Given, drive: Driving, into: tuple[int, Sequence[int], int]
    ) -> None:
        """All steps, of float32, of neurons whose currents at one port are a product.

        Parameters
        ----------
        into : where the output, the states after the last step and those kept (0: nowhere) are written; these
            with the states before the first step, in an order that is `driven_back`'s alone.
        """
        held, step = _parameters(given, extent), self._native("step", 4)
        _sweep.driven(step, drive, extent.sizes, given.ports, held[0], given.state, *into)

    def driven_back(
        self,
        extent: Extent,
        ran: tuple[Given, Driving, int],
        cotangents: Sequence[Values],
        to: tuple[int, int, int],
        into: tuple[Mapping[str, int], Sequence[int]],
    ) -> None:
        """Back through both.

        Parameters
        ----------
        ran : what entered, and the states kept.
        to : where the gradients of weight, bias and currents are written, 0 where they are not wanted.
        into : where those of the parameters that are wanted are, by name, and those of each state.
        """
        (given, drive, kept), names = ran, self.program
        wanted = (f"input.{names.inputs[drive[4]]}", *(f"param.{name}" for name in into[0]))
        programs, (_, params) = self._backward(4, wanted)
        held = _parameters(given, extent)
        seen = (given.ports, held[0], given.state, kept)
        found = into[1], [into[0][names.params[i]] for i in params]
        _sweep.driven_back(tuple(programs), params, drive, extent.sizes, seen, cotangents, to, found)

    def backward(
        self,
        extent: Extent,
        given: Given,
        kept: int,
        cotangents: Sequence[Values],
        into: tuple[Mapping[str, int], Sequence[int]],
    ) -> None:
        """Back from the last step to the first.

        Parameters
        ----------
        cotangents : of the output, then of each state after the last step.
        into : where gradients are written: of inputs and parameters by name (``input.in``, ``param.decay``),
            those wanted; and of each state before the first step.
        """
        wanted, to_state = into
        each = extent.bytes_each
        (again, *back), (ports, params) = self._backward(each, wanted)
        held, names = _parameters(given, extent), self.program
        to = (
            [wanted[f"input.{names.inputs[i]}"] for i in ports],
            to_state,
            [wanted[f"param.{names.params[i]}"] for i in params],
        )
        seen = (given.ports, held[0], given.state, kept)
        if extent.chunk and self.program.states:
            programs = (self._native(text, each, wanted) for text in ("step", "jacobian", "adjoint"))
            step, *others = programs
            if step.scan(*others, extent.sizes, (ports, params), *seen, cotangents, to):
                return
        again.backward(*back, extent.sizes, (ports, params), *seen, cotangents, to)

    def _native(self, text: str, bytes_each: int, wanted: Collection[str] = ()) -> Any:
        """The step, its Jacobian by states, or its adjoint as the core runs it."""
        names = tuple(name for name in self._others if name in wanted) if text == "adjoint" else ()
        key = (text, bytes_each, *names)
        if key not in self._made:
            made = {
                "step": lambda: self.program,
                "jacobian": lambda: jacobian(self.program, self.slots, ()),
                "adjoint": lambda: adjoint(self.program, self.slots, names),
            }
            carried = 0 if text == "jacobian" else len(self.program.states)
            self._made[key] = _native(made[text](), bytes_each, carried)
        return self._made[key]

    def _backward(
        self, bytes_each: int, wanted: Collection[str]
    ) -> tuple[list[Any], tuple[list[int], list[int]]]:
        key = (bytes_each, *(name for name in self._others if name in wanted))
        if key not in self._made:
            programs, program = way_back(self.program, self.slots, key[1:]), self.program
            numbers = (
                [i for i, name in enumerate(program.inputs) if f"input.{name}" in wanted],
                [i for i, name in enumerate(program.params) if f"param.{name}" in wanted],
            )
            made = (programs.again, programs.adjoint, programs.gathered)
            carried = len(program.states), len(program.states), 0
            natives = [p and _native(p, bytes_each, n) for p, n in zip(made, carried, strict=True)]
            self._made[key] = natives, numbers
        return self._made[key]


def _text(program: Program, slots: Mapping[int, Program]) -> str:
    slopes = {str(slot): encode_record(slope, []) for slot, slope in slots.items()}
    return json.dumps({"program": encode_record(program, []), "slots": slopes})


@lru_cache(maxsize=256)
def of_text(text: str) -> Compiled:
    """What `Compiled.text` was made of."""
    data = json.loads(text)
    slots = {int(slot): decode_record(Program, slope, []) for slot, slope in data["slots"].items()}
    return Compiled(decode_record(Program, data["program"], []), slots)


def _native(program: Program, bytes_each: int, carried: int) -> Any:
    code, constants = program_arrays(program, _NUMBERS)
    counts = (len(program.inputs), len(program.states), len(program.params), program.output, carried)
    return _KINDS[bytes_each](code, constants, counts, np.asarray(program.next_states, np.int64))


def _parameters(given: Given, extent: Extent) -> tuple[list[tuple[int, int, int]], list[Any]]:
    """As the core reads them, and the arrays of owners, to be held while it does."""
    owners = [owner(shape, extent.shape[2:]) for _, shape in given.params]
    found = [
        (address, prod(shape), 0 if own is None else own.ctypes.data)
        for (address, shape), own in zip(given.params, owners, strict=True)
    ]
    return found, owners


@lru_cache(maxsize=256)
def owner(shape: tuple[int, ...], population: tuple[int, ...]) -> npt.NDArray[np.int32] | None:
    """For each neuron the entry of a parameter that is its own; None where there is one for all."""
    if prod(shape) == 1:
        return None
    entries = np.arange(prod(shape), dtype=np.int32).reshape(shape)
    return np.ascontiguousarray(np.broadcast_to(entries, population)).reshape(-1)
