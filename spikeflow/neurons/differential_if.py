"""DifferentialIF: integrate-and-fire that hands on changes of its estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.activations import FUNCTIONS
from spikeflow.ir.alphabet import DIFFERENTIAL, decaying
from spikeflow.ir.ops import Ops
from spikeflow.neurons.differences import worth
from spikeflow.neurons.following import Following, Recorded
from spikeflow.neurons.model import Value, param, share, whole


@dataclass(frozen=True, eq=False)
class DifferentialIF(Following):
    """Differential neuron: values from -`most` to `most`, of which one handed on in step t stands for
    threshold / t, or for threshold w with w = decay^(t - 1).

    t <- t + 1;  m <- m + x / t;  r = t (f(m) - e);  z = the whole number from -most to most that is nearest
    to r / threshold;  e <- e + threshold z / t.

    m is what arrived so far, a running mean; e, the sum of threshold z / t, is what everyone who reads the
    neuron has of it. Where r lies within (most + 1/2) thresholds, e lies within threshold / (2 t) of f(m). A
    step hands on what is new: what the first steps got wrong is taken back whole, where a mean over all steps
    keeps 1 / T of it. What arrives must be changes as well (`DifferenceEncoder`); a bias is what m starts
    with. Ties go up, as with `SignedIF`.

    With a `decay` steps grow finer as fast as a number's digits do, if what arrives moves by no more than
    `most` thresholds w (`convert.passes.tracking`); 2^-16 is the least w, from which on they stay as fine.

    Source: Z. Huang and others, ICML 2025 (differential coding for training-free conversion), there with
    thresholds that are powers of 2, and steps worth 1 / t.
    """

    threshold: Value = param(1.0, low=2.0**-40)
    most: int = whole(3, 1, 16)
    decay: float = share(0.0)

    @property
    def alphabet(self) -> str:
        return decaying(f"{DIFFERENTIAL}:{self.most}", self.decay)

    @property
    def timed(self) -> bool:
        return True

    def states(self) -> tuple[str, ...]:
        return "m", "e", "w" if self.decay else "t"

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        if self.decay:
            return self._decaying(p, s, x[0], ops)
        t = s.t + 1.0
        mean = s.m + x[0] / t
        wanted = FUNCTIONS[self.function].form(mean, 1.0, p, Recorded(ops))
        z = self.nearest((wanted - s.e) * t, p, ops)
        return z, (mean, s.e + ops.stop_gradient(z) * p.threshold / t, t)

    def _decaying(self, p: Any, s: Any, x: Any, ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        w = worth(s.w, self.decay, ops)
        mean = s.m + x * w
        wanted = FUNCTIONS[self.function].form(mean, 1.0, p, Recorded(ops))
        z = self.nearest((wanted - s.e) / w, p, ops)
        return z, (mean, s.e + ops.stop_gradient(z) * p.threshold * w, w)

    def nearest(self, rest: Any, p: Any, ops: Ops) -> Any:
        inside = ops.minimum(ops.maximum(rest / p.threshold, float(-self.most)), float(self.most))
        return ops.floor(inside + 0.5, 1)
