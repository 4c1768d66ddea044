"""How far two computations of one gradient may lie apart, in any order of their sums.

Given the forward pass, a cotangent is a sum over paths of products of local derivatives, which both computations
take from the same values by the same operations. So they differ only by roundings of products and sums of
cotangents: of K such on a path, each result is within gamma_K S of the exact one, with S the sum of the absolute
values of all paths, gamma_K = K u / (1 - K u), u the unit roundoff (Higham, Accuracy and Stability, 2002, lemma 3.1 and
section 4.2); two results are within 2 gamma_K S of one another. K: all operations of the adjoint that round a
cotangent, times the steps, plus the terms that are summed into one parameter. S is found by evaluating the adjoint
on pairs of a value and the sum of its absolute terms. What underflows is below 2^-90.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from spikeflow.ir.adjoint import Slots, adjoint
from spikeflow.ir.evaluate import Domain, evaluate
from spikeflow.sim.domains import Float32, Float64
from spikeflow.sim.gradient import Forward, Gradients, summed_to

UNDERFLOW = 2.0**-90


class Terms(NamedTuple):
    """A value, and the sum of its absolute terms; None for what holds no cotangent."""

    value: Any
    size: Any = None

    @property
    def sized(self) -> Any:
        return np.abs(self.value).astype(np.float64) if self.size is None else self.size


class Sizes(Domain[Terms]):
    """The adjoint on terms; counts the instructions that round a cotangent."""

    stages = ("snn",)

    def __init__(self, of: Float32) -> None:
        self.of, self.rounded = of, 0

    def __getattr__(self, name: str) -> Any:
        """Any other operation: on plain values, and of min, max and where the terms of what is chosen."""
        rule = getattr(self.of, name)

        def made(*args: Any) -> Terms:
            values = [a.value if isinstance(a, Terms) else a for a in args]
            terms = [a for a in args if isinstance(a, Terms)]
            assert all(t.size is None for t in terms), f"{name} of a cotangent"
            return Terms(rule(*values))

        return made

    def _both(self, a: Terms, b: Terms, value: Any, size: Any) -> Terms:
        if a.size is None and b.size is None:
            return Terms(value)
        self.rounded += 1
        return Terms(value, size)

    def add(self, a: Terms, b: Terms) -> Terms:
        return self._both(a, b, self.of.add(a.value, b.value), a.sized + b.sized)

    def sub(self, a: Terms, b: Terms) -> Terms:
        return self._both(a, b, self.of.sub(a.value, b.value), a.sized + b.sized)

    def mul(self, a: Terms, b: Terms, count: int, mode: str) -> Terms:
        return self._both(a, b, self.of.mul(a.value, b.value, 0, ""), a.sized * b.sized)

    def div(self, a: Terms, b: Terms) -> Terms:
        assert b.size is None, "nothing is divided by a cotangent"
        return self._both(a, b, self.of.div(a.value, b.value), a.sized / b.sized)

    def where(self, condition: Terms, a: Terms, b: Terms) -> Terms:
        value = self.of.where(condition.value, a.value, b.value)
        if a.size is None and b.size is None:
            return Terms(value)
        return Terms(value, np.where(condition.value != 0, a.sized, b.sized))


def bounds(
    run: Forward, cotangent: Any, slots: Slots, states: Mapping[str, Any], roundings: int = 0
) -> Gradients:
    """For each gradient of `sim.gradient.backward` how far another computation of it may be.

    `roundings` : of a step of the other computation, where they are more than those of the adjoint.
    """
    program, text = run.program, adjoint(run.program, slots)
    domain = Sizes(Float64() if cotangent.dtype == np.float64 else Float32())
    none = np.zeros(cotangent[0].shape)
    carried = {f"d.state.{n}": Terms(none.astype(cotangent.dtype), none) for n in program.states}
    inputs = {n: np.zeros(cotangent.shape) for n in program.inputs}
    params = {n: none.copy() for n in program.params}
    plain = {n: Terms(v) for n, v in run.params.items()}
    for t in reversed(range(len(cotangent))):
        arriving = {f"input.{n}": Terms(v[t]) for n, v in run.inputs.items()}
        arriving |= {f"state.{n}": Terms(v[t]) for n, v in run.states.items()}
        arriving["d.out"] = _given(cotangent[t])
        carried |= {
            f"d.state.{n}": domain.add(carried[f"d.state.{n}"], _given(v[t])) for n, v in states.items()
        }
        with np.errstate(all="ignore"):
            registers = evaluate(text, domain, plain, carried, arriving)
        made = {n: registers[end] for n, end in zip(text.states, text.next_states, strict=True)}
        carried = {n: made[n] for n in carried}
        for n, values in inputs.items():
            values[t] = made[f"d.input.{n}"].sized
        for n, total in params.items():
            total += made[f"d.param.{n}"].sized
    count = max(domain.rounded, len(cotangent) * roundings)
    unit = np.finfo(cotangent.dtype).eps / 2
    summed = {n: summed_to(v, run.params[n].shape) for n, v in params.items()}
    return Gradients(
        {n: _bound(v, count, unit) for n, v in inputs.items()},
        {n: _bound(carried[f"d.state.{n}"].sized, count, unit) for n in program.states},
        {n: _bound(v, count + cotangent.size, unit) for n, v in summed.items()},
    )


def _given(cotangent: Any) -> Terms:
    return Terms(cotangent, np.abs(cotangent).astype(np.float64))


def _bound(size: Any, roundings: int, unit: float) -> Any:
    return 2 * roundings * unit / (1 - roundings * unit) * size + UNDERFLOW


def assert_within(got: Mapping[str, Any], wanted: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    """Each gradient within its bound of the other; where one is NaN or infinite, so is the other."""
    for name, bound in allowed.items():
        a, b = np.asarray(got[name], np.float64), np.asarray(wanted[name], np.float64)
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b), err_msg=name)
        with np.errstate(invalid="ignore"):
            beyond = np.abs(a - b) - bound
        assert not (beyond > 0).any(), f"{name}: {np.nanmax(beyond)} beyond the bound"
