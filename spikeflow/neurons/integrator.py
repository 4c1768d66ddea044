"""Integrator: the read-out, which adds up what arrives and never spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import NeuronModel


@dataclass(frozen=True, eq=False)
class Integrator(NeuronModel):
    """Accumulator of the logits: v <- v + x; v itself is the output."""

    def states(self) -> tuple[str, ...]:
        return ("v",)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v = s.v + x[0]
        return v, (v,)
