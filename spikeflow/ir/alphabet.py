"""Alphabet: the values that a neuron may hand on in one step, by a name that options and files use.

Its bits are what one message has to tell: the logarithm of the number of values, 0 included, rounded up. With
more than 8 bits a layer counts as analog (`ANALOG_BITS`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from spikeflow.errors import GraphError

BINARY, SIGNED, DIFFERENTIAL = "binary", "signed", "differential"
ANALOG_BITS = 8  # of an alphabet with more than these a layer is kept analog


@dataclass(frozen=True)
class Alphabet:
    """Values that a neuron may hand on.

    Parameters
    ----------
    name : as options and files have it, its number included: ``burst:4``.
    values : whole numbers, 0 among them, in rising order.
    """

    name: str
    values: tuple[int, ...]

    @property
    def bits(self) -> int:
        """Of one message: the logarithm to base 2 of the number of values, rounded up."""
        return (len(self.values) - 1).bit_length()

    @property
    def high(self) -> int:
        """The largest value."""
        return self.values[-1]

    @property
    def signed(self) -> bool:
        """Whether values lie below 0."""
        return self.values[0] < 0

    @property
    def differential(self) -> bool:
        """Whether a value handed on in step t counts 1 / t: it changes a running mean."""
        return self.name.startswith(DIFFERENTIAL)


def counted(name: str, steps: int, read_from: int = 0) -> npt.NDArray[np.float64]:
    """What a value of 1 handed on in each step adds to the mean that is read, in thresholds, ``(steps,)``.

    Of a rate 1 / T where T steps are read. Of changes 1 / t in step t of a running mean m; where the first r
    of T steps are not read the mean of the others, (T m(T) - r m(r)) / (T - r).
    """
    t = np.arange(1, steps + 1)
    late = steps / (steps - read_from)
    if not alphabet(name or BINARY).differential:
        return np.where(t > read_from, late / steps, 0.0)
    return np.where(t > read_from, late, 1.0) / t


def _powers(n: int) -> tuple[int, ...]:
    return tuple(2**k for k in range(n))


# name: (smallest and largest number behind the colon, or None for no number; the values)
_KINDS: Mapping[str, tuple[tuple[int, int] | None, Callable[[int], tuple[int, ...]]]] = MappingProxyType(
    {
        BINARY: (None, lambda n: (0, 1)),
        SIGNED: (None, lambda n: (-1, 0, 1)),
        "burst": ((1, 16), lambda n: tuple(range(n + 1))),
        DIFFERENTIAL: ((1, 16), lambda n: tuple(range(-n, n + 1))),
        "multi-threshold": ((1, 16), lambda n: (*(-(2**k) for k in reversed(range(n))), 0, *_powers(n))),
    }
)


def alphabet(name: str) -> Alphabet:
    """The alphabet of this name.

    Raises
    ------
    GraphError
        For a name that there is not, or a number outside of its range.
    """
    kind, colon, number = name.partition(":")
    if kind in _KINDS:
        limits, values = _KINDS[kind]
        if limits is None and not colon:
            return Alphabet(name, values(0))
        if limits is not None and number.isdecimal() and limits[0] <= int(number) <= limits[1]:
            return Alphabet(f"{kind}:{int(number)}", values(int(number)))
    raise GraphError("alphabet", f"{name!r} is unknown; there are {names()}")


def names() -> str:
    """Every name, with the range of its number."""
    return ", ".join(f"{k}:{n[0]} to {k}:{n[1]}" if n else k for k, (n, _) in _KINDS.items())
