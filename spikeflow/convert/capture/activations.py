"""Activation functions, by torch's names for them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeflow.convert.capture.arguments import argument
from spikeflow.convert.capture.builder import SPIKING, Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.trace.atengraph import AtenNode, base_name
from spikeflow.ir.activations import RELU
from spikeflow.ir.nodes import Activation
from spikeflow.typing import Array

# torch's operation: the function, its parameters with place, name and default of torch's argument
_Parameters = Mapping[str, tuple[int, str, float]]
_NONE: _Parameters = {}
FUNCTIONS: Mapping[str, tuple[str, _Parameters]] = {
    "relu": (RELU, _NONE),
    "abs": ("abs", _NONE),
    "absolute": ("abs", _NONE),
    "leaky_relu": ("leaky_relu", {"slope": (1, "negative_slope", 0.01)}),
    "elu": (
        "elu",
        {
            "alpha": (1, "alpha", 1.0),
            "scale": (2, "scale", 1.0),
            "input_scale": (3, "input_scale", 1.0),
        },
    ),
    "silu": ("silu", _NONE),
    "mish": ("mish", _NONE),
    "hardswish": ("hard_swish", _NONE),
    "hardsigmoid": ("hard_sigmoid", _NONE),
    "sigmoid": ("sigmoid", _NONE),
    "tanh": ("tanh", _NONE),
    "log_sigmoid": ("log_sigmoid", _NONE),
    "softsign": ("softsign", _NONE),
    "softplus": ("softplus", {"beta": (1, "beta", 1.0), "limit": (2, "threshold", 20.0)}),
    "softshrink": ("soft_shrink", {"width": (1, "lambd", 0.5)}),
    "hardshrink": ("hard_shrink", {"width": (1, "lambd", 0.5)}),
    "threshold": ("threshold", {"level": (1, "threshold", 0.0), "value": (2, "value", 0.0)}),
}
# torch.nn.functional.selu
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def activation(b: Builder, node: AtenNode) -> Value:
    """One of `FUNCTIONS`."""
    if node.name in b.heads:
        return left_out(b, node)
    kind, parameters = FUNCTIONS[base_name(node.op)]
    given = {p: float(argument(node, *where)) for p, where in parameters.items()}
    if kind == "threshold" and not any(given.values()):
        kind, given = RELU, {}
    return placed(b, node, b.value(node, node.args[0]), kind, **given)


def placed(b: Builder, node: AtenNode, x: Value, kind: str, **parameters: float | Array) -> Value:
    """The activation of a value, which spikes."""
    arrays = {name: np.asarray(value, np.float32) for name, value in parameters.items()}
    value = b.chain(b.title(node), Activation(kind, arrays), x)
    b.decide(node, SPIKING if kind == RELU else f"{SPIKING}: {kind}", value)
    return value


def left_out(b: Builder, node: AtenNode) -> Value:
    """The argument itself: at the very end, where it keeps the order of the answers."""
    value = b.value(node, node.args[0])
    b.decide(node, b.heads[node.name], value)
    return value


def gelu(b: Builder, node: AtenNode) -> Value:
    """x Phi(x), or its approximation by tanh."""
    rough = argument(node, 1, "approximate", "none") == "tanh"
    return placed(b, node, b.value(node, node.args[0]), "gelu_tanh" if rough else "gelu")


def selu(b: Builder, node: AtenNode) -> Value:
    """ELU of fixed factors."""
    if node.name in b.heads:
        return left_out(b, node)
    x = b.value(node, node.args[0])
    return placed(b, node, x, "elu", alpha=_SELU_ALPHA, scale=_SELU_SCALE)


def celu(b: Builder, node: AtenNode) -> Value:
    """ELU of x / alpha, times alpha below 0."""
    if node.name in b.heads:
        return left_out(b, node)
    alpha = float(argument(node, 1, "alpha", 1.0))
    return placed(b, node, b.value(node, node.args[0]), "elu", alpha=alpha, input_scale=1 / alpha)


def prelu(b: Builder, node: AtenNode) -> Value:
    """The rectifier with a slope below 0, one for all or one for each channel."""
    x, slope = b.value(node, node.args[0]), b.parameter(node, argument(node, 1, "weight"))
    assert slope is not None
    column = np.asarray(slope, np.float32).reshape(-1)
    if len(column) not in (1, x.shape[0]):
        raise b.refuse(node, f"{len(column)} slopes for {x.shape[0]} channels", "one, or one a channel")
    slopes = column.reshape(-1, *(1,) * (len(x.shape) - 1))
    return placed(b, node, x, "leaky_relu", slope=slopes if len(column) > 1 else column[0])


def rrelu(b: Builder, node: AtenNode) -> Value:
    """In evaluation the rectifier with the mean slope."""
    functional = base_name(node.op) == "rrelu"
    first = 1 if functional else 2
    if bool(argument(node, first + 2, "training", False)):
        raise b.refuse(node, "RReLU in training mode", "model.eval()")
    low, high = argument(node, first, "lower", 1 / 8), argument(node, first + 1, "upper", 1 / 3)
    slope = (float(low) + float(high)) / 2
    return placed(b, node, b.value(node, node.args[0]), "leaky_relu", slope=slope)


def relu6(b: Builder, node: AtenNode) -> Value:
    """Between 0 and 6."""
    return placed(b, node, b.value(node, node.args[0]), "clamp", low=0.0, high=6.0)
