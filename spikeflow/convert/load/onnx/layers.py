"""Operators of ONNX that hold weights or pool: convolutions, products, normalisations, pools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

from spikeflow.convert.load.numbers import tensor
from spikeflow.convert.load.onnx.node import Function, Node
from spikeflow.convert.load.windows import Windows, average, convolved, maximum

_TRANSPOSED: Mapping[int, Any] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_GLOBAL_AVERAGE: Mapping[int, Any] = {
    1: F.adaptive_avg_pool1d,
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}
_GLOBAL_MAXIMUM: Mapping[int, Any] = {
    1: F.adaptive_max_pool1d,
    2: F.adaptive_max_pool2d,
    3: F.adaptive_max_pool3d,
}
_DIMENSIONS = "layers of 1 to 3 dimensions"


def windows(node: Node, kernel: tuple[int, ...]) -> Windows:
    """The windows that a node's attributes say, for a kernel of this size."""
    n = len(kernel)
    if n not in (1, 2, 3):
        raise node.refuse(f"of {n} dimensions", _DIMENSIONS)
    pads, auto = node.integers("pads") or (0,) * 2 * n, _auto(node)
    placed: tuple[tuple[int, int], ...] | None = tuple(zip(pads[:n], pads[n:], strict=True))
    if auto.startswith("SAME"):
        placed = None
    elif auto == "VALID":
        placed = ((0, 0),) * n
    found = Windows(
        kernel,
        node.integers("strides") or (1,) * n,
        node.integers("dilations") or (1,) * n,
        placed,
        auto == "SAME_LOWER",
        bool(node.get("ceil_mode", 0)),
    )
    if len(found.stride) != n or len(found.dilation) != n or min((*found.stride, *found.dilation)) < 1:
        raise node.refuse("whose windows have no such stride", "the file as it was exported")
    return found


def _auto(node: Node) -> str:
    word = str(node.get("auto_pad", "NOTSET") or "NOTSET")
    if word not in ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"):
        raise node.refuse(f"with the padding {word[:20]!r}", "SAME_UPPER, SAME_LOWER, VALID or pads")
    return word


def conv(node: Node) -> Function:
    """A convolution of 1 to 3 dimensions."""
    groups = int(node.get("group", 1))

    def run(x: Any, w: Any, b: Any = None) -> torch.Tensor:
        x, w, b = tensor(x), tensor(w), tensor(b)
        return convolved(x, w, b, windows(node, tuple(int(n) for n in w.shape[2:])), groups)

    return run


def conv_transpose(node: Node) -> Function:
    """A transposed convolution; what the padding takes away at each side may differ."""
    groups, auto = int(node.get("group", 1)), _auto(node)
    wanted = node.integers("output_shape")

    def run(x: Any, w: Any, b: Any = None) -> torch.Tensor:
        x, w, b = tensor(x), tensor(w), tensor(b)
        kernel = tuple(int(n) for n in w.shape[2:])
        found = windows(node, kernel)
        more = node.integers("output_padding") or (0,) * len(kernel)
        pads = _taken(found, x, more, wanted, auto)
        alike = all(begin == end for begin, end in pads)
        if any(begin < 0 or end < 0 for begin, end in pads):
            raise node.refuse("of a larger output_shape than its windows reach", "output_padding")
        around = [begin for begin, _ in pads] if alike else [0] * len(kernel)
        made = _TRANSPOSED[len(kernel)](
            x, w, b, list(found.stride), around, list(more), groups, list(found.dilation)
        )
        for axis, (begin, end) in enumerate(() if alike else pads, 2):
            made = made.narrow(axis, begin, int(made.shape[axis]) - begin - end)
        return made

    return run


def _taken(
    found: Windows, x: torch.Tensor, more: tuple[int, ...], wanted: tuple[int, ...] | None, auto: str
) -> list[tuple[int, int]]:
    """What a transposed convolution leaves away at the beginning and the end of each axis."""
    if wanted is None and found.pads is not None:
        return list(found.pads)
    axes = zip(x.shape[2:], found.kernel, found.stride, found.dilation, more, strict=True)
    pads = list[tuple[int, int]]()
    for axis, (size, kernel, stride, dilation, extra) in enumerate(axes):
        target = int(size) * stride if wanted is None else wanted[axis - len(found.kernel)]
        total = stride * (int(size) - 1) + extra + (kernel - 1) * dilation + 1 - target
        half = total // 2
        pads.append((half, total - half) if auto == "SAME_UPPER" else (total - half, half))
    return pads


def gemm(node: Node) -> Function:
    """alpha A B + beta C; a linear layer where B is stored."""
    alpha, beta = float(node.get("alpha", 1.0)), float(node.get("beta", 1.0))
    a_turned, b_turned = bool(node.get("transA", 0)), bool(node.get("transB", 0))

    def run(a: Any, b: Any, c: Any = None) -> torch.Tensor:
        a, b, c = tensor(a), tensor(b), tensor(c)
        a = a.t() if a_turned else a
        weight = b if b_turned else b.t()
        weight = weight if alpha == 1 else weight * alpha
        c = c if c is None or beta == 1 else c * beta
        if c is not None and c.numel() == weight.shape[0] and c.shape[-1:] == weight.shape[:1]:
            return F.linear(a, weight, c if c.ndim == 1 else c.reshape(-1))
        found = F.linear(a, weight)
        return found if c is None else found + c

    return run


def matmul(node: Node) -> Function:
    """A product of matrices; a linear layer where the second is a stored matrix."""
    stored = node.stored(1) is not None

    def run(a: Any, b: Any) -> torch.Tensor:
        a, b = tensor(a), tensor(b)
        return F.linear(a, b.t()) if stored and b.ndim == 2 else torch.matmul(a, b)

    return run


def einsum(node: Node) -> Function:
    """Sums of products by letters; a linear layer where the last axis meets one of a stored matrix."""
    equation = str(node.get("equation", "")).replace(" ", "")
    letters = "".join(c for c in equation if c not in ",->.")
    if letters and not letters.isalpha():
        raise node.refuse("with an equation that is not of letters", "the file as it was exported")
    left, _, result = equation.partition("->")
    a, _, b = left.partition(",")
    stored = node.stored(1)
    matrix = stored is not None and len(b) == 2 and b[0] != b[1] and len(set(a)) == len(a) > 1
    turned = matrix and result == a[:-1] + b[0] and a[-1] == b[1] and b[0] not in a
    plain = matrix and result == a[:-1] + b[1] and a[-1] == b[0] and b[1] not in a

    def run(*given: Any) -> torch.Tensor:
        parts = [tensor(v) for v in given]
        if turned or plain:
            return F.linear(parts[0], parts[1] if turned else parts[1].t())
        return torch.einsum(equation, *parts)

    return run


def batch_norm(node: Node) -> Function:
    """Batch norm with stored statistics."""
    node.expect_first_output()
    if node.get("training_mode", 0):
        raise node.refuse("in training mode", "an export of the network in evaluation mode")
    eps = float(node.get("epsilon", 1e-5))
    return lambda x, scale, b, mean, var: F.batch_norm(
        tensor(x), tensor(mean), tensor(var), tensor(scale), tensor(b), False, 0.0, eps
    )


def instance_norm(node: Node) -> Function:
    """Normalisation of each channel of each sample."""
    eps = float(node.get("epsilon", 1e-5))
    return lambda x, scale, b: F.instance_norm(
        tensor(x), weight=tensor(scale), bias=tensor(b), use_input_stats=True, eps=eps
    )


def layer_norm(node: Node) -> Function:
    """Normalisation over the last axes of each sample."""
    node.expect_first_output()
    axis, eps = int(node.get("axis", -1)), float(node.get("epsilon", 1e-5))

    def run(x: Any, scale: Any = None, b: Any = None) -> torch.Tensor:
        x = tensor(x)
        shape = [int(n) for n in x.shape[axis % x.ndim :]]
        weight, bias = (None if t is None else tensor(t).expand(shape) for t in (scale, b))
        return F.layer_norm(x, shape, weight, bias, eps)

    return run


def group_norm(node: Node) -> Function:
    """Normalisation of groups of channels; before opset 21 there is one scale for each group."""
    groups, eps = int(node.get("num_groups", 1)), float(node.get("epsilon", 1e-5))

    def run(x: Any, scale: Any, b: Any) -> torch.Tensor:
        x = tensor(x)
        each = int(x.shape[1]) // groups if node.opset < 21 else 1
        weight, bias = (tensor(t).repeat_interleave(each) if each > 1 else tensor(t) for t in (scale, b))
        return F.group_norm(x, groups, weight, bias, eps)

    return run


def max_pool(node: Node) -> Function:
    """Max pooling."""
    node.expect_first_output()
    found = windows(node, node.integers("kernel_shape") or ())
    return lambda x: maximum(tensor(x), found)


def average_pool(node: Node) -> Function:
    """Average pooling."""
    found = windows(node, node.integers("kernel_shape") or ())
    counted = bool(node.get("count_include_pad", 0))
    if max(found.dilation) > 1:
        raise node.refuse("with dilation", "an average of neighbours")
    return lambda x: average(tensor(x), found, counted)


def over_all(functions: Mapping[int, Any]) -> Callable[[Node], Function]:
    """A pool over all of space."""

    def make(node: Node) -> Function:
        def run(x: Any) -> torch.Tensor:
            x = tensor(x)
            if x.ndim - 2 not in functions:
                raise node.refuse(f"of {x.ndim - 2} dimensions", _DIMENSIONS)
            return functions[x.ndim - 2](x, 1)

        return run

    return make


LAYERS: Mapping[str, Callable[[Node], Function]] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": matmul,
    "Einsum": einsum,
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "GroupNormalization": group_norm,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": over_all(_GLOBAL_AVERAGE),
    "GlobalMaxPool": over_all(_GLOBAL_MAXIMUM),
}
