"""Random numbers from counters: each is one hash of a seed and a few numbers, so it depends on nothing else.

Batch, threads, ranks and what was drawn before change nothing. ``src/engine/draw.hpp`` mirrors this file and
``spikeflow/ir/draw.py`` line for line.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikeflow.typing import Array

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
UNIT = 2.0**-53


def mix(x: Array) -> Array:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014), in place: a bijection that spreads every bit."""
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def keys(seed: int, *counters: npt.ArrayLike) -> Array:
    """The key of a stream of words, uint64, one for each row of the counters (numbers, or arrays of one
    length).
    """
    with np.errstate(over="ignore"):
        key = mix(np.uint64(seed % 2**64) + GOLDEN + np.zeros(1, np.uint64))
        for counter in counters:
            key = mix(key + np.asarray(counter, np.uint64) * GOLDEN)
    return key


def words(key: Array, index: npt.ArrayLike) -> Array:
    """64 random bits for each key and index, which broadcast."""
    with np.errstate(over="ignore"):
        return mix(key + (np.asarray(index, np.uint64) + np.uint64(1)) * GOLDEN)


def bits53(key: Array, index: npt.ArrayLike) -> Array:
    """53 random bits, uint64: times `UNIT` a uniform number in [0, 1)."""
    bits = words(key, index)
    bits >>= np.uint64(11)
    return bits
