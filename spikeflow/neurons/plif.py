"""ParametricLIF: leaky integrate-and-fire whose time constant is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow.errors import GraphError
from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import CONVENTIONS, Value, choice, param
from spikeflow.neurons.spiking import POINT_RESETS, Spiking


@dataclass(frozen=True, eq=False)
class ParametricLIF(Spiking):
    """Parametric leaky integrate-and-fire (PLIF): the decay is 1 - sigmoid(leak), whatever is learned.

    k = sigmoid(leak);  v <- (1 - k) v + k x (normalised) or (1 - k) v + x (raw);  z = v >= threshold;  v is
    reset as `Spiking` says. 1 / k is the time constant in steps. ``Neuron(ParametricLIF(), learn="leak")``
    learns one number for a layer, an array of them one for each neuron.

    Source: W. Fang and others, ICCV 2021. There v + k (x - v) is one expression, which rounds differently,
    and the reset is to 0.
    """

    leak: Value = param(0.0, low=-16, high=16)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("zero", *POINT_RESETS)
    convention: str = choice("normalised", *CONVENTIONS)

    @staticmethod
    def from_tau_steps(tau: Value, threshold: Value = 1.0) -> ParametricLIF:
        """A ParametricLIF that starts with a time constant of `tau` steps, above 1; the paper: 2."""
        steps = np.asarray(tau, np.float64)
        if not (np.isfinite(steps) & (steps > 1)).all():
            raise GraphError("ParametricLIF", f"a time constant of {tau} steps", "more than 1 step")
        return ParametricLIF(-np.log(steps - 1), threshold)

    def states(self) -> tuple[str, ...]:
        return ("v", *self.resting())

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        k = ops.sigmoid(p.leak)
        current = k * x[0] if self.convention == "normalised" else x[0]
        z, v, rest = self.fire(p, s, (1.0 - k) * s.v + current, ops)
        return z, (v, *rest)
