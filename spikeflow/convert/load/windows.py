"""Windows of convolutions and pools as files write them: another padding at each side, or ``same``.

Torch pads both sides alike. A window that reaches further at its end is, of a maximum or an average, one that
rounds the number of windows up; otherwise what lies around is written out.

::

    windows along an axis    floor((size + begin + end - dilation (kernel - 1) - 1) / stride) + 1
    same                     windows = ceil(size / stride); begin and end share what that takes, the end (in
                             ONNX's SAME_LOWER the beginning) the larger half

Source: ONNX, operators AveragePool, Conv, MaxPool; TensorFlow, "Convolution: padding".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

Pads = list[tuple[int, int]]
_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_AVERAGE: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_MAXIMUM: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


@dataclass(frozen=True)
class Windows:
    """The windows of a layer along each axis of space.

    Parameters
    ----------
    pads : at the beginning and the end of each axis; None for ``same``.
    lower : whether ``same`` puts the larger half at the beginning.
    round_up : whether a window may reach over the end.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...] | None
    lower: bool = False
    round_up: bool = False

    def around(self, x: torch.Tensor) -> Pads:
        """The padding of each axis of a value."""
        if self.pads is not None:
            return list(self.pads)
        sizes = zip(x.shape[2:], self.kernel, self.stride, self.dilation, strict=True)
        found: Pads = []
        for size, kernel, stride, dilation in sizes:
            needed = max((-(-int(size) // stride) - 1) * stride + (kernel - 1) * dilation + 1 - int(size), 0)
            half = (needed + 1) // 2 if self.lower else needed // 2
            found.append((half, needed - half))
        return found


def padded(x: torch.Tensor, pads: Pads, value: float = 0.0) -> torch.Tensor:
    """A value with so much around the last axes; as it is where there is nothing."""
    if not any(any(pair) for pair in pads):
        return x
    flat = [n for pair in reversed(pads) for n in pair]
    return F.pad(x, flat, value=value)


def convolved(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, windows: Windows, groups: int
) -> torch.Tensor:
    """A convolution."""
    pads = windows.around(x)
    alike = all(begin == end for begin, end in pads)
    inside = [begin for begin, _ in pads] if alike else 0
    function = _CONV[weight.ndim - 2]
    x = x if alike else padded(x, pads)
    return function(x, weight, bias, list(windows.stride), inside, list(windows.dilation), groups)


def maximum(x: torch.Tensor, windows: Windows, positive: bool = False) -> torch.Tensor:
    """Max pooling, where what lies around takes no part.

    Parameters
    ----------
    positive : whether no value lies below 0, so that a 0 around one never wins.
    """
    pads, up = windows.around(x), windows.round_up
    kernel, stride, dilation = (list(n) for n in (windows.kernel, windows.stride, windows.dilation))
    function = _MAXIMUM[len(kernel)]
    plain = _in_torch(x, windows, pads)
    if plain is None:
        x = padded(x, pads, 0.0 if positive else float("-inf"))
        return _begun(function(x, kernel, stride, 0, dilation, ceil_mode=up), x, windows, pads)
    return function(x, kernel, stride, plain[0], dilation, ceil_mode=plain[1])


def average(x: torch.Tensor, windows: Windows, count_around: bool) -> torch.Tensor:
    """Average pooling.

    Parameters
    ----------
    count_around : whether what lies around counts as zeros; otherwise the average is over what is there.
    """
    pads = windows.around(x)
    kernel, stride = list(windows.kernel), list(windows.stride)
    function = _AVERAGE[len(kernel)]
    plain = None if count_around and any(b != e for b, e in pads) else _in_torch(x, windows, pads)
    if plain is not None:
        return function(x, kernel, stride, plain[0], plain[1], count_around)
    wide = padded(x, pads)
    found = _begun(function(wide, kernel, stride, 0, windows.round_up), wide, windows, pads)
    if count_around:
        return found
    return found * torch.tensor(_shares(x, windows, pads), dtype=x.dtype)


def _begun(found: torch.Tensor, wide: torch.Tensor, windows: Windows, pads: Pads) -> torch.Tensor:
    """Without windows that begin behind the last value, which rounding up would add."""
    for axis, ((_, end), stride) in enumerate(zip(pads, windows.stride, strict=True), 2):
        most = -(-(int(wide.shape[axis]) - end) // stride)
        if windows.round_up and int(found.shape[axis]) > most:
            found = found.narrow(axis, 0, most)
    return found


def _shares(x: torch.Tensor, windows: Windows, pads: Pads) -> list[Any]:
    """By what the averages over everything within the padding are too small: windows over values in them."""
    spread = np.ones(1)
    axes = zip(x.shape[2:], pads, windows.kernel, windows.stride, strict=True)
    for size, (begin, end), kernel, stride in axes:
        there = np.pad(np.ones(int(size)), (begin, end))
        room = len(there) - kernel
        count = (-(-room // stride) if windows.round_up else room // stride) + 1
        most = len(there) if not windows.round_up else int(size) + begin
        starts = [at for at in range(0, count * stride, stride) if at < most]
        along = [len(there[at : at + kernel]) / there[at : at + kernel].sum() for at in starts]
        spread = np.multiply.outer(spread, along)
    return spread[None].tolist()


def _in_torch(x: torch.Tensor, windows: Windows, pads: Pads) -> tuple[list[int], bool] | None:
    """Torch's padding, and whether it rounds up, that give the same windows; None where there are none."""
    begins = [begin for begin, _ in pads]
    alike = all(begin == end for begin, end in pads)
    if any(2 * begin > kernel for begin, kernel in zip(begins, windows.kernel, strict=True)):
        return None
    if alike:
        return begins, windows.round_up
    if windows.round_up or any(end < begin for begin, end in pads):
        return None
    axes = zip(x.shape[2:], pads, windows.kernel, windows.stride, windows.dilation, strict=True)
    for size, (begin, end), kernel, stride, dilation in axes:
        span = dilation * (kernel - 1) + 1
        wanted = (int(size) + begin + end - span) // stride + 1
        over = -(-(int(size) + 2 * begin - span) // stride) + 1
        over -= (over - 1) * stride >= int(size) + begin  # torch begins no window beyond the values
        if over != wanted:
            return None
    return begins, True
