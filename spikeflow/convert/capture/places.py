"""Index maps as nodes: the plainest move that puts values where an index map says, one node for a chain."""

from __future__ import annotations

from math import prod

import numpy as np

from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.ir.nodes import Flatten, Gather, Node, Permute, Reshape, Shape, Slice, Upsample
from spikeflow.typing import Array

_CHAINED = (Gather, Permute, Reshape, Slice)  # kinds of one port that a later move takes in


def place(b: Builder, name: str, x: Value, index: Array, shape: Shape) -> Value:
    """The values of x at other places: `index` names for each value of `shape` the one of x, -1 for a 0.

    A move of a move is one node; the identity is none.
    """
    index = np.asarray(index, np.int64).reshape(-1)
    while len(x.terms) == 1 and isinstance(before := b.nodes[x.terms[0]], _CHAINED):
        whole = b.sources(x.terms[0])
        inner = before.index_map([whole.shape])
        index = np.where(index >= 0, inner[index], -1)
        x = whole
    node = plainest(index, x.shape, shape)
    return x if node is None else b.chain(name, node, x)


def plainest(index: Array, in_shape: Shape, shape: Shape) -> Node | None:
    """The move of an index map; None where it changes neither places nor shape."""
    if np.array_equal(index, np.arange(prod(in_shape))):
        if shape == in_shape:
            return None
        return Flatten() if len(shape) == 1 else Reshape(shape)
    whole = np.arange(prod(in_shape)).reshape(in_shape)
    lines = _lines(index, in_shape, shape)
    if lines is not None and (cut := _slice(lines)) is not None:
        return cut
    if lines is not None and (repeated := _upsample(lines, in_shape)) is not None:
        return repeated
    axes = _axes(index, in_shape, shape)
    if axes is not None and np.array_equal(whole.transpose(axes).ravel(), index):
        return Permute(axes)
    return Gather(index, in_shape, shape)


def _lines(index: Array, in_shape: Shape, shape: Shape) -> list[Array] | None:
    """For each axis which places of it are taken, where an index map is no more than that."""
    if len(in_shape) != len(shape) or (index < 0).any():
        return None
    found = np.unravel_index(index.reshape(shape), in_shape)
    lines = [f[*(slice(None) if i == axis else 0 for i in range(len(shape)))] for axis, f in enumerate(found)]
    same = np.array_equal(np.ravel_multi_index(np.ix_(*lines), in_shape).ravel(), index)
    return lines if same else None


def _slice(lines: list[Array]) -> Slice | None:
    steps = [int(line[1] - line[0]) if len(line) > 1 else 1 for line in lines]
    if any(s < 1 or (np.diff(line) != s).any() for s, line in zip(steps, lines, strict=True)):
        return None
    return Slice(tuple(int(a[0]) for a in lines), tuple(int(a[-1]) + 1 for a in lines), tuple(steps))


def _upsample(lines: list[Array], in_shape: Shape) -> Upsample | None:
    factors = tuple(len(line) // n for line, n in zip(lines, in_shape, strict=True))
    whole = all(
        f and np.array_equal(line, np.repeat(np.arange(n), f))
        for f, line, n in zip(factors, lines, in_shape, strict=True)
    )
    return Upsample(factors) if whole else None


def _axes(index: Array, in_shape: Shape, shape: Shape) -> Shape | None:
    """An order of axes that an index map may be: by how far apart neighbours along each axis lie."""
    if sorted(in_shape) != sorted(shape) or (index < 0).any():
        return None
    apart = [prod(in_shape[axis + 1 :]) for axis in range(len(in_shape))]
    full, found = index.reshape(shape), list[int]()
    for axis, size in enumerate(shape):
        step = int(np.diff(full, axis=axis).flat[0]) if size > 1 else None
        left = (a for a in range(len(shape)) if a not in found and in_shape[a] == size)
        match = next((a for a in left if step is None or apart[a] == step), None)
        if match is None:
            return None
        found.append(match)
    return tuple(found)
