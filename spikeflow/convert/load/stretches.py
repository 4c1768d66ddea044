"""Places along an axis as files write them: a beginning, an end, a step that may go backwards."""

from __future__ import annotations

import torch


def stretch(x: torch.Tensor, axis: int, places: range) -> torch.Tensor:
    """The values at some places along an axis, in their order."""
    size, count = int(x.shape[axis]), len(places)
    if places.step > 0:
        return torch.ops.aten.slice.Tensor(x, axis, places.start, max(places.stop, places.start), places.step)
    turned, begin = torch.flip(x, [axis]), size - 1 - places.start
    end = begin + (count - 1) * -places.step + 1
    return torch.ops.aten.slice.Tensor(turned, axis, begin, end, -places.step)
