"""LIF: leaky integrate-and-fire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import CONVENTIONS, Value, choice, decay_from_tau, entering, param
from spikeflow.neurons.spiking import POINT_RESETS, Spiking


@dataclass(frozen=True, eq=False)
class LIF(Spiking):
    """Leaky integrate-and-fire.

    v <- decay v + x (raw) or decay v + (1 - decay) x (normalised);  z = v >= threshold;
    v <- v - threshold z (subtract) or 0 where z (zero); other resets and the refractory period as `Spiking`
    says.

    In normalised form a constant input x leads to v = x, whatever the decay, and a lone step needs an input
    of threshold / (1 - decay) to fire: from rest at T = 1 most neurons of normalised inputs stay silent.

    Source: W. Gerstner and others, Neuronal Dynamics, 2014, section 1.3; normalised as spikingjelly's
    ``decay_input=True`` with 1 / tau = 1 - decay.
    """

    decay: Value = param(0.9, low=0, high=1)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("zero", *POINT_RESETS)
    convention: str = choice("raw", *CONVENTIONS)

    @staticmethod
    def from_tau(
        tau_s: Value, dt: float, threshold: Value = 1.0, reset: str = "zero", convention: str = "raw"
    ) -> LIF:
        """A LIF of membrane time constant `tau_s` seconds at steps of `dt` seconds."""
        return LIF(decay_from_tau(tau_s, dt), threshold, reset, convention)

    def states(self) -> tuple[str, ...]:
        return ("v", *self.resting())

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v = p.decay * s.v + entering(x[0], p.decay, self.convention)
        z, v, rest = self.fire(p, s, v, ops)
        return z, (v, *rest)
