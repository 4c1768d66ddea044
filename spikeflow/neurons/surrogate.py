"""Surrogate gradients: what stands in for the derivative of a spike, a floor or a rounding in the backward
pass.

A surrogate is a declaration like a neuron model: its derivative is written once, in `Ops`, and traced to a
program of one input. Torch's backward evaluates that program, and `ir.adjoint` writes it into the gradient of
a neuron's step. x is the argument of the spike, (v - threshold). Called with a tensor, a surrogate gives its
slope there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from importlib import import_module
from math import pi, sqrt
from numbers import Real
from typing import TYPE_CHECKING, Any

from spikeflow.errors import GraphError, MissingPackage
from spikeflow.frozen import Frozen
from spikeflow.ir.evaluate import evaluate
from spikeflow.ir.ops import Recorder
from spikeflow.ir.program import Program

if TYPE_CHECKING:
    import torch

    from spikeflow.neurons.autograd import Derivative as Derivative
    from spikeflow.neurons.autograd import Spike as Spike
    from spikeflow.neurons.autograd import spike as spike
    from spikeflow.neurons.pdsg import PDSG as PDSG

# of the numbers of a surrogate: squares of them, and of their inverses, are floats of 32 bits
LOWEST, HIGHEST = 1e-15, 1e15


@dataclass(frozen=True)
class Surrogate(Frozen, ABC):
    """A slope over x. Its numbers lie from 1e-15 to 1e15; any other is a GraphError."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if (
                isinstance(value, bool)
                or not isinstance(value, Real)
                or not LOWEST <= float(value) <= HIGHEST
            ):
                hint = f"a number from {LOWEST:g} to {HIGHEST:g}"
                raise GraphError(type(self).__name__, f"{f.name} is {value!r}", hint)
            object.__setattr__(self, f.name, float(value))
        object.__setattr__(self, "_program", _program(self.derivative))

    @abstractmethod
    def derivative(self, x: Any, ops: Any) -> Any:
        """The slope at x, in `Ops`."""

    def program(self) -> Program:
        """The derivative, traced: one input to the output, without states and parameters."""
        made: Program = self._program  # type: ignore[attr-defined]
        return made

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The slope at each value of a tensor."""
        slopes: Callable[..., torch.Tensor] = _with_torch("tensors", "slopes")
        return slopes(self.program(), x)


@dataclass(frozen=True)
class ArcTangent(Surrogate):
    """(slope / 2) / (1 + (pi slope x / 2)^2): of an arc tangent (Fang et al., ICCV 2021)."""

    slope: float = 2.0

    def derivative(self, x: Any, ops: Any) -> Any:
        y = x * (pi / 2 * self.slope)
        return (self.slope / 2) / (1.0 + y * y)


@dataclass(frozen=True)
class Triangle(Surrogate):
    """height max(0, 1 - |x| / width) (Bellec et al., NeurIPS 2018)."""

    height: float = 1.0
    width: float = 1.0

    def derivative(self, x: Any, ops: Any) -> Any:
        return ops.maximum(self.height - ops.abs(x) * (self.height / self.width), 0.0)


@dataclass(frozen=True)
class Rectangle(Surrogate):
    """height where |x| <= width / 2, else 0 (Wu et al., Frontiers in Neuroscience 2018)."""

    height: float = 1.0
    width: float = 1.0

    def derivative(self, x: Any, ops: Any) -> Any:
        return ops.where(ops.spike(self.width / 2 - ops.abs(x)), self.height, 0.0)


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """slope s (1 - s), s = 1 / (1 + exp(-slope x)): of a logistic function."""

    slope: float = 4.0

    def derivative(self, x: Any, ops: Any) -> Any:
        s = ops.sigmoid(x * self.slope)
        return s * (1.0 - s) * self.slope


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """1 / (1 + slope |x|)^2 (Zenke and Ganguli, Neural Computation 2018)."""

    slope: float = 10.0

    def derivative(self, x: Any, ops: Any) -> Any:
        y = 1.0 + ops.abs(x) * self.slope
        return 1.0 / (y * y)


@dataclass(frozen=True)
class SlayerExponential(Surrogate):
    """scale (slope / 2) exp(-slope |x|) (Shrestha and Orchard, NeurIPS 2018)."""

    scale: float = 0.4
    slope: float = 5.0

    def derivative(self, x: Any, ops: Any) -> Any:
        return ops.exp(ops.abs(x) * -self.slope) * (self.scale * self.slope / 2)


@dataclass(frozen=True)
class MultiGaussian(Surrogate):
    """height ((1 + side) N(x; 0, w) - side N(x; w, 6 w) - side N(x; -w, 6 w)), N the normal density, w the
    width.

    Source: Yin, Corradi and Bohte, Nature Machine Intelligence 2021.
    """

    height: float = 0.5
    width: float = 0.5
    side: float = 0.15

    def derivative(self, x: Any, ops: Any) -> Any:
        wide = 6 * self.width
        beside = _normal(x - self.width, wide, ops) + _normal(x + self.width, wide, ops)
        middle = _normal(x, self.width, ops)
        return middle * (self.height * (1 + self.side)) - beside * (self.height * self.side)


@dataclass(frozen=True)
class StraightThrough(Surrogate):
    """`height` everywhere: the gradient passes (Bengio et al., arXiv 1308.3432)."""

    height: float = 1.0

    def derivative(self, x: Any, ops: Any) -> Any:
        return self.height


@dataclass(frozen=True)
class Traced(Surrogate):
    """A surrogate of one's own: `traced` makes it."""

    name: str
    text: Program = field(repr=False, hash=False)

    def __post_init__(self) -> None:
        self.text.check(self.name)
        if len(self.text.inputs) != 1 or self.text.states or self.text.params:
            raise GraphError(self.name, "a surrogate reads more than x", "a function of x and ops alone")
        object.__setattr__(self, "_program", self.text)

    def derivative(self, x: Any, ops: Any) -> Any:
        return evaluate(self.text, ops, {}, {}, {self.text.inputs[0]: x})[self.text.output]


def traced(derivative: Callable[[Any, Any], Any]) -> Surrogate:
    """A surrogate of one's own, from a function of x and ops, traced once.

    ::

        steep = surrogate.traced(lambda x, ops: ops.maximum(0.0, 1.0 - 4.0 * ops.abs(x)))
    """
    return Traced(getattr(derivative, "__name__", "surrogate"), _program(derivative))


def _program(derivative: Callable[[Any, Any], Any]) -> Program:
    recorder = Recorder(("x",), (), ())
    y = derivative(recorder.x[0], recorder.ops)
    return recorder.program(recorder.ops.const(float(y)) if isinstance(y, int | float) else y, ())


def _normal(x: Any, width: float, ops: Any) -> Any:
    """The normal density of standard deviation `width` at x."""
    return ops.exp(x * x * (-0.5 / width**2)) * (1 / (width * sqrt(2 * pi)))


atan = ArcTangent()
triangle = Triangle()
rectangle = Rectangle()
sigmoid = Sigmoid()
fast_sigmoid = FastSigmoid()
slayer_exponential = SlayerExponential()
multi_gaussian = MultiGaussian()
straight_through = StraightThrough()

_TORCH = {
    "Derivative": "autograd",
    "PDSG": "pdsg",
    "Spike": "autograd",
    "spike": "autograd",
}


def _with_torch(module: str, name: str) -> Any:
    try:
        import torch as torch
    except ImportError as error:
        raise MissingPackage("torch>=2.10", "surrogate gradients of tensors", error) from error
    return getattr(import_module(f"spikeflow.neurons.{module}"), name)


def __getattr__(name: str) -> Any:
    if name in _TORCH:
        return _with_torch(_TORCH[name], name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
