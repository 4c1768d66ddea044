"""The difference of two networks on the same samples, with its interval, and the ceiling of a conversion."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from spikeflow.convert import Conversion
from spikeflow.convert.bits.quantised import QuantisedAnn, ranges_of
from spikeflow.ir.interval import NORMAL_95


@dataclass(frozen=True)
class Difference:
    """Share right of the first less that of the second, and the two ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def lost(self) -> bool:
        """Whether the first is worse beyond the interval."""
        return self.high < 0


def paired(first: np.ndarray, second: np.ndarray) -> Difference:
    """Of which samples each answered right, booleans ``(N,)``.

    With b samples that only the first has right and c that only the second has, each taken as half a sample
    more, and n = N + 2: ``(b - c) / n +- z sqrt(b + c - (b - c)^2 / n) / n`` (A. Agresti and Y. Min,
    Statistics in Medicine 24, 2005), which does not vanish where the two answer alike.
    """
    if first.shape != second.shape or first.ndim != 1 or first.size == 0:
        raise ValueError(f"paired needs the same samples, one axis: {first.shape} and {second.shape}")
    b, c = float((first & ~second).sum()) + 0.5, float((second & ~first).sum()) + 0.5
    n = len(first) + 2
    middle, half = (b - c) / n, NORMAL_95 * sqrt(b + c - (b - c) ** 2 / n) / n
    mean = float(first.mean() - second.mean())
    return Difference(mean, middle - half, middle + half)


def ceiling(conversion: Conversion, levels: int, x: np.ndarray) -> np.ndarray:
    """Answers of the ANN whose activations have `levels` + 1 levels up to the thresholds of the conversion:
    what binary spikes in so many steps can say, were no other error made.
    """
    ann = QuantisedAnn(conversion.ann, ranges_of(conversion.network.graph, 1), levels)
    return ann.outputs(x)[conversion.ann.outputs[0]].reshape(len(x), -1).argmax(1)
