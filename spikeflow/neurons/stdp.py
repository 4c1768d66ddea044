"""Plasticity as programs (`ir.plasticity`): STDP of pairs, triplets, with a reward; three factors; scaling.

A trace is what spikes left before the step: x <- d (x + s), all-to-all, or x <- d where(s, 1, x), of the
nearest spike alone. So a pair n steps apart counts d^n, and spikes of one step do not make a pair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeflow.errors import GraphError
from spikeflow.ir.ops import Recorder
from spikeflow.ir.plasticity import MODULATOR, SUM, Plasticity
from spikeflow.ir.program import Program
from spikeflow.ir.symbol import Symbol

PAIRINGS = ("all", "nearest")
Traces = dict[str, Any]


@dataclass(frozen=True)
class PairSTDP:
    """Pair STDP: w <- w - a_minus y where a spike arrives, w <- w + a_plus x where the target spikes.

    x and y are the traces of source and target; w stays within [low, high]. Source: Song, Miller, Abbott
    2000, doi 10.1038/78829; traces and pairings as in Morrison, Diesmann, Gerstner 2008, doi
    10.1007/s00422-008-0233-1.

    Parameters
    ----------
    a_plus, a_minus : change of w by a pair at no distance.
    decay_plus, decay_minus : of x and y in a step, exp(-dt / tau).
    pairing : ``all`` pairs of spikes, or each with the ``nearest`` one before it.
    """

    a_plus: float = 0.01
    a_minus: float = 0.012
    decay_plus: float = 0.95
    decay_minus: float = 0.95
    low: float = 0.0
    high: float = 1.0
    pairing: str = "all"

    def __post_init__(self) -> None:
        _check(self, ("decay_plus", "decay_minus"))

    def plasticity(self) -> Plasticity:
        """The rule as programs."""
        states = ("w",)

        def pre(p: Any, s: Any, t: Traces, ops: Any) -> tuple[Symbol, ...]:
            return (s.w - p.a_minus * t["post.y"],)

        def post(p: Any, s: Any, t: Traces, ops: Any) -> tuple[Symbol, ...]:
            return (s.w + p.a_plus * t["pre.x"],)

        return Plasticity(
            _traces(self.pairing, x="decay_plus"),
            _traces(self.pairing, y="decay_minus"),
            _event(pre, states, ("post.y",), ("a_minus",)),
            _event(post, states, ("pre.x",), ("a_plus",)),
            params=_numbers(self, ("a_plus", "a_minus", "decay_plus", "decay_minus")),
            bounds=(self.low, self.high),
        )


@dataclass(frozen=True)
class TripletSTDP:
    """Triplet STDP: a second, slower trace of each side makes a pair count more.

    w <- w - r_y (a2_minus + a3_minus s_x) where a spike arrives, w <- w + r_x (a2_plus + a3_plus s_y) where
    the target spikes; r are the fast traces, s the slow ones. Source: Pfister and Gerstner 2006, doi
    10.1523/JNEUROSCI.1425-06.2006, equations 3 and 4.

    Parameters
    ----------
    decay_plus, decay_x : of r_x and s_x in a step (tau+ and tau_x there).
    decay_minus, decay_y : of r_y and s_y.
    """

    a2_plus: float = 5e-3
    a3_plus: float = 6e-3
    a2_minus: float = 7e-3
    a3_minus: float = 2e-4
    decay_plus: float = 0.942
    decay_x: float = 0.99
    decay_minus: float = 0.971
    decay_y: float = 0.991
    low: float = 0.0
    high: float = 1.0
    pairing: str = "all"

    def __post_init__(self) -> None:
        _check(self, ("decay_plus", "decay_x", "decay_minus", "decay_y"))

    def plasticity(self) -> Plasticity:
        """The rule as programs."""
        states = ("w",)

        def pre(p: Any, s: Any, t: Traces, ops: Any) -> tuple[Symbol, ...]:
            change = t["post.r"] * (p.a2_minus + p.a3_minus * t["pre.s"])
            return (s.w - change,)

        def post(p: Any, s: Any, t: Traces, ops: Any) -> tuple[Symbol, ...]:
            change = t["pre.r"] * (p.a2_plus + p.a3_plus * t["post.s"])
            return (s.w + change,)

        names = ("a2_plus", "a3_plus", "a2_minus", "a3_minus")
        decays = ("decay_plus", "decay_x", "decay_minus", "decay_y")
        return Plasticity(
            _traces(self.pairing, r="decay_plus", s="decay_x"),
            _traces(self.pairing, r="decay_minus", s="decay_y"),
            _event(pre, states, ("post.r", "pre.s"), ("a2_minus", "a3_minus")),
            _event(post, states, ("pre.r", "post.s"), ("a2_plus", "a3_plus")),
            params=_numbers(self, (*names, *decays)),
            bounds=(self.low, self.high),
        )


@dataclass(frozen=True)
class RewardSTDP:
    """Reward-modulated STDP: pairs change an eligibility e that fades; w <- w + m e where the modulator m is
    not 0.

    e <- e - a_minus y where a spike arrives, e <- e + a_plus x where the target spikes. Source: Izhikevich
    2007, doi 10.1093/cercor/bhl152, with the modulator as it comes, not filtered.

    Parameters
    ----------
    decay : of e in a step.
    """

    a_plus: float = 0.01
    a_minus: float = 0.012
    decay_plus: float = 0.95
    decay_minus: float = 0.95
    decay: float = 0.999
    low: float = 0.0
    high: float = 1.0
    pairing: str = "all"

    def __post_init__(self) -> None:
        _check(self, ("decay_plus", "decay_minus", "decay"))

    def plasticity(self) -> Plasticity:
        """The rule as programs."""
        states = ("w", "e")

        def pre(p: Any, s: Any, t: Traces, ops: Any) -> tuple[Symbol, ...]:
            return s.w, s.e - p.a_minus * t["post.y"]

        def post(p: Any, s: Any, t: Traces, ops: Any) -> tuple[Symbol, ...]:
            return s.w, s.e + p.a_plus * t["pre.x"]

        def reward(p: Any, s: Any, t: Traces, ops: Any) -> tuple[Symbol, ...]:
            return s.w + t[MODULATOR] * s.e, s.e

        return Plasticity(
            _traces(self.pairing, x="decay_plus"),
            _traces(self.pairing, y="decay_minus"),
            _event(pre, states, ("post.y",), ("a_minus",)),
            _event(post, states, ("pre.x",), ("a_plus",)),
            _event(reward, states, (MODULATOR,), ()),
            _numbers(self, ("a_plus", "a_minus", "decay_plus", "decay_minus")),
            {"e": self.decay},
            bounds=(self.low, self.high),
        )


@dataclass(frozen=True)
class ThreeFactor:
    """Three factors: activity before, activity behind, and a signal of the target's own or of all.

    e <- e + x where the target spikes, x the trace of the source; w <- w + rate m e where the modulator m of
    the target is not 0; e fades. Source: Fremaux and Gerstner 2016, doi 10.3389/fncir.2015.00085.

    Parameters
    ----------
    decay_plus : of x in a step.
    decay : of e in a step.
    """

    rate: float = 0.01
    decay_plus: float = 0.95
    decay: float = 0.98
    low: float = -1.0
    high: float = 1.0
    pairing: str = "all"

    def __post_init__(self) -> None:
        _check(self, ("decay_plus", "decay"))

    def plasticity(self) -> Plasticity:
        """The rule as programs."""
        states = ("w", "e")

        def pre(p: Any, s: Any, t: Traces, ops: Any) -> tuple[Symbol, ...]:
            return s.w, s.e

        def post(p: Any, s: Any, t: Traces, ops: Any) -> tuple[Symbol, ...]:
            return s.w, s.e + t["pre.x"]

        def signal(p: Any, s: Any, t: Traces, ops: Any) -> tuple[Symbol, ...]:
            return s.w + p.rate * t[MODULATOR] * s.e, s.e

        return Plasticity(
            _traces(self.pairing, x="decay_plus"),
            _traces(self.pairing),
            _event(pre, states, (), ()),
            _event(post, states, ("pre.x",), ()),
            _event(signal, states, (MODULATOR,), ("rate",)),
            _numbers(self, ("rate", "decay_plus")),
            {"e": self.decay},
            bounds=(self.low, self.high),
        )


def homeostatic(rule: Plasticity, total: float, every: int) -> Plasticity:
    """A rule that also scales: every so many steps the weights onto each target are multiplied so that their
    sum is `total`; where it is 0 they stay. Source: Turrigiano 2008, doi 10.1016/j.cell.2008.10.008; as in
    Diehl and Cook 2015, doi 10.3389/fncom.2015.00099.
    """
    recorder = Recorder((SUM,), (), ("total",))
    (held,), ops = recorder.x, recorder.ops
    program = recorder.program(ops.where(held, recorder.p.total / held, 1.0), [])
    return replace(rule, scaling=program, every=every, params={**rule.params, "total": float(total)})


def _check(rule: Any, decays: tuple[str, ...]) -> None:
    name = type(rule).__name__
    if rule.pairing not in PAIRINGS:
        raise GraphError(name, f"pairing {rule.pairing!r}", f"one of {', '.join(PAIRINGS)}")
    numbers = {n: v for n, v in vars(rule).items() if n != "pairing"}
    for key, value in numbers.items():
        if not np.isfinite(value) or (key in decays and not 0 <= value <= 1):
            raise GraphError(name, f"{key} {value}", "a number from 0 to 1" if key in decays else "finite")
    if not rule.low <= rule.high:
        raise GraphError(name, f"bounds {rule.low} to {rule.high}", "low <= high")


def _numbers(rule: Any, names: tuple[str, ...]) -> dict[str, float]:
    return {name: float(getattr(rule, name)) for name in names}


def _traces(pairing: str, **decays: str) -> Program:
    """Traces by name, each with the parameter that it decays by."""
    recorder = Recorder(("spike",), tuple(decays), tuple(decays.values()))
    (spike,), ops = recorder.x, recorder.ops
    after: list[Symbol] = []
    for name, decay in decays.items():
        x = getattr(recorder.s, name)
        raised = x + spike if pairing == "all" else ops.where(spike, 1.0, x)
        after.append(getattr(recorder.p, decay) * raised)
    return recorder.program((*after, spike)[0], after)


def _event(
    step: Callable[..., tuple[Symbol, ...]],
    states: tuple[str, ...],
    inputs: tuple[str, ...],
    params: tuple[str, ...],
) -> Program:
    """A synapse's step at an event; what it hands on is the weight."""
    recorder = Recorder(inputs, states, params)
    after = step(recorder.p, recorder.s, dict(zip(inputs, recorder.x, strict=True)), recorder.ops)
    return recorder.program(after[0], after)
