"""Poisson: random drive, drawn where it is needed from counters."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from functools import lru_cache
from math import isfinite

import numpy as np
import numpy.typing as npt

from spikeflow.counters import keys, words
from spikeflow.errors import GraphError
from spikeflow.frozen import Frozen
from spikeflow.ir.arrays import Array, frozen
from spikeflow.ir.nodes.base import Shape, check_broadcast, check_shape, set_frozen

LEAST_MEAN, MOST_MEAN = 2.0**-20, 1000.0
DRIVE = (1 << 32) + 1  # keeps its keys apart from those of rules


@dataclass(frozen=True, eq=False)
class Poisson(Frozen):
    """Random drive: in every step a number of events of its own for each neuron, times a weight.

    The number is Poisson of the mean. It follows from (seed, number, sample, step, neuron) alone, so batch,
    threads, cuts and the engine change nothing: 32 random bits u, two neurons a word, give as many events as
    there are k with u >= T[k]; T[k] is 2**32 times the chance of at most k events, to the nearest whole
    number. So each chance is right to 2**-32.

    Source: inversion of the distribution function (L. Devroye, Non-Uniform Random Variate Generation, 1986,
    chapter 3).

    Parameters
    ----------
    shape : of the neurons.
    mean : events a step, one for all or as `shape`; 0, or 2**-20 to 1000.
    seed, number : the counters; two drives of one seed need different numbers, else they draw the same.
    weight : what one event is worth, float32; 1 makes it spikes, which may come several at a time.
    """

    shape: Shape
    mean: Array
    seed: int = 0
    number: int = 0
    weight: float = 1.0
    ports = ()

    def __post_init__(self) -> None:
        mean = frozen(self.mean, np.float64)
        if mean.size == 1 or (mean.shape == tuple(self.shape) and (mean == mean.flat[:1]).all()):
            mean = frozen(mean.reshape(-1)[:1], np.float64)  # one for all is drawn several times faster
        set_frozen(self, "mean", mean)
        if isinstance(self.weight, str) or np.ndim(self.weight):
            raise GraphError(
                "Poisson", f"a weight of {self.weight!r:.80}", "one number; means may be one each"
            )
        set_frozen(self, "weight", float(np.float32(self.weight)))

    def check(self, name: str) -> None:
        check_shape(name, self.shape)
        if self.mean.size != 1:
            check_broadcast(name, "the mean", self.mean.shape, self.shape)
        known = (self.mean == 0) | ((self.mean >= LEAST_MEAN) & (self.mean <= MOST_MEAN))
        if not known.all():
            got = f"a mean of {self.mean[~known].flat[0]:g} events a step"
            raise GraphError(name, got, f"0, or {LEAST_MEAN:g} to {MOST_MEAN:g}; shorter steps for more")
        if not (0 <= self.number < 2**63 and 0 <= self.seed < 2**63):
            raise GraphError(name, f"a drive of seed {self.seed} and number {self.number}", "0 to 2**63 - 1")
        if not isfinite(self.weight):
            raise GraphError(name, f"a weight of {self.weight}", "a finite number")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        return self.shape

    @property
    def extent(self) -> tuple[float, float]:
        """The lowest and the highest value that it can hand on, 0 included."""
        most = thresholds(float(self.mean.max(initial=0))).size * self.weight
        return min(most, 0.0), max(most, 0.0)

    @property
    def whole(self) -> bool:
        """Whether it hands on whole numbers, all of which float32 holds."""
        return self.weight.is_integer() and max(map(abs, self.extent)) <= 2**24

    def tables(self) -> tuple[Array, Array, Array]:
        """The thresholds of all means one after the other (uint32), where each begins (int32, one more than
        there are), and which one each neuron has (int32; a single one where it serves all).
        """
        means, which = np.unique(np.broadcast_to(self.mean, self._means), return_inverse=True)
        each = [thresholds(float(mean)) for mean in means]
        starts = np.cumsum([0, *(table.size for table in each)]).astype(np.int32)
        return np.concatenate(each), starts, which.reshape(-1).astype(np.int32)

    @property
    def _means(self) -> Shape:
        return (1,) if self.mean.size == 1 else self.shape

    def value(self, sample: Array, step: Array) -> Array:
        """What it hands on in one step of each row, float32 ``(rows, *shape)``.

        Parameters
        ----------
        sample, step : int64, ``(rows,)``; the number of each row's sample, and its step.
        """
        table, starts, which = self.tables()
        size = int(np.prod(self.shape))
        random = words(keys(self.seed, self.number, DRIVE, sample, step)[:, None], np.arange((size + 1) // 2))
        u = random.astype("<u8").view("<u4")[:, :size]
        counts = np.zeros(u.shape, np.float32)
        for k in range(starts.size - 1):
            found = np.searchsorted(table[starts[k] : starts[k + 1]], u, side="right").astype(np.float32)
            counts = np.where(which == k, found, counts)
        return (counts * np.float32(self.weight) + np.float32(0)).reshape(-1, *self.shape)


@lru_cache(maxsize=1 << 16)
def thresholds(mean: float) -> npt.NDArray[np.uint32]:
    """2**32 times the chance of at most 0, 1, 2, ... events, to the nearest whole number while below 2**32.

    Decimal numbers of 60 digits: the same on every machine.
    """
    found: list[int] = []
    with localcontext(Context(prec=60)):
        rate = Decimal(mean)
        term = total = (-rate).exp()
        while (scaled := int(total * 2**32 + Decimal("0.5"))) < 2**32:
            found.append(scaled)
            term = term * rate / len(found)
            total += term
    return frozen(np.asarray(found, np.uint32), np.uint32)
