"""Events to counts: frames ``(T, P, H, W)``, or the same counts as sparse spikes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.datasets.transforms.transform import Transform
from spikeflow.events import Events, Spikes
from spikeflow.ir import binning
from spikeflow.ir.binning import Binning

__all__ = ["Frames", "ToSpikes"]


@dataclass(frozen=True)
class Frames(binning.Frames, Transform):
    __doc__ = binning.Frames.__doc__


@dataclass(frozen=True)
class ToSpikes(Binning, Transform):
    """The same counts as `Frames` as `Spikes` of one sample: neurons ``(P, H, W)``, values the counts (1
    with `clip`).

    Memory grows with the events, not with the steps and pixels.

    Raises
    ------
    DataError
        As `Binning`, and where the sensor is unknown.
    """

    def __call__(self, events: Events, draw: int = 0) -> Spikes:
        steps, cell = self.cells(events)
        shape = self.shape(events)
        cell.sort()
        first = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]])) if cell.size else cell
        value = np.diff(first, append=cell.size)
        step, neuron = np.divmod(cell[first], prod(shape))
        return Spikes(
            np.zeros(step.size, np.int32),
            step,
            neuron,
            np.minimum(value, 1) if self.clip else value,
            samples=1,
            steps=steps,
            shape=shape,
        )
