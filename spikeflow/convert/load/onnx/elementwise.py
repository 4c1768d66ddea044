"""Operators of ONNX on each value: activations and arithmetic, under torch's own names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch.nn import functional as F

from spikeflow.convert.load.clips import clipped
from spikeflow.convert.load.numbers import tensor
from spikeflow.convert.load.onnx.node import Function, Node

_FLOATS = (1, 10, 11, 16)  # of ONNX's numbers of types those of floats, all of which are float32 here
_SELU = (1.6732632423543772848170429916717, 1.0507009873554804934193349852946)
_WHOLE = {2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool}


def plain(function: Function) -> Callable[[Node], Function]:
    """An operator without attributes."""
    return lambda node: lambda *values: function(*(tensor(v) for v in values))


def folded(function: Function) -> Callable[[Node], Function]:
    """An operator of any number of inputs, taken two by two."""
    return lambda node: lambda *values: reduce(function, (tensor(v) for v in values))


def clip(node: Node) -> Function:
    """A clip; at 0 it is a rectifier."""
    low, high = -math.inf, math.inf
    if node.opset >= 11:
        low, high = node.number(1, -math.inf), node.number(2, math.inf)
    low, high = float(node.get("min", low)), float(node.get("max", high))
    return lambda x, *_: clipped(tensor(x), low, high)


def leaky_relu(node: Node) -> Function:
    """x, or alpha x below 0."""
    alpha = float(node.get("alpha", 0.01))
    return lambda x: F.leaky_relu(tensor(x), alpha)


def prelu(node: Node) -> Function:
    """x, or a stored slope times x below 0: one for all, or one for each channel."""

    def run(x: Any, slope: Any) -> torch.Tensor:
        x, slope = tensor(x), tensor(slope)
        count = slope.numel()
        if count != 1 and not count == x.shape[1] == _at_channels(slope, x.ndim):
            raise node.refuse("with a slope for each value", "one slope for all, or one for each channel")
        return F.prelu(x, slope.reshape(-1))

    return run


def _at_channels(slope: torch.Tensor, ndim: int) -> int:
    """How many slopes lie along the channels, by the rules of broadcasting."""
    spread = (1,) * (ndim - slope.ndim) + tuple(int(n) for n in slope.shape)
    return spread[1] if ndim > 1 else 1


def elu(node: Node) -> Function:
    """x, or alpha (exp(x) - 1) below 0."""
    alpha = float(node.get("alpha", 1.0))
    return lambda x: F.elu(tensor(x), alpha)


def selu(node: Node) -> Function:
    """gamma times an ELU."""
    alpha, gamma = float(node.get("alpha", _SELU[0])), float(node.get("gamma", _SELU[1]))
    if abs(alpha - _SELU[0]) < 1e-6 and abs(gamma - _SELU[1]) < 1e-6:
        return lambda x: F.selu(tensor(x))
    return lambda x: F.elu(tensor(x), alpha) * gamma


def gelu(node: Node) -> Function:
    """A GELU, exact or by tanh."""
    how = str(node.get("approximate", "none"))
    return lambda x: F.gelu(tensor(x), approximate=how)


def hard_sigmoid(node: Node) -> Function:
    """alpha x + beta, within 0 and 1."""
    alpha, beta = float(node.get("alpha", 0.2)), float(node.get("beta", 0.5))
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return lambda x: F.hardsigmoid(tensor(x))
    return lambda x: F.hardtanh(tensor(x) * alpha + beta, 0.0, 1.0)


def swish(node: Node) -> Function:
    """x sigmoid(x)."""
    if float(node.get("alpha", 1.0)) != 1:
        raise node.refuse("with alpha", "alpha = 1")
    return lambda x: F.silu(tensor(x))


def softmax(function: Function) -> Callable[[Node], Function]:
    """softmax or its logarithm; before opset 13 it is over all axes from the one named on."""

    def make(node: Node) -> Function:
        axis = int(node.get("axis", -1 if node.opset >= 13 else 1))

        def run(x: Any) -> torch.Tensor:
            x = tensor(x)
            at = axis % x.ndim
            if node.opset >= 13 or all(int(n) == 1 for n in x.shape[at + 1 :]):
                return function(x, at)
            return function(x.flatten(at), at).reshape(x.shape)

        return run

    return make


def dropout(node: Node) -> Function:
    """Nothing, since networks are answered in evaluation mode."""
    node.expect_first_output()
    training = node.constant(2)
    if training is not None and bool(training.any()):
        raise node.refuse("in training mode", "an export of the network in evaluation mode")
    return lambda x, *_: x


def cast(node: Node) -> Function:
    """Another type; floats of any width are float32 here."""
    to = int(node.get("to", 1))
    if to not in _FLOATS and to not in _WHOLE:
        raise node.refuse(f"to the type {to}", "floating-point values throughout")
    return lambda x, *_: tensor(x).to(torch.float32 if to in _FLOATS else _WHOLE[to])


def cast_like(x: Any, other: Any) -> torch.Tensor:
    """The type of another value."""
    return tensor(x).to(tensor(other).dtype)


def power(node: Node) -> Function:
    """x to a power."""
    stored = node.stored(1)
    if stored is None or stored.size != 1:
        return lambda x, y: torch.pow(tensor(x), tensor(y))
    exponent = float(stored.reshape(-1)[0])
    return lambda x, y: torch.pow(tensor(x), int(exponent) if exponent.is_integer() else exponent)


def thresholded(node: Node) -> Function:
    """x above alpha, else 0."""
    alpha = float(node.get("alpha", 1.0))
    return lambda x: F.threshold(tensor(x), alpha, 0.0)


def in_sequence(node: Node) -> Function:
    """Several values as a list, or of a list one value, or all of them joined."""
    axis = int(node.get("axis", 0))
    if node.kind == "SequenceConstruct":
        return lambda *values: [tensor(v) for v in values]
    if node.kind == "SequenceAt":
        place = int(node.number(1, 0))
        return lambda values, _: values[place]
    return lambda values: torch.stack(values, axis) if node.get("new_axis", 0) else torch.cat(values, axis)


def average_of(*values: Any) -> torch.Tensor:
    """The mean of several values."""
    return reduce(torch.add, (tensor(v) for v in values)) / len(values)


ELEMENTWISE: Mapping[str, Callable[[Node], Function]] = {
    "Relu": plain(F.relu),
    "Clip": clip,
    "LeakyRelu": leaky_relu,
    "PRelu": prelu,
    "Elu": elu,
    "Selu": selu,
    "Celu": lambda node: lambda x: F.celu(tensor(x), float(node.get("alpha", 1.0))),
    "Sigmoid": plain(torch.sigmoid),
    "Tanh": plain(torch.tanh),
    "Softplus": plain(F.softplus),
    "Softsign": plain(F.softsign),
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": plain(F.hardswish),
    "Swish": swish,
    "Mish": plain(F.mish),
    "ThresholdedRelu": thresholded,
    "Softmax": softmax(F.softmax),
    "LogSoftmax": softmax(F.log_softmax),
    "Add": plain(torch.add),
    "Sub": plain(torch.sub),
    "Mul": plain(torch.mul),
    "Div": plain(torch.div),
    "Sum": folded(torch.add),
    "Mean": lambda node: average_of,
    "Max": folded(torch.maximum),
    "Min": folded(torch.minimum),
    "Neg": plain(torch.neg),
    "Abs": plain(torch.abs),
    "Sqrt": plain(torch.sqrt),
    "Exp": plain(torch.exp),
    "Log": plain(torch.log),
    "Erf": plain(torch.erf),
    "Reciprocal": plain(torch.reciprocal),
    "Pow": power,
    "Identity": lambda node: lambda x: x,
    "Dropout": dropout,
    **dict.fromkeys(("SequenceConstruct", "SequenceAt", "ConcatFromSequence"), in_sequence),
    "Cast": cast,
    "CastLike": lambda node: cast_like,
}
