"""Batches: samples of any length to one array ``(T, B, *shape)`` with lengths and mask, or to `Spikes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from spikeflow.errors import DataError
from spikeflow.events import Events, Spikes
from spikeflow.ir.binning import Binning
from spikeflow.typing import Array

MAX_VALUES = 1 << 31  # of a dense batch: 8 GiB as float32


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples side by side, time first.

    Parameters
    ----------
    x : ``(T, B, *shape)``; after a sample's end zeros.
    labels : int64, ``(B,)``.
    lengths : int64, ``(B,)``; steps that sample b has; of events those up to its last one.
    """

    x: Any
    labels: Any
    lengths: Any

    def __len__(self) -> int:
        return int(self.x.shape[1])

    @property
    def mask(self) -> Any:
        """bool, ``(T, B)``: whether step t belongs to sample b, ``t < lengths[b]``."""
        if isinstance(self.x, np.ndarray):
            return np.arange(self.x.shape[0])[:, None] < self.lengths
        return self.lengths.new_tensor(range(self.x.shape[0]))[:, None] < self.lengths


@dataclass(frozen=True, eq=False)
class Packed:
    """A batch of events without its zeros: what a worker sends, far smaller than the frames.

    Parameters
    ----------
    place : int32; for every event the C-order index into ``(T, B, *shape)``.
    shape : all of it, ``(T, B, P, H, W)``.
    clip : whether a cell holds no more than 1.
    labels, lengths : as of a `Batch`.
    """

    place: Array
    shape: tuple[int, ...]
    clip: bool
    labels: Array
    lengths: Array

    def batch(self) -> Batch:
        """The counts, float32."""
        out = np.zeros(prod(self.shape), np.float32)
        if self.clip:
            out[self.place] = 1
        else:
            np.add.at(out, self.place, np.float32(1))
        return Batch(out.reshape(self.shape), self.labels, self.lengths)


def collate(samples: Sequence[tuple[Any, int]], binning: Binning | None = None) -> Batch:
    """Samples as one dense float32 batch.

    Parameters
    ----------
    samples : pairs of `Events`, all of them, or of arrays ``(T, *shape)``, all of one shape; and a label.
    binning : of events; not for arrays, which have steps already.

    Raises
    ------
    DataError
        Where there are no samples, kinds or shapes are mixed, events come without a binning (or arrays with
        one), or the batch would hold no step or more than 2^31 values.
    """
    made = pack(samples, binning)
    return made.batch() if isinstance(made, Packed) else made


def pack(samples: Sequence[tuple[Any, int]], binning: Binning | None = None) -> Packed | Batch:
    """`collate`, but events stay packed."""
    if not samples:
        raise DataError("batch", "no samples", "at least one")
    items, labels = zip(*samples, strict=True)
    kinds = {isinstance(item, Events) for item in items}
    if len(kinds) > 1:
        raise DataError("batch", "events and arrays mixed", "samples of one kind")
    whole = _labels(labels)
    if kinds == {False}:
        if binning is not None:
            raise DataError("batch", "arrays, which have steps already", "events, for bins", "binning=None")
        return _of_arrays([np.asarray(item) for item in items], whole)
    if binning is None:
        raise DataError("batch", "events", "bins for them", "collate(samples, Binning(dt_us=1000))")
    return _packed(_bins(items, binning), binning.clip, whole)


def frames(events: Sequence[Events], binning: Binning) -> Array:
    """Counts of events, float32, ``(T, B, P, H, W)``: of each sample those of `Frames`, then zeros.

    Raises
    ------
    DataError
        As `Binning`, where sensors differ, or the batch would hold no step or more than 2^31 values.
    """
    return _packed(_bins(events, binning), binning.clip, np.zeros(len(events), np.int64)).batch().x


def to_spikes(events: Sequence[Events], binning: Binning) -> Spikes:
    """Spikes of the same counts as `frames`; events of one cell in one step become one record with their
    number.

    Raises
    ------
    DataError
        As `Binning`, or where sensors differ or the batch would hold no step.
    """
    binned = _bins(events, binning)
    found = [np.unique(bins.cell, return_counts=True) for bins in binned]
    cell = np.concatenate([cell for cell, _ in found])
    count = np.concatenate([count for _, count in found])
    sample = np.repeat(np.arange(len(events)), [len(cell) for cell, _ in found])
    step, neuron = np.divmod(cell, prod(binned[0].shape))
    value = np.ones_like(count) if binning.clip else count
    steps = max(bins.steps for bins in binned)
    return Spikes(sample, step, neuron, value, len(events), steps, binned[0].shape)


@dataclass(frozen=True, eq=False)
class _Bins:
    """One sample's steps, and for each of its events the C-order index into ``(steps, *shape)``, int64."""

    steps: int
    cell: Array
    shape: tuple[int, ...]

    @property
    def length(self) -> int:
        """Steps up to the last one that holds an event."""
        return int(self.cell.max()) // prod(self.shape) + 1 if self.cell.size else 0


def _bins(events: Sequence[Events], binning: Binning) -> list[_Bins]:
    if not events:
        raise DataError("batch", "no samples", "at least one")
    binned = [_Bins(*binning.cells(one), binning.shape(one)) for one in events]
    shapes = {bins.shape for bins in binned}
    if len(shapes) > 1:
        words = ", ".join(f"{width} x {height}" for _, height, width in sorted(shapes))
        raise DataError("batch", f"sensors of {words}", "one sensor", "a transform that makes them one")
    if not any(bins.steps for bins in binned):
        raise DataError("batch", "no events in any sample", "a number of steps", "Binning(..., steps=T)")
    return binned


def _packed(binned: Sequence[_Bins], clip: bool, labels: Array) -> Packed:
    steps, count, shape = max(bins.steps for bins in binned), len(binned), binned[0].shape
    size = prod(shape)
    _check_size(steps * count * size, steps)
    # from (step, cell) of each sample to (step, sample, cell); 2^31 places fit into int32
    place = np.concatenate(
        [bins.cell + (bins.cell // size * (count - 1) + b) * size for b, bins in enumerate(binned)]
    )
    lengths = np.array([bins.length for bins in binned], np.int64)
    return Packed(place.astype(np.int32), (steps, count, *shape), clip, labels, lengths)


def _of_arrays(items: Sequence[Array], labels: Array) -> Batch:
    shapes = sorted({item.shape[1:] for item in items if item.ndim})
    if len(shapes) != 1 or any(item.ndim == 0 for item in items):
        found = sorted({item.shape for item in items})
        raise DataError("batch", f"samples of shapes {found}", "(T, *shape), equal but for T")
    for item in items:
        if item.dtype.kind not in "fiub":
            raise DataError("batch", f"samples of type {item.dtype}", "numbers")
    lengths = np.array([len(item) for item in items], np.int64)
    steps = int(lengths.max())
    if steps == 0:
        raise DataError("batch", "samples of no steps", "at least one step in one of them")
    _check_size(steps * len(items) * prod(shapes[0]), steps)
    # every value is written once: what a sample holds, or zeros after its end
    x = np.empty((steps, len(items), *shapes[0]), np.float32)
    for b, item in enumerate(items):
        x[: len(item), b] = item
        x[len(item) :, b] = 0
    return Batch(x, labels, lengths)


def _labels(labels: Sequence[int]) -> Array:
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError("batch: labels", f"{array.dtype} of shape {array.shape}", "one whole number a sample")
    return array.astype(np.int64)


def _check_size(values: int, steps: int) -> None:
    if values > MAX_VALUES:
        raise DataError(
            "batch",
            f"{values} values in {steps} steps",
            f"at most {MAX_VALUES}",
            'fewer or longer steps, or start="first"',
        )
