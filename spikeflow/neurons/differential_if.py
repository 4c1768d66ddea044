"""DifferentialIF: integrate-and-fire that hands on changes of its estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.activations import FUNCTIONS
from spikeflow.ir.alphabet import DIFFERENTIAL
from spikeflow.ir.ops import Ops
from spikeflow.neurons.following import Following, Recorded
from spikeflow.neurons.model import Value, param, whole


@dataclass(frozen=True, eq=False)
class DifferentialIF(Following):
    """Differential neuron: values from -`most` to `most`, of which one handed on in step t stands for
    threshold / t.

    t <- t + 1;  m <- m + x / t;  r = t (f(m) - e);  z = the whole number from -most to most that is nearest
    to r / threshold;  e <- e + threshold z / t.

    m is what arrived so far, a running mean; e, the sum of threshold z / t, is what everyone who reads the
    neuron has of it. Where r lies within (most + 1/2) thresholds, e lies within threshold / (2 t) of f(m). A
    step hands on what is new: what the first steps got wrong is taken back whole, where a mean over all steps
    keeps 1 / T of it. What arrives must be changes as well (`DifferenceEncoder`); a bias is what m starts
    with. Ties go up, as with `SignedIF`.

    Source: Z. Huang and others, ICML 2025 (differential coding for training-free conversion), there with
    thresholds that are powers of 2.
    """

    threshold: Value = param(1.0, low=2.0**-40)
    most: int = whole(3, 1, 16)

    @property
    def alphabet(self) -> str:
        return f"{DIFFERENTIAL}:{self.most}"

    @property
    def timed(self) -> bool:
        return True

    def states(self) -> tuple[str, ...]:
        return "m", "e", "t"

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        t = s.t + 1.0
        mean = s.m + x[0] / t
        wanted = FUNCTIONS[self.function].form(mean, 1.0, p, Recorded(ops))
        z = self.nearest((wanted - s.e) * t, p, ops)
        return z, (mean, s.e + ops.stop_gradient(z) * p.threshold / t, t)

    def nearest(self, rest: Any, p: Any, ops: Ops) -> Any:
        inside = ops.minimum(ops.maximum(rest / p.threshold, float(-self.most)), float(self.most))
        return ops.floor(inside + 0.5, 1)
