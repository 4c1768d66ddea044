"""Fewer pixels, fewer ticks, fewer events: sums over blocks, whole-number division of time, every n-th event.

Sources: Gruel, Martinet, Serrano-Gotarredona, Linares-Barranco 2022, "Event Data Downscaling for Embedded
Computer Vision" (events of a block gathered until they reach a threshold).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikeflow.datasets.transforms.sensor import checked_frames
from spikeflow.datasets.transforms.transform import EventTransform
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array


@dataclass(frozen=True)
class SpatialDownsample(EventTransform):
    """Blocks of pixels become one pixel, ``x' = x // across`` and ``y' = y // down``; no event is lost.

    A sensor that is no multiple has smaller blocks at its right and lower edge.
    """

    across: int = 2
    down: int = 2

    def __post_init__(self) -> None:
        _check_factor("spatial down-sampling", min(self.across, self.down))

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return replace(
            events,
            x=events.x.astype(np.int64) // self.across,
            y=events.y.astype(np.int64) // self.down,
            width=None if events.width is None else _blocks(events.width, self.across),
            height=None if events.height is None else _blocks(events.height, self.down),
        )

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts ``(T, P, H, W)``: sums over blocks."""
        frames = checked_frames(frames, "spatial down-sampling")
        return _block_sums(_block_sums(frames, self.down, 2), self.across, 3)


@dataclass(frozen=True)
class TemporalDownsample(EventTransform):
    """Time in ticks of `factor`: ``t' = t // factor``, rounded down. Order and events stay; equal times may
    appear.

    The times are then no longer microseconds but `factor` of them; ``dt_us`` of what follows counts in these.
    """

    factor: int

    def __post_init__(self) -> None:
        _check_factor("temporal down-sampling", self.factor)

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return replace(events, t=events.t // self.factor)

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts ``(T, P, H, W)`` in steps of any length from 0: sums of `factor` steps."""
        return _block_sums(checked_frames(frames, "temporal down-sampling"), self.factor, 0)


@dataclass(frozen=True)
class Decimate(EventTransform):
    """Every n-th event of each pixel and polarity: the n-th, the 2n-th and so on, counted from the
    recording's start.

    After `SpatialDownsample` this is a neuron for each block and polarity that gathers events up to a
    threshold n.
    """

    every: int

    def __post_init__(self) -> None:
        _check_factor("decimation", self.every)

    def __call__(self, events: Events, draw: int = 0) -> Events:
        cell = (events.y.astype(np.int64) << 17) | (events.x.astype(np.int64) << 1) | events.p
        order = np.argsort(cell, kind="stable")
        begins = np.flatnonzero(np.diff(cell[order], prepend=-1))
        sizes = np.diff(begins, append=cell.size)
        rank = np.empty(cell.size, np.int64)
        rank[order] = np.arange(cell.size) - np.repeat(begins, sizes)
        return events[rank % self.every == self.every - 1]

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts ``(T, P, H, W)``: by how much the sum so far, divided by n, grows in each
        step.
        """
        frames = checked_frames(frames, "decimation")
        so_far = np.cumsum(frames, axis=0, dtype=np.int64) // self.every
        return np.diff(so_far, axis=0, prepend=0).astype(frames.dtype)


def _blocks(size: int, factor: int) -> int:
    return -(-size // factor)


def _block_sums(x: Array, factor: int, axis: int) -> Array:
    if not x.shape[axis]:
        return x
    return np.add.reduceat(x, np.arange(0, x.shape[axis], factor), axis=axis, dtype=x.dtype)


def _check_factor(who: str, factor: int) -> None:
    if factor < 1 or factor != int(factor):
        raise DataError(who, factor, "a whole number from 1")
