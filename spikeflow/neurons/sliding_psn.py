"""SlidingPSN: a neuron that weighs its last inputs and has no reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import NeuronModel, Value, param, whole


@dataclass(frozen=True, eq=False)
class SlidingPSN(NeuronModel):
    """Sliding parallel spiking neuron of order k.

    y = weight_0 x[t] + weight_1 x[t - 1] + ... + weight_(k-1) x[t - k + 1];  z = y >= threshold.

    No state follows from a spike, so that all steps can be computed at once; the states ``x1`` to ``x(k-1)``
    are the inputs of the steps before. The only form of the parallel spiking neuron that looks at no later
    step and needs no fixed number of steps; `spikeflow.neurons.MaskedPSN` is a torch layer of the others.

    Source: W. Fang and others, NeurIPS 2023. There one bias, started at -1, stands for -threshold, and
    weights start as powers of 2, the newest at 1. Orders up to 8 here.
    """

    order: int = whole(2, 1, 8)
    threshold: Value = param(1.0)
    weight_0: Value = param(1.0, when=("order", (1, 2, 3, 4, 5, 6, 7, 8)))
    weight_1: Value = param(2.0**-1, when=("order", (2, 3, 4, 5, 6, 7, 8)))
    weight_2: Value = param(2.0**-2, when=("order", (3, 4, 5, 6, 7, 8)))
    weight_3: Value = param(2.0**-3, when=("order", (4, 5, 6, 7, 8)))
    weight_4: Value = param(2.0**-4, when=("order", (5, 6, 7, 8)))
    weight_5: Value = param(2.0**-5, when=("order", (6, 7, 8)))
    weight_6: Value = param(2.0**-6, when=("order", (7, 8)))
    weight_7: Value = param(2.0**-7, when=("order", (8,)))

    def states(self) -> tuple[str, ...]:
        return tuple(f"x{i}" for i in range(1, self.order))

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        inputs = (x[0], *(getattr(s, name) for name in self.states()))
        y = p.weight_0 * x[0]
        for i, value in enumerate(inputs[1:], 1):
            y = y + getattr(p, f"weight_{i}") * value
        return ops.spike(y - p.threshold), inputs[: self.order - 1]
