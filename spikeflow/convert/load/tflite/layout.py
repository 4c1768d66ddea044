"""How values lie: TFLite has the channels last, here they come first.

A value of four axes (samples, height, width, channels) is held as (samples, channels, height, width); any
other as in the file. What an operator says of axes is said anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from spikeflow.convert.load.tree import channels_first as here
from spikeflow.typing import Array

__all__ = ["axis_of", "by_axis", "here", "in_file", "spread"]

FIRST = (0, 3, 1, 2)  # the file's axes in the order of ours
_OURS = (0, 2, 3, 1)  # where each of the file's axes is here


def axis_of(axis: int, ndim: int) -> int:
    """Where an axis of the file is here."""
    axis %= max(ndim, 1)
    return _OURS[axis] if ndim == 4 else axis


def in_file(x: torch.Tensor) -> torch.Tensor:
    """A value with its axes in the file's order."""
    if x.ndim != 4:
        return x
    b, c, h, w = x.shape
    if int(c) == 1 or int(h) * int(w) == 1:  # the same order of values
        return x.reshape(b, h, w, c)
    return x.permute(0, 2, 3, 1)


def spread(values: Array, ndim: int) -> Array:
    """Stored values so that they broadcast here as they do in the file."""
    if ndim != 4 or values.ndim == 0:
        return values
    full = values.reshape((1,) * (4 - values.ndim) + values.shape)
    return np.ascontiguousarray(full.transpose(FIRST))


def by_axis(given: Sequence[Any], ndim: int) -> list[Any]:
    """What is said for each axis of the file, in our order."""
    return [given[n] for n in FIRST] if ndim == 4 else list(given)
