"""Convolutions along one to three axes, forwards and transposed: one kernel, however large the picture.

A transposed convolution is a convolution of stride 1 with the kernel turned round, over its input with zeros
between the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from spikeflow.convert.capture.arguments import Parameters, argument, each
from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.ir.nodes import Conv2d, Gather, Pair, Shape
from spikeflow.typing import Array

_WORDS = {
    1: ("one", "(C, L)"),
    2: ("two", "(C, H, W)"),
    3: ("three", "(C, D, H, W)"),
}


@dataclass(frozen=True)
class Steps:
    """What a convolution says for each axis."""

    stride: Shape
    dilation: Shape
    groups: int


def convolve(b: Builder, node: AtenNode) -> Value:
    """conv1d, conv2d, conv3d; padding as numbers, "same" or "valid"."""
    weight, bias = _parameters(b, node)
    axes = weight.ndim - 2
    stride, dilation = (each(argument(node, i, n, 1), axes) for i, n in ((3, "stride"), (5, "dilation")))
    padding = _padding(argument(node, 4, "padding", 0), weight.shape[2:], dilation)
    steps = Steps(stride, dilation, int(argument(node, 6, "groups", 1)))
    return _forwards(b, node, (weight, bias), padding, steps)


def transpose(b: Builder, node: AtenNode) -> Value:
    """conv_transpose1d, 2d, 3d."""
    weight, bias = _parameters(b, node)
    axes = weight.ndim - 2
    stride, padding, more = (
        each(argument(node, i, n, default), axes)
        for i, n, default in ((3, "stride", 1), (4, "padding", 0), (5, "output_padding", 0))
    )
    groups, dilation = int(argument(node, 6, "groups", 1)), each(argument(node, 7, "dilation", 1), axes)
    return _backwards(b, node, (weight, bias), (padding, more), Steps(stride, dilation, groups))


def convolution(b: Builder, node: AtenNode) -> Value:
    """aten.convolution.default, the form that archives may hold."""
    stride, padding, dilation, transposed, more, groups = node.args[3:9]
    weight, bias = _parameters(b, node)
    axes = weight.ndim - 2
    steps = Steps(each(stride, axes), each(dilation, axes), int(groups))
    ends = each(padding, axes)
    if transposed:
        return _backwards(b, node, (weight, bias), (ends, each(more, axes)), steps)
    return _forwards(b, node, (weight, bias), tuple((n, n) for n in ends), steps)


def samples_of(b: Builder, node: AtenNode, axes: int, what: str) -> Value:
    """The first argument; refused where its samples have other axes than an operation is for."""
    x = b.value(node, node.args[0])
    if len(x.shape) != axes + 1:
        words = _WORDS.get(axes, (str(axes), "as many axes"))
        kind = f"a {words[0]}-dimensional {what} on samples of shape {x.shape}"
        raise b.refuse(node, kind, f"samples of {words[1]}")
    return x


def _parameters(b: Builder, node: AtenNode) -> Parameters:
    weight = b.parameter(node, node.args[1])
    assert weight is not None
    return weight, b.parameter(node, argument(node, 2, "bias"))


def _padding(said: Any, kernel: Shape, dilation: Shape) -> tuple[Pair, ...]:
    if said == "valid":
        return ((0, 0),) * len(kernel)
    if said == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((n // 2, n - n // 2) for n in total)
    return tuple((n, n) for n in each(said, len(kernel)))


def _forwards(
    b: Builder,
    node: AtenNode,
    parameters: Parameters,
    padding: tuple[Pair, ...],
    steps: Steps,
) -> Value:
    x = samples_of(b, node, parameters[0].ndim - 2, "convolution")
    made = Conv2d(*parameters, steps.stride, padding, steps.dilation, steps.groups)
    return _made(b, node, x, made)


def _made(b: Builder, node: AtenNode, x: Value, made: Conv2d) -> Value:
    value = b.chain(b.title(node), made, x)
    b.decide(node, "synapses", value)
    return value


def _backwards(
    b: Builder,
    node: AtenNode,
    parameters: Parameters,
    ends: tuple[Shape, Shape],
    steps: Steps,
) -> Value:
    (weight, bias), (padding, more) = parameters, ends
    axes = weight.ndim - 2
    x = samples_of(b, node, axes, "transposed convolution")
    lines, around = list[Array](), list[Pair]()
    for axis, (size, kernel) in enumerate(zip(x.shape[1:], weight.shape[2:], strict=True)):
        first = steps.dilation[axis] * (kernel - 1) - padding[axis]
        last = first + more[axis]
        lines.append(apart(size, steps.stride[axis], max(-first, 0), max(-last, 0)))
        around.append((max(first, 0), max(last, 0)))
    x = moved_lines(b, f"{b.title(node)}.apart", x, lines)
    made = Conv2d(
        _turned(weight, steps.groups), bias, (1,) * axes, tuple(around), steps.dilation, steps.groups
    )
    return _made(b, node, x, made)


def apart(size: int, stride: int, first: int, last: int) -> Array:
    """Which values stand along an axis whose values lie `stride` apart, -1 for a zero; so many places are
    left out at both ends.
    """
    places = np.arange(first, (size - 1) * stride + 1 - last)
    return np.where(places % stride == 0, places // stride, -1)


def moved_lines(b: Builder, name: str, x: Value, lines: list[Array]) -> Value:
    """Each channel with these of its values along each axis, -1 for a zero; all channels alike."""
    if all(np.array_equal(line, np.arange(n)) for line, n in zip(lines, x.shape[1:], strict=True)):
        return x
    own = [np.arange(x.shape[0]), *lines]
    lies = reduce(np.logical_and.outer, [line >= 0 for line in own])
    grid = np.ix_(*(np.maximum(line, 0) for line in own))
    index = np.where(lies, np.ravel_multi_index(grid, x.shape), -1)
    return b.chain(name, Gather(index, x.shape, tuple(map(len, own))), x)


def _turned(weight: Array, groups: int) -> Array:
    """The kernels ``(in, out / groups, *kernel)`` of a transposed convolution as those of a plain one."""
    inputs, out = weight.shape[0] // groups, weight.shape[1]
    parts = weight.reshape(groups, inputs, out, *weight.shape[2:]).swapaxes(1, 2)
    turned = parts.reshape(groups * out, inputs, *weight.shape[2:])
    return np.flip(turned, tuple(range(2, turned.ndim)))
