"""Operators of ONNX on numbers that say how values are moved: shapes, and what is computed from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from spikeflow.convert.load import numbers
from spikeflow.convert.load.numbers import ARITHMETIC, Numbers, tensor
from spikeflow.convert.load.onnx.moves import axes_of, bounds, listed
from spikeflow.convert.load.onnx.node import Function, Node

_WHOLE_TYPES = (2, 3, 4, 5, 6, 7, 9, 12, 13)


def shape(node: Node) -> Function:
    """The shape of a value, or some axes of it."""
    start, end = int(node.get("start", 0)), node.get("end")
    return lambda x: Numbers.of(list(tensor(x).shape)[start:end])


def size(node: Node) -> Function:
    """How many values there are."""
    return lambda x: Numbers.of(math.prod(tensor(x).shape))


def constant_of_shape(node: Node) -> Function:
    """Equal values of a given shape."""
    given = np.asarray(node.get("value", np.zeros(1, np.float32))).reshape(-1)[0]
    whole = not np.issubdtype(given.dtype, np.floating)

    def run(of: Any) -> Any:
        wanted = listed(node, 0, of)
        few = numbers.filled(wanted, given.item(), whole) if whole else None
        return torch.full(wanted, given.item()) if few is None else few

    return run


def range_(node: Node) -> Function:
    """Numbers from one to another."""

    def run(*ends: Any) -> Any:
        start, stop, step = (listed(node, n, v)[0] for n, v in enumerate(ends))
        found = range(int(start), int(stop), int(step))
        return Numbers.of(list(found)) if len(found) <= numbers.MOST else torch.arange(start, stop, step)

    return run


def _gather(node: Node, x: Numbers, index: Numbers) -> Numbers:
    return numbers.picked(x, index, int(node.get("axis", 0)))


def _slice(node: Node, x: Numbers, *given: Any) -> Numbers:
    starts, ends, axes, steps = bounds(node, given)
    for start, end, axis, step in zip(starts, ends, axes or range(len(starts)), steps, strict=True):
        last = None if step < 0 and int(end) < -x.values.shape[int(axis)] else int(end)
        x = numbers.cut(x, int(axis) % x.values.ndim, slice(int(start), last, step))
    return x


def _concat(node: Node, *parts: Numbers) -> Numbers:
    return numbers.joined(*parts, axis=int(node.get("axis", 0)))


def _unsqueeze(node: Node, x: Numbers, axes: Any = None) -> Numbers:
    return Numbers(np.expand_dims(x.values, tuple(axes_of(node, 1, axes) or ())), x.whole)


def _squeeze(node: Node, x: Numbers, axes: Any = None) -> Numbers:
    found = axes_of(node, 1, axes) if x.values.ndim else None
    return Numbers(np.squeeze(x.values, None if found is None else tuple(found)), x.whole)


def _reshape(node: Node, x: Numbers, to: Numbers) -> Numbers:
    return numbers.shaped(x, [int(n) for n in to.listed])


def _transpose(node: Node, x: Numbers) -> Numbers:
    return numbers.turned(x, node.integers("perm"))


def _cast(node: Node, x: Numbers) -> Numbers:
    whole = int(node.get("to", 7)) in _WHOLE_TYPES
    if whole and not x.whole:
        return numbers.truncated(x)
    return Numbers(x.values, whole)


def _product(node: Node, x: Numbers, axes: Any = None) -> Numbers:
    if x.values.ndim > 1 and axes_of(node, 1, axes) is not None:
        raise node.refuse("of a table along some of its axes", "a product of all numbers")
    found = math.prod(x.listed)
    return Numbers.of([found] if node.get("keepdims", 1) and x.values.ndim else found, x.whole)


# what becomes of an operator all of whose inputs are such numbers
ON_NUMBERS: Mapping[str, Callable[..., Numbers]] = {
    **{
        name: (lambda node, *given, function=function: function(*given))
        for name, function in ARITHMETIC.items()
    },
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Cast": _cast,
    "ReduceProd": _product,
}

SIZES: Mapping[str, Callable[[Node], Function]] = {
    "Shape": shape,
    "Size": size,
    "ConstantOfShape": constant_of_shape,
    "Range": range_,
}
