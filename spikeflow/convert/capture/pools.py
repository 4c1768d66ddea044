"""Max pooling along one to three axes: windows as torch cuts them, padding that never wins."""

from __future__ import annotations

import numpy as np

from spikeflow.convert.capture.arguments import argument, axes_of, each, given
from spikeflow.convert.capture.averages import adaptive
from spikeflow.convert.capture.builder import MAX_POOL, Builder
from spikeflow.convert.capture.convolutions import moved_lines, samples_of
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.ir.nodes import MaxPool


def max_pool(b: Builder, node: AtenNode) -> Value:
    """max_pool1d, 2d, 3d; stride, padding, dilation and ceil_mode as torch has them."""
    axes = axes_of(node.op)
    x = samples_of(b, node, axes, "pooling")
    kernel = each(node.args[1], axes)
    stride = each(argument(node, 2, "stride") or kernel, axes)
    padding, dilation = (
        each(argument(node, i, name, default), axes)
        for i, name, default in ((3, "padding", 0), (4, "dilation", 1))
    )
    ceil = bool(argument(node, 5, "ceil_mode", False))
    lines = zip(x.shape[1:], kernel, stride, padding, dilation, strict=True)
    ends = tuple((line[3], _after(*line, ceil)) for line in lines)
    return _made(b, node, x, MaxPool(kernel, stride, ends, dilation))


def adaptive_max_pool(b: Builder, node: AtenNode) -> Value:
    """adaptive_max_pool1d, 2d, 3d; of windows that differ in size the short ones hold a value twice."""
    axes = axes_of(node.op)
    x = samples_of(b, node, axes, "pooling")
    out = [n if o is None else int(o) for o, n in zip(given(node.args[1], axes), x.shape[1:], strict=True)]
    lines, kernel = [], []
    for size, count in zip(x.shape[1:], out, strict=True):
        start, stop = adaptive(size, count)
        longest = int((stop - start).max())
        lines.append(np.minimum(start[:, None] + np.arange(longest), stop[:, None] - 1).ravel())
        kernel.append(longest)
    x = moved_lines(b, f"{b.title(node)}.windows", x, lines)
    return _made(b, node, x, MaxPool(tuple(kernel), tuple(kernel), ((0, 0),) * axes, (1,) * axes))


def _made(b: Builder, node: AtenNode, x: Value, pool: MaxPool) -> Value:
    value = b.chain(b.title(node), pool, x)
    b.decide(node, MAX_POOL, value)
    return value


def _after(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> int:
    """How far the last window reaches beyond the values, as torch counts windows."""
    reach = dilation * (kernel - 1) + 1
    free = size + 2 * padding - reach
    last = -(-free // stride) if ceil else free // stride
    if ceil and last * stride >= size + padding:  # a last window that begins in the padding is none
        last -= 1
    return max(0, last * stride + reach - size - padding)
