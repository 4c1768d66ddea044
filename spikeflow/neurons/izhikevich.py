"""Izhikevich: the quadratic neuron with recovery that fires as cortical neurons do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow.errors import GraphError
from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import NeuronModel, Value, param, whole


@dataclass(frozen=True, eq=False)
class Izhikevich(NeuronModel):
    """Izhikevich's simple model, in mV above its resting potential, and ms.

    substeps times:  v <- v + (dt / substeps) (curvature v (v - unstable) - u + gain x);
    u <- u + dt a (b v - u);  z = v >= peak;  where z:  v <- c,  u <- u + d.

    Rest is v = u = 0. `from_published` takes the four numbers of the paper, whose
    v' = 0.04 v v + 5 v + 140 - u + I is this with the potential counted from its rest, where u' = 0.

    Source: E. M. Izhikevich, IEEE Transactions on Neural Networks 14(6), 2003.

    Parameters
    ----------
    a : 1/ms.
    b : 1/ms, as u counts in mV/ms.
    c, peak : mV above rest.
    d : mV/ms, by which u jumps.
    curvature : 1/(mV ms).
    unstable : mV above rest, beyond which v runs away.
    dt : ms.
    gain : mV that an input of 1 adds to v in a millisecond.
    substeps : Euler steps of v within a step, from 1 to 8; the paper's program takes 2 of 0.5 ms.
    """

    a: Value = param(0.02, low=0, high=1)
    b: Value = param(0.2)
    c: Value = param(5.0, low=-1000, high=1000)
    d: Value = param(8.0)
    curvature: Value = param(0.04, low=0)
    unstable: Value = param(15.0)
    peak: Value = param(100.0, low=0, high=1000)
    dt: Value = param(1.0, low=0, high=2)
    gain: Value = param(1.0)
    substeps: int = whole(2, 1, 8)

    @staticmethod
    def from_published(
        a: Value, b: Value, c: Value, d: Value, dt: Value = 1.0, gain: Value = 1.0
    ) -> Izhikevich:
        """The model of the paper's a, b, c (mV) and d: (0.02, 0.2, -65, 8) is a regular spiking neuron.

        Raises
        ------
        GraphError
            For a `b` above 0.2668, with which there is no resting potential.
        """
        straight = 5 - np.asarray(b, np.float64)
        root = straight * straight - 4 * 0.04 * 140
        if (root < 0).any():
            raise GraphError("Izhikevich", f"b of {b} leaves no resting potential", "b up to 0.2668")
        rest = (-straight - np.sqrt(root)) / 0.08
        return Izhikevich(
            a, b, np.asarray(c) - rest, d, unstable=-(2 * rest + 125), peak=30 - rest, dt=dt, gain=gain
        )

    def states(self) -> tuple[str, ...]:
        return ("v", "u")

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        v, drive, part = s.v, p.gain * x[0] - s.u, p.dt * (1 / self.substeps)
        for _ in range(self.substeps):
            v = v + part * (p.curvature * v * (v - p.unstable) + drive)
        u = s.u + (p.dt * p.a) * (p.b * v - s.u)
        z = ops.spike(v - p.peak)
        return z, (ops.where(ops.stop_gradient(z), p.c, v), u + p.d * z)
