"""Batches of tensors from a data set, by workers: the one file of `spikeflow.datasets` that loads torch.

What a batch holds depends on the data set, on the settings, and on its place (epoch, batch), and on nothing
else: not on the number of workers, on how they were started, or on where a run was taken up again.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from spikeflow.datasets.loading.batch import Batch, Packed
from spikeflow.datasets.loading.collate import Collate, Collator, Drawn, Failure
from spikeflow.datasets.loading.settings import Loading, Position
from spikeflow.errors import DataError, MissingPackage
from spikeflow.ir.binning import Binning

try:
    import torch
    from torch.utils import data
except ImportError as error:
    raise MissingPackage("torch>=2.10", "batches of tensors", error) from error

PIPE = 1 << 20  # bytes up to which a pipe is faster than shared memory
__all__ = ["Batch", "DataLoader", "Epoch", "Loading", "Position"]


class DataLoader:
    """Batches ``(T, B, *shape)`` of torch tensors, epoch by epoch.

    ::

        loading = Loading(batch_size=50, workers=2)
        with DataLoader(dataset, loading, Binning(dt_us=15_000, steps=20)) as loader:
            for epoch in range(10):
                for batch in loader.epoch(epoch):
                    ...  # batch.x, batch.labels, batch.lengths, batch.mask

    Workers live from the first epoch to `close`, to the end of the ``with``, or to an epoch that is left
    early (an exception, a break), whichever comes first; the next epoch starts new ones. One epoch runs at a
    time: beginning another one ends it.

    Parameters
    ----------
    dataset : anything with a length and ``[i] -> (sample, label)``.
    loading : batch size, order, workers.
    collate : what makes a `Batch` of a list of ``(sample, label)``: a `Binning` for events, None for arrays
        ``(T, *shape)``, or a function of the user's own, from a module where workers are spawned; what it
        returns, if no `Batch`, is handed over as it is.
    transform : called with each sample and its draw, ``epoch * len(dataset) + i``: augmentations draw anew in
        every epoch and yet always the same.

    Raises
    ------
    DataError
        Where an epoch would have no batch.
    """

    def __init__(
        self,
        dataset: Any,
        loading: Loading = Loading(),  # noqa: B008  (frozen)
        collate: Binning | Collate | None = None,
        transform: Drawn | None = None,
    ) -> None:
        self.dataset, self.loading = dataset, loading
        if not loading.batches(len(dataset)):
            raise DataError("loader", f"{len(dataset)} samples", f"a batch of {loading.batch_size}")
        self._maker = Collator(dataset, transform, collate)
        self._plan: list[list[tuple[int, int]]] = []
        self._torch: data.DataLoader[Any] | None = None
        self._running: weakref.ref[Epoch] | None = None

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.loading.batches(len(self.dataset))

    def __enter__(self) -> DataLoader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def epoch(self, number: int) -> Epoch:
        """All batches of an epoch."""
        return self.start_at(Position(number, 0))

    def start_at(self, position: Position | Sequence[int]) -> Epoch:
        """The batches of an epoch from one of them on; takes what `Epoch.state` gave.

        Raises
        ------
        DataError
            Where there is no such batch.
        """
        at = Position(*(operator.index(number) for number in position))
        if at.epoch < 0 or not 0 <= at.batch <= len(self):
            raise DataError("loader: position", tuple(at), f"an epoch from 0, a batch from 0 to {len(self)}")
        self._end_running()
        epoch = Epoch(self, at)
        self._running = weakref.ref(epoch)
        return epoch

    def close(self) -> None:
        """End the epoch that runs, and the workers."""
        self._end_running()
        self.stop()

    def _end_running(self) -> None:
        epoch = self._running() if self._running is not None else None
        if epoch is not None:
            epoch.close()

    def begin(self, at: Position) -> Iterator[Any]:
        """The batches from this one on, as torch's loader hands them over."""
        # torch's loader, once made, walks through this very list at the beginning of each epoch
        self._plan[:] = self.loading.plan(len(self.dataset), at)
        if self._torch is None:
            self._torch = self._made()
        return iter(self._torch)

    def _made(self) -> data.DataLoader[Any]:
        settings: dict[str, Any] = {}
        if self.loading.workers:
            settings = {
                "prefetch_factor": self.loading.ahead,
                "persistent_workers": True,
                "multiprocessing_context": self.loading.start,
            }
        return data.DataLoader(
            self._maker,  # type: ignore[arg-type]  # it has the two methods that torch calls
            batch_size=None,
            sampler=self._plan,
            collate_fn=_light if self.loading.workers else _as_made,
            num_workers=self.loading.workers,
            generator=torch.Generator(),  # or torch would draw from the user's random numbers
            **settings,
        )

    def stop(self) -> None:
        iterator = getattr(self._torch, "_iterator", None)
        self._torch = None
        # a traceback may hold the iterator, so that waiting for its end would leave processes behind
        if stop := getattr(iterator, "_shutdown_workers", None):
            stop()


class Epoch(Iterator[Any]):
    """The batches of one epoch, from one of them on; `state` says at any time which comes next."""

    def __init__(self, loader: DataLoader, position: Position) -> None:
        self._loader: DataLoader | None = loader
        self._position, self._end = position, len(loader)
        self._batches: Iterator[Any] | None = None

    def __len__(self) -> int:
        """Batches still to come."""
        return self._end - self._position.batch

    def state(self) -> Position:
        """The batch that comes next; after the last one the first of the next epoch."""
        epoch, batch = self._position
        return Position(epoch + 1, 0) if batch == self._end else self._position

    def __next__(self) -> Any:
        """The next batch.

        Raises
        ------
        FileError, DataError
            Where a sample cannot be read or transformed, with its number and file; or where a worker was
            killed.
        """
        if self._loader is None or not len(self):
            raise StopIteration
        try:
            batch = self._next(self._loader)
        except BaseException:
            self.close()
            raise
        self._position = Position(self._position.epoch, self._position.batch + 1)
        return batch

    def _next(self, loader: DataLoader) -> Any:
        if self._batches is None:
            self._batches = loader.begin(self._position)
        try:
            made = next(self._batches)
        except RuntimeError as error:  # torch's word for a worker that was killed
            hint = "workers=0, or smaller batches, which need less memory"
            raise DataError("loader", str(error).rstrip("."), "workers that live", hint) from error
        if isinstance(made, Failure):
            raise made.error()
        return _tensors(made)

    def close(self) -> None:
        """End this epoch here; where it is not at its end, its workers end, too."""
        loader, self._loader, self._batches = self._loader, None, None
        if loader is not None and len(self):
            loader.stop()

    def __del__(self) -> None:
        self.close()


class _Small(Batch):
    """A batch whose x, whole numbers from 0 to 255, travels as bytes."""


def _light(made: Any) -> Any:
    """A batch as it travels from a worker: in bytes where that is exact, through shared memory where it is
    large.

    Mapping shared memory costs this process more than anything else that it does for a batch.
    """
    if not isinstance(made, Batch) or not isinstance(made.x, np.ndarray) or made.x.dtype != np.float32:
        return made
    with np.errstate(invalid="ignore"):
        small = made.x.astype(np.uint8)
    exact = np.array_equal(small, made.x)
    x = small if exact else made.x
    kind = _Small if exact else Batch
    return kind(torch.as_tensor(x) if x.nbytes > PIPE else x, made.labels, made.lengths)


def _as_made(made: Any) -> Any:
    return made


def _tensors(made: Any) -> Any:
    """A batch as tensors, unpacked; all else as it is."""
    if isinstance(made, Packed):
        made = made.batch()
    if not isinstance(made, Batch) or not isinstance(made.x, np.ndarray | torch.Tensor):
        return made
    x = torch.as_tensor(made.x)
    x = x.float() if isinstance(made, _Small) else x
    return Batch(x, torch.as_tensor(made.labels), torch.as_tensor(made.lengths))
