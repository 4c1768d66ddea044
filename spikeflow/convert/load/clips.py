"""Clips of values under the narrowest name that torch has for them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F


def clipped(x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Values within bounds; bounds that no float32 reaches are none."""
    low = -math.inf if low <= np.finfo(np.float32).min else low
    high = math.inf if high >= np.finfo(np.float32).max else high
    if low == -math.inf and high == math.inf:
        return x
    if low == 0 and high == math.inf:
        return F.relu(x)
    if low == 0 and high == 6:
        return F.relu6(x)
    if math.inf in (-low, high):
        return torch.clamp(x, None if low == -math.inf else low, None if high == math.inf else high)
    return F.hardtanh(x, low, high)
