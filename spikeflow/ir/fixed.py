"""Number formats and exact integer arithmetic; ``src/engine/fixed.hpp`` mirrors this file line for line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import GraphError
from spikeflow.typing import IntArray

ROUNDINGS = ("floor", "nearest", "zero")
NARROWINGS = ("saturate", "symmetric", "wrap", "fold")


@dataclass(frozen=True)
class Fixed:
    """Fixed-point format: an integer q of `bits` bits stands for q / 2**frac.

    Parameters
    ----------
    bits : 1 to 64, the sign included.
    frac : binary places; may be negative.
    """

    bits: int
    frac: int = 0
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64 or not -1000 <= self.frac <= 1000:
            raise GraphError("Fixed", f"bits {self.bits}, frac {self.frac} out of range")

    @property
    def low(self) -> int:
        """Smallest integer of the format."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest integer of the format."""
        return (1 << (self.bits - int(self.signed))) - 1

    @property
    def step(self) -> float:
        """The real value of the integer 1."""
        return float(2.0**-self.frac)

    def quantise(self, x: npt.ArrayLike) -> IntArray:
        """clip(floor(x 2**frac + 1/2), low, high): nearest, ties upwards, saturated."""
        if self.bits > 53:
            reason = f"float64 cannot hold every integer of {self.bits} bits"
            raise GraphError("Fixed", reason, "53 bits or fewer")
        scaled = np.floor(np.asarray(x, np.float64) * 2.0**self.frac + 0.5)
        return np.clip(scaled, self.low, self.high).astype(np.int64)


def shift_right(x: npt.NDArray[Any], count: int, mode: str) -> IntArray:
    """x / 2**count, rounded by `mode`: floor, nearest (ties upwards) or toward zero.

    Raises
    ------
    GraphError
        For a rounding that is none of `ROUNDINGS`.
    """
    x = np.asarray(x, np.int64)
    if count == 0:
        return x
    if mode == "floor":
        return x >> count
    if mode == "nearest":
        return (x + (1 << (count - 1))) >> count
    if mode == "zero":
        return np.where(x < 0, -((-x) >> count), x >> count)
    raise GraphError("shift", f"unknown rounding {mode!r}", f"one of {', '.join(ROUNDINGS)}")


def shift(x: npt.NDArray[Any], amount: int, mode: str = "floor") -> IntArray:
    """x 2**amount: exact to the left, rounded by `mode` to the right."""
    if amount >= 0:
        return np.asarray(x, np.int64) << amount
    return shift_right(x, -amount, mode)


def narrow(x: npt.NDArray[Any], bits: int, mode: str) -> IntArray:
    """x brought into `bits` bits.

    saturate: clip to [-2**(bits-1), 2**(bits-1) - 1]; symmetric: clip to +-(2**(bits-1) - 1);
    wrap: modulo 2**bits; fold: one 2**bits is taken off above 2**(bits-1), or added at and below
    -2**(bits-1), once, so that larger values stay out of range (lava's current register).

    Raises
    ------
    GraphError
        For a mode that is none of `NARROWINGS`.
    """
    half, full = 1 << (bits - 1), 1 << bits
    x = np.asarray(x, np.int64)
    if mode == "saturate":
        return np.clip(x, -half, half - 1)
    if mode == "symmetric":
        return np.clip(x, -(half - 1), half - 1)
    if mode == "wrap":
        return ((x + half) & (full - 1)) - half
    if mode == "fold":
        return np.where(x > half, x - full, np.where(x <= -half, x + full, x))
    raise GraphError("narrow", f"unknown mode {mode!r}", f"one of {', '.join(NARROWINGS)}")
