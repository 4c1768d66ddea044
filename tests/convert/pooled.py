"""Pools written out window by window, against which readers of files are held."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np


def same(size: int, kernel: int, stride: int, lower: bool = False) -> tuple[int, int]:
    """Padding before and behind, so that there are ceil(size / stride) windows."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return (total - total // 2, total // 2) if lower else (total // 2, total - total // 2)


def pooled(
    x: np.ndarray,
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[tuple[int, int]],
    how: str,
    round_up: bool = False,
) -> np.ndarray:
    """``max``, ``mean`` (over what is there) or ``mean with zeros`` of each window of ``(N, C, *space)``."""
    space = x.shape[2:]
    counts = []
    for n, k, s, (b, e) in zip(space, kernel, stride, pads, strict=True):
        room = n + b + e - k
        count = (-(-room // s) if round_up else room // s) + 1
        counts.append(count - (round_up and (count - 1) * s >= n + b))
    made = np.zeros((*x.shape[:2], *counts), np.float32)
    for at in itertools.product(*map(range, counts)):
        starts = [i * s - b for i, s, (b, _) in zip(at, stride, pads, strict=True)]
        inside = tuple(slice(max(p, 0), min(p + k, n)) for p, k, n in zip(starts, kernel, space, strict=True))
        window = x[(slice(None), slice(None), *inside)].reshape(*x.shape[:2], -1)
        if how == "max":
            made[(slice(None), slice(None), *at)] = window.max(-1)
        elif how == "mean":
            made[(slice(None), slice(None), *at)] = window.mean(-1)
        else:  # zeros within the padding count, what a window reaches beyond it does not
            ends = [min(p + k, n + e) for p, k, n, (_, e) in zip(starts, kernel, space, pads, strict=True)]
            count = np.prod([end - p for end, p in zip(ends, starts, strict=True)])
            made[(slice(None), slice(None), *at)] = window.sum(-1) / count
    return made
