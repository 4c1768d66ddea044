"""Operators that onnxruntime writes where it has optimised a file (domain com.microsoft): several as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional as F

from spikeflow.convert.load.clips import clipped
from spikeflow.convert.load.numbers import tensor
from spikeflow.convert.load.onnx.elementwise import ELEMENTWISE
from spikeflow.convert.load.onnx.layers import LAYERS
from spikeflow.convert.load.onnx.node import Function, Node

_ACTIVATIONS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("Relu", "Sigmoid", "Tanh"), ()),
    **dict.fromkeys(("LeakyRelu", "Elu"), ("alpha",)),
    "HardSigmoid": ("alpha", "beta"),
}


def _activation(node: Node, given: Sequence[float]) -> Function:
    """The activation in which an operator ends, with the numbers that belong to it."""
    kind = str(node.get("activation", "") or "")
    if not kind:
        return lambda x: x
    if kind == "Clip" and len(given) == 2:
        return lambda x: clipped(x, float(given[0]), float(given[1]))
    names = _ACTIVATIONS.get(kind)
    if names is None or len(given) > len(names):
        raise node.refuse(f"with the activation {kind[:20]!r}", f"Clip or one of {', '.join(_ACTIVATIONS)}")
    said = dict(zip(names, given, strict=False))
    return ELEMENTWISE[kind](replace(node, kind=kind, attributes=said))


def fused_conv(node: Node) -> Function:
    """A convolution, where there is a fourth input its sum with that, and an activation."""
    plain, ends = LAYERS["Conv"](node), _activation(node, node.get("activation_params") or ())

    def run(x: Any, w: Any, b: Any = None, more: Any = None) -> torch.Tensor:
        found = plain(x, w, b)
        return ends(found if more is None else found + tensor(more))

    return run


def fused_gemm(node: Node) -> Function:
    """A Gemm and an activation."""
    words = ("activation_alpha", "activation_beta", "activation_gamma")
    plain = LAYERS["Gemm"](node)
    ends = _activation(node, [float(node.get(word)) for word in words if node.get(word) is not None])
    return lambda *given: ends(plain(*given))


def fused_matmul(node: Node) -> Function:
    """alpha times a product of matrices, either of which may be turned."""
    if node.get("transBatchA", 0) or node.get("transBatchB", 0):
        raise node.refuse("that turns the axes of samples", "the file before onnxruntime optimised it")
    turned = bool(node.get("transA", 0)), bool(node.get("transB", 0))
    alpha, stored = float(node.get("alpha", 1.0)), node.stored(1)

    def run(a: Any, b: Any) -> torch.Tensor:
        pair = zip((a, b), turned, strict=True)
        a, b = (tensor(t).transpose(-1, -2) if turn else tensor(t) for t, turn in pair)
        if stored is not None and b.ndim == 2:
            return F.linear(a, b.t() if alpha == 1 else b.t() * alpha)
        return torch.matmul(a if alpha == 1 else a * alpha, b)

    return run


def biased_gelu(node: Node) -> Function:
    """A GELU of a sum with a bias: BiasGelu, exact; FastGelu by tanh, with a bias or without."""
    how = "tanh" if node.kind == "FastGelu" else "none"
    return lambda x, b=None: F.gelu(tensor(x) if b is None else tensor(x) + tensor(b), approximate=how)


def quick_gelu(node: Node) -> Function:
    """x sigmoid(alpha x)."""
    alpha = float(node.get("alpha", 1.702))
    if alpha == 1:
        return lambda x: F.silu(tensor(x))
    return lambda x: F.silu(tensor(x) * alpha) / alpha


def skip_layer_norm(node: Node) -> Function:
    """Layer norm of a sum: inputs x, what is added, scale, shift, a bias; the sum is its last output."""
    if any(node.asked[1:3]):
        raise node.refuse("whose mean or deviation is read", "the file before onnxruntime optimised it")
    eps = float(node.get("epsilon", 1e-12))

    def run(x: Any, skip: Any, scale: Any, shift: Any = None, bias: Any = None) -> Any:
        added = tensor(x) + tensor(skip)
        added = added if bias is None else added + tensor(bias)
        scale, shift = tensor(scale), tensor(shift)
        return F.layer_norm(added, list(scale.shape), scale, shift, eps), None, None, added

    return run


MICROSOFT: Mapping[str, Callable[[Node], Function]] = {
    "FusedConv": fused_conv,
    "FusedGemm": fused_gemm,
    "FusedMatMul": fused_matmul,
    "BiasGelu": biased_gelu,
    "FastGelu": biased_gelu,
    "QuickGelu": quick_gelu,
    "SkipLayerNormalization": skip_layer_norm,
    "Gelu": ELEMENTWISE["Gelu"],
}
