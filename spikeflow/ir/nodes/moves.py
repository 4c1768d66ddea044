"""Moves: values at other places, none changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.ir.arrays import Array, narrowest, stored_as
from spikeflow.ir.nodes.base import Shape, check_shape, set_frozen
from spikeflow.ir.nodes.families import Move


@dataclass(frozen=True, eq=False)
class Flatten(Move):
    """All dimensions made one, in C order."""

    ports = ("in",)

    def check(self, name: str) -> None:
        pass

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        return (prod(shapes[0]),)

    def moved(self, arrays: Sequence[Array], fill: int | None) -> Array:
        return arrays[0].reshape(-1)


@dataclass(frozen=True, eq=False)
class Slice(Move):
    """x[start:stop:step] along every axis; 0 <= start < stop, step >= 1."""

    start: Shape
    stop: Shape
    step: Shape
    ports = ("in",)

    def check(self, name: str) -> None:
        if not len(self.start) == len(self.stop) == len(self.step):
            raise GraphError(name, "start, stop and step differ in length")
        if any(not 0 <= a < b or s < 1 for a, b, s in zip(self.start, self.stop, self.step, strict=True)):
            raise GraphError(name, f"slice {self.start}:{self.stop}:{self.step} is empty or runs backwards")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if len(shapes[0]) != len(self.start) or any(b > n for b, n in zip(self.stop, shapes[0], strict=True)):
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"at least {self.stop}")
        return tuple(-(-(b - a) // s) for a, b, s in zip(self.start, self.stop, self.step, strict=True))

    def moved(self, arrays: Sequence[Array], fill: int | None) -> Array:
        cuts = (slice(a, b, s) for a, b, s in zip(self.start, self.stop, self.step, strict=True))
        return arrays[0][tuple(cuts)]


@dataclass(frozen=True, eq=False)
class Pad(Move):
    """Zeros before and after, along every axis."""

    before: Shape
    after: Shape
    ports = ("in",)

    def check(self, name: str) -> None:
        if len(self.before) != len(self.after) or min(self.before + self.after, default=0) < 0:
            raise GraphError(name, f"padding {self.before}, {self.after}")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if len(shapes[0]) != len(self.before):
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"{len(self.before)} dimensions")
        shape = tuple(n + a + b for n, a, b in zip(shapes[0], self.before, self.after, strict=True))
        check_shape(name, shape)
        return shape

    def moved(self, arrays: Sequence[Array], fill: int | None) -> Array:
        widths = list(zip(self.before, self.after, strict=True))
        if fill is None:
            return np.pad(arrays[0], widths, mode="edge")
        return np.pad(arrays[0], widths, constant_values=fill)


@dataclass(frozen=True, eq=False)
class Concat(Move):
    """Its ports ``in0``, ``in1``, ... one after the other along `axis`."""

    axis: int
    count: int

    @cached_property
    def ports(self) -> tuple[str, ...]:
        """The ports, in order."""
        return tuple(f"in{i}" for i in range(self.count))

    def check(self, name: str) -> None:
        if not 1 <= self.count <= 4096 or self.axis < 0:
            raise GraphError(name, f"concatenation of {self.count} along axis {self.axis}")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        axis, first = self.axis, shapes[0]
        rests = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
        if axis >= len(first) or len(rests) != 1 or len({len(s) for s in shapes}) != 1:
            raise ShapeError(name, shapes, f"shapes equal but for axis {axis}")
        return first[:axis] + (sum(s[axis] for s in shapes),) + first[axis + 1 :]

    def moved(self, arrays: Sequence[Array], fill: int | None) -> Array:
        return np.concatenate(arrays, axis=self.axis)


@dataclass(frozen=True, eq=False)
class Permute(Move):
    """The axes in another order: axis i handed on is axis ``axes[i]`` of what arrives, as
    ``numpy.transpose``.
    """

    axes: Shape
    ports = ("in",)

    def check(self, name: str) -> None:
        if sorted(self.axes) != list(range(len(self.axes))):
            raise GraphError(name, f"the axes {self.axes}", f"each of 0 to {len(self.axes) - 1} once")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if len(shapes[0]) != len(self.axes):
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"{len(self.axes)} dimensions")
        return tuple(shapes[0][axis] for axis in self.axes)

    def moved(self, arrays: Sequence[Array], fill: int | None) -> Array:
        return np.transpose(arrays[0], self.axes)


@dataclass(frozen=True, eq=False)
class Upsample(Move):
    """Each value `factors` times along every axis, one copy beside the other: nearest-neighbour
    upsampling.
    """

    factors: Shape
    ports = ("in",)

    def check(self, name: str) -> None:
        if min(self.factors, default=0) < 1:
            raise GraphError(name, f"the factors {self.factors}", "whole numbers from 1")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if len(shapes[0]) != len(self.factors):
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"{len(self.factors)} dimensions")
        shape = tuple(n * factor for n, factor in zip(shapes[0], self.factors, strict=True))
        check_shape(name, shape)
        return shape

    def moved(self, arrays: Sequence[Array], fill: int | None) -> Array:
        x = arrays[0]
        for axis, factor in enumerate(self.factors):
            x = np.repeat(x, factor, axis=axis)
        return x


@dataclass(frozen=True, eq=False)
class Reshape(Move):
    """The same values in C order under another shape of as many."""

    shape: Shape
    ports = ("in",)

    def check(self, name: str) -> None:
        check_shape(name, self.shape)

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if prod(shapes[0]) != prod(self.shape):
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"{prod(self.shape)} values")
        return self.shape

    def moved(self, arrays: Sequence[Array], fill: int | None) -> Array:
        return arrays[0].reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Gather(Move):
    """Any values at any places: what no other move says (flips, rolls, mirrored borders, pixel shuffle).

    Parameters
    ----------
    index : for each value handed on, in C order, the C-order number of the one that arrived; -1 is a 0.
    in_shape, out_shape : of what arrives and what is handed on.
    """

    index: Array = field(metadata=stored_as(np.int32))
    in_shape: Shape
    out_shape: Shape
    ports = ("in",)

    def __post_init__(self) -> None:
        set_frozen(self, "index", narrowest(np.asarray(self.index).reshape(-1)))

    def check(self, name: str) -> None:
        check_shape(name, self.in_shape)
        check_shape(name, self.out_shape)
        if self.index.shape != (prod(self.out_shape),):
            raise ShapeError(name, f"{self.index.size} numbers", (prod(self.out_shape),))
        index = self.index.astype(np.int64)  # held in a type that may have no -1
        if index.min(initial=0) < -1 or index.max(initial=0) >= prod(self.in_shape):
            raise GraphError(name, f"an index lies outside -1 to {prod(self.in_shape) - 1}")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if shapes[0] != self.in_shape:
            raise ShapeError(name, f"an input of shape {shapes[0]}", self.in_shape)
        return self.out_shape

    def moved(self, arrays: Sequence[Array], fill: int | None) -> Array:
        index = (self._held if fill is None else self.index.astype(np.int64)).reshape(self.out_shape)
        found = arrays[0].reshape(-1)[index]
        return found if fill is None else np.where(index >= 0, found, found.dtype.type(fill))

    @cached_property
    def _held(self) -> Array:
        """The index with another value of its channel, or the first, where none lies."""
        rows = self.index.astype(np.int64).reshape(self.out_shape[:1] + (-1,) if self.out_shape else (1, 1))
        first = np.argmax(rows >= 0, axis=1)[:, None]
        return np.maximum(np.where(rows >= 0, rows, np.take_along_axis(rows, first, 1)), 0)
