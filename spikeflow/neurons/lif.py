"""LIF: leaky integrate-and-fire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import RESETS, NeuronModel, Value, choice, decay_from_tau, param, reset


@dataclass(frozen=True, eq=False)
class LIF(NeuronModel):
    """Leaky integrate-and-fire.

    v <- decay v + x;  z = v >= threshold;  v <- v - threshold z (subtract) or 0 where z (zero).
    """

    decay: Value = param(0.9, low=0, high=1)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("zero", *RESETS)

    @staticmethod
    def from_tau(tau_s: Value, dt: float, threshold: Value = 1.0, reset: str = "zero") -> LIF:
        """A LIF of membrane time constant `tau_s` seconds at steps of `dt` seconds."""
        return LIF(decay_from_tau(tau_s, dt), threshold, reset)

    def states(self) -> tuple[str, ...]:
        return ("v",)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v = p.decay * s.v + x[0]
        z = ops.spike(v - p.threshold)
        return z, (reset(v, z, p.threshold, self.reset, ops),)
