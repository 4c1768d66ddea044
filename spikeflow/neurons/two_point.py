"""TwoPointLIF: a cell with a basal and an apical point, whose apical potential gates the basal drive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikeflow.errors import GraphError
from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import RESETS, NeuronModel, Value, choice, decay_from_tau, param, reset


@dataclass(frozen=True, eq=False)
class TwoPointLIF(NeuronModel):
    """Spiking two-point neuron in the gate mode.

    a <- decay_apical a + (1 - decay_apical) apical + bap z_before
    u <- decay u + basal (1 + tanh(gain a))
    z = u >= threshold;  u is reset to 0 (zero) or by the threshold (subtract).

    The stored u is after reset. Apical input alone never makes a spike from rest; without apical input the
    cell is a LIF, bit for bit. The last spike is a state only with `back_propagation`.

    Source: Adeel et al., arXiv 2211.01950 (the two-point cell); the discrete gate form is this project's.
    """

    decay: Value = param(0.904837, low=0, high=1)
    decay_apical: Value = param(0.951229, low=0, high=1)
    gain: Value = param(1.0)
    bap: Value = param(0.0)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("zero", *RESETS)
    back_propagation: bool = False
    inputs: ClassVar[tuple[str, ...]] = ("basal", "apical")

    def __post_init__(self) -> None:
        super().__post_init__()
        if np.any(self.bap) and not self.back_propagation:
            raise GraphError(self.name, "bap acts only with back_propagation", "back_propagation=True")

    @staticmethod
    def from_tau(tau_s: Value, tau_apical_s: Value, dt: float, gain: Value = 1.0) -> TwoPointLIF:
        """A cell of these time constants in seconds at steps of `dt` seconds."""
        return TwoPointLIF(decay_from_tau(tau_s, dt), decay_from_tau(tau_apical_s, dt), gain)

    def states(self) -> tuple[str, ...]:
        return ("u", "a", "z") if self.back_propagation else ("u", "a")

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        basal, apical = x
        a = p.decay_apical * s.a + (1.0 - p.decay_apical) * apical
        if self.back_propagation:
            a = a + p.bap * s.z
        u = p.decay * s.u + basal * (1.0 + ops.tanh(p.gain * a))
        z = ops.spike(u - p.threshold)
        u = reset(u, z, p.threshold, self.reset, ops)
        return z, (u, a, ops.stop_gradient(z)) if self.back_propagation else (u, a)
