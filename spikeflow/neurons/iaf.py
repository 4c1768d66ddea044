"""IF: integrate-and-fire without leak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import Value, choice, param
from spikeflow.neurons.spiking import POINT_RESETS, Spiking


@dataclass(frozen=True, eq=False)
class IF(Spiking):
    """Integrate-and-fire.

    v <- v + x;  z = v >= threshold;  v <- v - threshold z (subtract) or 0 where z (zero); other resets and
    the refractory period as `Spiking` says.

    Source: L. Lapicque, Journal de Physiologie et de Pathologie Générale 9, 1907.
    """

    threshold: Value = param(1.0, low=0)
    reset: str = choice("subtract", *POINT_RESETS)

    def states(self) -> tuple[str, ...]:
        return ("v", *self.resting())

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        z, v, rest = self.fire(p, s, s.v + x[0], ops)
        return z, (v, *rest)
