"""Conv2d: one kernel at every place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.ir.arrays import Array, Quantised, Weight, check_weight, frozen, frozen_weight, weight_values
from spikeflow.ir.fixed import shift
from spikeflow.ir.nodes.base import Pair, Shape, check_bias, cut, positions, set_frozen
from spikeflow.ir.nodes.families import Past, Synapses, Synaptic


@dataclass(frozen=True, eq=False)
class Conv2d(Synaptic):
    """Two-dimensional correlation of ``(C, H, W)`` with a kernel, zeros outside, plus bias.

    Parameters
    ----------
    weight : ``(out, in / groups, kernel_y, kernel_x)``.
    padding : ``((top, bottom), (left, right))``.
    """

    weight: Weight
    bias: Array | None = None
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1
    exponent: int = 0
    ports = ("in",)

    def __post_init__(self) -> None:
        set_frozen(self, "weight", frozen_weight(self.weight))
        set_frozen(self, "bias", None if self.bias is None else frozen(self.bias, np.float32))

    def check(self, name: str) -> None:
        if len(self.weight.shape) != 4:
            raise ShapeError(name, f"a weight of shape {self.weight.shape}", "(out, in / groups, y, x)")
        check_weight(name, self.weight)
        check_bias(name, self.bias, self.weight.shape[0])
        bad = min(self.stride + self.dilation) < 1 or min(self.padding[0] + self.padding[1]) < 0
        if bad or self.groups < 1 or self.weight.shape[0] % self.groups:
            raise GraphError(
                name,
                "stride, dilation and groups are at least 1, padding at least 0, and groups divide the "
                "channels",
            )

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        shape, (out, per_group, ky, kx) = shapes[0], self.weight.shape
        if len(shape) != 3 or shape[0] != per_group * self.groups:
            raise ShapeError(
                name, f"an input of shape {shape}", f"({per_group * self.groups}, height, width)"
            )
        size = []
        for axis, kernel in enumerate((ky, kx)):
            free = shape[1 + axis] + sum(self.padding[axis]) - self.dilation[axis] * (kernel - 1) - 1
            if free < 0:
                raise ShapeError(name, f"an input of shape {shape}", f"at least the kernel {(ky, kx)}")
            size.append(free // self.stride[axis] + 1)
        return (out, size[0], size[1])

    @property
    def rows(self) -> int:
        """Channels of the targets."""
        return self.weight.shape[0]

    @property
    def columns(self) -> int:
        """Channels of the sources."""
        return self.weight.shape[1] * self.groups

    def over_rows(self, values: Array) -> Array:
        return values[:, None, None, None]

    def over_columns(self, values: Array) -> Array:
        own = values.reshape(self.groups, -1)
        return np.repeat(own, self.rows // self.groups, axis=0)[:, :, None, None]

    def _positions(self, axis: int, out_shape: Shape) -> Array:
        """Of the kernel on one axis: 0 is y, 1 is x."""
        kernel, before = self.weight.shape[2 + axis], self.padding[axis][0]
        return positions(out_shape[1 + axis], self.stride[axis], kernel, self.dilation[axis], before)

    def _hits(self, axis: int, in_shape: Shape, out_shape: Shape) -> Array:
        """How often each place of one axis of the source is read."""
        at = self._positions(axis, out_shape)
        return np.bincount(at[(at >= 0) & (at < in_shape[1 + axis])], minlength=in_shape[1 + axis])

    def fan_out(self, in_shape: Shape, out_shape: Shape) -> Array:
        rows, columns = (self._hits(axis, in_shape, out_shape) for axis in (0, 1))
        return np.broadcast_to(np.outer(rows, columns) * (self.rows // self.groups), in_shape)

    def alike(self, out_shape: Shape) -> Array | None:
        """Those at one place, of the channels of a group."""
        group = np.arange(self.rows) // (self.rows // self.groups)
        pixels = prod(out_shape[1:])
        return (group[:, None] * pixels + np.arange(pixels)).ravel().astype(np.int32)

    def connections(self, in_shape: Shape, out_shape: Shape) -> int:
        hits = (int(self._hits(axis, in_shape, out_shape).sum()) for axis in (0, 1))
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
        at = [self._positions(axis, out_shape)[:, place[axis]] for axis in (0, 1)]
        out_y, out_x = (np.flatnonzero((a >= 0) & (a < n)) for a, n in zip(at, in_shape[1:], strict=True))
        channel, within = np.nonzero(kernel)
        if not len(channel) or not len(out_y) or not len(out_x):
            return
        group = channel // (out_shape[0] // self.groups)
        source = (at[0][out_y][:, None] * in_shape[2] + at[1][out_x]).ravel()
        source = (group * kernel.shape[1] + within)[:, None] * prod(in_shape[1:]) + source
        target = channel[:, None] * prod(out_shape[1:]) + (out_y[:, None] * out_shape[2] + out_x).ravel()
        weight = np.broadcast_to(kernel[channel, within][:, None], source.shape)
        yield source.ravel().astype(np.int32), target.ravel().astype(np.int32), weight.ravel()

    def sums(self, past: Past, out_shape: Shape) -> Array:
        x, weight = past(0), weight_values(self.weight)
        padded = np.pad(x, ((0, 0), (0, 0), *self.padding))
        padded = padded.reshape(len(x), self.groups, -1, *padded.shape[2:])
        kernel = weight.reshape(self.groups, -1, *weight.shape[1:])
        total = self.zeros(x, (self.groups, kernel.shape[1], *out_shape[1:]))
        # on the padded source
        at = [self._positions(axis, out_shape) + self.padding[axis][0] for axis in (0, 1)]
        for c, y, z in np.ndindex(*weight.shape[1:]):
            window = padded[:, :, c, cut(at[0], y, self.stride[0]), cut(at[1], z, self.stride[1])]
            total += window[:, :, None] * kernel[None, :, :, c, y, z, None, None].astype(total.dtype)
        total = total.reshape(len(x), *out_shape)
        return self.with_bias(shift(total, self.exponent) if isinstance(self.weight, Quantised) else total)
