"""MultiThresholdIF: integrate-and-fire with several thresholds, each twice the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.following import Following
from spikeflow.neurons.model import whole


@dataclass(frozen=True, eq=False)
class MultiThresholdIF(Following):
    """Multi-threshold neuron: values of 0 and of -2^k and 2^k for k below `levels`.

    As `Following`; z is the value nearest to r / threshold, which changes at 1/2 and at 3/4 2^k, the middle
    between 2^(k - 1) and 2^k. A tie goes to the larger value where r is above 0, to the smaller magnitude
    below. Large values catch up within few steps, small ones make what is handed on exact; with one level it
    is `SignedIF`.

    Source: Z. Huang and others, ACM Multimedia 2024 (two-sided multi-threshold neuron).
    """

    levels: int = whole(3, 1, 16)

    @property
    def alphabet(self) -> str:
        return f"multi-threshold:{self.levels}"

    def nearest(self, rest: Any, p: Any, ops: Ops) -> Any:
        found: Any = None
        for k in range(self.levels):
            edge = p.threshold * (0.75 * 2.0**k if k else 0.5)
            # how far the value goes on from that of the level below
            rise = (ops.spike(rest - edge) + ops.spike(rest + edge) - 1.0) * (2.0 ** (k - 1) if k else 1.0)
            found = rise if found is None else found + rise
        return found
