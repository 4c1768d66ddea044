"""Interval: all integers between two; and what operations do on intervals.

Ends are Python integers. What could leave 64 bits wraps, so it may be anything of 64 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow.ir.evaluate import Domain
from spikeflow.ir.operations import FIXED, Operation


@dataclass(frozen=True)
class Interval:
    """All integers from low to high."""

    low: int
    high: int

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def within(self, other: Interval) -> bool:
        """Whether the other holds this one."""
        return other.low <= self.low and self.high <= other.high

    def common(self, other: Interval) -> Interval:
        """What lies in both; low is above high where nothing does."""
        return Interval(max(self.low, other.low), min(self.high, other.high))

    @property
    def size(self) -> int:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))


INT32 = Interval(-(2**31), 2**31 - 1)
INT64 = Interval(-(2**63), 2**63 - 1)
ZERO, BIT = Interval(0, 0), Interval(0, 1)


def of_array(x: np.ndarray) -> Interval:
    """From the smallest to the largest element, 0 included."""
    return Interval(min(0, int(x.min(initial=0))), max(0, int(x.max(initial=0))))


class Intervals(Domain[Interval]):
    """Operations of integer programs on intervals; each result holds whatever the operation can make.

    Parameters
    ----------
    tables : those of the program.
    """

    stages = (FIXED,)

    def __init__(self, tables: Mapping[str, tuple[int, ...]]) -> None:
        self.tables = tables

    def made(self, index: int, value: Interval) -> Interval:
        return value if value.within(INT64) else INT64

    def const(self, value: float | int) -> Interval:
        return Interval(int(value), int(value))

    def add(self, a: Interval, b: Interval) -> Interval:
        return Interval(a.low + b.low, a.high + b.high)

    def sub(self, a: Interval, b: Interval) -> Interval:
        return Interval(a.low - b.high, a.high - b.low)

    def mul(self, a: Interval, b: Interval, count: int, mode: str) -> Interval:
        corners = [p * q for p in (a.low, a.high) for q in (b.low, b.high)]
        product = Interval(min(corners), max(corners))
        return self.shift(product, -count, mode) if product.within(INT64) else INT64

    def minimum(self, a: Interval, b: Interval) -> Interval:
        return Interval(min(a.low, b.low), min(a.high, b.high))

    def maximum(self, a: Interval, b: Interval) -> Interval:
        return Interval(max(a.low, b.low), max(a.high, b.high))

    def where(self, condition: Interval, a: Interval, b: Interval) -> Interval:
        return a.hull(b)

    def spike(self, x: Interval, slot: int) -> Interval:
        return BIT

    def stop_gradient(self, x: Interval) -> Interval:
        return x

    def abs(self, x: Interval) -> Interval:
        return Interval(max(x.low, -x.high, 0), x.size)

    def unlisted(self, operation: Operation, *args: Any) -> Interval:
        return INT64

    def table(self, x: Interval, name: str) -> Interval:
        return of_array(np.asarray(self.tables[name], np.int64))

    def shift(self, x: Interval, amount: int, mode: str) -> Interval:
        if amount >= 0:
            return Interval(x.low << amount, x.high << amount)
        return Interval(x.low >> -amount, (x.high >> -amount) + 1)  # + 1: rounded to nearest or to zero

    def narrow(self, x: Interval, bits: int, mode: str, name: str) -> Interval:
        half, full = 1 << (bits - 1), 1 << bits
        if mode == "fold":
            low = min(x.low, half + 1 - full) if x.high > half else x.low
            high = max(x.high, full - half) if x.low <= -half else x.high
            return Interval(low, high)
        inner = Interval(-half + (mode == "symmetric"), half - 1)
        if mode == "wrap":
            return x if x.within(inner) else inner
        return Interval(min(max(x.low, inner.low), inner.high), max(min(x.high, inner.high), inner.low))
