"""CubaLIF: current-based leaky integrate-and-fire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import RESETS, NeuronModel, Value, choice, decay_from_tau, param, reset


@dataclass(frozen=True, eq=False)
class CubaLIF(NeuronModel):
    """Current-based leaky integrate-and-fire: the membrane sees the new current.

    u <- decay_current u + x;  v <- decay v + u;  z = v >= threshold;  v is reset, u is not.
    """

    decay_current: Value = param(0.8, low=0, high=1)
    decay: Value = param(0.9, low=0, high=1)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("zero", *RESETS)

    @staticmethod
    def from_tau(tau_current_s: Value, tau_s: Value, dt: float) -> CubaLIF:
        """A CubaLIF of these time constants in seconds at steps of `dt` seconds."""
        return CubaLIF(decay_from_tau(tau_current_s, dt), decay_from_tau(tau_s, dt))

    def states(self) -> tuple[str, ...]:
        return ("u", "v")

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        u = p.decay_current * s.u + x[0]
        v = p.decay * s.v + u
        z = ops.spike(v - p.threshold)
        return z, (u, reset(v, z, p.threshold, self.reset, ops))
