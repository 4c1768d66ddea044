"""What a worker does: batches of a data set, or, where a sample is at fault, a failure that says which and
where.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeflow.datasets.base import Dataset
from spikeflow.datasets.loading.batch import Batch, Packed, pack
from spikeflow.datasets.loading.cache import Cached
from spikeflow.errors import DataError, FileError
from spikeflow.ir.binning import Binning

Collate = Callable[[Sequence[tuple[Any, int]]], Any]
Drawn = Callable[[Any, int], Any]  # a sample and its draw


@dataclass(frozen=True)
class Failure:
    """What went wrong, as text: not every exception survives the way between processes.

    Parameters
    ----------
    what : the sample.
    path : its file, where it has one.
    reason : the exception, as text.
    unreadable : whether the file is at fault.
    trace : where it was raised.
    """

    what: str
    path: Path | None
    reason: str
    unreadable: bool
    trace: str

    def error(self) -> FileError | DataError:
        """The exception for the user; the worker's traceback is a note of it."""
        error: FileError | DataError
        if self.unreadable and self.path is not None:
            error = FileError(self.path, f"{self.what}: {self.reason}")
        else:
            what = self.what if self.path is None else f"{self.what} ({self.path})"
            error = DataError(what, self.reason, "a sample that can be read and put into a batch")
        error.add_note(self.trace)
        return error


class Collator:
    """``[[(i, draw), ...]] -> batch``: reads samples, applies the transform with the draw of each, collates.

    Parameters
    ----------
    dataset : with ``[i] -> (sample, label)``.
    transform : called with a sample and its draw, or None.
    collating : a binning for events, None for arrays, or a function of a list of ``(sample, label)``.
    """

    def __init__(self, dataset: Any, transform: Drawn | None, collating: Binning | Collate | None) -> None:
        self.dataset, self.transform, self.collating = dataset, transform, collating

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, tasks: Sequence[tuple[int, int]]) -> Any:
        """The batch of these samples, packed where they are events; or a `Failure`."""
        samples: list[tuple[Any, int]] = []
        try:
            for i, draw in tasks:
                sample, label = self.dataset[i]
                samples.append((self.transform(sample, draw) if self.transform else sample, label))
            return self._collated(samples)
        except Exception as error:  # whatever a data set or a transform may raise: the user must learn where
            at = min(len(samples), len(tasks) - 1)
            what, path = where(self.dataset, tasks[at][0])
            if len(samples) == len(tasks):
                what, path = f"the batch of {where(self.dataset, tasks[0][0])[0]} and {at} more", None
            reason = f"{type(error).__name__}: {error}".rstrip(".")
            return Failure(what, path, reason, isinstance(error, OSError), traceback.format_exc())

    def _collated(self, samples: Sequence[tuple[Any, int]]) -> Packed | Batch | Any:
        if self.collating is None or isinstance(self.collating, Binning):
            return pack(samples, self.collating)
        return self.collating(samples)


def where(dataset: Any, i: int) -> tuple[str, Path | None]:
    """Sample i in words, and its file where it has one."""
    while isinstance(dataset, Cached):
        dataset = dataset.dataset
    words = f"sample {i} of {type(dataset).__name__}"
    return words, dataset.path(i) if isinstance(dataset, Dataset) else None
