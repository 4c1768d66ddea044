"""Which calibration samples set numbers, and which are kept apart to test what came out.

A sample is known by a hash of its values, so the same sample has the same part in every command, whatever
file it comes in and in whatever order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeflow.typing import Array

PART = 4  # one sample in so many is held back
FEW = 20  # fewer held back than this say little


@dataclass(frozen=True, eq=False)
class Split:
    """The calibration samples in two parts, as indices, each in the order of the samples' digests.

    So the order in which samples are given changes nothing that follows.

    Parameters
    ----------
    setting : the samples that thresholds and scales are taken from.
    held_back : the samples that neither has seen; of equal ones the first alone, since a copy tells nothing
        more and an interval would count it.
    digests : of the samples in `setting`, for the run record.
    """

    setting: npt.NDArray[np.int64]
    held_back: npt.NDArray[np.int64]
    digests: tuple[str, ...]


def digest(sample: Array) -> str:
    """16 hexadecimal digits of the SHA-256 over a sample's shape and its float32 values, -0 taken as 0."""
    values = np.ascontiguousarray(sample, "<f4") + np.float32(0)
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()[:16]


def split(x: Array, seen: Collection[str] = ()) -> Split:
    """A quarter of the samples held back, chosen by their digests.

    Parameters
    ----------
    x : samples ``(N, ...)``.
    seen : digests of samples that have set a number before, in another command: they are never held back.

    Notes
    -----
    Where that would leave no sample to set anything from, none is held back.
    """
    names = [digest(sample) for sample in x]
    order = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
    before = frozenset(seen)
    chosen = np.array([names[i] not in before and int(names[i], 16) % PART == 0 for i in order], bool)
    if chosen.all():
        chosen[:] = False
    setting = order[~chosen]
    held = {names[i]: i for i in reversed(order[chosen])}  # the first of each
    held_back = np.array([*reversed(held.values())], np.int64)
    return Split(setting, held_back, tuple(dict.fromkeys(names[i] for i in setting)))
