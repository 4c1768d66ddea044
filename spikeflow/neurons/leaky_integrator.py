"""LeakyIntegrator: a read-out that forgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import CONVENTIONS, NeuronModel, Value, choice, decay_from_tau, entering, param


@dataclass(frozen=True, eq=False)
class LeakyIntegrator(NeuronModel):
    """Leaky read-out: a LIF that never fires; v itself is the output.

    v <- decay v + (1 - decay) x (normalised) or decay v + x (raw).

    `spikeflow.train.read` makes one value a class of it: the last, the mean, the maximum over time, or
    the summed softmax.
    """

    decay: Value = param(0.95, low=0, high=1)
    convention: str = choice("normalised", *CONVENTIONS)

    @staticmethod
    def from_tau(tau_s: Value, dt: float, convention: str = "normalised") -> LeakyIntegrator:
        """A read-out of time constant `tau_s` seconds at steps of `dt` seconds."""
        return LeakyIntegrator(decay_from_tau(tau_s, dt), convention)

    def states(self) -> tuple[str, ...]:
        return ("v",)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v = p.decay * s.v + entering(x[0], p.decay, self.convention)
        return v, (v,)
