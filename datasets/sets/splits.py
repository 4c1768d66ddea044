"""Honest splits: stratified by class, never through a group, the same on every machine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikeflow.encode import uniform
from spikeflow.errors import DataError
from spikeflow.typing import Array


def held_out(labels: npt.ArrayLike, groups: npt.ArrayLike | None, fraction: float, seed: int = 0) -> Array:
    """Which samples are held out: a boolean array, one entry a sample.

    Groups (speakers, subjects, source images; each sample is its own where None) are visited in an order
    drawn from `seed`. A group is held out where that brings the numbers held out of each class nearer, in
    squares, to `fraction` of the class. Without groups this holds out ``round(fraction * n)`` samples of a
    class of n. Where every group is too large for that, the one that misses by least is held out: something
    always is, and never everything.

    Raises
    ------
    DataError
        Where the fraction is not between 0 and 1, or there are fewer than two groups to part.
    """
    labels = np.asarray(labels)
    if not 0 < fraction < 1:
        raise DataError("validation: fraction", fraction, "a number between 0 and 1")
    if groups is None and labels.size > 1:
        chosen = _samples(labels, fraction, seed)
        if chosen.any() and not chosen.all():
            return chosen
    return _groups(labels, np.arange(labels.size) if groups is None else np.asarray(groups), fraction, seed)


def numbered(label: int, size: int, fraction: float, seed: int = 0) -> Array:
    """Which numbers ``0 .. size-1`` of one class are held out; for the declared split of a set without an
    official one.

    It depends on the complete set's numbering alone, so that a partial copy never mixes test into training.
    """
    chosen = np.zeros(size, bool)
    chosen[np.argsort(uniform(seed, [label], 0, size)[0], kind="stable")[: _target(fraction, size)]] = True
    return chosen


def _target(fraction: float, size: int) -> int:
    return int(np.ceil(fraction * size - 0.5))  # halves round down: a group is taken only where it helps


def _samples(labels: Array, fraction: float, seed: int) -> Array:
    """`_groups` where every sample is its own group, without a loop over samples."""
    order = np.argsort(uniform(seed, [0], 0, labels.size)[0], kind="stable")
    chosen = np.zeros(labels.size, bool)
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        chosen[of_class[: _target(fraction, of_class.size)]] = True
    return chosen


def _groups(labels: Array, groups: Array, fraction: float, seed: int) -> Array:
    _, group = np.unique(groups, return_inverse=True)
    _, label = np.unique(labels, return_inverse=True)
    count = int(group.max()) + 1 if group.size else 0
    if count < 2:
        raise DataError("validation", f"{count} group(s)", "at least two, so that none is in both parts")
    table = np.zeros((count, int(label.max()) + 1), np.int64)
    np.add.at(table, (group, label), 1)
    target = fraction * table.sum(0)
    taken, have = np.zeros(count, bool), np.zeros(target.size)
    for g in np.argsort(uniform(seed, [0], 0, count)[0], kind="stable"):
        if np.sum((have + table[g] - target) ** 2) < np.sum((have - target) ** 2):
            taken[g], have = True, have + table[g]
    if not taken.any():
        taken[np.argmin(((table - target) ** 2).sum(1))] = True
    elif taken.all():
        taken[np.argmin(((have - table - target) ** 2).sum(1))] = False
    return taken[group]
