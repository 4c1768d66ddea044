"""Max pooling: windows as torch cuts them, padding that never wins."""

from __future__ import annotations

from typing import Any

from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.synapses import argument
from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.ir.nodes import MaxPool, Shape


def max_pool(b: Builder, node: AtenNode) -> Value:
    """max_pool1d and max_pool2d; stride, padding, dilation and ceil_mode as torch has them."""
    rank = 1 if "1d" in node.op else 2
    x = _picture(b, node, rank)
    kernel = _each(node.args[1], rank)
    stride = _each(argument(node, 2, "stride") or kernel, rank)
    padding, dilation = (
        _each(argument(node, i, name, default), rank)
        for i, name, default in ((3, "padding", 0), (4, "dilation", 1))
    )
    ceil = bool(argument(node, 5, "ceil_mode", False))
    lines = zip(x.shape[1:], kernel, stride, padding, dilation, strict=True)
    ends = tuple((line[3], _after(*line, ceil)) for line in lines)
    return _made(b, node, x, MaxPool(kernel, stride, ends, dilation))


def adaptive_max_pool(b: Builder, node: AtenNode) -> Value:
    """adaptive_max_pool1d and 2d of equal windows; unequal ones are refused."""
    rank = 1 if "1d" in node.op else 2
    x = _picture(b, node, rank)
    out = tuple(
        n if o is None else int(o) for o, n in zip(_given(node.args[1], rank), x.shape[1:], strict=True)
    )
    if any(n % o for n, o in zip(x.shape[1:], out, strict=True)):
        kind = f"adaptive max pooling of {x.shape[1:]} to {out}, whose windows differ in size"
        raise b.refuse(node, kind, "an output size that divides the input's")
    kernel = tuple(n // o for n, o in zip(x.shape[1:], out, strict=True))
    return _made(b, node, x, MaxPool(kernel, kernel, ((0, 0),) * rank, (1,) * rank))


def _picture(b: Builder, node: AtenNode, rank: int) -> Value:
    x = b.value(node, node.args[0])
    if len(x.shape) != rank + 1:
        words = {1: ("one", "(C, L)"), 2: ("two", "(C, H, W)")}[rank]
        kind = f"a {words[0]}-dimensional pooling on samples of shape {x.shape}"
        raise b.refuse(node, kind, f"samples of {words[1]}")
    return x


def _made(b: Builder, node: AtenNode, x: Value, pool: MaxPool) -> Value:
    value = b.chain(b.title(node), pool, x)
    b.decide(node, "max pooling", value)
    return value


def _given(sizes: Any, rank: int) -> tuple[Any, ...]:
    values = tuple(sizes) if isinstance(sizes, tuple | list) else (sizes,)
    return values * rank if len(values) == 1 else values


def _each(sizes: Any, rank: int) -> Shape:
    return tuple(int(n) for n in _given(sizes, rank))


def _after(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> int:
    """How far the last window reaches beyond the values, as torch counts windows."""
    reach = dilation * (kernel - 1) + 1
    free = size + 2 * padding - reach
    last = -(-free // stride) if ceil else free // stride
    if ceil and last * stride >= size + padding:  # a last window that begins in the padding is none
        last -= 1
    return max(0, last * stride + reach - size - padding)
