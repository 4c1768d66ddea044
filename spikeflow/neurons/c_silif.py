"""CSiLIF: a neuron whose membrane is a damped rotation, with rates and step learned as logarithms."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import Value, choice, logarithm, param
from spikeflow.neurons.silif import HIGHEST, LOWEST
from spikeflow.neurons.spiking import POINT_RESETS, Spiking


@dataclass(frozen=True, eq=False)
class CSiLIF(Spiking):
    """Complex state-space inspired LIF: one complex membrane that decays and turns.

    u <- exp((-exp(log_rate) + i frequency) exp(log_dt)) (u - z_before / 2) + gain x;  z = 2 Re u >= 1.

    The states are v = 2 Re u and w = 2 Im u, v after its reset; z = v >= threshold, and the published reset
    takes the threshold off v (subtract). An angle above half a turn a step, frequency exp(log_dt) > pi, acts
    as half a turn. Cosine and sine are made of tan(angle / 2) as a fraction of polynomials, to 1e-6, so that
    the turn alone never changes the size of u.

    Source: M. Fabre and others, arXiv 2506.06374 (code Maxtimer97/SSM-inspired-LIF). States start at rest
    here, and the reset has no gradient.

    Parameters
    ----------
    log_rate, frequency, log_dt : the published start is log 0.5, pi and dt log-uniform up to 0.5.
    """

    log_rate: Value = param(-0.693147, low=LOWEST, high=HIGHEST)
    frequency: Value = param(3.141593, low=0, high=1e6)
    log_dt: Value = param(-2.302585, low=LOWEST, high=HIGHEST)
    gain: Value = param(1.0)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("subtract", *POINT_RESETS)

    @staticmethod
    def from_rates(rate: Value, frequency: Value, dt: Value, gain: Value = 1.0) -> CSiLIF:
        """A CSiLIF of this rate of decay, angular frequency, and step, in one unit of time."""
        logs = (logarithm("CSiLIF", np.asarray(v)) for v in (rate, dt))
        log_rate, log_dt = logs
        return CSiLIF(log_rate, frequency, log_dt, gain)

    def states(self) -> tuple[str, ...]:
        return ("v", "w", *self.resting())

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        dt = ops.exp(p.log_dt)
        decay = ops.exp(0.0 - ops.exp(p.log_rate + p.log_dt))
        cosine, sine = _turn(ops.minimum(p.frequency * dt, pi), ops)
        along, across = decay * cosine, decay * sine
        v = along * s.v - across * s.w + (2.0 * p.gain) * x[0]
        w = across * s.v + along * s.w
        z, v, rest = self.fire(p, s, v, ops)
        return z, (v, w, *rest)


def _turn(angle: Any, ops: Ops) -> tuple[Any, Any]:
    """Cosine and sine of an angle from 0 to pi; their squares add up to 1 whatever the error of the angle."""
    y = angle * 0.5
    q = y * y
    # the continued fraction of the tangent, cut as that of tanh in ir.functions
    top = y * (135135.0 - q * (17325.0 - q * (378.0 - q)))
    bottom = 135135.0 - q * (62370.0 - q * (3150.0 - q * 28.0))
    one, other = bottom * bottom, top * top
    size = one + other
    return (one - other) / size, (2.0 * top * bottom) / size
