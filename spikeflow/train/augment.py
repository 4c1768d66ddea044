"""Augmentation of training samples: moved and mirrored, as seed and epoch alone decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.errors import DataError
from spikeflow.typing import Array


@dataclass(frozen=True)
class Augment:
    """What is done to samples of the training split, anew in every epoch.

    Parameters
    ----------
    shift : each is moved by up to so many pixels either way, along the last two axes of a moment
        ``(channels, height, width)``, those that are longer than 1, the last alone of moments with fewer axes
        (bands of sound); what leaves is lost, and zeros enter.
    flip : half of them are mirrored along the last axis.
    """

    shift: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        if self.shift < 0:
            raise DataError("recipe: augment.shift", self.shift, "0 or more")

    @property
    def acts(self) -> bool:
        """Whether it changes anything."""
        return self.flip or self.shift > 0

    def drawn(self, samples: int, seed: int, epoch: int) -> Array:
        """For each sample how far it moves along both axes, and whether it is mirrored: int ``(N, 3)``."""
        numbers = np.random.Generator(
            np.random.PCG64([seed, epoch, 1])
        )  # the order of batches is ..., epoch]
        far = numbers.integers(-self.shift, self.shift, (samples, 2), endpoint=True)
        mirrored = numbers.integers(0, 2, samples) if self.flip else np.zeros(samples, np.int64)
        return np.concatenate([far, mirrored[:, None]], axis=1)

    def applied(self, x: Array, drawn: Array, space: int) -> Array:
        """Samples ``(N, ..., *moment)`` as drawn for each; `space` is how many axes a moment has."""
        if drawn[:, 2].any():
            x = np.where(drawn[:, 2].reshape(-1, *(1,) * (x.ndim - 1)) == 1, x[..., ::-1], x)
        for axis, far in ((-1, drawn[:, 1]), (-2, drawn[:, 0])) if space > 2 else ((-1, drawn[:, 1]),):
            if self.shift and x.shape[axis] > 1:
                x = self._moved(x, far, axis)
        return x

    def _moved(self, x: Array, far: Array, axis: int) -> Array:
        size = x.shape[axis]
        if self.shift > size:
            raise DataError("recipe: augment.shift", self.shift, f"at most {size}, else nothing is left")
        edges = [(0, 0)] * x.ndim
        edges[axis] = (self.shift, self.shift)
        # each sample reads its own stretch of what zeros surround
        at = self.shift - far[:, None] + np.arange(size)
        shape = [len(x), *(1,) * (x.ndim - 1)]
        shape[axis] = size
        return np.take_along_axis(np.pad(x, edges), at.reshape(shape), x.ndim + axis)
