"""What operations do on numpy arrays: float32, each rounded by itself, and int64, narrowed where a program
says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeflow.ir import functions
from spikeflow.ir.evaluate import Domain
from spikeflow.ir.fixed import narrow, shift, shift_right
from spikeflow.ir.operations import FIXED, FLOAT
from spikeflow.typing import Array


class _Arrays(Domain[Array]):
    """What both number types share."""

    dtype: Any

    def const(self, value: float | int) -> Array:
        return np.asarray(value, self.dtype)

    def add(self, a: Array, b: Array) -> Array:
        return a + b

    def sub(self, a: Array, b: Array) -> Array:
        return a - b

    def minimum(self, a: Array, b: Array) -> Array:
        return np.where(a < b, a, b)

    def maximum(self, a: Array, b: Array) -> Array:
        return np.where(a > b, a, b)

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition != 0, a, b)

    def spike(self, x: Array, slot: int) -> Array:
        return (x >= 0).astype(self.dtype)

    def stop_gradient(self, x: Array) -> Array:
        return x

    def abs(self, x: Array) -> Array:
        return np.abs(x)


class _Floats(_Arrays):
    stages = (FLOAT,)

    def mul(self, a: Array, b: Array, count: int, mode: str) -> Array:
        return a * b

    def div(self, a: Array, b: Array) -> Array:
        return a / b

    def floor(self, x: Array, slot: int) -> Array:
        return np.floor(x)

    def round(self, x: Array, slot: int) -> Array:
        return np.rint(x)

    def tanh(self, x: Array) -> Array:
        return functions.tanh(x, self._numpy)

    def sigmoid(self, x: Array) -> Array:
        return functions.sigmoid(x, self._numpy)

    def exp(self, x: Array) -> Array:
        return functions.exp(x, self._numpy)

    @property
    def _numpy(self) -> functions.NumpyFloats:
        return functions.NumpyFloats(self.dtype)


class Float32(_Floats):
    """Arrays of float32."""

    dtype = np.float32


class Float64(_Floats):
    """Arrays of float64, for gradients that are compared closely."""

    dtype = np.float64


class Integers(_Arrays):
    """Arrays of int64, of the neurons' shape or one that broadcasts to it; what a format changes is counted.

    Parameters
    ----------
    tables : those of the program.
    shape : of the neurons, ``(B, *shape)``; `begin` sets it anew.
    """

    stages = (FIXED,)
    dtype = np.int64

    def __init__(self, tables: Mapping[str, tuple[int, ...]], shape: tuple[int, ...] = ()) -> None:
        self.tables = {name: np.asarray(entries, np.int64) for name, entries in tables.items()}
        self.low: Counter[str] = Counter()
        self.high: Counter[str] = Counter()
        self.begin(shape)

    def begin(self, shape: tuple[int, ...]) -> None:
        """A step of neurons of this shape, none of which has overflowed yet."""
        self.overflowed: Array = np.zeros(shape, bool)

    def mul(self, a: Array, b: Array, count: int, mode: str) -> Array:
        return shift_right(a * b, count, mode)

    def shift(self, x: Array, amount: int, mode: str) -> Array:
        return shift(x, amount, mode)

    def table(self, x: Array, name: str) -> Array:
        entries = self.tables[name]
        return entries[np.clip(x, 0, len(entries) - 1)]

    def narrow(self, x: Array, bits: int, mode: str, name: str) -> Array:
        narrowed = narrow(x, bits, mode)
        # counted for each neuron and sample, also where the register is one number for all
        changed = np.broadcast_to(x != narrowed, self.overflowed.shape)
        self.overflowed = self.overflowed | changed
        # every format holds 0, so the sign tells at which end it was left
        for counter, outside in ((self.low, x < 0), (self.high, x > 0)):
            counter[name] += int((changed & outside).sum())
        return narrowed
