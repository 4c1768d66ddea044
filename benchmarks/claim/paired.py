"""Paired differences over folds and seeds, with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from spikeflow.typing import Array

DRAWS, SHARE = 10_000, 0.95


def paired(a: Array, b: Array) -> dict[str, Any]:
    """The mean of a - b, ``(folds, seeds)``, paired by fold and seed, and 95 % intervals.

    `t_folds` takes the mean of each fold as one observation, which is what says something of a new speaker;
    `t_pairs` takes every pair as one, as if seeds of a fold were independent; `bootstrap` draws folds and
    then seeds of each with replacement (10,000 draws, seed 0, percentiles).
    """
    difference = np.asarray(a, float) - np.asarray(b, float)
    folds = difference.mean(1)
    return {
        "mean": float(difference.mean()),
        "by_fold": folds.tolist(),
        "better_in": f"{int((difference > 0).sum())} of {difference.size} pairs",
        "t_folds": interval(folds),
        "t_pairs": interval(difference.ravel()),
        "bootstrap": bootstrap(difference),
    }


def interval(values: Array) -> list[float] | None:
    """Of the mean, by Student's t; None of a lone value."""
    if len(values) < 2:
        return None
    half = stats.t.ppf((1 + SHARE) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return [float(values.mean() - half), float(values.mean() + half)]


def bootstrap(difference: Array) -> list[float]:
    """Of the mean, drawing folds, then seeds of each."""
    folds, seeds = difference.shape
    drawn = np.random.Generator(np.random.PCG64(0))
    rows = drawn.integers(0, folds, (DRAWS, folds))
    columns = drawn.integers(0, seeds, (DRAWS, folds, seeds))
    means = difference[rows[:, :, None], columns].mean((1, 2))
    low, high = np.quantile(means, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return [float(low), float(high)]
