"""Operators on 8-bit values (onnxruntime's form QOperator), each as its plain one on real values.

What stays of the ranges of their results is what `quantised` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional as F

from spikeflow.convert.load.numbers import tensor
from spikeflow.convert.load.onnx.elementwise import ELEMENTWISE
from spikeflow.convert.load.onnx.layers import LAYERS, windows
from spikeflow.convert.load.onnx.moves import MOVES
from spikeflow.convert.load.onnx.node import Function, Node
from spikeflow.convert.load.onnx.quantised import cut, real, top_from_zero
from spikeflow.convert.load.windows import convolved

_ONE, _TWO = (3, 6)  # where the scale of the result stands behind one operand or two
_PLAIN: Mapping[str, tuple[str, int]] = {
    "QLinearAdd": ("Add", _TWO),
    "QLinearMul": ("Mul", _TWO),
    "QLinearSigmoid": ("Sigmoid", _ONE),
    "QLinearLeakyRelu": ("LeakyRelu", _ONE),
    "QLinearSoftmax": ("Softmax", _ONE),
    "QLinearAveragePool": ("AveragePool", _ONE),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", _ONE),
    "QLinearReduceMean": ("ReduceMean", _ONE),
}
# for each operator, where the scale of its result stands; behind it stands its zero
ENDS: Mapping[str, int] = {
    **{name: at for name, (_, at) in _PLAIN.items()},
    "QLinearConcat": 0,
    "QGemm": 7,
    "QLinearConv": 6,
    "QLinearMatMul": 6,
}
# and where its operands stand, each with its scale and its zero behind it, by the number of its inputs
OF_VALUES: Mapping[str, Callable[[int], tuple[int, ...]]] = {
    **{name: (lambda _, at=at: tuple(range(0, at, 3))) for name, (_, at) in _PLAIN.items()},
    "QLinearConcat": lambda count: tuple(range(2, count, 3)),
    **dict.fromkeys(("QGemm", "QLinearConv", "QLinearMatMul"), lambda _: (0, 3)),
}


def _entered(node: Node, at: int) -> Function:
    """An operand: a value as it is; real ones for those that are stored, or samples of whole numbers."""
    whole = node.get("whole", ())
    if node.stored(at) is not None or (at < len(whole) and whole[at]):
        return real
    return lambda x, *_: tensor(x)


def _top(node: Node) -> float | None:
    """The end of the range of a result, where that is what is left of a rectifier."""
    at = ENDS[node.kind]
    return top_from_zero(node.constant(at), node.constant(at + 1)) if at < len(node.reads) else None


def plain(node: Node) -> Function:
    """An operator of one operand or two on each value, or a pool."""
    if node.get("channels_last", 0):
        raise node.refuse("with the channels last", "the file before onnxruntime optimised it")
    kind = _PLAIN[node.kind][0]
    places = OF_VALUES[node.kind](len(node.reads))
    reads, known = (tuple(of[n] for n in places) for of in (node.reads, node.known))
    opset = int(node.get("opset", node.opset))
    table = {**ELEMENTWISE, **LAYERS, **MOVES}
    function = table[kind](replace(node, reads=reads, known=known, opset=opset))
    enters = [_entered(node, n) for n in places]
    top = None if node.get("rectified", False) or kind in ("Sigmoid", "Softmax") else _top(node)

    def run(*given: Any) -> torch.Tensor:
        parts = (enter(*given[n : n + 3]) for enter, n in zip(enters, places, strict=True))
        return cut(function(*parts), top)

    return run


def concat(node: Node) -> Function:
    """Values one after the other: inputs are the result's scale and zero, then each with its own."""
    places = OF_VALUES[node.kind](len(node.reads))
    reads, known = (tuple(of[n] for n in places) for of in (node.reads, node.known))
    joined = MOVES["Concat"](replace(node, reads=reads, known=known))
    enters = [_entered(node, n) for n in places]
    top = None if node.get("rectified", False) else _top(node)

    def run(*given: Any) -> torch.Tensor:
        parts = (enter(*given[n : n + 3]) for enter, n in zip(enters, places, strict=True))
        return cut(joined(*parts), top)

    return run


def conv(node: Node) -> Function:
    """A convolution: inputs x, its scale and zero, w, scale, zero, y's, bias."""
    _expect_weights(node)
    if node.get("channels_last", 0):
        raise node.refuse("with the channels last", "the file before onnxruntime optimised it")
    groups, top, enter = int(node.get("group", 1)), _top(node), _entered(node, 0)

    def run(x: Any, x_scale: Any, x_zero: Any, w: Any, w_scale: Any, w_zero: Any, *rest: Any) -> Any:
        weight = real(w, w_scale, w_zero, 0)
        bias = None
        if len(rest) > 2 and rest[2] is not None:
            bias = tensor(rest[2]).to(torch.float32) * (tensor(x_scale) * tensor(w_scale)).reshape(-1)
        found = windows(node, tuple(int(n) for n in weight.shape[2:]))
        return cut(convolved(enter(x, x_scale, x_zero), weight, bias, found, groups), top)

    return run


def matmul(node: Node) -> Function:
    """A product: inputs a, its scale and zero, b, scale, zero, y's."""
    top, stored = _top(node), node.stored(3)
    left, right = _entered(node, 0), _entered(node, 3)

    def run(a: Any, a_scale: Any, a_zero: Any, b: Any, b_scale: Any, b_zero: Any, *_: Any) -> Any:
        if stored is not None:
            weight, a = real(b, b_scale, b_zero, -1), left(a, a_scale, a_zero)
            return cut(F.linear(a, weight.t()) if weight.ndim == 2 else torch.matmul(a, weight), top)
        return cut(torch.matmul(left(a, a_scale, a_zero), right(b, b_scale, b_zero)), top)

    return run


def gemm(node: Node) -> Function:
    """alpha A B + C: inputs a, its scale and zero, b, scale, zero, C in whole numbers, y's scale and zero."""
    _expect_weights(node)
    alpha, top, enter = float(node.get("alpha", 1.0)), _top(node), _entered(node, 0)
    turned, weights_turned = bool(node.get("transA", 0)), bool(node.get("transB", 0))

    def run(a: Any, a_scale: Any, a_zero: Any, b: Any, b_scale: Any, b_zero: Any, *rest: Any) -> Any:
        a, b = enter(a, a_scale, a_zero), real(b, b_scale, b_zero, 0 if weights_turned else 1)
        weight, bias = (b if weights_turned else b.t()) * alpha, None
        if rest and rest[0] is not None:
            bias = tensor(rest[0]).to(torch.float32) * (tensor(a_scale) * tensor(b_scale) * alpha).reshape(-1)
        return cut(F.linear(a.t() if turned else a, weight, bias), top)

    return run


def _expect_weights(node: Node) -> None:
    """Refuse a product whose second factor is a value."""
    if node.stored(0) is not None or node.stored(3) is None:
        raise node.refuse("of two values", "stored weights as its second factor")


QLINEAR: Mapping[str, Callable[[Node], Function]] = {"QLinearConv": conv, "QLinearMatMul": matmul}
QLINEAR_ELSEWHERE: Mapping[str, Callable[[Node], Function]] = {
    **dict.fromkeys(_PLAIN, plain),
    "QLinearConcat": concat,
    "QGemm": gemm,
}
