"""Operations with weights, and pooling: linear, convolutions, batch norm, averages over windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.convert.capture.builder import BATCH_NORM, Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.unrolled import MAX_SYNAPSES, Windows, unrolled_conv1d
from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.ir.nodes import BatchNorm, Conv2d, Flatten, Linear, Pad, Pair, SumPool
from spikeflow.typing import Array

Ends = tuple[Pair, Pair]


def argument(node: AtenNode, index: int, name: str, default: Any = None) -> Any:
    """An argument by position, by name, or its default."""
    return node.args[index] if index < len(node.args) else node.kwargs.get(name, default)


def pair(x: Any) -> Pair:
    """Two numbers from one or two."""
    values = tuple(x) if isinstance(x, tuple) else (x,)
    return (int(values[0]), int(values[-1]))


def linear(b: Builder, node: AtenNode) -> Value:
    """y = x W.T + bias, for samples of one dimension."""
    weight = b.parameter(node, node.args[1])
    assert weight is not None
    return _dense(
        b, node, b.value(node, node.args[0]), (weight, b.parameter(node, argument(node, 2, "bias")))
    )


def addmm(b: Builder, node: AtenNode) -> Value:
    """bias + x W."""
    weight, bias = b.parameter(node, node.args[2]), b.parameter(node, node.args[0])
    if weight is None or node.kwargs.get("beta", 1) != 1 or node.kwargs.get("alpha", 1) != 1:
        raise b.refuse(node, "addmm with factors", "torch.nn.Linear")
    bias = None if bias is None else np.broadcast_to(bias, (weight.shape[1],))
    return _dense(b, node, b.value(node, node.args[1]), (weight.T, bias))


def matmul(b: Builder, node: AtenNode) -> Value:
    """x W with a constant W."""
    weight = b.constant(node.args[1])
    if weight is None or weight.ndim != 2:
        raise b.refuse(
            node,
            "a product of two values that both depend on the input (attention)",
            "a network without attention",
        )
    return _dense(b, node, b.value(node, node.args[0]), (weight.T, None))


def _dense(b: Builder, node: AtenNode, x: Value, parameters: tuple[Array, Array | None]) -> Value:
    if len(x.shape) != 1:
        raise b.refuse(node, f"a linear layer on samples of shape {x.shape}", "torch.nn.Flatten before it")
    value = b.chain(b.title(node), Linear(*parameters), x)
    b.decide(node, "synapses", value)
    return value


def conv2d(b: Builder, node: AtenNode) -> Value:
    """aten.conv2d.default and .padding."""
    stride, dilation = pair(argument(node, 3, "stride", 1)), pair(argument(node, 5, "dilation", 1))
    weight = b.parameter(node, node.args[1])
    assert weight is not None
    padding = _padding(argument(node, 4, "padding", 0), weight.shape[2:], dilation)
    groups = int(argument(node, 6, "groups", 1))
    made = Conv2d(weight, b.parameter(node, argument(node, 2, "bias")), stride, padding, dilation, groups)
    return _picture(b, node, made)


def convolution(b: Builder, node: AtenNode) -> Value:
    """aten.convolution.default, the form that archives may hold."""
    x, weight, bias, stride, padding, dilation, transposed, _, groups = node.args[:9]
    if transposed:
        raise b.refuse(
            node, "a transposed convolution", "upsampling by a convolution of stride 1, or leave it out"
        )
    plain = AtenNode(
        node.name, node.op, (x, weight, bias, stride, padding, dilation, groups), {}, node.module, node.shape
    )
    return conv1d(b, plain) if len(stride) == 1 else conv2d(b, plain)


def _picture(b: Builder, node: AtenNode, made: Conv2d) -> Value:
    x = b.value(node, node.args[0])
    if len(x.shape) != 3:
        raise b.refuse(
            node, f"a two-dimensional convolution on samples of shape {x.shape}", "samples of (C, H, W)"
        )
    value = b.chain(b.title(node), made, x)
    b.decide(node, "synapses", value)
    return value


def _padding(given: Any, kernel: tuple[int, ...], dilation: Pair) -> Ends:
    if given == "valid":
        return ((0, 0), (0, 0))
    if given == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return ((total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2))
    y, x = pair(given)
    return ((y, y), (x, x))


def conv1d(b: Builder, node: AtenNode) -> Value:
    """A convolution along one axis, ``(C, L)``, as listed synapses."""
    x, weight = b.value(node, node.args[0]), b.parameter(node, node.args[1])
    assert weight is not None
    if len(x.shape) != 2:
        raise b.refuse(
            node, f"a one-dimensional convolution on samples of shape {x.shape}", "samples of (C, L)"
        )
    stride, dilation = pair(argument(node, 3, "stride", 1))[0], pair(argument(node, 5, "dilation", 1))[0]
    given = argument(node, 4, "padding", 0)
    given = given if isinstance(given, str) else (0, pair(given)[0])
    ends = _padding(given, (1, weight.shape[2]), (1, dilation))[1]
    made = unrolled_conv1d(
        (weight, b.parameter(node, argument(node, 2, "bias"))),
        x.shape,
        (stride, dilation, int(argument(node, 6, "groups", 1))),
        ends,
    )
    if made is None:
        raise b.refuse(
            node,
            f"a one-dimensional convolution of more than {MAX_SYNAPSES} synapses",
            "the same convolution as torch.nn.Conv2d with a kernel of height 1",
        )
    value = b.chain(b.title(node), made, x)
    b.decide(node, "synapses", value)
    return value


def batch_norm(b: Builder, node: AtenNode) -> Value:
    """Evaluation mode with stored statistics; everything else is refused."""
    x = b.value(node, node.args[0])
    legit = "no_training" in node.op
    training = False if legit else bool(argument(node, 5, "training", False))
    mean, variance = (b.parameter(node, node.args[i]) for i in (3, 4))
    if mean is None or variance is None:
        hint = "track_running_stats=True while training, so that its statistics become constants"
        raise b.refuse(node, "batch norm with track_running_stats=False", hint)
    if training:
        raise b.refuse(node, "batch norm in training mode", "model.eval()")
    gamma, beta = (b.parameter(node, node.args[i]) for i in (1, 2))
    epsilon = float(argument(node, 6 if legit else 7, "eps", 1e-5))
    made = BatchNorm(
        mean,
        variance,
        np.ones_like(mean) if gamma is None else gamma,
        np.zeros_like(mean) if beta is None else beta,
        epsilon,
    )
    value = b.chain(b.title(node), made, x)
    b.decide(node, BATCH_NORM, value)
    return value


def avg_pool2d(b: Builder, node: AtenNode) -> Value:
    """Sums over windows times 1 / divisor; padding, ceil_mode and divisors as torch defines them."""
    x, kernel = b.value(node, node.args[0]), pair(node.args[1])
    if len(x.shape) != 3:
        raise b.refuse(
            node, f"a two-dimensional pooling on samples of shape {x.shape}", "samples of (C, H, W)"
        )
    stride, padding = pair(argument(node, 2, "stride") or kernel), pair(argument(node, 3, "padding", 0))
    inside, override = (
        bool(argument(node, 5, "count_include_pad", True)),
        argument(node, 6, "divisor_override"),
    )
    lines, after = [], []
    for axis in (0, 1):
        line = _windows((x.shape[1 + axis], node.shape[2 + axis]), kernel[axis], stride[axis], padding[axis])
        lines.append(line.clipped if inside else line.true)
        after.append(max(0, line.end - x.shape[1 + axis]))
    if any(padding) or any(after):
        x = b.chain(f"{b.title(node)}.pad", Pad((0, *padding), (0, *after)), x)
    divisor = np.outer(*lines) if override is None else np.full((1, 1), float(override))
    return _average(b, node, x, SumPool(kernel, stride), divisor)


class _Line:
    """Windows along one axis: elements counted with padding and without, and where the last one ends."""

    def __init__(self, clipped: npt.NDArray[np.int64], true: npt.NDArray[np.int64], end: int) -> None:
        self.clipped, self.true, self.end = clipped, true, end


def _windows(sizes: Pair, kernel: int, stride: int, padding: int) -> _Line:
    size, out = sizes
    start = np.arange(out) * stride - padding
    end = np.minimum(start + kernel, size + padding)
    return _Line(end - start, np.minimum(end, size) - np.maximum(start, 0), int(start[-1]) + kernel)


def _average(b: Builder, node: AtenNode, x: Value, pool: SumPool, divisor: Array) -> Value:
    value = b.chain(b.title(node), pool, x)
    b.decide(node, "sum over windows; its factor is folded into weights", value)
    factor = 1.0 / divisor.astype(np.float64)
    if (factor == factor.flat[0]).all():
        factor = factor.flat[0]
    return value if np.all(factor == 1.0) else b.scale(f"{b.title(node)}.factor", value, factor)


def avg_pool1d(b: Builder, node: AtenNode) -> Value:
    """Averages along one axis, of equal or of adaptive windows, as listed synapses."""
    x = b.value(node, node.args[0])
    if len(x.shape) != 2:
        raise b.refuse(node, f"a one-dimensional pooling on samples of shape {x.shape}", "samples of (C, L)")
    size, out = x.shape[1], node.shape[2]
    if "adaptive" in node.op:
        return _average1d(b, node, x, Windows.adaptive(size, out), tuple(node.shape[1:]))
    kernel = pair(node.args[1])[0]
    stride, padding = argument(node, 2, "stride") or kernel, pair(argument(node, 3, "padding", 0))[0]
    line = _windows((size, out), kernel, pair(stride)[0], padding)
    counted = line.clipped if argument(node, 5, "count_include_pad", True) else line.true
    start = np.arange(out) * pair(stride)[0] - padding
    windows = Windows(np.maximum(start, 0), np.minimum(start + kernel, size), counted)
    return _average1d(b, node, x, windows, tuple(node.shape[1:]))


def _average1d(b: Builder, node: AtenNode, x: Value, windows: Windows, shape: tuple[int, ...]) -> Value:
    value = b.chain(b.title(node), windows.synapses(x.shape, shape), x)
    b.decide(node, "synapses: averages over windows", value)
    return value


def adaptive_avg_pool2d(b: Builder, node: AtenNode) -> Value:
    """Averages over equal windows; unequal ones are refused."""
    x = b.value(node, node.args[0])
    if len(x.shape) != 3:
        raise b.refuse(
            node, f"a two-dimensional pooling on samples of shape {x.shape}", "samples of (C, H, W)"
        )
    out = node.shape[2:]
    if x.shape[1] % out[0] or x.shape[2] % out[1]:
        raise b.refuse(
            node,
            f"adaptive pooling of {x.shape[1:]} to {out}, whose windows differ in size",
            "an output size that divides the input's",
        )
    kernel = (x.shape[1] // out[0], x.shape[2] // out[1])
    return _average(b, node, x, SumPool(kernel, kernel), np.full((1, 1), float(kernel[0] * kernel[1])))


def mean(b: Builder, node: AtenNode) -> Value:
    """The mean over both spatial dimensions: one window as large as the picture."""
    x = b.value(node, node.args[0])
    axes = argument(node, 1, "dim")
    axes = (axes,) if isinstance(axes, int) else axes
    found = sorted(a % (len(x.shape) + 1) for a in axes or ())
    if len(x.shape) == 2 and found == [2]:
        windows = Windows.adaptive(x.shape[1], 1)
        return _average1d(b, node, x, windows, tuple(node.shape[1:]))
    if len(x.shape) != 3 or found != [2, 3]:
        raise b.refuse(
            node,
            f"a mean over dimensions {axes} of samples of shape {x.shape}",
            "the mean over all spatial dimensions",
        )
    kernel = (x.shape[1], x.shape[2])
    value = _average(b, node, x, SumPool(kernel, kernel), np.full((1, 1), float(kernel[0] * kernel[1])))
    if len(node.shape) == 2:
        value = b.chain(f"{b.title(node)}.flatten", Flatten(), value)
    return value
