"""Additions, constant factors and terms, and a softmax or a choice at the very end."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeflow.convert.capture.activations import left_out
from spikeflow.convert.capture.affine import affine
from spikeflow.convert.capture.arguments import argument
from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.heads import SOFTMAX
from spikeflow.convert.capture.moves import expanded
from spikeflow.convert.capture.refusals import REFUSED
from spikeflow.convert.trace.atengraph import AtenNode, base_name, read_by
from spikeflow.typing import Array

MASKED = -1e30  # stands for minus infinity before a softmax
Weighted = tuple[Any, float | Array]  # an argument, and its constant factor


def add(b: Builder, node: AtenNode) -> Value:
    """x + alpha y; branches meet at the ports that read the sum, constants become a bias."""
    return combined(b, node, (node.args[0], 1), (node.args[1], argument(node, 2, "alpha", 1)))


def sub(b: Builder, node: AtenNode) -> Value:
    """x - alpha y."""
    return combined(b, node, (node.args[0], 1), (node.args[1], -argument(node, 2, "alpha", 1)))


def rsub(b: Builder, node: AtenNode) -> Value:
    """y - alpha x."""
    return combined(b, node, (node.args[0], -argument(node, 2, "alpha", 1)), (node.args[1], 1))


def mul(b: Builder, node: AtenNode) -> Value:
    """x times a constant."""
    return combined(b, node, _product(b, node, node.args[0], node.args[1]))


def _product(b: Builder, node: AtenNode, left: Any, right: Any, factor: float = 1) -> Weighted:
    """A product as one value and its constant factor."""
    for value, constant in ((left, b.constant(right)), (right, b.constant(left))):
        if constant is not None:
            return value, np.asarray(constant, np.float64) * factor
    kind = "a product of two values that both depend on the input"
    raise b.refuse(node, kind, "a network without gates")


def div(b: Builder, node: AtenNode) -> Value:
    """x divided by a constant."""
    divisor = b.constant(node.args[1])
    if divisor is None or not np.all(divisor) or node.kwargs.get("rounding_mode") is not None:
        raise b.refuse(
            node, "a division by a value of the network, by zero, or with rounding", "a constant divisor"
        )
    return combined(b, node, (node.args[0], 1.0 / np.asarray(divisor, np.float64)))


def neg(b: Builder, node: AtenNode) -> Value:
    """-x."""
    return combined(b, node, (node.args[0], -1))


def lerp(b: Builder, node: AtenNode) -> Value:
    """x + w (y - x) with a constant w."""
    weight = b.constant(node.args[2])
    if weight is None:
        raise b.refuse(node, "a mixture by a value of the network", "a constant weight")
    weight = np.asarray(weight, np.float64)
    return combined(b, node, (node.args[0], 1 - weight), (node.args[1], weight))


def addcmul(b: Builder, node: AtenNode) -> Value:
    """x + value y z, one of y and z a constant."""
    times = argument(node, 3, "value", 1)
    return combined(b, node, (node.args[0], 1), _product(b, node, node.args[1], node.args[2], times))


def where(b: Builder, node: AtenNode) -> Value:
    """where(mask, x, y) and masked_fill(x, mask, y), the mask a constant."""
    fill = base_name(node.op) == "masked_fill"
    chosen, x, y = (node.args[i] for i in ((1, 2, 0) if fill else (0, 1, 2)))
    mask = b.constant(chosen)
    if mask is None:
        raise b.refuse(node, "a choice by values of the network", "a constant mask")
    return combined(b, node, (x, mask.astype(np.float64)), (y, 1.0 - mask))


def combined(b: Builder, node: AtenNode, *parts: Weighted) -> Value:
    """The sum of values times constant factors, and of constants; all broadcast to the result's shape."""
    values, shift, factors = list[Value](), np.zeros(()), list[Array]()
    for term, factor in parts:
        constant = b.constant(term)
        if constant is None:
            values.append(expanded(b, node, term))
            factors.append(b.of_sample(node, factor, node.shape))
        else:
            product = _finite(b, node, np.asarray(constant, np.float64)) * factor
            shift = shift + b.of_sample(node, product, node.shape)
    value, scaled = _summed(b, node, values, factors)
    if shift.any():
        left = np.ones(()) if scaled else factors[0]
        value = b.chain(b.title(node), affine(value.shape, left, shift), value)
        b.decide(node, "synapses: a constant as bias", value)
    elif len(values) > 1:
        b.decide(node, "added up at the ports that read it", value)
    elif scaled:
        b.decide(node, "erased: identity", value)
    else:
        value = b.scale(b.title(node), value, factors[0])
        b.decide(node, "a constant factor, folded into weights", value)
    return value


def _finite(b: Builder, node: AtenNode, constant: Array) -> Array:
    """A constant; minus infinity, which masks what a softmax reads, as a number whose exponential is 0."""
    if np.isfinite(constant).all():
        return constant
    readers = [base_name(n.op) for n in b.aten.nodes if node.name in read_by(n)]
    if not readers or not set(readers) <= SOFTMAX or not (constant < np.inf).all():
        raise b.refuse(node, "a constant that is infinite or no number", "finite constants")
    return np.maximum(constant, MASKED)


def _summed(b: Builder, node: AtenNode, values: list[Value], factors: list[Array]) -> tuple[Value, bool]:
    """The values times their factors, added up; of one value alone the factor is left, if it is not 1."""
    if len(values) == 1:
        return values[0], bool((factors[0] == 1).all())
    total: Value | None = None
    for value, factor in zip(values, factors, strict=True):
        part = value if (factor == 1).all() else b.scale(f"{b.title(node)}.factor", value, factor)
        total = part if total is None else b.sum(b.title(node), total, part)
    assert total is not None
    return total, True


def head(b: Builder, node: AtenNode) -> Value:
    """A softmax or argmax at the very end, which keeps the order of the answers, is left out."""
    if node.name in b.heads:
        return left_out(b, node)
    word = base_name(node.op)
    if word in SOFTMAX:
        hint = "softmax over the classes (axis 1: flatten or squeeze before it) at the very end, or none"
        raise b.refuse(node, "softmax inside the network", hint)
    kind, hint = REFUSED[word]
    raise b.refuse(node, f"{kind} ({word})", hint)
