"""Additions, constant factors and terms, the rectifier, and activations at the very end."""

from __future__ import annotations

from math import inf

import numpy as np

from spikeflow.convert.capture.affine import affine
from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.heads import SOFTMAX
from spikeflow.convert.capture.refusals import REFUSED
from spikeflow.convert.capture.synapses import argument
from spikeflow.convert.trace.atengraph import AtenNode, base_name
from spikeflow.ir.nodes import Activation
from spikeflow.typing import Array

_RELU_HINT = "torch.nn.ReLU, after retraining"


def relu(b: Builder, node: AtenNode) -> Value:
    """The rectifier: the operation that becomes spiking neurons."""
    value = b.chain(b.title(node), Activation("relu"), b.value(node, node.args[0]))
    b.decide(node, "spiking", value)
    return value


def clamp(b: Builder, node: AtenNode) -> Value:
    """clamp(min=0), clamp_min(0), hardtanh(0, inf): the rectifier under other names."""
    low, high = argument(node, 1, "min", None), argument(node, 2, "max", None)
    if "hardtanh" in node.op:
        low, high = argument(node, 1, "min_val", -1.0), argument(node, 2, "max_val", 1.0)
    if low != 0 or high not in (None, inf):
        raise b.refuse(node, f"clamping to [{low}, {high}]", _RELU_HINT)
    return relu(b, node)


def threshold(b: Builder, node: AtenNode) -> Value:
    """threshold(x, 0, 0) is the rectifier."""
    if tuple(node.args[1:3]) != (0, 0):
        raise b.refuse(node, f"threshold{tuple(node.args[1:3])}", _RELU_HINT)
    return relu(b, node)


def _broadcast(b: Builder, node: AtenNode, constant: Array, value: Value) -> Array:
    """A constant without its batch dimension; one made for the batch is the same for every sample of it."""
    array = np.asarray(constant, np.float64)
    if array.ndim == len(value.shape) + 1 and array.shape[0] in (1, b.batch) and (array == array[:1]).all():
        array = array[0]
    if array.ndim > len(value.shape) or np.broadcast_shapes(array.shape, value.shape) != value.shape:
        raise b.refuse(
            node,
            f"a constant of shape {np.shape(constant)} with samples of shape {value.shape}",
            "a constant that broadcasts to one sample",
        )
    return array


def _times(b: Builder, node: AtenNode, value: Value, factor: float) -> Value:
    return value if factor == 1 else b.scale(f"{b.title(node)}.factor", value, factor)


def add(b: Builder, node: AtenNode) -> Value:
    """x + alpha y; branches meet at the ports that read the sum, constants become a bias."""
    return _added(b, node, 1.0, float(argument(node, 2, "alpha", 1)))


def sub(b: Builder, node: AtenNode) -> Value:
    """x - alpha y."""
    return _added(b, node, 1.0, -float(argument(node, 2, "alpha", 1)))


def rsub(b: Builder, node: AtenNode) -> Value:
    """y - alpha x."""
    return _added(b, node, -float(argument(node, 2, "alpha", 1)), 1.0)


def _added(b: Builder, node: AtenNode, left: float, right: float) -> Value:
    first, second = b.constant(node.args[0]), b.constant(node.args[1])
    if first is None and second is None:
        return _branches(b, node, left, right)
    if second is not None:
        value, factor, shift = b.value(node, node.args[0]), left, right * np.asarray(second, np.float64)
    else:
        assert first is not None
        value, factor, shift = b.value(node, node.args[1]), right, left * np.asarray(first, np.float64)
    made = affine(value.shape, factor, _broadcast(b, node, shift, value))
    result = b.chain(b.title(node), made, value)
    b.decide(node, "synapses: a constant as bias", result)
    return result


def _branches(b: Builder, node: AtenNode, left: float, right: float) -> Value:
    x, y = (b.value(node, a) for a in node.args[:2])
    if x.shape != y.shape:
        raise b.refuse(node, f"a sum of shapes {x.shape} and {y.shape}", "branches of one shape")
    value = b.sum(b.title(node), _times(b, node, x, left), _times(b, node, y, right))
    b.decide(node, "added up at the ports that read it", value)
    return value


def mul(b: Builder, node: AtenNode) -> Value:
    """x times a constant."""
    first, second = b.constant(node.args[0]), b.constant(node.args[1])
    if first is None and second is None:
        raise b.refuse(
            node, "a product of two values that both depend on the input", "a network without gates"
        )
    value = b.value(node, node.args[0] if first is None else node.args[1])
    return _scaled(b, node, value, np.asarray(second if first is None else first, np.float64))


def div(b: Builder, node: AtenNode) -> Value:
    """x divided by a constant."""
    divisor = b.constant(node.args[1])
    if divisor is None or not np.all(divisor) or "rounding_mode" in node.kwargs:
        raise b.refuse(
            node, "a division by a value of the network, by zero, or with rounding", "a constant divisor"
        )
    return _scaled(b, node, b.value(node, node.args[0]), 1.0 / np.asarray(divisor, np.float64))


def neg(b: Builder, node: AtenNode) -> Value:
    """-x."""
    return _scaled(b, node, b.value(node, node.args[0]), np.asarray(-1.0))


def _scaled(b: Builder, node: AtenNode, value: Value, factor: Array) -> Value:
    value = b.scale(b.title(node), value, _broadcast(b, node, factor, value))
    b.decide(node, "a constant factor, folded into weights", value)
    return value


def head(b: Builder, node: AtenNode) -> Value:
    """An activation at the very end that keeps the order of the answers is left out; else it is refused."""
    if node.name in b.heads:
        value = b.value(node, node.args[0])
        b.decide(node, b.heads[node.name], value)
        return value
    word = base_name(node.op)
    if word in SOFTMAX:
        raise b.refuse(
            node, "softmax inside the network", "softmax over the classes at the very end, or none"
        )
    kind, hint = REFUSED[word]
    raise b.refuse(node, f"{kind} ({word})", hint)
