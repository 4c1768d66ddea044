"""Voxel grid: events spread over the two nearest of a few moments, linearly in time."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from spikeflow.datasets.transforms.sensor import sensor_of
from spikeflow.datasets.transforms.transform import Transform
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array


@dataclass(frozen=True)
class VoxelGrid(Transform):
    """Event volume, float32, ``(bins, P, H, W)``.

    ``V(b, y, x) = sum_i w_i max(0, 1 - |b - s_i|)`` with ``s_i = (bins - 1) (t_i - first) / (last - first)``,
    over the events of the pixel. Where all events have the same time, ``s_i = 0``.

    Source: Zhu, Yuan, Chaney, Daniilidis 2019, "Unsupervised Event-based Learning of Optical Flow, Depth, and
    Egomotion", equations 1 to 3.

    Parameters
    ----------
    bins : moments; the first and last are those of the first and last event.
    polarity : ``"signed"``: P = 1, w is 1 for on, -1 for off. ``"split"``: P = 2, off and on apart, w = 1.
    normalise : the voxels that are not 0 are shifted and scaled to mean 0 and standard deviation 1 (only
        shifted where all are equal), as Rebecq et al. 2019, "Events-to-Video", do.

    Raises
    ------
    DataError
        When called, where the size of the sensor is unknown.
    """

    bins: int
    polarity: Literal["signed", "split"] = "signed"
    normalise: bool = False

    def __post_init__(self) -> None:
        if self.bins < 1 or self.bins != int(self.bins):
            raise DataError("voxel grid: bins", self.bins, "a whole number from 1")
        if self.polarity not in ("signed", "split"):
            raise DataError("voxel grid: polarity", self.polarity, "signed or split")

    def __call__(self, events: Events, draw: int = 0) -> Array:
        width, height = sensor_of(events, "voxel grid")
        shape = (self.bins, 1 if self.polarity == "signed" else 2, height, width)
        if not len(events):
            return np.zeros(shape, np.float32)
        moment = (self.bins - 1) * ((events.t - events.t[0]) / max(events.duration_us, 1))
        before = np.floor(moment).astype(np.int64)
        after = np.minimum(before + 1, self.bins - 1)  # with weight 0 for the last event
        later = moment - before
        pixel, weight = self._pixels(events, width, height)
        size = prod(shape[1:])
        index = np.concatenate([before * size + pixel, after * size + pixel])
        weights = np.concatenate([weight * (1 - later), weight * later])
        grid = np.bincount(index, weights, prod(shape)).reshape(shape)
        return (_normalised(grid) if self.normalise else grid).astype(np.float32)

    def _pixels(self, events: Events, width: int, height: int) -> tuple[Array, Array]:
        pixel = events.y.astype(np.int64) * width + events.x
        if self.polarity == "signed":
            return pixel, 2.0 * events.p - 1
        return pixel + events.p * np.int64(width * height), np.ones(len(events))


def _normalised(grid: Array) -> Array:
    filled = grid != 0
    if not filled.any():
        return grid
    values = grid[filled]
    spread = values.std()
    out = np.zeros_like(grid)
    out[filled] = (values - values.mean()) / (spread if spread > 0 else 1)
    return out
