"""Batches of arrays in memory, in an order that seed and epoch alone decide.

`fit` takes whatever offers ``epoch(number)``, an iterable of batches with ``x`` ``(T, B, *shape)``,
``labels`` and ``mask``, and ``len``: `Arrays`, or the DataLoader of `spikeflow.datasets.loading`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Protocol

import numpy as np
import torch

from spikeflow import encode, intake
from spikeflow.errors import DataError
from spikeflow.train.augment import Augment
from spikeflow.typing import Array

CODINGS = ("spikes", "direct", "rate")


class Batches(Protocol):
    """What `fit` takes for a split."""

    def __len__(self) -> int:
        """Batches of an epoch."""
        ...

    def epoch(self, number: int) -> Iterable[Any]:
        """All batches of an epoch."""
        ...


@dataclass(frozen=True)
class Batch:
    """Samples side by side, time first; `mask` ``(T, B)`` says which steps belong to each, `teacher`
    ``(B, C)`` the logits that are followed, `layers` by name what layers should hand on in the mean over
    steps, ``(B, *shape)``.
    """

    x: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor
    teacher: torch.Tensor | None = None
    layers: Mapping[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])


def _whole_from_1(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


@dataclass(frozen=True)
class Coding:
    """How samples enter.

    Parameters
    ----------
    kind : ``spikes``: samples are ``(N, T, *shape)``; ``direct``: ``(N, *shape)``, repeated in every step;
        ``rate``: spikes with probability x / scale, drawn anew in every epoch, the same for the same seed.
    steps : where samples have no time axis.
    scale : of `rate`.
    augment : what is done to samples before; for the training split alone.
    """

    kind: str = "spikes"
    steps: int = 0
    scale: float = 1.0
    augment: Augment = Augment()

    def __post_init__(self) -> None:
        if self.kind not in CODINGS:
            raise DataError("coding", self.kind, f"one of {', '.join(CODINGS)}")
        if self.kind != "spikes" and not _whole_from_1(self.steps):
            raise DataError(f"{self.kind} coding: steps", self.steps, "a whole number from 1")
        if not self.scale > 0:
            raise DataError("coding: scale", self.scale, "a number above 0")


class Arrays:
    """A split in memory.

    Parameters
    ----------
    x : ``(N, T, *shape)``, or ``(N, *shape)`` for codings that make the steps.
    y : classes ``(N,)``, or ``(N, T)`` where every step has its own; a step of class -1 does not count.
    coding : how samples enter.
    batch_size : the last batch of an epoch may be smaller.
    seed : of the order and of `rate`.
    shuffle : a new order in every epoch, and new spikes; for a test False.

    Raises
    ------
    DataError
        For no sample, numbers that are not finite, labels that are no whole numbers, one for each sample.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        coding: Coding = Coding(),
        batch_size: int = 64,
        seed: int = 0,
        shuffle: bool = True,
    ) -> None:
        self.x = intake.finite_floats("samples", intake.array_of("samples", x))
        self.y = intake.array_of("labels", y)
        if len(self.x) == 0 or self.x.ndim < (3 if coding.kind == "spikes" else 2):
            raise DataError("samples", f"shape {self.x.shape}", "(samples, steps, ...), at least one sample")
        if self.y.dtype.kind not in "iu" or self.y.shape[:1] != self.x.shape[:1] or self.y.ndim > 2:
            got = f"{self.y.dtype} of shape {self.y.shape}"
            raise DataError("labels", got, f"whole numbers, one for each of {len(self.x)} samples")
        steps = self.x.shape[1] if coding.kind == "spikes" else coding.steps
        if self.y.ndim == 2 and self.y.shape[1] != steps:
            wanted = f"({len(self.x)},), or ({len(self.x)}, {steps}): one for each step"
            raise DataError("labels", f"shape {self.y.shape}", wanted, "y.argmax(1), if a column is a class")
        if not _whole_from_1(batch_size):
            raise DataError("batch size", batch_size, "a whole number from 1")
        self.coding, self.batch_size, self.seed, self.shuffle = coding, batch_size, seed, shuffle
        self.teacher: Array | None = None  # logits of every sample, for distillation

    @property
    def labels(self) -> Array:
        """Of all samples."""
        return self.y

    @property
    def digest(self) -> str:
        """Of all that decides which batches an epoch gives."""
        found = hashlib.blake2b(repr((self.x.shape, self.x.dtype, self.y.shape, self.y.dtype)).encode())
        for array in (self.x, self.y):
            found.update(np.ascontiguousarray(array).data)
        settings = (self.coding, self.batch_size, self.seed, self.shuffle)
        found.update(repr(settings).encode())
        return found.hexdigest()[:32]

    def shared(self, other: Arrays) -> int:
        """How many samples of the other split are among these, value for value."""
        if self.x.shape[1:] != other.x.shape[1:] or self.coding.kind != other.coding.kind:
            return 0
        known = set(_digests(self.x))
        return sum(each in known for each in _digests(other.x))

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.x) // self.batch_size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """All batches of an epoch."""
        order = np.arange(len(self.x))
        if self.shuffle:
            order = np.random.Generator(np.random.PCG64([self.seed, number])).permutation(len(self.x))
        draw = number * len(self.x) if self.shuffle else 0
        changes = (
            self.coding.augment.drawn(len(order), self.seed, number) if self.coding.augment.acts else None
        )
        for first in range(0, len(order), self.batch_size):
            chosen = order[first : first + self.batch_size]
            yield self._batch(chosen, draw, None if changes is None else changes[chosen])

    def _batch(self, chosen: Array, draw: int, changes: Array | None = None) -> Batch:
        x, coding = self._samples(chosen, draw, changes), self.coding
        if coding.kind == "rate":
            spikes = [self._drawn(p, draw + int(i)) for p, i in zip(x, chosen, strict=True)]
            moments = torch.from_numpy(np.stack(spikes, axis=1))
        elif coding.kind == "direct":
            moments = torch.from_numpy(x).expand(coding.steps, *x.shape)
        else:
            moments = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, 1, 0)))
        labels = torch.from_numpy(self.y[chosen].astype(np.int64))
        labels = labels.T if labels.ndim == 2 else labels
        every = torch.ones(moments.shape[:2], dtype=torch.bool)
        teacher = None if self.teacher is None else torch.from_numpy(self.teacher[chosen])
        return Batch(moments, labels, labels >= 0 if labels.ndim == 2 else every, teacher)

    def _samples(self, chosen: Array, draw: int, changes: Array | None) -> Array:
        """The samples of a batch, augmented; `draw` counts those of all epochs before."""
        x, coding = self.x[chosen], self.coding
        if changes is None:
            return x
        return coding.augment.applied(x, changes, x.ndim - (2 if coding.kind == "spikes" else 1))

    def _drawn(self, x: Array, sample: int) -> Array:
        """Spikes of one sample ``(T, *shape)``, as `encode.rate` draws them."""
        step, at = encode.rate_of_one(
            x.reshape(-1).astype(np.float64) / self.coding.scale, self.coding.steps, self.seed, sample
        )
        spikes = np.zeros((self.coding.steps, x.size), np.float32)
        spikes[step, at] = 1
        return spikes.reshape(self.coding.steps, *x.shape)


def _digests(x: Array) -> Iterator[bytes]:
    for sample in x:
        yield hashlib.blake2b(np.ascontiguousarray(sample).data, digest_size=16).digest()


@dataclass(frozen=True)
class Splits:
    """What a network is trained on, by what it is selected, and on what it is tested once at the end.

    Without `valid` the last epoch is kept; without `test` nothing is tested.
    """

    train: Batches
    valid: Batches | None = None
    test: Batches | None = None
