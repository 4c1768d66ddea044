"""tracking: differential code whose steps become finer as fast as neurons can follow each other.

Where a step is worth 1 / t, what is left of an error after T steps is 1 / T of the first; where it is worth
R^(t - 1), R^(T - 1) of it, which is nothing after few steps. But a neuron must follow what it reads: after
each step a source lies up to half of its own step off, either way, so a target's mean moves by about sigma w
sqrt(1 + R^2) from one step to the next, sigma the deviation that all sources before it make together, and the
target can move by `most` thresholds of its next step, R w. So what a step can hand on is at least

    SURE sigma sqrt(1 + R^2) / R,

and no less than the percentile that is usual in this code, so that the first steps reach the activation.
sigma is measured: on few samples the ANN is run as it is, and with every activation moved by up to a small
part of half a step, layer by layer, so that each layer's own steps follow from those before it. Channels that
move much and mean little, in a MobileNet a sixth of some layers, are those that could not follow before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod, sqrt

import numpy as np
import torch

from spikeflow import counters
from spikeflow.convert.passes.forward import outputs_of
from spikeflow.convert.passes.thresholds import (
    Basis,
    Thresholds,
    percentile_thresholds,
    share_above,
    with_own,
)
from spikeflow.errors import ConversionError
from spikeflow.ir.alphabet import alphabet
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation
from spikeflow.typing import Array

SURE = 2.5  # deviations that a step reaches
BITS = 10.0  # by which the last step is finer than the first
FASTEST, SLOWEST = 0.65, 0.9999
PART = 1 / 8  # of a step, by which activations are moved: so little that few cross a kink
FEWEST, MOST, VALUES = 8, 64, 2**22  # samples, and activations of them all


@dataclass(frozen=True)
class Pace:
    """How sure a step shall reach, and by how many bits the last step is finer than the first."""

    sure: float = SURE
    bits: float = BITS

    def decay(self, steps: int) -> float:
        """What a step is worth as a share of the one before it, of four digits."""
        return round(min(max(FASTEST, 2 ** (-self.bits / max(1, steps - 1))), SLOWEST), 4)


USUAL = Pace()


def tracking_thresholds(basis: Basis, pace: Pace = USUAL) -> Thresholds:
    """Thresholds with which neurons of differential code follow each other, and the decay of their steps; a
    decay that the alphabet names stays.

    Raises
    ------
    ConversionError
        For any other alphabet, and without samples.
    """
    letters, stats = alphabet(basis.alphabet), basis.observed("tracking")
    if not letters.differential:
        reason = f"the method tracking is of changes, and {basis.alphabet} hands on values"
        raise ConversionError("thresholds", reason, "--alphabet differential:3")
    assert basis.samples is not None
    share = 100 * (1 - share_above(basis.steps, basis.alphabet))
    usual = with_own(percentile_thresholds(stats, share), basis.folded)
    decay = letters.decay or pace.decay(basis.steps)
    moved = _Moved(basis.folded, usual.values, letters.high, pace.sure * sqrt(1 + decay**2) / decay)
    values = moved.run(_few(basis.folded, basis.samples))
    if letters.decay:
        return Thresholds(values, usual.at_floor)
    remade = partial(_for_steps, basis, pace)
    return Thresholds(values, usual.at_floor, decay=decay, for_steps=remade)


def _for_steps(basis: Basis, pace: Pace, steps: int) -> Thresholds:
    return tracking_thresholds(replace(basis, steps=steps), pace)


def _few(graph: Graph, x: Array) -> Array:
    neurons = sum(prod(graph.shapes[name]) for name in graph.of_kind(Activation))
    return x[: min(max(FEWEST, VALUES // max(neurons, 1)), MOST)]


@dataclass(eq=False)
class _Moved:
    """One run of samples beside the same samples with what activations hand on moved a little.

    `reach` times the deviation is what a step must be able to hand on; `least` what it hands on at the least.
    """

    graph: Graph
    least: Mapping[str, Array]
    most: int
    reach: float
    found: dict[str, Array] = field(default_factory=dict[str, Array])

    def run(self, x: Array) -> dict[str, Array]:
        """For each Activation what a step hands on at most."""
        outputs_of(self.graph, np.concatenate([x, x]), change=self._changed)
        return self.found

    def _changed(self, name: str, value: torch.Tensor) -> torch.Tensor:
        node = self.graph.nodes[name]
        if not isinstance(node, Activation):
            return value
        clean, moved = value.chunk(2)
        least = self.least[name]
        off = (moved - clean).transpose(0, 1).flatten(1) / PART
        wanted = self.reach * off.double().pow(2).mean(1).sqrt().numpy()
        most = least if node.levels else np.maximum(least, wanted).astype(np.float32)
        self.found[name] = most
        step = torch.from_numpy(most / np.float32(self.most)).reshape(-1, *(1,) * (value.dim() - 2))
        return torch.cat([clean, moved + step * PART * self._drawn(name, moved)])

    def _drawn(self, name: str, like: torch.Tensor) -> torch.Tensor:
        """Numbers from -1/2 to 1/2, always the same for a layer."""
        layer = list(self.graph.nodes).index(name)
        bits = counters.bits53(counters.keys(0, layer), np.arange(like.numel(), dtype=np.uint64))
        return torch.from_numpy((bits * counters.UNIT - 0.5).astype(np.float32)).reshape(like.shape)
