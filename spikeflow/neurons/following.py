"""Following: neurons that hand on, in steps, what an activation function makes of their mean input."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from math import inf
from typing import Any

from spikeflow.ir.activations import FUNCTIONS, RELU
from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import NeuronModel, Value, choice, param


def _of(default: float, *functions: str, low: float = -inf) -> Any:
    """A parameter of these functions."""
    return param(default, low=low, when=("function", functions))


@dataclass(frozen=True, eq=False)
class Following(NeuronModel):
    """A neuron whose sum of values follows a function f of its mean input.

    s <- s + x;  t <- t + 1;  r = t f(s / t) - a;  z = the value of its alphabet that is nearest to r /
    threshold;  a <- a + threshold z.

    s is the sum of what arrived, a what was handed on, each value standing for `threshold`; so threshold N /
    T lies within threshold / (2 T) of f(mean) where the alphabet has a value within 1/2 of the last
    r / threshold. Powers of 2 lie apart: of an r beyond 3/2 thresholds up to a third stays.

    A function of straight lines needs no division: t f(s / t) is then made of s and t alone, exact in
    integers, too. Where f(c x) = c f(x) for all c above 0 there is no t.

    Parameters
    ----------
    threshold : what a value of 1 stands for, in the units of the input.
    function : a name of `ir.activations.FUNCTIONS`; its parameters go by their names there.
    """

    threshold: Value = param(1.0, low=0)
    function: str = choice(RELU, *FUNCTIONS)
    _: KW_ONLY
    low: Value = _of(0.0, "clamp")
    high: Value = _of(6.0, "clamp")
    slope: Value = _of(0.01, "leaky_relu")
    width: Value = _of(0.5, "soft_shrink", "hard_shrink", low=0)
    level: Value = _of(0.0, "threshold")
    value: Value = _of(0.0, "threshold")
    alpha: Value = _of(1.0, "elu")
    scale: Value = _of(1.0, "elu")
    input_scale: Value = _of(1.0, "elu")
    beta: Value = _of(1.0, "softplus", "silu")
    limit: Value = _of(20.0, "softplus")

    @property
    def timed(self) -> bool:
        """Whether the neuron counts steps."""
        return not FUNCTIONS[self.function].scales

    def states(self) -> tuple[str, ...]:
        return ("s", "a", *("t",)[: self.timed])

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        total = s.s + x[0]
        t = s.t + 1.0 if self.timed else None
        z = self.nearest(self.followed(p, total, t, ops) - s.a, p, ops)
        after = s.a + ops.stop_gradient(z) * p.threshold
        return z, (total, after, *(() if t is None else (t,)))

    def followed(self, p: Any, total: Any, t: Any, ops: Ops) -> Any:
        """t f(total / t)."""
        f, of = FUNCTIONS[self.function], Recorded(ops)
        return f.form(total, t, p, of) if f.lines else t * f.form(total / t, 1.0, p, of)

    @abstractmethod
    def nearest(self, rest: Any, p: Any, ops: Ops) -> Any:
        """The value of the alphabet nearest to rest / threshold."""


class Recorded:
    """`Numbers` that are symbols; a step within a function is trained as a constant."""

    def __init__(self, ops: Ops) -> None:
        self._ops = ops
        self.minimum, self.maximum, self.where = ops.minimum, ops.maximum, ops.where
        self.abs, self.exp, self.tanh, self.sigmoid = ops.abs, ops.exp, ops.tanh, ops.sigmoid

    def step(self, x: Any) -> Any:
        """1 from 0 on, else 0."""
        return self._ops.stop_gradient(self._ops.spike(x, 2))


@dataclass(frozen=True, eq=False)
class FollowingIF(Following):
    """Integrate-and-fire for any function of values from 0 on, in spikes of 0 or 1.

    As `Following`; z = 1 where r >= threshold / 2. What was handed on is never taken back, so that a mean
    that falls again leaves a rest; `SignedIF` takes it back. For the rectifier use `IF`, which needs one
    state.

    Source: the identity of integrate-and-fire neurons that reset by subtraction (B. Rueckauer and others,
    Frontiers in Neuroscience 11, 2017), for other functions than the rectifier.
    """

    def nearest(self, rest: Any, p: Any, ops: Ops) -> Any:
        return ops.spike(rest - p.threshold * 0.5)
