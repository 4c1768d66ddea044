"""ILIF: integer leaky integrate-and-fire, which hands on several spikes at once while it trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import NeuronModel, Value, param, whole

MOST = 16  # spikes in one message of a chip


@dataclass(frozen=True, eq=False)
class ILIF(NeuronModel):
    """Integer leaky integrate-and-fire (I-LIF): a step hands on 0 to `levels` spikes as one whole number.

    v <- decay v + x;  k = floor(min(max(v / threshold, 0), levels) + 1/2);  v <- v - threshold k.

    The gradient of k passes straight through where v / threshold lies within 0 and `levels`, and is 0
    outside (slot 1 of `derivative`). With `levels` micro-steps in place of a step, the input in the first and
    no leak between them, an `IF` that resets by subtraction and starts half a threshold higher hands on the
    same k spikes one by one. Chips whose messages carry a number (loihi2, spinnaker2) take k as one message
    of the alphabet ``burst:levels``, up to 16 levels; more they refuse.

    Source: X. Luo and others, ECCV 2024 (SpikeYOLO), and M. Yao and others, TPAMI 2025 (Spike-driven
    Transformer V3), which hands on k / levels: here the next weights hold that factor. They round a tie to
    the even number, this rounds it up, as the micro-steps do.
    """

    decay: Value = param(0.25, low=0, high=1)
    threshold: Value = param(1.0, low=1e-6)
    levels: int = whole(4, 1, 64)

    @property
    def alphabet(self) -> str:
        # more than 16 have no name: chips refuse them, the engine and torch run them
        return f"burst:{self.levels}" if self.levels <= MOST else ""

    def states(self) -> tuple[str, ...]:
        return ("v",)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v = p.decay * s.v + x[0]
        inside = ops.minimum(ops.maximum(v / p.threshold, 0.0), float(self.levels))
        k = ops.floor(inside + 0.5, 1)
        return k, (v - ops.stop_gradient(k) * p.threshold,)
