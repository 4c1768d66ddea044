"""Alphabet: the values that a neuron may hand on in one step, by a name that options and files use.

Its bits are what one message has to tell: the logarithm of the number of values, 0 included, rounded up. With
more than 8 bits a layer counts as analog (`ANALOG_BITS`). What a value is worth in a step may depend on the
step, which sender and readers know without a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from spikeflow.errors import GraphError

BINARY, SIGNED, DIFFERENTIAL = "binary", "signed", "differential"
ANALOG_BITS = 8  # of an alphabet with more than these a layer is kept analog
LEAST_WORTH = 2.0**-16  # of a step in differential code, as a share of the first; keeps shares off 0
_DECAY = re.compile(r"0\.[0-9]{1,4}")  # as a name has it: float32 and text tell the same number


@dataclass(frozen=True)
class Alphabet:
    """Values that a neuron may hand on.

    Parameters
    ----------
    name : as options and files have it, its numbers included: ``burst:4``, ``differential:3:0.75``.
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
        """Whether a value handed on changes a running mean, by what the step is worth."""
        return self.name.startswith(DIFFERENTIAL)

    @property
    def decay(self) -> float:
        """Of an alphabet of changes, what a step is worth as a share of the one before it; 0 where step t is
        worth 1 / t.
        """
        return float(self.name.split(":")[2]) if self.name.count(":") > 1 else 0.0

    @property
    def worth(self) -> str:
        """What a value handed on in step t is worth, in words."""
        if not self.differential:
            return "1"
        return f"{self.decay:g}^(t - 1)" if self.decay else "1 / t"


def decaying(name: str, decay: float) -> str:
    """The name of an alphabet of changes whose steps are worth so much of the one before; 0 gives `name`."""
    return alphabet(f"{name}:{decay:g}").name if decay else name


def worths(decay: float, steps: int) -> npt.NDArray[np.float64]:
    """What a change handed on in each step is worth, ``(steps,)``: 1 / t, or powers of `decay` as neurons
    compute them.
    """
    if not decay:
        return 1.0 / np.arange(1, steps + 1)
    found = np.ones(steps, np.float32)
    for t in range(1, steps):
        found[t] = max(found[t - 1] * np.float32(decay), np.float32(LEAST_WORTH))
    return found.astype(np.float64)


def counted(name: str, steps: int, read_from: int = 0) -> npt.NDArray[np.float64]:
    """What a value of 1 handed on in each step adds to the mean that is read, in thresholds, ``(steps,)``.

    Of a rate 1 / T where T steps are read. Of changes what the step is worth in a running mean m; where the
    first r of T steps are not read the mean of the others, (T m(T) - r m(r)) / (T - r).
    """
    t = np.arange(1, steps + 1)
    late = steps / (steps - read_from)
    letters = alphabet(name or BINARY)
    if not letters.differential:
        return np.where(t > read_from, late / steps, 0.0)
    return np.where(t > read_from, late, 1.0) * worths(letters.decay, steps)


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
    kind, colon, rest = name.partition(":")
    number, more, decay = rest.partition(":")
    if kind in _KINDS and (not more or kind == DIFFERENTIAL and _DECAY.fullmatch(decay) and float(decay)):
        limits, values = _KINDS[kind]
        if limits is None and not colon:
            return Alphabet(name, values(0))
        if limits is not None and number.isdecimal() and limits[0] <= int(number) <= limits[1]:
            told = f":{float(decay):g}" if more else ""
            return Alphabet(f"{kind}:{int(number)}{told}", values(int(number)))
    raise GraphError("alphabet", f"{name!r} is unknown", names())


def names() -> str:
    """Every name, with the range of its number."""
    found = ", ".join(f"{k}:{n[0]} to {k}:{n[1]}" if n else k for k, (n, _) in _KINDS.items())
    return f"{found}, {DIFFERENTIAL}:M:R with R from 0.0001 to 0.9999"
