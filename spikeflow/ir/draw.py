"""Distributions drawn from counters: fixed formulas in float64, ``+ - * /`` and square roots alone.

No function of a C library is called, whose last bits differ between machines. ``src/engine/draw.hpp`` mirrors
this file line for line, so numpy and C++ draw the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeflow.counters import UNIT, Array, keys, words

LN2 = 0.6931471805599453
SQRT_HALF = 0.7071067811865476
_SERIES = tuple(1.0 / k for k in range(21, 0, -2))
# Wichura 1988, algorithm AS 241 (PPND16): numerators and denominators, highest power first
_CENTRE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
_MIDDLE = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
     1.27045825245236838258e0,
     3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
     1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)  # fmt: skip
_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
     2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
     7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
)  # fmt: skip


def _horner(coefficients: Sequence[float], x: Array) -> Array:
    total = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        total = total * x + c
    return total


def log(x: Array) -> Array:
    """The natural logarithm of normal float64 numbers above 0, to about 1 unit in the last place."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < SQRT_HALF
    mantissa = np.where(low, mantissa + mantissa, mantissa)
    power = exponent.astype(np.float64) - low
    s = (mantissa - 1.0) / (mantissa + 1.0)
    return power * LN2 + (s + s) * _horner(_SERIES, s * s)


def uniform(bits: Array) -> Array:
    """(bits + 1/2) 2**-53 of 53 bits: above 0, below 1, symmetric."""
    return (bits.astype(np.float64) + 0.5) * UNIT


def normal(u: Array) -> Array:
    """The standard normal number below which a share `u` of all lie, 0 < u < 1 (AS 241)."""
    q = u - 0.5
    r = 0.180625 - q * q
    centre = q * _horner(_CENTRE[0], r) / _horner(_CENTRE[1], r)
    tail = np.flatnonzero(np.abs(q) > 0.425)
    if tail.size:
        far = q[tail]
        r = np.sqrt(-log(np.where(far < 0.0, u[tail], 1.0 - u[tail])))
        near = _horner(_MIDDLE[0], r - 1.6) / _horner(_MIDDLE[1], r - 1.6)
        rare = _horner(_TAIL[0], r - 5.0) / _horner(_TAIL[1], r - 5.0)
        z = np.where(r <= 5.0, near, rare)
        centre[tail] = np.where(far < 0.0, -z, z)
    return centre


def binomial(key: Array, count: int, part: int, whole: int) -> int:
    """How many of `count` fall into `part` of `whole` equal boxes, exactly to 2**-64 in each chance.

    Sixty-four at a time: lane by lane, a random binary fraction is compared with part / whole, digit by
    digit, until all lanes are decided. Half of the boxes take one word for 64.
    """
    fraction = (part << 64) // whole
    blocks = np.arange(-(-count // 64), dtype=np.uint64)
    open_ = np.full(blocks.size, 2**64 - 1, np.uint64)
    if count % 64:
        open_[-1] = np.uint64((1 << (count % 64)) - 1)
    inside = np.zeros_like(open_)
    for digit in range(64):
        if not fraction << digit & (2**64 - 1) or not open_.any():
            break
        random = words(key, blocks * np.uint64(64) + np.uint64(digit))
        if fraction >> (63 - digit) & 1:
            inside |= open_ & ~random
            open_ &= random
        else:
            open_ &= ~random
    return int(np.unpackbits(inside.view(np.uint8)).sum())


def shares(seed: int, number: int, total: int, targets: int) -> Array:
    """A total split over the targets as if each of it chose one of them alone: a binomial tree,
    ``(targets,)``.

    The interval [a, b) of targets gives the largest power of two below its length to the left. Its split is
    keyed by (seed, number, 2**32, a, b), so whoever owns some targets walks down to these alone.
    """
    counts = np.zeros(targets, np.int64)
    todo = [(0, targets, total)]
    while todo:
        first, last, held = todo.pop()
        if held == 0 or last - first == 1:
            counts[first] = held
            continue
        left = 1 << ((last - first - 1).bit_length() - 1)
        chosen = binomial(keys(seed, number, 1 << 32, first, last), held, left, last - first)
        todo += [(first, first + left, chosen), (first + left, last, held - chosen)]
    return counts
