"""The one neuron that both formats have and that is a `CubaLIF` exactly: leaky integration of currents that
decay exponentially, with a threshold and a refractory period.

Between events C dv/dt = -C (v - rest) / tau + i and di/dt = -i / tau_syn, which steps of `dt_s` solve
exactly. A CubaLIF keeps in u what the current does to the membrane within one step, so a weight is multiplied
by that once; v counts from the resting potential.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.errors import DataError
from spikeflow.neurons import CubaLIF
from spikeflow.neurons.spiking import MOST_STEPS
from spikeflow.readers.whole_steps import whole_steps


@dataclass(frozen=True)
class CurrentExponential:
    """A neuron in SI units (farad, second, volt, ampere)."""

    name: str
    capacity: float
    tau_s: float
    tau_current_s: float
    refractory_s: float
    rest: float
    reset: float
    threshold: float
    initial: float
    current: float

    def check(self) -> None:
        """Raise DataError for numbers with which it is no such neuron."""
        if not 0 <= self.refractory_s < np.inf:
            raise DataError(self.name, f"a refractory period of {self.refractory_s:g} s", "0 or more")
        whole = np.isfinite([self.rest, self.reset, self.threshold, self.initial, self.current]).all()
        if not whole or not (self.capacity > 0 and self.tau_s > 0 and self.tau_current_s > 0):
            raise DataError(self.name, "a capacity or time constant of 0 or less", "numbers above 0")
        if self.threshold < self.rest:
            raise DataError(
                self.name, f"a threshold of {self.threshold:g} V", f"at least the rest, {self.rest:g} V"
            )
        if abs(self.tau_s - self.tau_current_s) < 1e-6 * self.tau_s:
            got = f"equal time constants of membrane and current, {self.tau_s:g} s"
            raise DataError(self.name, got, "two that differ")

    def neuron(self, dt_s: float) -> CubaLIF:
        """The neuron at steps of `dt_s`; a refractory period is rounded to whole steps, which is told."""
        rest_steps = int(whole_steps(f"{self.name}: refractory periods", self.refractory_s, dt_s))
        if not 0 <= rest_steps <= MOST_STEPS:
            got = f"a refractory period of {rest_steps} steps of {dt_s:g} s"
            raise DataError(self.name, got, f"0 to {MOST_STEPS}")
        back = self.reset - self.rest
        decays = float(np.exp(-dt_s / self.tau_current_s)), float(np.exp(-dt_s / self.tau_s))
        threshold = self.threshold - self.rest
        if not back:
            return CubaLIF(*decays, threshold, refractory=rest_steps)
        return CubaLIF(*decays, threshold, "value", reset_value=back, refractory=rest_steps)

    def of_decaying(self, dt_s: float) -> float:
        """Volts that an ampere which decays moves the membrane in its first step."""
        tau, syn = self.tau_s, self.tau_current_s
        gain = tau * syn / (self.capacity * (tau - syn))
        return float(gain * (np.exp(-dt_s / tau) - np.exp(-dt_s / syn)))

    def of_constant(self, dt_s: float) -> float:
        """Volts that an ampere which stays moves the membrane in a step."""
        return float(self.tau_s / self.capacity * -np.expm1(-dt_s / self.tau_s))

    def states(self, dt_s: float) -> dict[str, float]:
        """The states before the first step."""
        return {"u": self.current * self.of_constant(dt_s), "v": self.initial - self.rest}

    def constant(self, dt_s: float) -> float:
        """What enters in every step, so that u stays at what the constant current does."""
        return self.current * self.of_constant(dt_s) * float(-np.expm1(-dt_s / self.tau_current_s))
