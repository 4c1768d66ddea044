"""SiLIF: adaptive leaky integrate-and-fire whose rates and step are learned as logarithms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import Value, choice, logarithm, param
from spikeflow.neurons.spiking import POINT_RESETS, Spiking

LOWEST, HIGHEST = -20.0, 20.0  # of a logarithm, whose exponential then is a float of 32 bits


@dataclass(frozen=True, eq=False)
class SiLIF(Spiking):
    """State-space inspired LIF: an adaptive LIF whose decays come from logarithms of rates and of the step.

    al = exp(-exp(log_rate + log_dt));  bw = exp(-exp(log_rate_adaptation + log_dt));
    v <- al v + (1 - al) (x - w);  z = v >= threshold;  w <- bw w + a v + b z, of the v before its reset;
    v is reset as `Spiking` says. Whatever is learned, both decays stay within 0 and 1. Rates count in 1/s
    and the step in s; the decays see only their product.

    Source: M. Fabre and others, arXiv 2506.06374 (code Maxtimer97/SSM-inspired-LIF), after the adLIF of
    A. Bittar and P. Garner, Frontiers in Neuroscience 16, 2022. Published are rates from 10 to 250 /s, of the
    adaptation from 2.5 to 10 /s, steps of 4 ms, the reset by subtraction. There states start at random and
    the reset has a gradient; here they start at rest and it has none.
    """

    log_rate: Value = param(3.912023, low=LOWEST, high=HIGHEST)
    log_rate_adaptation: Value = param(1.609438, low=LOWEST, high=HIGHEST)
    log_dt: Value = param(-5.521461, low=LOWEST, high=HIGHEST)
    a: Value = param(0.5, low=-1, high=1)
    b: Value = param(1.0, low=0, high=2)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("subtract", *POINT_RESETS)

    @staticmethod
    def from_rates(rate: Value, rate_adaptation: Value, dt: float, a: Value = 0.5, b: Value = 1.0) -> SiLIF:
        """A SiLIF of these rates in 1/s at steps of `dt` seconds."""
        fast, slow, step = (logarithm("SiLIF", np.asarray(v)) for v in (rate, rate_adaptation, dt))
        return SiLIF(fast, slow, step, a, b)

    def states(self) -> tuple[str, ...]:
        return ("v", "w", *self.resting())

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        decay = ops.exp(0.0 - ops.exp(p.log_rate + p.log_dt))
        slow = ops.exp(0.0 - ops.exp(p.log_rate_adaptation + p.log_dt))
        v = self.held(s, decay * s.v + (1.0 - decay) * (x[0] - s.w), ops)
        z, after, rest = self.fire(p, s, v, ops)
        return z, (after, slow * s.w + p.a * v + p.b * z, *rest)
