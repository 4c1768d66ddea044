"""The closed form of a population: read from its program, whatever its name.

In one step, u the synaptic current, v the membrane, x what arrives, while the neuron does not spike:

    u <- d u + e x,    v <- a v + g u + f x + k            (g u of the new u; without u: v alone)

Between events that is, in continuous time (one step = 1):

    u' = -s (u - U),    v' = -m v + K u + J,    s = -ln d, m = -ln a

K is such that a lone spike's v after n steps is that of the continuous one at n; U and J hold what comes in
every step, so that it leads to the same u, and without u to the same v after every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from spikeflow.errors import SimulationError
from spikeflow.ir import functions
from spikeflow.ir.evaluate import Domain, evaluate
from spikeflow.ir.nodes import Population
from spikeflow.ir.operations import FLOAT, Operation
from spikeflow.ir.program import Program
from spikeflow.typing import Array

HINT = "steps: sim.run; or neurons such as LIF, IF or CubaLIF"


@dataclass(frozen=True, eq=False)
class Closed:
    """What a population does between events and at a spike; every array is float64, ``(neurons,)``.

    Parameters
    ----------
    leak, fall : m and s, per step; `fall` is 0 where there is no synaptic current.
    gain : K.
    jump_v, jump_u : by port, what an arriving 1 adds to v and to u.
    flow_v, flow_u : by port, what a 1 in every step adds to J and to U.
    constant : J of what the program adds itself.
    threshold : at which v spikes.
    by, to : at a spike v falls by `by`, or where `resets` becomes `to`.
    refractory : steps in which v stays after a spike.
    v, u : before the first step.
    synaptic : whether there is a synaptic current.
    """

    leak: Array
    fall: Array
    gain: Array
    jump_v: Mapping[str, Array]
    jump_u: Mapping[str, Array]
    flow_v: Mapping[str, Array]
    flow_u: Mapping[str, Array]
    constant: Array
    threshold: Array
    by: Array
    to: Array
    resets: bool
    refractory: int
    v: Array
    u: Array
    synaptic: bool


@dataclass(frozen=True)
class _Form:
    """A number and a factor of each state and input, ``(neurons,)``."""

    number: Array
    factors: Mapping[str, Array] = field(default_factory=dict)

    def plus(self, other: _Form, sign: float) -> _Form:
        names = {**self.factors, **other.factors}
        added = {n: self.of(n) + sign * other.of(n) for n in names}
        return _Form(self.number + sign * other.number, added)

    def times(self, factor: Array) -> _Form:
        return _Form(self.number * factor, {n: f * factor for n, f in self.factors.items()})

    def of(self, name: str) -> Array:
        return self.factors.get(name, np.zeros_like(self.number))

    def same(self, other: _Form) -> bool:
        names = {**self.factors, **other.factors}
        return all(np.array_equal(self.of(n), other.of(n)) for n in names)


class _Unlike(Exception):
    """The program is not of this form, for a reason."""


class _Counts(Exception):
    """A state decides: it counts steps, and is a number in each case."""


class _Linear(Domain[_Form]):
    """Registers as forms; a spike is what it is said to be."""

    stages = (FLOAT,)

    def __init__(self, fired: float, size: int) -> None:
        self.fired, self.size, self.decided = fired, size, list[_Form]()

    def const(self, value: float) -> _Form:
        return _Form(np.full(self.size, float(value)))

    def add(self, a: _Form, b: _Form) -> _Form:
        return a.plus(b, 1.0)

    def sub(self, a: _Form, b: _Form) -> _Form:
        return a.plus(b, -1.0)

    def mul(self, a: _Form, b: _Form, count: int, mode: str) -> _Form:
        if a.factors and b.factors:
            raise _Unlike("multiplies what changes")
        return a.times(b.number) if a.factors else b.times(a.number)

    def div(self, a: _Form, b: _Form) -> _Form:
        if b.factors or not b.number.all():
            raise _Unlike("divides by what changes")
        return a.times(1.0 / b.number)

    def minimum(self, a: _Form, b: _Form) -> _Form:
        return _Form(np.minimum(*self._numbers(a, b)))

    def maximum(self, a: _Form, b: _Form) -> _Form:
        return _Form(np.maximum(*self._numbers(a, b)))

    def where(self, condition: _Form, a: _Form, b: _Form) -> _Form:
        if condition.factors:
            raise _Counts(next(iter(condition.factors)))
        if not (condition.number == condition.number[0]).all():
            raise _Unlike("decides otherwise for some of its neurons")
        return a if condition.number[0] else b

    def spike(self, x: _Form, slot: int) -> _Form:
        self.decided.append(x)
        return self.const(self.fired)

    def stop_gradient(self, x: _Form) -> _Form:
        return x

    def tanh(self, x: _Form) -> _Form:
        return self._function("tanh", x)

    def sigmoid(self, x: _Form) -> _Form:
        return self._function("sigmoid", x)

    def exp(self, x: _Form) -> _Form:
        return self._function("exp", x)

    def _function(self, name: str, x: _Form) -> _Form:
        """Of a number alone, and then the engine's float32."""
        if x.factors:
            raise _Unlike(f"computes {name} of what changes")
        found = getattr(functions, name)(x.number.astype(np.float32), functions.NumpyFloats(np.float32))
        return _Form(found.astype(np.float64))

    def unlisted(self, operation: Operation, *args: object) -> _Form:
        raise _Unlike(f"computes {operation.name}, which is not linear")

    def _numbers(self, a: _Form, b: _Form) -> tuple[Array, Array]:
        if a.factors or b.factors:
            raise _Unlike("takes the larger or smaller of what changes")
        return a.number, b.number


def closed_form(name: str, node: Population) -> Closed:
    """The form of a population.

    Raises
    ------
    SimulationError
        By name, with the reason, where it has none.
    """
    try:
        return _Reader(node).read()
    except _Unlike as reason:
        what = f"has no closed form in event time: {node.model} {reason}"
        raise SimulationError(name, what, HINT) from reason


class _Reader:
    def __init__(self, node: Population) -> None:
        self.node, self.size = node, prod(node.shape)
        self.counters: tuple[str, ...] = ()

    def read(self) -> Closed:
        if self.node.start:
            raise _Unlike("wakes later")
        try:
            return self._read()
        except _Counts as counts:
            self.counters = (str(counts),)
        try:
            return self._read()
        except _Counts as more:
            raise _Unlike(f"decides by its state {more}") from more

    def _read(self) -> Closed:
        (still, decided), (fired, _) = self._step(0.0), self._step(1.0)
        v, others = self._roles(still, decided)
        threshold = still[v].number - decided.number
        resets, by, to = self._reset(still[v], fired[v], threshold)
        self._expect_apart(still, fired, others)
        refractory = self._refractory(v, still, fired)
        u = others[0] if others else ""
        return self._closed(v, u, still, _Spike(threshold, by, to, resets, refractory))

    def _step(self, fired: float, counted: float = 0.0) -> tuple[dict[str, _Form], _Form]:
        """The states after a step, and what the spike is decided on."""
        domain, one, program = _Linear(fired, self.size), np.ones(self.size), self.node.program
        states = {s: _Form(one * 0, {s: one}) for s in program.states}
        states |= {s: _Form(one * counted) for s in self.counters}
        inputs = {p: _Form(one * 0, {p: one}) for p in program.inputs}
        params = {p: _Form(self._each(self.node.params[p])) for p in program.params}
        registers = evaluate(program, domain, params, states, inputs)
        if len(domain.decided) != 1 or not _spikes(program):
            raise _Unlike("does not hand on the one spike that it decides on")
        after = {s: registers[i] for s, i in zip(program.states, program.next_states, strict=True)}
        return after, domain.decided[0]

    def _roles(self, still: Mapping[str, _Form], decided: _Form) -> tuple[str, list[str]]:
        """Which state is compared with the threshold, and the others."""
        found = [s for s, form in still.items() if s not in self.counters and form.same(decided)]
        if len(found) != 1:
            raise _Unlike("compares no state of its own with a threshold")
        others = [s for s in still if s not in (found[0], *self.counters)]
        if len(others) > 1:
            raise _Unlike(f"has {len(others) + 1} states")
        return found[0], others

    def _reset(self, still: _Form, fired: _Form, threshold: Array) -> tuple[bool, Array, Array]:
        zero = np.zeros(self.size)
        if fired.same(_Form(zero)):
            if not (fired.number < threshold).all():
                raise _Unlike("is reset to its threshold or above")
            return True, zero, fired.number
        by = still.number - fired.number
        if not fired.same(still) or not (by > 0).all():
            raise _Unlike("is not reset by a spike")
        return False, by, zero

    def _expect_apart(
        self, still: Mapping[str, _Form], fired: Mapping[str, _Form], others: Sequence[str]
    ) -> None:
        for u in others:
            if not still[u].same(fired[u]) or not np.array_equal(still[u].number, fired[u].number):
                raise _Unlike(f"changes {u} where it spikes")

    def _refractory(self, v: str, still: Mapping[str, _Form], fired: Mapping[str, _Form]) -> int:
        """The steps that a counter counts; while it does, v stays."""
        if not self.counters:
            return 0
        counter = self.counters[0]
        steps = float(fired[counter].number[0])
        resting, decided = self._step(0.0, steps)
        stays = _Form(np.zeros(self.size), {v: np.ones(self.size)})
        counts = resting[counter].number[0] == steps - 1 and still[counter].number[0] == 0
        held = resting[v].same(stays) and not resting[v].number.any() and not decided.factors
        if not counts or not held or (decided.number >= 0).any() or steps != int(steps):
            raise _Unlike(f"decides by its state {counter}")
        return int(steps)

    def _closed(self, v: str, u: str, still: Mapping[str, _Form], spike: _Spike) -> Closed:
        one, ports = np.ones(self.size), self.node.program.inputs
        a, d = still[v].of(v), still[u].of(u) if u else one
        if not ((a > 0) & (a <= 1)).all():
            raise _Unlike("has a membrane that grows, or keeps nothing from step to step")
        if u and not (((d > 0) & (d < 1)).all() and not still[u].of(v).any() and not still[u].number.any()):
            raise _Unlike("has a current that does not fall, or that its membrane changes")
        g = still[v].of(u) / d if u else one * 0
        enter = {p: still[u].of(p) if u else one * 0 for p in ports}
        direct = {p: still[v].of(p) - g * enter[p] for p in ports}
        apart = (a - d) / d
        ratio = np.where(apart == 0, 1.0, np.log1p(apart) / np.where(apart == 0, 1.0, apart))
        leak = -np.log(a)
        flows = np.where(a == 1, 1.0, leak / np.where(a == 1, 1.0, 1 - a))
        return Closed(
            leak=leak,
            fall=-np.log(d),
            gain=g * ratio / d,
            jump_v=direct,
            jump_u=enter,
            flow_v={p: f * flows for p, f in direct.items()},
            flow_u={p: e / np.where(d == 1, 1.0, 1 - d) for p, e in enter.items()},
            constant=still[v].number * flows,
            threshold=spike.threshold,
            by=spike.by,
            to=spike.to,
            resets=spike.resets,
            refractory=spike.refractory,
            v=self._initial(v),
            u=self._initial(u) if u else one * 0,
            synaptic=bool(u),
        )

    def _initial(self, state: str) -> Array:
        return self._each(self.node.initial.get(state, np.zeros(1)))

    def _each(self, values: Array) -> Array:
        return np.broadcast_to(values, self.node.shape).reshape(-1).astype(np.float64)


@dataclass(frozen=True)
class _Spike:
    threshold: Array
    by: Array
    to: Array
    resets: bool
    refractory: int


def _spikes(program: Program) -> bool:
    return program.code[program.output].op == "spike"
