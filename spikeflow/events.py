"""Spikes: sparse records of a batch, and the way to and from dense arrays."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError

Array = npt.NDArray[Any]


def _record(x: npt.ArrayLike, dtype: npt.DTypeLike) -> Array:
    array = np.array(x, dtype=dtype, order="C")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes of a batch, sorted by (sample, step, neuron).

    Parameters
    ----------
    sample, step, neuron : int32, ``(spikes,)``; neuron is the C-order index into `shape`.
    value : float32, ``(spikes,)``; 1 unless the source is graded.
    samples, steps : extents; a step counts from 0.
    shape : of one sample's neurons.

    Raises
    ------
    DataError
        Where a record lies outside the extents, is not sorted, or a value is not finite.
    """

    sample: Array
    step: Array
    neuron: Array
    value: Array
    samples: int
    steps: int
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        for name, dtype in (
            ("sample", np.int32),
            ("step", np.int32),
            ("neuron", np.int32),
            ("value", np.float32),
        ):
            object.__setattr__(self, name, _record(getattr(self, name), dtype))
        self._check()

    def _check(self) -> None:
        limits = (("sample", self.samples), ("step", self.steps), ("neuron", prod(self.shape)))
        for name, limit in limits:
            array = getattr(self, name)
            if array.shape != self.value.shape or array.ndim != 1:
                raise DataError(f"spikes: {name}", array.shape, self.value.shape)
            if array.size and (array.min() < 0 or array.max() >= limit):
                raise DataError(f"spikes: {name}", f"{array.min()} to {array.max()}", f"0 to {limit - 1}")
        if not np.isfinite(self.value).all():
            raise DataError("spikes: value", "NaN or infinity", "finite values")
        order = self._position()
        if (np.diff(order) <= 0).any():
            raise DataError(
                "spikes", "records out of order or twice", "sorted by (sample, step, neuron), each once"
            )

    def _position(self) -> Array:
        at = self.sample.astype(np.int64) * self.steps + self.step
        return at * prod(self.shape) + self.neuron

    @property
    def count(self) -> int:
        """Number of records."""
        return int(self.value.size)

    def dense(self) -> Array:
        """The values as float32 of shape ``(T, B, *shape)``."""
        out = np.zeros((self.steps, self.samples, prod(self.shape)), np.float32)
        out[self.step, self.sample, self.neuron] = self.value
        return out.reshape((self.steps, self.samples, *self.shape))

    @staticmethod
    def from_dense(x: npt.ArrayLike) -> Spikes:
        """The non-zero values of a dense ``(T, B, *shape)`` array."""
        array = np.asarray(x)
        steps, samples = array.shape[:2]
        flat = array.reshape(steps, samples, -1).transpose(1, 0, 2)
        sample, step, neuron = np.nonzero(flat)
        return Spikes(
            sample, step, neuron, flat[sample, step, neuron], samples, steps, tuple(array.shape[2:])
        )
