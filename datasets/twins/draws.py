"""Random numbers of one sample of a twin: each a function of (seed, name, split, sample, purpose, index)
alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from spikeflow.encode import uniform
from spikeflow.typing import Array


@dataclass(frozen=True)
class Draws:
    """The draws of one sample; those for different purposes (any word) are independent.

    Parameters
    ----------
    seed : of the twin.
    stream : name and split of the twin, or what else sets these draws apart.
    sample : its number.
    """

    seed: int
    stream: str
    sample: int

    def uniform(self, purpose: str, *shape: int) -> Array:
        """Numbers in [0, 1)."""
        digest = hashlib.sha256(f"{self.seed}/{self.stream}/{purpose}".encode()).digest()
        key = int.from_bytes(digest[:8], "little")
        return uniform(key, [self.sample], 0, int(np.prod(shape)))[0].reshape(shape)

    def normal(self, purpose: str, *shape: int) -> Array:
        """Numbers of mean 0 and deviation 1 (Box and Muller 1958)."""
        one, two = self.uniform(purpose, 2, *shape)
        return np.sqrt(-2 * np.log1p(-one)) * np.cos(2 * np.pi * two)

    def spread(self, purpose: str, mean: float, deviation: float, low: float, high: float) -> float:
        """One number, log-normal with this mean and relative deviation, cut to a range."""
        sigma = np.sqrt(np.log1p(deviation**2))
        drawn = mean * np.exp(sigma * self.normal(purpose, 1)[0] - sigma**2 / 2)
        return float(np.clip(drawn, low, high))


def of_class(name: str, label: int) -> Draws:
    """The draws that make a class what it is: the same in every split and for every seed."""
    return Draws(0, f"{name}/class", label)


def of_group(name: str, group: int) -> Draws:
    """The draws that make a speaker or a user what they are."""
    return Draws(0, f"{name}/group", group)
