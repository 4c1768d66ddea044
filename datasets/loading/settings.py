"""How samples become batches: sizes, seeded orders, workers; and a place in a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikeflow.errors import DataError
from spikeflow.typing import Array

STARTS = ("fork", "spawn", "forkserver")


class Position(NamedTuple):
    """A place in a training run: the batch that comes next."""

    epoch: int = 0
    batch: int = 0


@dataclass(frozen=True)
class Loading:
    """How samples become batches.

    Parameters
    ----------
    batch_size : samples of a batch; the last one of an epoch may be smaller.
    shuffle : a new order in every epoch, by the seed; else the order of the data set.
    seed : of the orders.
    drop_last : leave out a last batch that is smaller.
    workers : processes that read and collate; 0: this one does.
    ahead : batches that each worker makes in advance.
    start : how workers are started, one of fork, spawn, forkserver; None: as Python does on this system.

    Raises
    ------
    DataError
        Where a number is out of range.
    """

    batch_size: int = 32
    shuffle: bool = True
    seed: int = 0
    drop_last: bool = False
    workers: int = 0
    ahead: int = 2
    start: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("seed", 0), ("workers", 0), ("ahead", 1)):
            if getattr(self, name) < least:
                raise DataError(f"loader: {name}", getattr(self, name), f"at least {least}")
        if self.start is not None and self.start not in STARTS:
            raise DataError("loader: start", self.start, f"one of {', '.join(STARTS)}")

    def batches(self, samples: int) -> int:
        """How many batches an epoch has."""
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)

    def order(self, samples: int, epoch: int) -> Array:
        """Numbers of the samples in the order of this epoch, int64."""
        if not self.shuffle:
            return np.arange(samples)
        return np.random.Generator(np.random.PCG64([self.seed, epoch])).permutation(samples)

    def plan(self, samples: int, at: Position) -> list[list[tuple[int, int]]]:
        """For each batch from this place on its samples, each with its draw: ``epoch * samples + number``."""
        order = self.order(samples, at.epoch).tolist()
        tasks = [(i, at.epoch * samples + i) for i in order]
        size = self.batch_size
        return [tasks[k * size : (k + 1) * size] for k in range(at.batch, self.batches(samples))]
