"""Normalisation by the sample's own statistics, of running means; and by stored ones, which is exact."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from spikeflow.convert.capture.affine import affine
from spikeflow.convert.capture.approximated import ask, settle
from spikeflow.convert.capture.arguments import argument
from spikeflow.convert.capture.builder import BATCH_NORM, Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.refusals import NORM_HINT, NORMS
from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.ir.nodes import BatchNorm, Normalise, Shape
from spikeflow.typing import Array

_OWN = "normalisation by the sample's own statistics"
Affine = tuple[Any, Any]  # the arguments of a factor and a term, or None


def layer_norm(b: Builder, node: AtenNode) -> Value:
    """layer_norm and native_layer_norm: over the last axes, a factor and a term for each place of these."""
    x, size = b.value(node, node.args[0]), prod(node.args[1])
    shape = tuple(int(n) for n in node.args[1])
    made = Normalise(size, float(argument(node, 4, "eps", 1e-5)))
    return _normalised(
        b, node, x, made, _of(b, node, (argument(node, 2, "weight"), argument(node, 3, "bias")), shape)
    )


def rms_norm(b: Builder, node: AtenNode) -> Value:
    """rms_norm: x over the root of its mean square."""
    x, shape = b.value(node, node.args[0]), tuple(int(n) for n in node.args[1])
    epsilon = argument(node, 3, "eps")
    # torch's own choice where none is given: the smallest step of its numbers at 1
    made = Normalise(
        prod(shape), float(np.finfo(np.float32).eps if epsilon is None else epsilon), centred=False
    )
    return _normalised(b, node, x, made, _of(b, node, (argument(node, 2, "weight"), None), shape))


def group_norm(b: Builder, node: AtenNode) -> Value:
    """group_norm and native_group_norm: over groups of channels, a factor and a term for each channel."""
    x, native = b.value(node, node.args[0]), "native" in node.op
    groups, at = (int(node.args[6]), 1) if native else (int(node.args[1]), 2)
    epsilon = node.args[7] if native else argument(node, 4, "eps", 1e-5)
    arguments = argument(node, at, "weight"), argument(node, at + 1, "bias")
    made = Normalise(prod(x.shape) // groups, float(epsilon))
    return _normalised(b, node, x, made, _of(b, node, arguments, _column(x.shape)))


def instance_norm(b: Builder, node: AtenNode) -> Value:
    """instance_norm: over each channel; with statistics that were kept it is batch norm, and exact."""
    x, (weight, bias, mean, variance) = b.value(node, node.args[0]), node.args[1:5]
    own, epsilon = bool(argument(node, 5, "use_input_stats", True)), float(argument(node, 7, "eps", 1e-5))
    factor, term = _of(b, node, (weight, bias), _column(x.shape))
    if not own:
        kept = [v for v in (b.parameter(node, mean), b.parameter(node, variance)) if v is not None]
        gamma, beta = (np.broadcast_to(v, _column(x.shape)).reshape(-1) for v in (factor, term))
        value = b.chain(b.title(node), BatchNorm(kept[0], kept[1], gamma, beta, epsilon), x)
        b.decide(node, BATCH_NORM, value)
        return value
    return _normalised(b, node, x, Normalise(prod(x.shape[1:]), epsilon), (factor, term))


def _column(shape: Shape) -> Shape:
    return (shape[0], *(1,) * (len(shape) - 1))


def _of(b: Builder, node: AtenNode, arguments: Affine, shape: Shape) -> tuple[Array, Array]:
    """The factor and the term, 1 and 0 where there is none, of a shape that broadcasts to a sample."""
    given = (b.parameter(node, a) for a in arguments)
    weight, bias = (None if g is None else g.astype(np.float64).reshape(shape) for g in given)
    return np.ones(()) if weight is None else weight, np.zeros(()) if bias is None else bias


def _normalised(b: Builder, node: AtenNode, x: Value, made: Normalise, own: tuple[Array, Array]) -> Value:
    ask(b, node, NORMS, _OWN, NORM_HINT)
    value = b.chain(b.title(node), made, x)
    factor, term = own
    if term.any():
        value = b.chain(f"{b.title(node)}.affine", affine(value.shape, factor, term), value)
    elif (factor != 1).any():
        value = b.scale(f"{b.title(node)}.factor", value, factor)
    return settle(b, node, value)
