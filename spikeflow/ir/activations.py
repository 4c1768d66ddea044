"""The activation functions: what each makes of a number, written once, for arrays, tensors and neurons.

A function made of straight lines is written with a second number t as ``t f(x / t)``, where constants count
t times: a neuron that has added up x over t steps so needs no division. The others are written as f(x).
`gelu` and what holds a logarithm are formulas of exp alone, so that a neuron's operations suffice: within
2e-7 of the functions (M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 7.1.26; the series of
the inverse hyperbolic tangent up to its term 13).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from typing import Any, Protocol

import numpy as np

from spikeflow.errors import GraphError
from spikeflow.ir.arrays import Array

RELU = "relu"
_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
_REACH = 1e3  # up to here it is looked at which values a function takes


class Numbers(Protocol):
    """What the functions need of a kind of values besides + - * /; a step is 1 from 0 on, else 0."""

    def minimum(self, a: Any, b: Any) -> Any: ...
    def maximum(self, a: Any, b: Any) -> Any: ...
    def where(self, condition: Any, a: Any, b: Any) -> Any: ...
    def step(self, x: Any) -> Any: ...
    def abs(self, x: Any) -> Any: ...
    def exp(self, x: Any) -> Any: ...
    def tanh(self, x: Any) -> Any: ...
    def sigmoid(self, x: Any) -> Any: ...


@dataclass(frozen=True)
class Function:
    """One activation function.

    Parameters
    ----------
    form : of x, t, the parameters and `Numbers`: ``t f(x / t)`` where `lines`, else f(x).
    parameters : with the values that they have where nothing is said.
    lines : whether it is made of straight lines.
    scales : whether f(c x) = c f(x) for c above 0, so that t does not matter.
    rises : whether it never falls, so that the largest value stays the largest.
    """

    form: Callable[[Any, Any, Any, Numbers], Any]
    parameters: Mapping[str, float] = field(default_factory=dict[str, float])
    lines: bool = False
    scales: bool = False
    rises: bool = False


def _between(x: Any, low: Any, high: Any, of: Numbers) -> Any:
    return of.minimum(of.maximum(x, low), high)


def _elu(x: Any, t: Any, p: Any, of: Numbers) -> Any:
    below = of.exp(of.minimum(x, 0.0) * p.input_scale) - 1.0
    return (of.maximum(x, 0.0) + below * p.alpha) * p.scale


def _log_of_1_plus_exp(x: Any, of: Numbers) -> Any:
    """log(1 + exp(x)) = max(x, 0) + log(1 + u), u = exp(-|x|): twice the inverse of tanh at u / (2 + u)."""
    u = of.exp(0.0 - of.abs(x))
    w = u / (u + 2.0)
    s = w * w
    series = s * (1 / 13) + 1 / 11
    for term in (1 / 9, 1 / 7, 1 / 5, 1 / 3, 1.0):
        series = series * s + term
    return of.maximum(x, 0.0) + w * 2.0 * series


def _softplus(x: Any, t: Any, p: Any, of: Numbers) -> Any:
    scaled = x * p.beta
    return of.where(of.step(p.limit - scaled), _log_of_1_plus_exp(scaled, of) / p.beta, x)


def _gelu(x: Any, t: Any, p: Any, of: Numbers) -> Any:
    """x Phi(x) = max(x, 0) - |x| (1 - Phi(|x|)); 1 - Phi(y) = exp(-y y / 2) times a polynomial, halved."""
    y = of.abs(x)
    k = 1.0 / (y * (0.3275911 * 0.5**0.5) + 1.0)
    poly = k * _ERF[0]
    for term in _ERF[1:]:
        poly = (poly + term) * k
    return of.maximum(x, 0.0) - y * 0.5 * poly * of.exp(y * y * -0.5)


def _gelu_tanh(x: Any, t: Any, p: Any, of: Numbers) -> Any:
    inner = (x + x * x * x * 0.044715) * (2 / np.pi) ** 0.5
    return x * 0.5 * (of.tanh(inner) + 1.0)


def _mish(x: Any, t: Any, p: Any, of: Numbers) -> Any:
    """x tanh(log(1 + e)) = x n / (n + 2), n = e (e + 2); above 20 the quotient is 1."""
    e = of.exp(of.minimum(x, 20.0))
    n = e * (e + 2.0)
    return x * (n / (n + 2.0))


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        RELU: Function(lambda x, t, p, of: of.maximum(x, 0.0), {}, True, True, True),
        "identity": Function(lambda x, t, p, of: x, {}, True, True, True),
        "abs": Function(lambda x, t, p, of: of.abs(x), {}, True, True),
        "leaky_relu": Function(
            lambda x, t, p, of: of.maximum(x, 0.0) + of.minimum(x, 0.0) * p.slope,
            {"slope": 0.01},
            True,
            True,
        ),
        "clamp": Function(
            lambda x, t, p, of: _between(x, p.low * t, p.high * t, of),
            {"low": 0.0, "high": 6.0},
            True,
            rises=True,
        ),
        "hard_sigmoid": Function(
            lambda x, t, p, of: _between(x * (1 / 6) + t * 0.5, 0.0, t, of), {}, True, rises=True
        ),
        "soft_shrink": Function(
            lambda x, t, p, of: x - _between(x, p.width * -t, p.width * t, of),
            {"width": 0.5},
            True,
            rises=True,
        ),
        "hard_shrink": Function(
            lambda x, t, p, of: of.where(of.step(p.width * t - of.abs(x)), 0.0, x),
            {"width": 0.5},
            True,
            rises=True,
        ),
        "threshold": Function(
            lambda x, t, p, of: of.where(of.step(p.level * t - x), p.value * t, x),
            {"level": 0.0, "value": 0.0},
            True,
        ),
        "elu": Function(_elu, {"alpha": 1.0, "scale": 1.0, "input_scale": 1.0}),
        "sigmoid": Function(lambda x, t, p, of: of.sigmoid(x), rises=True),
        "tanh": Function(lambda x, t, p, of: of.tanh(x), rises=True),
        "softplus": Function(_softplus, {"beta": 1.0, "limit": 20.0}),
        "log_sigmoid": Function(lambda x, t, p, of: 0.0 - _log_of_1_plus_exp(0.0 - x, of), rises=True),
        "softsign": Function(lambda x, t, p, of: x / (of.abs(x) + 1.0), rises=True),
        "gelu": Function(_gelu),
        "gelu_tanh": Function(_gelu_tanh),
        "silu": Function(lambda x, t, p, of: x * of.sigmoid(x * p.beta), {"beta": 1.0}),
        "mish": Function(_mish),
        "hard_swish": Function(lambda x, t, p, of: x * _between(x + 3.0, 0.0, 6.0, of) * (1 / 6)),
    }
)


def function(kind: str) -> Function:
    """The function of this name; GraphError where there is none."""
    if kind not in FUNCTIONS:
        raise GraphError("activation", f"{kind!r} is unknown", f"one of {', '.join(FUNCTIONS)}")
    return FUNCTIONS[kind]


class _Arrays:
    """Numbers that numpy holds."""

    def __init__(self) -> None:
        self.minimum: Any = np.minimum
        self.maximum: Any = np.maximum
        self.abs: Any = np.abs
        self.exp: Any = np.exp
        self.tanh: Any = np.tanh

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return np.where(condition != 0, a, b)

    def step(self, x: Any) -> Any:
        return (x >= 0).astype(np.float64)

    def sigmoid(self, x: Any) -> Any:
        return 0.5 * np.tanh(0.5 * x) + 0.5


def values(kind: str, parameters: Mapping[str, Any], x: Array) -> Array:
    """f(x), elementwise, computed in float64; parameters that are not given have their usual values."""
    f = function(kind)
    p = SimpleNamespace(**{n: np.asarray(parameters.get(n, v), np.float64) for n, v in f.parameters.items()})
    with np.errstate(over="ignore"):
        return np.asarray(f.form(x.astype(np.float64), 1.0, p, _Arrays()))


def takes_signs(kind: str, parameters: Mapping[str, Any]) -> bool:
    """Whether some value of the function lies below 0."""
    rank = max((np.ndim(v) for v in parameters.values()), default=0)
    near = np.linspace(-8, 8, 1025)
    x = np.concatenate([near, near * (_REACH / 8)]).reshape(-1, *(1,) * rank)
    return bool((values(kind, parameters, x) < 0).any())
