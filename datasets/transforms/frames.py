"""Events to counts: frames ``(T, P, H, W)``, or the same counts as sparse spikes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.datasets.transforms.binning import Binning
from spikeflow.datasets.transforms.transform import Transform
from spikeflow.errors import DataError
from spikeflow.events import Events, Spikes

Array = npt.NDArray[Any]
MAX_BYTES = 1 << 32
EXACT = 1 << 24  # float32 counts by one up to here


@dataclass(frozen=True)
class Frames(Binning, Transform):
    """Number of events in each step and pixel, float32, ``(T, P, H, W)``; fields as `Binning` has them.

    P is 2 (off, on) or 1 (both). Without `overlap`, `clip` and events after the last step the sum is the number of
    events. float32 is what networks take, and exact here: more than 2^24 events at once are refused.

    Raises
    ------
    DataError
        As `Binning`; where the sensor is unknown, or the frames would take more than 4 GiB.
    """

    def __call__(self, events: Events, draw: int = 0) -> Array:
        steps, cell = self.cells(events)
        shape = (steps, *self.shape(events))
        if 4 * prod(shape) > MAX_BYTES:
            raise DataError("Frames", f"shape {shape}", f"at most {MAX_BYTES // 4} numbers", "longer steps")
        frames = np.zeros(shape, np.float32)
        flat = frames.reshape(-1)
        if self.clip:
            flat[cell] = 1
            return frames
        np.add.at(flat, cell, np.float32(1))
        if cell.size >= EXACT and frames.max() >= EXACT:
            raise DataError(
                "Frames", f"{EXACT} or more events in one pixel and step", "fewer", "shorter steps"
            )
        return frames


@dataclass(frozen=True)
class ToSpikes(Binning, Transform):
    """The same counts as `Frames` as `Spikes` of one sample: neurons ``(P, H, W)``, values the counts (1 with `clip`).

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
