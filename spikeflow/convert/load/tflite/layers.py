"""Operators of TFLite that hold weights or pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

from spikeflow.convert.load.tflite.layout import here, in_file
from spikeflow.convert.load.tflite.node import Function, LiteNode
from spikeflow.convert.load.windows import Windows, average, convolved, maximum

SAME, VALID = 0, 1


def _windows(node: LiteNode, kernel: tuple[int, int]) -> Windows:
    stride = (int(node.get("StrideH", 1)), int(node.get("StrideW", 1)))
    dilation = (int(node.get("DilationHFactor", 1)), int(node.get("DilationWFactor", 1)))
    if min(*stride, *dilation, *kernel) < 1:
        raise node.refuse(f"of windows {kernel} by {stride}", "the file as it was made")
    pads = None if int(node.get("Padding", SAME)) == SAME else ((0, 0), (0, 0))
    return Windows(kernel, stride, dilation, pads)


def _kernel(node: LiteNode) -> tuple[int, int]:
    """Height and width of a stored kernel, which stand in the middle of its axes."""
    shape = node.constant(1).shape
    if len(shape) != 4:
        raise node.refuse(f"of weights {shape}", "two dimensions")
    return int(shape[1]), int(shape[2])


def conv(node: LiteNode) -> Function:
    """A convolution; weights lie as outputs, height, width, inputs."""
    windows = _windows(node, _kernel(node))

    def run(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        groups = int(x.shape[1]) // int(w.shape[3])
        return convolved(x, w.permute(0, 3, 1, 2), b, windows, groups)

    return node.activated(run)


def conv_3d(node: LiteNode) -> Function:
    """A convolution over three axes; weights lie as depth, height, width, inputs, outputs."""
    shape = node.constant(1).shape
    stride = tuple(int(node.get(f"Stride{axis}", 1)) for axis in "DHW")
    dilation = tuple(int(node.get(f"Dilation{axis}Factor", 1)) for axis in "DHW")
    if len(shape) != 5 or min(*stride, *dilation, *shape) < 1:
        raise node.refuse(f"of weights {shape}", "the file as it was made")
    pads = None if int(node.get("Padding", SAME)) == SAME else ((0, 0),) * 3
    windows = Windows(tuple(int(n) for n in shape[:3]), stride, dilation, pads)

    def run(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        groups = int(x.shape[4]) // int(w.shape[3])
        found = convolved(x.permute(0, 4, 1, 2, 3), w.permute(4, 3, 0, 1, 2), b, windows, groups)
        return found.permute(0, 2, 3, 4, 1)

    return node.activated(run)


def depthwise(node: LiteNode) -> Function:
    """A convolution of each channel alone; weights lie as 1, height, width, channels times multiplier."""
    windows = _windows(node, _kernel(node))

    def run(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        return convolved(x, w.permute(3, 0, 1, 2), b, windows, int(x.shape[1]))

    return node.activated(run)


def transposed(node: LiteNode) -> Function:
    """A transposed convolution to a given size: inputs are that size, weights, values, bias."""
    target, windows = _target(node), _windows(node, _kernel(node))

    def run(_: Any, w: torch.Tensor, x: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        axes = zip(x.shape[2:], windows.kernel, windows.stride, target, strict=True)
        behind = [max(size - (int(n) - 1) * stride - kernel, 0) for n, kernel, stride, size in axes]
        made = F.conv_transpose2d(x, w.permute(3, 0, 1, 2), b, list(windows.stride), 0, behind)
        for axis, size in enumerate(target, 2):
            total = int(made.shape[axis]) - size
            begin = 0 if windows.pads is not None else total // 2
            made = made.narrow(axis, begin, size) if total else made
        return made

    if _wider(node, windows, target):
        raise node.refuse("to more than its windows reach", "an output of stride times the input")
    return node.activated(run)


def _target(node: LiteNode) -> list[int]:
    """Height and width of the result: stored, or where the file computes them as it declares them."""
    size, shape = node.reads[0], node.writes[0].shape
    found = node.whole(0) if size is not None and size.values is not None else [int(n) for n in shape]
    if len(found) != 4 or min(found[1:3]) < 1:
        raise node.refuse("of an open size", "a height and a width that are known")
    return found[1:3]


def _wider(node: LiteNode, windows: Windows, target: list[int]) -> bool:
    """Whether the result is to reach further than the next window would begin."""
    found = node.reads[2]
    assert found is not None
    axes = zip(found.shape[1:3], windows.kernel, windows.stride, target, strict=True)
    return any(size * stride + kernel <= wanted for size, kernel, stride, wanted in axes)


def fully_connected(node: LiteNode) -> Function:
    """A linear layer on the last axis, or on all values of a sample."""
    if node.get("WeightsFormat", 0):
        raise node.refuse("with shuffled weights", "weights in their plain order")
    keep = bool(node.get("KeepNumDims", False))

    def run(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        x = in_file(x)
        if keep and x.ndim == 4:
            return here(F.linear(x, w, b))
        if not keep and (x.ndim != 2 or x.shape[-1] != w.shape[1]):
            x = (
                x.reshape(x.shape[0], -1)
                if x.ndim > 1 and _each(x) == w.shape[1]
                else x.reshape(-1, w.shape[1])
            )
        return F.linear(x, w, b)

    return node.activated(run)


def _each(x: torch.Tensor) -> int:
    count = 1
    for size in x.shape[1:]:
        count *= int(size)
    return count


def average_pool(node: LiteNode) -> Function:
    """The average of what lies in each window."""
    windows = _windows(node, (int(node.get("FilterHeight", 1)), int(node.get("FilterWidth", 1))))
    return node.activated(lambda x: average(x, windows, False))


def max_pool(node: LiteNode) -> Function:
    """The maximum of each window."""
    windows = _windows(node, (int(node.get("FilterHeight", 1)), int(node.get("FilterWidth", 1))))
    return node.activated(lambda x: maximum(x, windows))


def product(node: LiteNode) -> Function:
    """A product of matrices."""
    left, right = bool(node.get("AdjX", False)), bool(node.get("AdjY", False))

    def run(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        a, b = (t if kept else in_file(t) for t, kept in zip((a, b), stored, strict=True))
        a, b = (t.transpose(-1, -2) if turned else t for t, turned in ((a, left), (b, right)))
        return here(torch.matmul(a, b))

    stored = [t is not None and t.values is not None for t in node.reads]
    return run


LAYERS: Mapping[str, Callable[[LiteNode], Function]] = {
    "CONV_2D": conv,
    "DEPTHWISE_CONV_2D": depthwise,
    "CONV_3D": conv_3d,
    "TRANSPOSE_CONV": transposed,
    "FULLY_CONNECTED": fully_connected,
    "AVERAGE_POOL_2D": average_pool,
    "MAX_POOL_2D": max_pool,
    "BATCH_MATMUL": product,
}
