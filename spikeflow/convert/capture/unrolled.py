"""One-dimensional convolutions and pooling as listed synapses: the graph has pictures and lists, not
lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.ir.nodes import Conv2d, Pair, Shape, Sparse, Synapses
from spikeflow.ir.synapses import listed
from spikeflow.typing import Array

MAX_SYNAPSES = 2**22


def unrolled_conv1d(
    parameters: tuple[Array, Array | None], shape: Shape, steps: tuple[int, int, int], padding: Pair
) -> Sparse | None:
    """The Sparse node of a convolution on ``(C, L)``; None where it has more than MAX_SYNAPSES synapses.

    Parameters
    ----------
    parameters : weight ``(out, in / groups, kernel)`` and bias ``(out,)``.
    steps : stride, dilation and groups.
    padding : zeros before and after.
    """
    (weight, bias), (stride, dilation, groups) = parameters, steps
    line = Conv2d(
        weight[:, :, None], None, (1, stride), ((0, 0), padding), (1, dilation), groups
    )  # one line of a picture
    picture = (shape[0], 1, shape[1])
    out = line.output_shape("conv1d", (picture,))
    if line.connections(picture, out) > MAX_SYNAPSES:
        return None
    each = None if bias is None else np.repeat(bias, out[2])
    return listed(line.synapses(picture, out), shape, (out[0], out[2]), each)


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows along a line: the first element of each, the one behind its last, and what it is divided by."""

    start: Array
    stop: Array
    divisor: Array

    @classmethod
    def adaptive(cls, size: int, count: int) -> Windows:
        """Windows from floor(i size / count) to ceil((i + 1) size / count), as torch cuts them."""
        at = np.arange(count)
        start, stop = at * size // count, -(-(at + 1) * size // count)
        return cls(start, stop, stop - start)

    def synapses(self, shape: Shape, out_shape: Shape) -> Sparse:
        """The Sparse node of the averages of ``(C, L)``, written under `out_shape`."""
        channels, length = shape
        sizes = np.maximum(self.stop - self.start, 0)
        window = np.repeat(np.arange(len(sizes)), sizes)
        position = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes - self.start, sizes)
        channel = np.repeat(np.arange(channels), len(window))
        source = channel * length + np.tile(position, channels)
        target = channel * len(sizes) + np.tile(window, channels)
        weight = np.tile(1.0 / self.divisor.astype(np.float64)[window], channels)
        return listed(Synapses(source, target, weight.astype(np.float32)), shape, out_shape)
