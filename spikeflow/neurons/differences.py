"""Between values and changes of their running mean: what stands before and behind neurons of differential
code.

A stream of changes x says that after t steps its mean is m(t) = m(t - 1) + x(t) / t, from a m(0) that need
not be 0. Every linear operation on such streams is that operation on their means, so weights take them as
they are; biases belong to m(0). With a `decay` a change of step t is worth w(t) = decay^(t - 1) in the place
of 1 / t, in one network everywhere the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from spikeflow.ir.alphabet import LEAST_WORTH
from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import NeuronModel, choice, share

STEPS, MEANS = FORMS = ("steps", "means")


def worth(before: Any, decay: float, ops: Ops) -> Any:
    """What a change of this step is worth: 1 in the first, of which the state before is 0; then `decay` times
    that of the step before.
    """
    return ops.where(before, ops.maximum(before * decay, LEAST_WORTH), 1.0)


@dataclass(frozen=True, eq=False)
class DifferenceEncoder(NeuronModel):
    """Changes of a running mean from values: t <- t + 1;  d = x - m (steps) or t (x - m) (means);
    m <- m + d / t. With a decay d = (x - m) / (t w) or (x - m) / w;  m <- m + d w.

    Of a constant x it hands on x in the first step, then exactly 0.

    Parameters
    ----------
    reads : "steps", of which m is to be the mean, or "means", of which m is to be the last.
    decay : what a step is worth as a share of the one before; 0 where step t is worth 1 / t.
    """

    reads: str = choice(STEPS, *FORMS)
    decay: float = share(0.0)
    timed: ClassVar[bool] = True

    def states(self) -> tuple[str, ...]:
        return _states(self.decay, self.reads)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        if self.decay:
            return self._decaying(s, x[0], ops)
        t, new = s.t + 1.0, x[0] - s.m
        return (new, (s.m + new / t, t)) if self.reads == STEPS else (new * t, (x[0], t))

    def _decaying(self, s: Any, x: Any, ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        w = worth(s.w, self.decay, ops)
        if self.reads == MEANS:
            d = (x - s.m) / w
            return d, (s.m + d * w, w)
        t = s.t + 1.0
        d = (x - s.m) / t / w
        return d, (s.m + d * w, w, t)


@dataclass(frozen=True, eq=False)
class DifferenceDecoder(NeuronModel):
    """Values from changes of a running mean: t <- t + 1;  y = m + x (steps);  m <- m + x / t;  y = m (means).
    With a decay y = m + t w x (steps);  m <- m + w x.

    Parameters
    ----------
    gives : "steps", whose mean m is, or "means", m itself.
    decay : what a step is worth as a share of the one before; 0 where step t is worth 1 / t.
    """

    gives: str = choice(STEPS, *FORMS)
    decay: float = share(0.0)
    timed: ClassVar[bool] = True

    def states(self) -> tuple[str, ...]:
        return _states(self.decay, self.gives)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        if self.decay:
            return self._decaying(s, x[0], ops)
        t = s.t + 1.0
        mean = s.m + x[0] / t
        return (s.m + x[0] if self.gives == STEPS else mean), (mean, t)

    def _decaying(self, s: Any, x: Any, ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        w = worth(s.w, self.decay, ops)
        change = x * w
        mean = s.m + change
        if self.gives == MEANS:
            return mean, (mean, w)
        t = s.t + 1.0
        return s.m + t * change, (mean, w, t)


def _states(decay: float, form: str) -> tuple[str, ...]:
    """The mean, and what tells the worth of a step; the number of steps where values of them count."""
    if not decay:
        return "m", "t"
    return ("m", "w", "t") if form == STEPS else ("m", "w")
