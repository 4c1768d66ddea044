"""TwoPointLIF: a cell with a basal and an apical point, whose apical potential gates the basal drive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikeflow.errors import GraphError
from spikeflow.ir.ops import Ops
from spikeflow.neurons.gates import BURST_SLOT, GATES
from spikeflow.neurons.model import (
    CONVENTIONS,
    RESETS,
    NeuronModel,
    Value,
    When,
    choice,
    decay_from_tau,
    entering,
    param,
    reset,
)

COUPLED = "coupled"
_LEAKING: When = ("mode", tuple(GATES))


def _readers(name: str) -> When:
    """The modes whose gate reads a parameter."""
    return "mode", tuple(mode for mode, gate in GATES.items() if name in gate.reads)


@dataclass(frozen=True, eq=False)
class TwoPointLIF(NeuronModel):
    """Spiking two-point neuron: basal input drives the soma, apical input says how much of it arrives.

    ::

        a <- decay_apical a + (1 - decay_apical) apical + bap z_before
        u <- decay u + J(basal, a)                      raw
        u <- decay u + (1 - decay) J(basal, a)          normalised
        z = u >= threshold;  the output is z, or z (1 + (a >= burst_threshold)) with burst
        u <- u - threshold z (subtract), 0 where z (zero), reset_value where z (value)
        a <- a - discharge z                            with apical_discharge

    The stored u and a are those after the spike; a burst is told by the a before it. The last spike is a
    state only with `back_propagation`.

    ==============  ===============================================================================
    mode            J(basal, a)
    ==============  ===============================================================================
    isolation       basal
    gate            basal (1 + tanh(gain a))
    amplify         basal (1 + strength sigmoid(gain (a - apical_threshold)))
    drive           basal + strength tanh(a)
    amplify_drive   that of amplify, + 0.5 tanh(a)
    pass            basal where a >= apical_threshold, else 0
    cooperation     0.5 clip(r r + 2 r + a (1 + abs(r)), -6, 6), r = max(basal, -1)
    coupled         none:  a <- a - to_dendrite u + (basal + apical);  u <- u + to_soma a, no decay
    ==============  ===============================================================================

    Without apical input `gate` and `isolation` are a LIF, bit for bit. Basal silence is silence in `gate`,
    `amplify` and `pass`: apical input alone never makes a spike. A usual gain of `amplify` is 4.

    `pass` has a surrogate of its own in slot 1, `burst` in slot 2.

    Notes
    -----
    What each mode is in the literature, and where it differs:

    - the two points of integration: Adeel et al., IEEE TETCI 2023, doi 10.1109/TETCI.2022.3228537, whose
      cells are of rates. The discrete LIF and the low-pass of the apical input are this project's.
    - gate: the law 1 + tanh of Ferrand et al., ICANN 2023, doi 10.1007/978-3-031-44207-0_32. Context may
      veto completely, which it may not in the rate form of Kay and Phillips, r (1 + exp(r c)) / 2.
    - amplify, drive, amplify_drive: apical amplification and apical drive (Aru, Suzuki and Larkum, Trends in
      Cognitive Sciences 2020) as a logistic factor and a bounded current; these forms are this project's.
    - pass: the join PASS of dendritic compartments (Davies et al., IEEE Micro 2018); here the apical
      potential is compared and not reset.
    - cooperation: the modulation of Adeel's group, ReLU6(r r + 2 r + c (1 + abs(r))), a law of rates; here
      r ends at -1, where the law would turn, and the result is halved, may be negative, and is a current.
    - coupled: TC-LIF (Zhang et al., AAAI 2024), where all input enters the dendrite; its couplings are
      logistic functions of what is learned, here they are numbers from 0 to 1. As published it has
      ``reset="subtract"`` (the dendrite is discharged by any spike). What it holds never fades.
    - back-propagating spikes, bursts: Naud and Sprekeler, PNAS 2018, in continuous time; here within a step.

    Raises
    ------
    GraphError
        For a parameter other than its default that the declared mode does not read.
    """

    decay: Value = param(0.904837, low=0, high=1, when=_LEAKING)
    decay_apical: Value = param(0.951229, low=0, high=1, when=_LEAKING)
    gain: Value = param(1.0, when=_readers("gain"))
    bap: Value = param(0.0, when=_LEAKING)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("zero", *RESETS, "value")
    back_propagation: bool = False
    mode: str = choice("gate", *GATES, COUPLED)
    convention: str = choice("raw", *CONVENTIONS)
    apical_discharge: bool = False
    burst: bool = False
    strength: Value = param(1.313262, low=0, when=_readers("strength"))
    apical_threshold: Value = param(0.5, when=_readers("apical_threshold"))
    reset_value: Value = param(0.0, when=("reset", ("value",)))
    discharge: Value = param(0.5)
    burst_threshold: Value = param(1.0, when=("burst", (True,)))
    to_dendrite: Value = param(0.5, low=0, high=1, when=("mode", (COUPLED,)))
    to_soma: Value = param(0.5, low=0, high=1, when=("mode", (COUPLED,)))
    inputs: ClassVar[tuple[str, ...]] = ("basal", "apical")

    def __post_init__(self) -> None:
        super().__post_init__()
        if np.any(self.bap) and not self.back_propagation:
            raise GraphError(self.name, "bap acts only with back_propagation", "back_propagation=True")
        if self.mode == COUPLED and (self.back_propagation or self.convention != "raw"):
            reason = "mode 'coupled' has neither back_propagation nor a normalised input"
            raise GraphError(self.name, reason, "back_propagation=False, convention='raw'")
        if not self._discharges and np.any(self.discharge != 0.5):
            raise GraphError(self.name, "discharge acts only with apical_discharge", "apical_discharge=True")

    @staticmethod
    def from_tau(
        tau_s: Value, tau_apical_s: Value, dt: float, gain: Value = 1.0, mode: str = "gate"
    ) -> TwoPointLIF:
        """A cell of these time constants in seconds at steps of `dt` seconds."""
        soma, apical = decay_from_tau(tau_s, dt), decay_from_tau(tau_apical_s, dt)
        return TwoPointLIF(soma, apical, gain, mode=mode)

    @property
    def _discharges(self) -> bool:
        return self.apical_discharge or self.mode == COUPLED

    def params(self) -> dict[str, Value]:
        """The parameters by name."""
        found = super().params()
        return found if self._discharges else {n: v for n, v in found.items() if n != "discharge"}

    def states(self) -> tuple[str, ...]:
        return ("u", "a", "z") if self.back_propagation else ("u", "a")

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        u, a = self._charged(p, s, x, ops)
        z = ops.spike(u - p.threshold)
        u = self._reset(p, u, z, ops)
        after = a - p.discharge * ops.stop_gradient(z) if self._discharges else a
        output = z * (1.0 + ops.spike(a - p.burst_threshold, BURST_SLOT)) if self.burst else z
        return output, (u, after, ops.stop_gradient(z)) if self.back_propagation else (u, after)

    def _charged(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, Any]:
        """Both potentials before the spike."""
        basal, apical = x
        if self.mode == COUPLED:
            a = s.a - p.to_dendrite * s.u + (basal + apical)
            return s.u + p.to_soma * a, a
        a = p.decay_apical * s.a + (1.0 - p.decay_apical) * apical
        if self.back_propagation:
            a = a + p.bap * s.z
        drive = GATES[self.mode].drive(p, basal, a, ops)
        return p.decay * s.u + entering(drive, p.decay, self.convention), a

    def _reset(self, p: Any, u: Any, z: Any, ops: Ops) -> Any:
        if self.reset == "value":
            return ops.where(ops.stop_gradient(z), p.reset_value, u)
        return reset(u, z, p.threshold, self.reset, ops)
