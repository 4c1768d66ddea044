"""IF: integrate-and-fire without leak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import RESETS, NeuronModel, Value, choice, param, reset


@dataclass(frozen=True, eq=False)
class IF(NeuronModel):
    """Integrate-and-fire.

    v <- v + x;  z = v >= threshold;  v <- v - threshold z (subtract) or 0 where z (zero).
    """

    threshold: Value = param(1.0, low=0)
    reset: str = choice("subtract", *RESETS)

    def states(self) -> tuple[str, ...]:
        return ("v",)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v = s.v + x[0]
        z = ops.spike(v - p.threshold)
        return z, (reset(v, z, p.threshold, self.reset, ops),)
