"""AdEx: the exponential integrate-and-fire neuron with adaptation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import NeuronModel, Value, param

STEEPEST = 16.0  # exp of it moves the membrane past any peak in a step


@dataclass(frozen=True, eq=False)
class AdEx(NeuronModel):
    """Adaptive exponential integrate-and-fire, in mV above the resting potential, ms, pF, nS and pA.

    v <- v + (dt / capacitance) (-leak v + leak slope (e(v) - e(0)) - w + gain x);
    w <- w + (dt / tau_w) (a v - w), of the v of the step before;  z = v >= peak;
    where z:  v <- reset_value,  w <- w + b;  e(v) = exp(min((v - threshold) / slope, 16)).

    The paper has no e(0): with it v = w = 0 is at rest exactly, which is a constant current of
    leak slope e(0), 0.002 pA with the published numbers. The limit of 16 acts only where v passes the peak
    in the same step.

    Source: R. Brette and W. Gerstner, Journal of Neurophysiology 94, 2005; the defaults are its table.

    Parameters
    ----------
    capacitance : pF.
    leak, a : nS.
    slope : mV.
    threshold, peak, reset_value : mV above rest.
    tau_w, dt : ms.
    b : pA.
    gain : pA of an input of 1.
    """

    capacitance: Value = param(281.0, low=0.1, high=1e6)
    leak: Value = param(30.0, low=0, high=1e6)
    slope: Value = param(2.0, low=0.1, high=100)
    threshold: Value = param(20.2, low=0, high=1000)
    peak: Value = param(90.6, low=0, high=1000)
    reset_value: Value = param(0.0, low=-1000, high=1000)
    a: Value = param(4.0)
    tau_w: Value = param(144.0, low=0.1)
    b: Value = param(80.5)
    dt: Value = param(0.1, low=0, high=2)
    gain: Value = param(1.0)

    @staticmethod
    def from_millivolts(rest: float, threshold: float, peak: float, reset_value: float, **more: Any) -> AdEx:
        """An AdEx of potentials as papers give them, in mV: -70.6, -50.4, 20 and -70.6."""
        return AdEx(threshold=threshold - rest, peak=peak - rest, reset_value=reset_value - rest, **more)

    def states(self) -> tuple[str, ...]:
        return ("v", "w")

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        def rise(v: Any) -> Any:
            return ops.exp(ops.minimum((v - p.threshold) / p.slope, STEEPEST))

        exponential = (p.leak * p.slope) * (rise(s.v) - rise(0.0))
        v = s.v + (p.dt / p.capacitance) * (exponential - p.leak * s.v - s.w + p.gain * x[0])
        w = s.w + (p.dt / p.tau_w) * (p.a * s.v - s.w)
        z = ops.spike(v - p.peak)
        return z, (ops.where(ops.stop_gradient(z), p.reset_value, v), w + p.b * z)
