"""TCLIF: two-compartment LIF, a dendrite and a soma that exchange what they hold without loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import Value, choice, param
from spikeflow.neurons.spiking import POINT_RESETS, Spiking


@dataclass(frozen=True, eq=False)
class TCLIF(Spiking):
    """Two-compartment leaky integrate-and-fire (TC-LIF).

    a = sigmoid(beta_dendrite);  b = sigmoid(beta_soma);
    d <- d - a v + x, of the v of the step before;  v <- v + b d, of the new d;  z = v >= threshold;
    d <- d - discharge z;  v is reset as `Spiking` says, by the threshold as published.

    Below threshold the step is the matrix [[1, -a], [b, 1 - a b]] with determinant 1 and, as a b < 4, both
    eigenvalues on the unit circle: an oscillator that never leaks, by acos(1 - a b / 2) a step. So it keeps
    what happened long ago, and rounding errors too, on a chip those of integers.

    Source: S. Zhang and others, AAAI 2024 (code ZhangShimin1/TC-LIF). Published starts of the betas are 0 and
    0 (SHD, threshold 1.5), -1.4 and 1.4 (permuted MNIST, 1.8), 1.5 and -0.5 (sequential MNIST, 1.0). There
    the reset has a gradient; here it has none. `TwoPointLIF` in mode "coupled" takes a and b themselves.
    """

    beta_dendrite: Value = param(0.0, low=-16, high=16)
    beta_soma: Value = param(0.0, low=-16, high=16)
    discharge: Value = param(0.5, low=0)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("subtract", *POINT_RESETS)

    def states(self) -> tuple[str, ...]:
        return ("v", "d", *self.resting())

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        d = s.d - ops.sigmoid(p.beta_dendrite) * s.v + x[0]
        z, v, rest = self.fire(p, s, s.v + ops.sigmoid(p.beta_soma) * d, ops)
        return z, (v, d - ops.stop_gradient(z) * p.discharge, *rest)
