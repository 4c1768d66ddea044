"""ExitRule: when a sample may stop before the steps of a run are over, because its answer is sure enough.

    c[t] = max softmax(mean[t] * t^power / temperature)

with mean[t] the mean output of the first t steps, in units of the network before conversion. A sample stops
after the first step t >= first whose c[t] exceeds `confidence`; its answer is that of this step. The power
weighs time: the noise of a mean falls as steps go on, so that equal margins are surer later.

Source: C. Li, E. Jones, S. Furber, Unleashing the Potential of Spiking Neural Networks with Dynamic
Confidence, ICCV 2023, with a temperature for each number of steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, prod

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError
from spikeflow.typing import Array


@dataclass(frozen=True)
class ExitRule:
    """The numbers of the rule; see above."""

    temperature: float
    confidence: float
    power: float = 1.0
    first: int = 1

    def check(self) -> None:
        """Raise DataError unless every value is one that a run can follow."""
        if not (isfinite(self.temperature) and self.temperature > 0):
            raise DataError("temperature of an exit", self.temperature, "a finite number above 0")
        if not 0 <= self.confidence <= 1:
            raise DataError("confidence of an exit", self.confidence, "0 to 1")
        if not (isfinite(self.power) and 0 <= self.power <= 1):
            raise DataError("power of an exit", self.power, "0 to 1")
        if self.first < 1:
            raise DataError("first step of an exit", self.first, "1 or more")

    def confidences(self, mean: Array, steps: int) -> Array:
        """c of each sample, ``(N,)`` float64, for the mean outputs ``(N, *shape)`` of so many steps.

        One number counts as the difference of two classes, so that its sign is what is sure.
        """
        logits = mean.reshape(len(mean), prod(mean.shape[1:])).astype(np.float64)
        if logits.shape[1] == 1:
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        scaled = logits * (steps**self.power / self.temperature)
        return 1 / np.exp(scaled - scaled.max(axis=1, keepdims=True)).sum(axis=1)

    def stops(self, mean: Array, steps: int) -> npt.NDArray[np.bool_]:
        """Which samples stop after so many steps."""
        if steps < self.first:
            return np.zeros(len(mean), bool)
        return self.confidences(mean, steps) > self.confidence
