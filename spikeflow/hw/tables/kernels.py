"""Whether a list of synapses is a convolution: guessed from some of them, then proved of every one.

Tables name no shapes. The place of a target among its channel's pixels is guessed from where its sources
lie: of the right shape they lie in windows that move with the target. What is guessed is held against all
synapses: each has the weight of the kernel at its place, none is there twice, and there are as many as the
kernel has.
"""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import gcd, prod

import numpy as np

from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.nodes import Conv2d, Shape, Synapses, convolution
from spikeflow.typing import Array

GUESSED = 2000  # synapses from which shapes are guessed
TRIED = 4  # guesses that are held against all synapses
STRIDES = 8  # the widest that is looked for
BEYOND = 8  # pixels that an axis of the target may have more than the source's
WIDEST = 64  # taps along an axis
MOST = 2**28  # places of kernel and target that are counted through
FILLED = 0.25  # a kernel with fewer weights is not faster than the list


@dataclass(frozen=True)
class _Axis:
    """Along one axis: target y reads from stride * y - before on, so many pixels."""

    stride: int
    before: int
    kernel: int
    after: int


@dataclass(frozen=True, eq=False)
class Found:
    """A convolution, and the shape of its target; `node` is None where the kernel is all but empty."""

    shape: Shape
    node: Conv2d | None


def convolution_of(
    synapses: Synapses, source: Shape, size: int, form: Fixed, exponent: int, target: Shape | None = None
) -> Found | None:
    """The convolution that these synapses are, none of weight 0, or None.

    Parameters
    ----------
    source, size : the shape of the source and the number of targets.
    target : the target's shape, where that is known.
    """
    if (
        len(source) not in (2, 3, 4)
        or not len(synapses.source)
        or (target is not None and len(target) != len(source))
    ):
        return None
    for pixels in _guesses(synapses, source, size, target):
        found = _proved(synapses, source, (size // prod(pixels), *pixels))
        if found is None:
            continue
        kernel, axes = found
        shape = (size // prod(pixels), *pixels)
        return Found(shape, _node(kernel, axes, form, exponent))
    return None


def _guesses(synapses: Synapses, source: Shape, size: int, target: Shape | None) -> list[Shape]:
    """Pixels that a target may have, those with the smallest kernel first."""
    step = max(1, len(synapses.source) // GUESSED)
    some = slice(0, None, step | 1)
    at = np.unravel_index(synapses.source[some] % prod(source[1:]), source[1:])
    targets = synapses.target[some]
    given = [target[1:]] if target is not None else _sizes(source[1:], size)
    known: list[tuple[int, bool, Shape]] = []
    for pixels in given:
        to = np.unravel_index(targets % prod(pixels), pixels)
        taps = [_axis(y, x, n)[2] for y, x, n in zip(at, to, pixels, strict=True)]
        if max(taps) <= WIDEST:
            known.append((prod(taps), pixels != source[1:], pixels))
    return [pixels for _, _, pixels in sorted(known)[:TRIED]]


def _sizes(pixels: Shape, size: int) -> abc.Iterator[Shape]:
    """Every number of pixels along the axes that divides the targets."""
    axes = [[n for n in range(1, most + BEYOND + 1) if size % n == 0] for most in pixels]
    return (shape for shape in product(*axes) if size % prod(shape) == 0 and prod(shape) > 1)


def _axis(source: Array, target: Array, pixels: int) -> tuple[int, int, int]:
    """(stride, first, taps): of the stride with which sources lie in the narrowest window."""
    found: list[tuple[int, int, int]] = []
    for stride in range(1, STRIDES + 1 if pixels > 1 else 2):
        moved = source - stride * target
        first, last = int(moved.min()), int(moved.max())
        found.append((last - first + 1, stride, first))
    taps, stride, first = min(found)
    return stride, first, taps


def _proved(synapses: Synapses, source: Shape, target: Shape) -> tuple[Array, list[_Axis]] | None:
    """Kernel and axes, where every synapse is one of the kernel's, and every one of the kernel's is there."""
    pixels_in, pixels_out = prod(source[1:]), prod(target[1:])
    at = np.unravel_index(synapses.source % pixels_in, source[1:])
    to = np.unravel_index(synapses.target % pixels_out, target[1:])
    axes, taps = list[_Axis](), list[Array]()
    for y, x, n, m in zip(at, to, source[1:], target[1:], strict=True):
        axis = _complete(_axis(y, x, m), n, m)
        if axis is None:
            return None
        axes.append(axis)
        taps.append(y - axis.stride * x + axis.before)
    size = tuple(axis.kernel for axis in axes)
    shape = (target[0], source[0], *size)
    if prod(target) * source[0] * prod(size) > MOST:
        return None
    place = np.ravel_multi_index((synapses.source // pixels_in, *taps), shape[1:])
    kernel = np.zeros((target[0], prod(shape[1:])), np.int32)
    channel = synapses.target // pixels_out
    kernel[channel, place] = synapses.weight
    met = np.zeros((prod(target), prod(shape[1:])), bool)
    met[synapses.target, place] = True
    counted = (np.count_nonzero(kernel.reshape(shape), axis=(0, 1)) * _hits(axes, source, target)).sum()
    same = len(place) == int(counted) == np.count_nonzero(met)
    if not same or (kernel[channel, place] != synapses.weight).any():
        return None
    return kernel.reshape(shape), axes


def _complete(found: tuple[int, int, int], size: int, target: int) -> _Axis | None:
    """An axis that has as many targets as there are, by the pixels it takes behind the end."""
    stride, first, taps = found
    before = max(0, -first)
    kernel = first + taps + before
    after = max(0, (target - 1) * stride + kernel - size - before)
    fits = (size + before + after - kernel) // stride + 1 == target
    return _Axis(stride, before, kernel, after) if fits and 1 <= kernel <= WIDEST else None


def _hits(axes: list[_Axis], source: Shape, target: Shape) -> Array:
    """How many targets of a channel read a pixel of the source with each tap."""
    found: list[Array] = []
    for axis, n, m in zip(axes, source[1:], target[1:], strict=True):
        at = np.arange(m) * axis.stride - axis.before + np.arange(axis.kernel)[:, None]
        found.append(((at >= 0) & (at < n)).sum(axis=1))
    return reduce(np.multiply.outer, found)


def _node(kernel: Array, axes: list[_Axis], form: Fixed, exponent: int) -> Conv2d | None:
    groups, kernel = _grouped(kernel)
    if np.count_nonzero(kernel) < FILLED * kernel.size:
        return None
    return convolution(
        Quantised(kernel, form),
        stride=tuple(axis.stride for axis in axes),
        padding=tuple((axis.before, axis.after) for axis in axes),
        groups=groups,
        exponent=exponent,
    )


def _grouped(kernel: Array) -> tuple[int, Array]:
    """The most groups of channels that hear each other alone, and the kernel of these."""
    out, channels = kernel.shape[:2]
    joined = (kernel != 0).reshape(out, channels, -1).any(axis=2)
    both = gcd(out, channels)
    for groups in sorted((n for n in range(2, both + 1) if both % n == 0), reverse=True):
        own = np.repeat(np.arange(groups), out // groups)[:, None] == np.repeat(
            np.arange(groups), channels // groups
        )
        if not (joined & ~own).any():
            each = kernel.reshape(groups, out // groups, groups, channels // groups, *kernel.shape[2:])
            within = np.stack([each[g, :, g] for g in range(groups)])
            return groups, within.reshape(out, channels // groups, *kernel.shape[2:])
    return 1, kernel
