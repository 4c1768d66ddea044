"""Linear interpolation between pixels at any places, where torch has no name for it: a matrix an axis.

::

    value at x = (1 - f) value[floor x] + f value[floor x + 1],  f = x - floor x,  x within the axis
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from spikeflow.typing import Array


def between(x: torch.Tensor, places: Sequence[Array]) -> torch.Tensor:
    """A value ``(N, C, *space)`` at new places of each axis of space."""
    for axis, found in enumerate(places, 2):
        matrix = _matrix(int(x.shape[axis]), found)
        if matrix.shape[0] != matrix.shape[1] or not np.array_equal(matrix, np.eye(len(matrix))):
            weight = torch.tensor(matrix.tolist())
            x = F.linear(x.transpose(axis, -1), weight).transpose(axis, -1)
    return x


def _matrix(old: int, places: Array) -> Array:
    """Row by row how much of each pixel is in the new one."""
    x = np.clip(places, 0, old - 1)
    low = np.minimum(np.floor(x), old - 1).astype(np.int64)
    high, part = np.minimum(low + 1, old - 1), x - low
    found, rows = np.zeros((len(x), old), np.float32), np.arange(len(x))
    np.add.at(found, (rows, low), 1 - part)
    np.add.at(found, (rows, high), part)
    return found
