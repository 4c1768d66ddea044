"""BurstIF: integrate-and-fire that hands on several spikes in one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.following import Following
from spikeflow.neurons.model import whole


@dataclass(frozen=True, eq=False)
class BurstIF(Following):
    """Burst neuron: a step hands on 0 to `most` spikes as one whole number.

    As `Following`; z counts how many of 1/2, 3/2, 5/2, ... thresholds r has reached. What was handed on is
    never taken back.

    Source: Y. Li and Y. Zeng, IJCAI 2022 (burst spikes for conversion).
    """

    most: int = whole(4, 1, 16)

    @property
    def alphabet(self) -> str:
        return f"burst:{self.most}"

    def nearest(self, rest: Any, p: Any, ops: Ops) -> Any:
        found: Any = ops.spike(rest - p.threshold * 0.5)
        for k in range(1, self.most):
            found = found + ops.spike(rest - p.threshold * (k + 0.5))
        return found
