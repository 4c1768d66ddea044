"""Operators of TFLite on each value: activations and arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from spikeflow.convert.load.tflite.joined import SILU
from spikeflow.convert.load.tflite.layout import FIRST, axis_of
from spikeflow.convert.load.tflite.node import Function, LiteNode


def _plain(function: Function) -> Callable[[LiteNode], Function]:
    return lambda node: function


def _two(function: Function) -> Callable[[LiteNode], Function]:
    """Arithmetic of two values, with the activation that it ends in."""

    def make(node: LiteNode) -> Function:
        ranks = {len(t.shape) for t in node.reads if t is not None and t.values is None}
        ranks.add(len(node.writes[0].shape))
        if len(ranks) > 1 and 4 in ranks:
            raise node.refuse("of values of four and of fewer axes", "a reshape to four axes before it")
        return node.activated(function)

    return make


def softmax(function: Function) -> Callable[[LiteNode], Function]:
    """softmax or its logarithm over the last axis of the file."""

    def make(node: LiteNode) -> Function:
        beta = float(node.get("Beta", 1.0) or 1.0)

        def run(x: torch.Tensor) -> torch.Tensor:
            return function(x if beta == 1 else x * beta, axis_of(-1, x.ndim))

        return run

    return make


def prelu(node: LiteNode) -> Function:
    """x, or a stored slope times x below 0: one for all, for each channel, or for each value."""
    shape, kept = node.constant(1).shape, node.constant(1)

    def run(x: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        if each:
            spread = slope.reshape((1,) * (x.ndim - slope.ndim) + tuple(slope.shape))
            return F.relu(x) - (spread.permute(FIRST) if x.ndim == 4 else spread) * F.relu(-x)
        if slope.numel() > 1 and slope.numel() != x.shape[1]:
            raise node.refuse("along another axis than the channels", "one slope for each channel")
        return F.prelu(x, slope.reshape(-1))

    each = kept.size not in (1, shape[-1])
    if node.rank() not in (2, 4) and not each:
        raise node.refuse(f"of {node.rank()} axes", "two or four axes")
    return run


def gelu(node: LiteNode) -> Function:
    """A GELU, exact or by tanh."""
    how = "tanh" if node.get("Approximate", False) else "none"
    return lambda x: F.gelu(x, approximate=how)


def cast(node: LiteNode) -> Function:
    """Another type of the same values."""
    (read,), (written,) = node.reads, node.writes
    assert read is not None
    if np.dtype(read.kind).kind == "f" and np.dtype(written.kind).kind != "f":
        raise node.refuse("that makes whole numbers", "floating-point values throughout")
    return lambda x: x


def squared_difference(a: Any, b: Any) -> torch.Tensor:
    """(a - b) squared."""
    return torch.square(torch.sub(a, b))


ELEMENTWISE: Mapping[str, Callable[[LiteNode], Function]] = {
    "ADD": _two(torch.add),
    "SUB": _two(torch.sub),
    "MUL": _two(torch.mul),
    "DIV": _two(torch.div),
    "MAXIMUM": _two(torch.maximum),
    "MINIMUM": _two(torch.minimum),
    "SQUARED_DIFFERENCE": _two(squared_difference),
    "RELU": _plain(F.relu),
    "RELU6": _plain(F.relu6),
    "RELU_N1_TO_1": _plain(lambda x: F.hardtanh(x, -1.0, 1.0)),
    "RELU_0_TO_1": _plain(lambda x: F.hardtanh(x, 0.0, 1.0)),
    "LOGISTIC": _plain(torch.sigmoid),
    "TANH": _plain(torch.tanh),
    "HARD_SWISH": _plain(F.hardswish),
    SILU: lambda node: node.activated(F.silu),
    "ELU": _plain(F.elu),
    "LEAKY_RELU": lambda node: lambda x: F.leaky_relu(x, float(node.get("Alpha", 0.01))),
    "PRELU": prelu,
    "GELU": gelu,
    "SOFTMAX": softmax(F.softmax),
    "LOG_SOFTMAX": softmax(F.log_softmax),
    "NEG": _plain(torch.neg),
    "ABS": _plain(torch.abs),
    "SQRT": _plain(torch.sqrt),
    "RSQRT": _plain(torch.rsqrt),
    "SQUARE": _plain(torch.square),
    "EXP": _plain(torch.exp),
    "LOG": _plain(torch.log),
    "QUANTIZE": _plain(lambda x: x),
    "DEQUANTIZE": _plain(lambda x: x),
    "CAST": cast,
}
