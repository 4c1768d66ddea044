"""What joint kinds do on tensors, differentiable: a function for each, and its line in `STRETCHES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from spikeflow.errors import ShapeError, UnsupportedLayer
from spikeflow.ir.nodes import Combined, Joint, Matmul, MaxPool, Normalise, Root, Softmax
from spikeflow.neurons.of_means import of_means

Memory = torch.Tensor | None
Stretch = Callable[[Any, list[torch.Tensor], Memory], tuple[torch.Tensor, Memory]]


def joined(node: Joint, x: list[torch.Tensor], memory: Memory = None) -> tuple[torch.Tensor, Memory]:
    """What a joint kind hands on in a stretch of time, and what it remembers then.

    Parameters
    ----------
    x : what arrives at each port, ``(T, B, *shape)``.
    memory : of the step before, ``(B, ...)``; None at the beginning, and where it remembers nothing.

    Raises
    ------
    UnsupportedLayer
        For a kind that has no line here.
    ShapeError
        For a memory of another shape.
    """
    if type(node) not in STRETCHES:
        raise UnsupportedLayer("joined", type(node).__name__, ", ".join(k.__name__ for k in STRETCHES))
    return STRETCHES[type(node)](node, x, memory)


def _max_pool(node: MaxPool, x: list[torch.Tensor], memory: Memory) -> tuple[torch.Tensor, Memory]:
    """The largest of each window, or how much its largest sum grew, of which the memory is the sums."""
    if not node.counts and memory is not None:
        raise ShapeError("MaxPool", "a state", "None: it reads no earlier step")
    if not node.counts:
        return _largest(node, x[0].flatten(0, 1)).unflatten(0, x[0].shape[:2]), None
    before = torch.zeros_like(x[0][0]) if memory is None else memory
    if not isinstance(before, torch.Tensor) or before.shape != x[0].shape[1:]:
        raise ShapeError("max pooling", "a state of another shape", tuple(x[0].shape[1:]))
    sums = torch.cat([before[None], before + x[0].cumsum(0)])
    most = _largest(node, sums.flatten(0, 1)).unflatten(0, sums.shape[:2])
    return most[1:] - most[:-1], sums[-1]


def _largest(node: MaxPool, x: torch.Tensor) -> torch.Tensor:
    """The maximum of every window of ``(B, C, ...)``; its gradient is shared by all that are the largest."""
    if not x.requires_grad and len(node.kernel) in _POOLS:
        ends = [n for pair in reversed(node.padding) for n in pair]
        padded = F.pad(x, ends, value=-torch.inf) if any(ends) else x
        return _POOLS[len(node.kernel)](padded, node.kernel, node.stride, 0, node.dilation)
    shape = tuple(x.shape[1:])
    windows = torch.from_numpy(node.windows(shape).astype(np.int64)).to(x.device)
    inside = x.flatten(2)[..., windows.clamp(min=0)]
    most = torch.where(windows >= 0, inside, inside.new_full((), float("-inf"))).amax(-1)
    return most.reshape(len(x), *node.output_shape("pool", (shape,)))


_POOLS: Mapping[int, Callable[..., torch.Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
STRETCHES: Mapping[type[Joint], Stretch] = MappingProxyType(
    {MaxPool: _max_pool, **dict.fromkeys((Combined, Root, Matmul, Softmax, Normalise), of_means)}
)
