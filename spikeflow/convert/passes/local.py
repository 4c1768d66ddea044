"""local: local threshold balancing: each layer's thresholds grow by what they clip, all layers in one
pass.

theta <- theta + 2 eta mean max(z - theta, 0) for each channel, on batches of unlabelled samples, while
every layer hands on what its threshold lets through, so that the next one sees what it will get. After K
batches about 1 / (2 eta K) of the values lie above: K is chosen for the steps of a run (`share_above`).

Source: Bu, Li and Yu, "Inference-scale complexity in ANN-SNN conversion", CVPR 2025. Two things differ:
eta is 1/2, and no threshold grows beyond the largest activation seen, so channels of nearly one value do
not end at twice that value, and a capped function (ReLU6) keeps its cap. Channels without activity stay
at the floor, and do not fire.
"""

from __future__ import annotations

import numpy as np
import torch

from spikeflow.convert.passes.by_depth import staggered, usual_slope
from spikeflow.convert.passes.forward import outputs_of
from spikeflow.convert.passes.thresholds import SAMPLES, Basis, Thresholds, floored, share_above
from spikeflow.errors import ConversionError
from spikeflow.ir.nodes import Activation

ETA = 0.5
BATCH = 8
RARER = 4  # times rarer than for a percentile of the values above 0: here all values count, and errors add up


def local_thresholds(basis: Basis) -> Thresholds:
    """Thresholds by local balancing, and layers that wake by depth.

    Raises
    ------
    ConversionError
        Without samples, and for a layer that is never active.
    """
    stats = basis.observed("local")
    if basis.samples is None:
        raise ConversionError("thresholds", "the method local runs calibration samples", SAMPLES)
    balancing = _Balancing({n: s.maximum for n, s in stats.activations.items()})
    graph, x = basis.folded, basis.samples
    names = set(graph.of_kind(Activation))
    batches = [x[i : i + BATCH] for i in range(0, len(x), BATCH)]
    for k in range(round(RARER / (2 * ETA * share_above(basis.steps)))):
        outputs_of(graph, batches[k % len(batches)], lambda n, v: balancing.see(n, v) if n in names else None)
    found = {name: floored(name, theta.numpy()) for name, theta in balancing.theta.items()}
    values = {n: t for n, (t, _) in found.items()}
    made = Thresholds(values, {n: count for n, (_, count) in found.items()})
    return staggered(made, graph, usual_slope(basis.alphabet), basis.steps)


class _Balancing:
    """Thresholds as they grow; an activation that is seen is clipped by magnitude, where it lies."""

    def __init__(self, maximum: dict[str, np.ndarray]) -> None:
        self.maximum = {n: torch.from_numpy(m.astype(np.float64)) for n, m in maximum.items()}
        self.theta = {n: torch.zeros_like(m) for n, m in self.maximum.items()}

    def see(self, name: str, value: torch.Tensor) -> None:
        column = (-1, *(1,) * (value.dim() - 2))
        over = value.abs().sub_(self.theta[name].float().reshape(column)).relu_()
        axes = tuple(a for a in range(value.dim()) if a != 1)
        grown = self.theta[name] + 2 * ETA * over.mean(axes, dtype=torch.float64)
        self.theta[name] = torch.minimum(grown, self.maximum[name])
        # in place, so that the nodes behind read what the threshold lets through
        most = self.theta[name].float().reshape(column)
        torch.clamp(value, -most, most, out=value)
