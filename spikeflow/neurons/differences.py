"""Between values and changes of their running mean: what stands before and behind neurons of differential
code.

A stream of changes x says that after t steps its mean is m(t) = m(t - 1) + x(t) / t, from a m(0) that need
not be 0. Every linear operation on such streams is that operation on their means, so weights take them as
they are; biases belong to m(0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import NeuronModel, choice

STEPS, MEANS = FORMS = ("steps", "means")


@dataclass(frozen=True, eq=False)
class DifferenceEncoder(NeuronModel):
    """Changes of a running mean from values: t <- t + 1;  d = x - m (steps) or t (x - m) (means);
    m <- m + d / t.

    Of a constant x it hands on x in the first step, then exactly 0.

    Parameters
    ----------
    reads : "steps", of which m is to be the mean, or "means", of which m is to be the last.
    """

    reads: str = choice(STEPS, *FORMS)
    timed: ClassVar[bool] = True

    def states(self) -> tuple[str, ...]:
        return "m", "t"

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        t, new = s.t + 1.0, x[0] - s.m
        return (new, (s.m + new / t, t)) if self.reads == STEPS else (new * t, (x[0], t))


@dataclass(frozen=True, eq=False)
class DifferenceDecoder(NeuronModel):
    """Values from changes of a running mean: t <- t + 1;  y = m + x (steps);  m <- m + x / t;  y = m (means).

    Parameters
    ----------
    gives : "steps", whose mean m is, or "means", m itself.
    """

    gives: str = choice(STEPS, *FORMS)
    timed: ClassVar[bool] = True

    def states(self) -> tuple[str, ...]:
        return "m", "t"

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        t = s.t + 1.0
        mean = s.m + x[0] / t
        return (s.m + x[0] if self.gives == STEPS else mean), (mean, t)
