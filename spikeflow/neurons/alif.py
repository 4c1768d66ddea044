"""ALIF: leaky integrate-and-fire whose threshold rises with each spike and recovers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import CONVENTIONS, Value, choice, decay_from_tau, entering, param
from spikeflow.neurons.spiking import POINT_RESETS, Spiking


@dataclass(frozen=True, eq=False)
class ALIF(Spiking):
    """Adaptive leaky integrate-and-fire: the threshold adapts.

    v <- decay v + x (raw) or decay v + (1 - decay) x (normalised);  z = v - adaptation a >= threshold;
    a <- decay_adaptation a + z;  v is reset: by the threshold as it stood, threshold + adaptation a
    (subtract), to 0 (zero), or as `Spiking` says. A spike counts from the next step on; its gradient reaches
    a, which is how this neuron remembers for long.

    Source: G. Bellec and others, NeurIPS 2018 (LSNN), and Nature Communications 11, 2020. There a takes
    (1 - decay_adaptation) z, so their beta of 1.8 is an `adaptation` of 1.8 (1 - decay_adaptation) here; the
    second paper resets by `threshold` alone.
    """

    decay: Value = param(0.951229, low=0, high=1)
    decay_adaptation: Value = param(0.995012, low=0, high=1)
    adaptation: Value = param(0.184, low=0)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("subtract", *POINT_RESETS)
    convention: str = choice("raw", *CONVENTIONS)

    @staticmethod
    def from_tau(tau_s: Value, tau_adaptation_s: Value, dt: float, adaptation: Value = 0.184) -> ALIF:
        """An ALIF of these time constants in seconds at steps of `dt` seconds."""
        return ALIF(decay_from_tau(tau_s, dt), decay_from_tau(tau_adaptation_s, dt), adaptation)

    def states(self) -> tuple[str, ...]:
        return ("v", "a", *self.resting())

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v = p.decay * s.v + entering(x[0], p.decay, self.convention)
        z, v, rest = self.fire(p, s, v, ops, raised=p.adaptation * s.a)
        return z, (v, p.decay_adaptation * s.a + z, *rest)
