"""tanh, sigmoid and exp as fixed formulas of correctly rounded + - x /, the same bits in numpy, torch and
C++.

The C library's functions differ between machines in the last bits; these cannot. ``src/engine/functions.hpp``
repeats the operations in this order.

tanh: with y = x / 2 clamped to +-4.5, the continued fraction of tanh cut after the term 13 (the [7/6] Pade
approximant) gives t = tanh(y), and tanh(x) = 2 t / (1 + t t).

exp: x = k ln 2 + r with k the nearest whole number to x / ln 2, ln 2 in two parts so that r is exact to the
last bits; then a polynomial of degree 7 for exp(r) and an exact 2^k, in two factors, so that small results
round once. Within 1 unit in the last place of float32, subnormal results included; inf above 88.7228, 0
below -103.973; a NaN stays one. In float64 the formula is that of float32, good to about 1e-8 of the result.
``benchmarks/functions.py`` measures both. Source of the polynomial: S. L. Moshier, Cephes, expf.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

LIMIT = 4.5
# where exp is 0 below and infinite above, in float32 and float64
EXP_RANGE_32, EXP_RANGE_64 = (-104.0, 89.0), (-746.0, 710.0)


class Elementary(Protocol):
    """What the formulas need of a type of arrays besides + - * /."""

    def minimum(self, a: Any, b: Any) -> Any:
        """a < b ? a : b."""
        ...

    def maximum(self, a: Any, b: Any) -> Any:
        """a > b ? a : b."""
        ...

    def nearest(self, x: Any) -> Any:
        """The nearest whole number, ties to the even one."""
        ...

    def scaled(self, x: Any, k: Any) -> Any:
        """x 2^h 2^(k - h) for whole numbers k, with h = floor(k / 2)."""
        ...

    def exp_range(self, x: Any) -> tuple[float, float]:
        """Where exp of this type is 0 below, and infinite above."""
        ...


class NumpyFloats:
    """What the formulas need, on numpy's arrays of float32 or float64."""

    def __init__(self, dtype: Any) -> None:
        self.dtype: Any = dtype

    def minimum(self, a: Any, b: Any) -> Any:
        """a < b ? a : b."""
        return np.where(a < b, a, b)

    def maximum(self, a: Any, b: Any) -> Any:
        """a > b ? a : b."""
        return np.where(a > b, a, b)

    def nearest(self, x: Any) -> Any:
        """The nearest whole number, ties to the even one."""
        return np.rint(x)

    def scaled(self, x: Any, k: Any) -> Any:
        """x 2^k in two exact factors."""
        whole = k.astype(np.int32)
        half = whole >> 1
        one = self.dtype(1)
        return x * np.ldexp(one, half) * np.ldexp(one, whole - half)

    def exp_range(self, x: Any) -> tuple[float, float]:
        """Where exp is 0 below, and infinite above."""
        return EXP_RANGE_32 if self.dtype is np.float32 else EXP_RANGE_64


def tanh(x: Any, of: Elementary) -> Any:
    """tanh(x) for any array type with + * /; `of` is that type's own."""
    y = of.maximum(-LIMIT, of.minimum(LIMIT, x * 0.5))  # in this order a NaN stays one
    s = y * y
    top = y * (((s + 378.0) * s + 17325.0) * s + 135135.0)
    bottom = ((s * 28.0 + 3150.0) * s + 62370.0) * s + 135135.0
    t = top / bottom
    return (t + t) / (t * t + 1.0)


def sigmoid(x: Any, of: Elementary) -> Any:
    """1 / (1 + exp(-x)) as (1 + tanh(x / 2)) / 2."""
    return tanh(x * 0.5, of) * 0.5 + 0.5


def exp(x: Any, of: Elementary) -> Any:
    """exp(x)."""
    low, high = of.exp_range(x)
    y = of.maximum(low, of.minimum(high, x))
    k = of.nearest(of.maximum(y * 1.442695041, 2 * low))  # here a NaN does not stay: k is a whole number
    r = (y - k * 0.693359375) - k * -2.12194440e-4
    p = r * 1.9875691500e-4 + 1.3981999507e-3
    p = p * r + 8.3334519073e-3
    p = p * r + 4.1665795894e-2
    p = p * r + 1.6666665459e-1
    p = p * r + 5.0000001201e-1
    p = p * (r * r) + r + 1.0
    return of.scaled(p, k)


def tanh_table(frac: int) -> tuple[int, ...]:
    """The 257 integers round(tanh(i / 32) 2**frac), i = -128 to 128; entry 128 is exactly 0."""
    values = np.tanh(np.arange(-128, 129) / 32.0)
    return tuple(int(v) for v in np.floor(values * 2.0**frac + 0.5))
