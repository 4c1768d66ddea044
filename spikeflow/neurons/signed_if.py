"""SignedIF: integrate-and-fire that may take a spike back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.alphabet import SIGNED
from spikeflow.ir.ops import Ops
from spikeflow.neurons.following import Following


@dataclass(frozen=True, eq=False)
class SignedIF(Following):
    """Signed integrate-and-fire with memory: values of -1, 0 and 1.

    As `Following`; z = 1 where r >= threshold / 2, -1 where r < -threshold / 2, else 0. A rectifier hands on
    -1 only to take back a spike that its mean input no longer bears out, so what it has handed on in all is
    never below 0, and the order in which currents arrive no longer matters.

    Source: Y. Wang and others, IJCAI 2022 (signed neuron with memory), there with thresholds of their own
    for -1; here both lie half a threshold away, so that what was handed on is the nearest to the mean.
    """

    @property
    def alphabet(self) -> str:
        return SIGNED

    def nearest(self, rest: Any, p: Any, ops: Ops) -> Any:
        half = p.threshold * 0.5
        return ops.spike(rest - half) + ops.spike(rest + half) - 1.0
