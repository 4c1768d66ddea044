"""Operations that move values and change none: torch itself says where they go, by moving numbers.

The samples of the traced batch are numbered through, the operation runs on the numbers, and what comes out is
the index map, the same for every sample or refused. So an operation needs no formula of its own here.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import torch

from spikeflow.convert.capture.affine import affine
from spikeflow.convert.capture.arguments import argument
from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.places import place
from spikeflow.convert.trace.atengraph import AtenNode, Ref, base_name
from spikeflow.convert.trace.evaluate import MOST_VALUES, Allowance, Unknown, operation
from spikeflow.ir.nodes import Pad, Shape
from spikeflow.typing import Array

_FREE = 2**19  # values that cost no one anything
_WITHIN = "an operation within each sample, that treats all samples alike"
_SAID: Mapping[str, str] = {"pad": "padding", "slice": "slice", "select": "a slice of one"}


def move(b: Builder, node: AtenNode) -> Value | None:
    """Any operation of one value of the network that hands on its values at other places, or zeros."""
    x = b.value(node, node.args[0])
    made = _numbers(b, node, x.shape)
    if isinstance(made, tuple):
        b.lists[node.name] = tuple(_placed(b, node, x, part) if part.numel() else None for part in made)
        b.decide(node, "parts: the values at other places", b.lists[node.name][0])
        return None
    value = _placed(b, node, x, made)
    erased = value.terms == x.terms and value.shape == x.shape
    b.decide(node, "erased: identity" if erased else _verdict(node), value)
    return value


def _verdict(node: AtenNode) -> str:
    return _SAID.get(base_name(node.op), "the same values at other places")


def _placed(b: Builder, node: AtenNode, x: Value, made: torch.Tensor) -> Value:
    index, shape = _index(b, node, made, prod(x.shape))
    return place(b, b.title(node), x, index, shape)


def _numbers(b: Builder, node: AtenNode, shape: Shape) -> Any:
    """What the operation makes of the numbers 1, 2, ... of a whole batch, in float64, which holds them."""
    batch = b.batch

    def value(argument: Any) -> Any:
        if isinstance(argument, tuple):
            return [value(item) for item in argument]
        if not isinstance(argument, Ref):
            return argument
        if argument == node.args[0]:
            numbers = torch.arange(1, batch * prod(shape) + 1, dtype=torch.float64)
            return numbers.reshape(b.full_shape(argument.name))
        if argument.name in b.values:  # whose shape alone is read (expand_as)
            return torch.zeros(b.full_shape(argument.name), dtype=torch.float64)
        constant = b.constant(argument)
        if constant is None:
            raise b.refuse(node, f"{base_name(node.op)} by numbers that the network computes", _WITHIN)
        return torch.from_numpy(np.array(constant))

    # an archive may state another shape than its arguments make: no more is made than what it states allows
    stated = max(prod(node.shape), batch * prod(shape))
    try:
        return operation(node, value, Allowance(min(MOST_VALUES, _FREE + 4 * stated)))
    except (Unknown, RuntimeError) as error:
        raise b.refuse(node, f"{base_name(node.op)} with these arguments ({error})", _WITHIN) from error


def _index(b: Builder, node: AtenNode, made: torch.Tensor, count: int) -> tuple[Array, Shape]:
    """The index map of one sample, from the numbers of all; refused where samples differ."""
    found = made.numpy().astype(np.int64) - 1
    word = base_name(node.op)
    if found.ndim == 0 or len(found) != b.batch or found.size == 0:
        raise b.refuse(
            node, f"{word} to the shape {tuple(made.shape)}, which moves the samples or is empty", _WITHIN
        )
    first = np.arange(b.batch).reshape(-1, *(1,) * (found.ndim - 1)) * count
    own = np.where(found >= 0, found - first, -1)
    if (own != own[:1]).any() or own.max(initial=0) >= count:
        raise b.refuse(node, f"{word} that moves the samples", _WITHIN)
    return own[0].ravel(), tuple(found.shape[1:]) or (1,)  # one number a sample keeps an axis


def expanded(b: Builder, node: AtenNode, argument: Any) -> Value:
    """A value of the network, broadcast to the shape of an operation's result."""
    x = b.value(node, argument)
    full = b.full_shape(argument.name)
    if full == tuple(node.shape):
        return x
    numbers = torch.arange(1, prod(full) + 1, dtype=torch.float64).reshape(full)
    index, shape = _index(b, node, numbers.expand(tuple(node.shape)), prod(x.shape))
    return place(b, f"{b.title(node)}.expand", x, index, shape)


def pad(b: Builder, node: AtenNode) -> Value:
    """Padding of every mode: zeros, another constant as a bias where nothing lies, mirrored or repeated."""
    x = b.value(node, node.args[0])
    constant = "constant_pad" in node.op
    mode = "constant" if constant else argument(node, 2, "mode", "constant")
    filling = float((argument(node, 2 if constant else 3, "value") or 0) if mode == "constant" else 0)
    args = (node.args[0], node.args[1], 0.0) if constant else (*node.args[:3],)
    plain = AtenNode(node.name, node.op, args, {}, node.module, node.shape, node.layer)
    index, shape = _index(b, node, _numbers(b, plain, x.shape), prod(x.shape))
    value = _padded(b, node, x, shape) if mode == "constant" else None
    value = value or place(b, b.title(node), x, index, shape)
    if filling and (index < 0).any():
        bias = np.where(index < 0, filling, 0.0).reshape(shape)
        value = b.chain(f"{b.title(node)}.border", affine(shape, 1.0, bias), value)
    b.decide(node, "padding", value)
    return value


def _padded(b: Builder, node: AtenNode, x: Value, shape: Shape) -> Value | None:
    """A Pad, which stays a convolution with those around it; None where some side is cropped."""
    widths = [int(n) for n in node.args[1]]
    rows = [(0, 0)] * len(x.shape)
    for i in range(len(widths) // 2):
        if i < len(rows):
            rows[-1 - i] = (widths[2 * i], widths[2 * i + 1])
    before, after = (tuple(side) for side in zip(*rows, strict=True))
    if (
        min(before + after) < 0
        or tuple(n + a + z for n, a, z in zip(x.shape, before, after, strict=True)) != shape
    ):
        return None
    return x if not any(before + after) else b.chain(b.title(node), Pad(before, after), x)


def upsample(b: Builder, node: AtenNode) -> Value:
    """interpolate and Upsample by the nearest neighbour, to any size and by any factor, by torch's own rule.

    Its kernels of one, two and three dimensions differ where a factor is no whole one, and compute places in
    float32 for values of float32; so each axis is asked of the same operation, in that type.
    """
    x, shape = b.value(node, node.args[0]), tuple(node.shape[1:])
    rank = len(shape) - 1
    vector = node.op.endswith(".vec")
    scales = tuple((argument(node, 2, "scale_factors") or ()) if vector else node.args[2 : 2 + rank])
    scales = tuple(None if s is None else float(s) for s in scales) or (None,) * rank
    lines = [np.arange(x.shape[0])]
    for axis in range(rank):
        lines.append(_nearest(base_name(node.op), x.shape[1:], shape[1:], (axis, scales[axis])))
    index = np.ravel_multi_index(np.ix_(*lines), x.shape)
    value = place(b, b.title(node), x, index, shape)
    b.decide(node, "erased: identity" if value == x else "the nearest value at each place", value)
    return value


def _nearest(word: str, sizes: Shape, outs: Shape, at: tuple[int, float | None]) -> Array:
    """The places that are taken along one axis, by the operation of that name on a line along it."""
    axis, scale = at
    alone = [sizes[i] if i == axis else 1 for i in range(len(sizes))]
    line = torch.arange(sizes[axis], dtype=torch.float32).reshape(1, 1, *alone)
    to = [outs[i] if i == axis else 1 for i in range(len(sizes))]
    given = [scale if i == axis else None for i in range(len(sizes))]
    made = getattr(torch.ops.aten, word).default(line, to, *given)
    return made.ravel().numpy().astype(np.int64)


def joined(b: Builder, node: AtenNode) -> Value:
    """cat, stack and their other names: values one after the other along one axis; constants as a bias."""
    parts, word = node.args[0], base_name(node.op)
    given = [b.constant(part) for part in parts]
    shapes = [b.full_shape(part.name) for part in parts]
    shapes, axis = _along(word, shapes, int(argument(node, 1, "dim", 0)))
    if axis == 0:
        raise b.refuse(node, "concatenation across samples", "concatenation along the channels")
    owns = [tuple(shape[1:]) or (1,) for shape in shapes]
    values = tuple(
        place(b, f"{b.title(node)}.{i}", b.value(node, part), np.arange(prod(own)), own)
        for i, (part, own, constant) in enumerate(zip(parts, owns, given, strict=True))
        if constant is None
    )
    value = values[0] if len(values) == 1 else b.concat(b.title(node), values, axis - 1)
    if len(values) < len(parts):
        value = _with_constants(b, node, value, (owns, given, axis - 1))
    b.decide(node, "concatenation", value)
    return value


def _along(word: str, shapes: list[Shape], dim: int) -> tuple[list[Shape], int]:
    """The shapes of the parts, batch included, as they are concatenated, and the axis."""
    rank = len(shapes[0])
    if word == "stack":
        dim %= rank + 1
        return [(*s[:dim], 1, *s[dim:]) for s in shapes], dim
    if word == "column_stack" or (word == "hstack" and rank > 1):
        return [s if len(s) > 1 else (*s, 1) for s in shapes], 1
    if word == "dstack":
        return [(s if len(s) > 2 else (*s, 1)) if len(s) > 1 else (1, *s, 1) for s in shapes], 2
    return shapes, 0 if word in ("hstack", "vstack") else dim % rank


def _with_constants(
    b: Builder, node: AtenNode, value: Value, parts: tuple[list[Shape], list[Array | None], int]
) -> Value:
    """The concatenated values with room between them, in which a bias stands."""
    owns, given, axis = parts
    index = np.arange(prod(value.shape)).reshape(value.shape)
    at, places, biases = 0, list[Array](), list[Array]()
    for own, constant in zip(owns, given, strict=True):
        if constant is None:
            places.append(np.take(index, np.arange(at, at + own[axis]), axis))
            biases.append(np.zeros(own))
            at += own[axis]
        else:
            places.append(np.full(own, -1))
            bias = b.of_sample(node, constant, (b.batch, *own))
            biases.append(np.broadcast_to(bias, own))
    index, bias = np.concatenate(places, axis), np.concatenate(biases, axis)
    value = place(b, b.title(node), value, index, index.shape)
    return (
        b.chain(f"{b.title(node)}.constant", affine(index.shape, 1.0, bias), value) if bias.any() else value
    )
