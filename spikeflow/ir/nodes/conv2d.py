"""Conv2d: one kernel at every place, along one axis or several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.ir.arrays import Array, Quantised, Weight, check_weight, frozen, frozen_weight, weight_values
from spikeflow.ir.fixed import shift
from spikeflow.ir.nodes.base import Pair, Shape, check_bias, cut, positions, set_frozen
from spikeflow.ir.nodes.families import Past, Synapses, Synaptic


@dataclass(frozen=True, eq=False)
class Conv2d(Synaptic):
    """Correlation of ``(C, L)``, ``(C, H, W)``, ... with a kernel, zeros outside, plus bias.

    It bears the name of its first files, where a picture was all that it took; `convolution` makes one of
    any number of axes.

    Parameters
    ----------
    weight : ``(out, in / groups, *kernel)``, one size of the kernel for each axis of a channel.
    stride, dilation : one number for each axis; the defaults are those of a picture.
    padding : before and after, for each axis: ``((top, bottom), (left, right))`` of a picture.
    """

    weight: Weight
    bias: Array | None = None
    stride: Shape = (1, 1)
    padding: tuple[Pair, ...] = ((0, 0), (0, 0))
    dilation: Shape = (1, 1)
    groups: int = 1
    exponent: int = 0
    ports = ("in",)

    def __post_init__(self) -> None:
        set_frozen(self, "weight", frozen_weight(self.weight))
        set_frozen(self, "bias", None if self.bias is None else frozen(self.bias, np.float32))

    def check(self, name: str) -> None:
        axes = len(self.weight.shape) - 2
        if axes < 1:
            raise ShapeError(name, f"a weight of shape {self.weight.shape}", "(out, in / groups, *kernel)")
        check_weight(name, self.weight)
        check_bias(name, self.bias, self.weight.shape[0])
        if {len(self.stride), len(self.padding), len(self.dilation)} != {axes}:
            raise GraphError(name, f"stride, padding and dilation are not one for each of {axes} axes")
        bad = min(self.stride + self.dilation) < 1 or min(n for ends in self.padding for n in ends) < 0
        if bad or self.groups < 1 or self.weight.shape[0] % self.groups:
            raise GraphError(
                name,
                "stride, dilation and groups are at least 1, padding at least 0, and groups divide the "
                "channels",
            )

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        shape, (out, per_group, *kernels) = shapes[0], self.weight.shape
        if len(shape) != 1 + len(kernels) or shape[0] != per_group * self.groups:
            wanted = f"({per_group * self.groups}, {', '.join(_AXES.get(len(kernels), ('...',)))})"
            raise ShapeError(name, f"an input of shape {shape}", wanted)
        size = []
        for axis, kernel in enumerate(kernels):
            free = shape[1 + axis] + sum(self.padding[axis]) - self.dilation[axis] * (kernel - 1) - 1
            if free < 0:
                raise ShapeError(name, f"an input of shape {shape}", f"at least the kernel {tuple(kernels)}")
            size.append(free // self.stride[axis] + 1)
        return (out, *size)

    @property
    def rows(self) -> int:
        """Channels of the targets."""
        return self.weight.shape[0]

    @property
    def columns(self) -> int:
        """Channels of the sources."""
        return self.weight.shape[1] * self.groups

    def over_rows(self, values: Array) -> Array:
        return values.reshape(-1, *(1,) * (len(self.weight.shape) - 1))

    def over_columns(self, values: Array) -> Array:
        own = values.reshape(self.groups, -1)
        each = np.repeat(own, self.rows // self.groups, axis=0)
        return each.reshape(*each.shape, *(1,) * self.axes)

    @property
    def axes(self) -> int:
        """How many axes a channel has."""
        return len(self.weight.shape) - 2

    def _positions(self, axis: int, out_shape: Shape) -> Array:
        """Of the kernel on one axis of a channel."""
        kernel, before = self.weight.shape[2 + axis], self.padding[axis][0]
        return positions(out_shape[1 + axis], self.stride[axis], kernel, self.dilation[axis], before)

    def _hits(self, axis: int, in_shape: Shape, out_shape: Shape) -> Array:
        """How often each place of one axis of the source is read."""
        at = self._positions(axis, out_shape)
        return np.bincount(at[(at >= 0) & (at < in_shape[1 + axis])], minlength=in_shape[1 + axis])

    def fan_out(self, in_shape: Shape, out_shape: Shape) -> Array:
        hits = reduce(np.multiply.outer, (self._hits(axis, in_shape, out_shape) for axis in range(self.axes)))
        return np.broadcast_to(hits * (self.rows // self.groups), in_shape)

    def alike(self, out_shape: Shape) -> Array | None:
        """Those at one place, of the channels of a group."""
        group = np.arange(self.rows) // (self.rows // self.groups)
        pixels = prod(out_shape[1:])
        return (group[:, None] * pixels + np.arange(pixels)).ravel().astype(np.int32)

    def connections(self, in_shape: Shape, out_shape: Shape) -> int:
        hits = (int(self._hits(axis, in_shape, out_shape).sum()) for axis in range(self.axes))
        return prod(self.weight.shape[:2]) * prod(hits)

    def synapses(self, in_shape: Shape, out_shape: Shape) -> Synapses:
        places = np.ndindex(*self.weight.shape[2:])
        found = [piece for place in places for piece in self._piece(place, in_shape, out_shape)]
        none = np.zeros(0, np.int32)
        weight = np.zeros(0, weight_values(self.weight).dtype)
        return Synapses(*(np.concatenate(c) for c in zip((none, none, weight), *found, strict=True)))

    def _piece(
        self, place: tuple[int, ...], in_shape: Shape, out_shape: Shape
    ) -> Iterator[tuple[Array, Array, Array]]:
        """Synapses of one place of the kernel: (source, target, weight)."""
        kernel = weight_values(self.weight)[:, :, *place]
        at = [self._positions(axis, out_shape)[:, place[axis]] for axis in range(self.axes)]
        out = [np.flatnonzero((a >= 0) & (a < n)) for a, n in zip(at, in_shape[1:], strict=True)]
        channel, within = np.nonzero(kernel)
        if not len(channel) or not all(map(len, out)):
            return
        group = channel // (out_shape[0] // self.groups)
        source = _numbered([a[o] for a, o in zip(at, out, strict=True)], in_shape[1:])
        source = (group * kernel.shape[1] + within)[:, None] * prod(in_shape[1:]) + source
        target = channel[:, None] * prod(out_shape[1:]) + _numbered(out, out_shape[1:])
        weight = np.broadcast_to(kernel[channel, within][:, None], source.shape)
        yield source.ravel().astype(np.int32), target.ravel().astype(np.int32), weight.ravel()

    def sums(self, past: Past, out_shape: Shape) -> Array:
        x, weight = past(0), weight_values(self.weight)
        padded = np.pad(x, ((0, 0), (0, 0), *self.padding))
        padded = padded.reshape(len(x), self.groups, -1, *padded.shape[2:])
        kernel = weight.reshape(self.groups, -1, *weight.shape[1:])
        total = self.zeros(x, (self.groups, kernel.shape[1], *out_shape[1:]))
        # on the padded source
        at = [self._positions(axis, out_shape) + self.padding[axis][0] for axis in range(self.axes)]
        for c, *place in np.ndindex(*weight.shape[1:]):
            cuts = (cut(a, k, s) for a, k, s in zip(at, place, self.stride, strict=True))
            window = padded[:, :, c, *cuts]
            tap = kernel[:, :, c, *place].astype(total.dtype)
            total += window[:, :, None] * tap.reshape(1, *tap.shape, *(1,) * self.axes)
        total = total.reshape(len(x), *out_shape)
        return self.with_bias(shift(total, self.exponent) if isinstance(self.weight, Quantised) else total)


_AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def _numbered(at: list[Array], shape: Shape) -> Array:
    """The C-order numbers of all combinations of positions along the axes of a channel."""
    return reduce(
        lambda before, axis: (before[:, None] * axis[1] + axis[0]).ravel(),
        zip(at, shape, strict=True),
        np.zeros(1, np.int64),
    )


def convolution(
    weight: Weight,
    bias: Array | None = None,
    stride: Shape = (),
    padding: tuple[Pair, ...] = (),
    **rest: Any,
) -> Conv2d:
    """A convolution along as many axes as its kernel has; stride 1, no padding, no dilation unless said.

    Parameters
    ----------
    weight : ``(out, in / groups, *kernel)``.
    rest : dilation and groups.
    """
    axes = len(weight.shape) - 2
    ones = (1,) * axes
    rest.setdefault("dilation", ones)
    return Conv2d(weight, bias, stride or ones, padding or ((0, 0),) * axes, **rest)
