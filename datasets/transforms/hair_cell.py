"""Hair cells and the neurons behind them: filtered sound to drive, drive to spikes.

Hair cell: half-wave rectification, compression by a power law, and the smoothing of a receptor whose membrane
cannot follow fast vibrations: the mean over one step. Neuron: leaky integrate-and-fire with reset to zero and
a refractory time, in steps of equal length:

    v <- a v + (1 - a) drive / threshold,  a = exp(-step / tau);   a spike and v <- 0 where v >= 1

A drive that stays at the threshold just does not make a spike; a larger drive never makes fewer.

Sources: Meddis 1986, "Simulation of mechanical to neural transduction in the auditory receptor" (what hair
cells do); Palmer and Russell 1986, "Phase-locking in the cochlear nerve of the guinea-pig" (receptors smooth
above some kHz); Lapicque 1907 (the neuron).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.errors import DataError
from spikeflow.typing import Array


@dataclass(frozen=True)
class HairCell:
    """Constants of hair cells and neurons; amplitudes are those of samples between -1 and 1.

    Parameters
    ----------
    exponent : of the compression; 1 is none, 0.3 about what loudness follows.
    threshold : drive below which a neuron never spikes.
    tau_us : membrane time constant.
    refractory_us : least time between two spikes; at least one step.
    """

    exponent: float = 0.3
    threshold: float = 0.07
    tau_us: int = 5000
    refractory_us: int = 2000

    def __post_init__(self) -> None:
        if not 0 < self.exponent <= 1:
            raise DataError("hair cell: exponent", self.exponent, "above 0, at most 1")
        for name in ("threshold", "tau_us"):
            if not 0 < getattr(self, name) < np.inf:
                raise DataError(f"hair cell: {name}", getattr(self, name), "a number above 0")
        if self.refractory_us < 0:
            raise DataError("hair cell: refractory_us", self.refractory_us, "0 or more")

    def drive(self, filtered: Array, samples_a_step: int) -> Array:
        """Drive of every neuron in every step, ``(steps, channels)``; a step begun counts as one, filled with
        zeros.

        Parameters
        ----------
        filtered : ``(channels, n)``.
        """
        channels, n = filtered.shape
        steps = -(-n // samples_a_step)
        whole = np.zeros((channels, steps * samples_a_step))
        np.maximum(filtered, 0, out=whole[:, :n])
        np.power(whole, self.exponent, out=whole)
        return np.ascontiguousarray(whole.reshape(channels, steps, samples_a_step).mean(2).T)

    def spikes(self, drive: Array, step_us: int) -> Array:
        """Whether each neuron spikes in each step, bool, ``(steps, channels)``."""
        leak = np.exp(-step_us / self.tau_us)
        rest = max(1, -(-self.refractory_us // step_us))  # steps from one spike to the next, at the least
        arriving = drive * ((1 - leak) / self.threshold)
        fired = np.zeros(drive.shape, bool)
        v = np.zeros(drive.shape[1])
        ready = np.zeros(drive.shape[1], np.int64)  # first step in which a neuron may integrate again
        for step, current in enumerate(arriving):
            v *= leak
            v += current
            v *= ready <= step
            (hit,) = (v >= 1).nonzero()
            if hit.size:
                fired[step, hit] = True
                v[hit], ready[hit] = 0, step + rest
        return fired
