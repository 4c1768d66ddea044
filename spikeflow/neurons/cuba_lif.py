"""CubaLIF: current-based leaky integrate-and-fire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import CONVENTIONS, Value, choice, decay_from_tau, entering, param
from spikeflow.neurons.spiking import POINT_RESETS, Spiking


@dataclass(frozen=True, eq=False)
class CubaLIF(Spiking):
    """Current-based leaky integrate-and-fire: the membrane sees the new current.

    u <- decay_current u + x;  v <- decay v + u;  z = v >= threshold;  v is reset, u is not. In normalised
    form x counts (1 - decay_current) and u counts (1 - decay). Other resets and the refractory period, in
    which the current goes on, as `Spiking` says.

    Source: M. Davies and others, IEEE Micro 38(1), 2018 (the neuron of Loihi); its compartments reset to 0.
    """

    decay_current: Value = param(0.8, low=0, high=1)
    decay: Value = param(0.9, low=0, high=1)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("zero", *POINT_RESETS)
    convention: str = choice("raw", *CONVENTIONS)

    @staticmethod
    def from_tau(tau_current_s: Value, tau_s: Value, dt: float, convention: str = "raw") -> CubaLIF:
        """A CubaLIF of these time constants in seconds at steps of `dt` seconds."""
        decays = decay_from_tau(tau_current_s, dt), decay_from_tau(tau_s, dt)
        return CubaLIF(*decays, convention=convention)

    def states(self) -> tuple[str, ...]:
        return ("u", "v", *self.resting())

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        u = p.decay_current * s.u + entering(x[0], p.decay_current, self.convention)
        v = p.decay * s.v + entering(u, p.decay, self.convention)
        z, v, rest = self.fire(p, s, v, ops)
        return z, (u, v, *rest)
