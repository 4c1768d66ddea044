"""TwoPointAnalog: a rate cell whose context says how strongly its evidence is passed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import NeuronModel, Value, choice, param
from spikeflow.neurons.modulation import LAWS


@dataclass(frozen=True, eq=False)
class TwoPointAnalog(NeuronModel):
    """Context-sensitive cell of rates.

    ::

        m <- memory m + (1 - memory) universal
        c = proximal + distal + m
        y = phi(law(r, c)), r the evidence;  phi = ReLU6 or ReLU

    Ports, ``(T, B, *shape)`` each; one that nothing reaches reads 0: ``evidence`` (the receptive field),
    ``proximal`` (the own layer a step before: `Recurrent(..., port="proximal")`), ``distal`` (other streams),
    ``universal`` (a summary of all streams, which fades in and out). A stream's context should be what other
    streams receive, not what they emit: else two of them depend on each other within a step.

    ======================  ===============================  =======================================
    law                     before phi                       source
    ======================  ===============================  =======================================
    gate                    r (1 + tanh(gain c))             Ferrand et al., ICANN 2023
    isolation               r                                a point neuron: the control
    additive                r + c                            a point neuron with one more input
    kay_phillips            r (1 + exp(r c)) / 2             Kay and Phillips, Neural Comput. 1997
    linear                  r (1 + c)                        the code of Adeel's group
    tanh_rc                 r (1 + tanh(r c))                recalled, no source confirmed
    pow2                    r 2^(r c)                        recalled, no source confirmed
    cooperation             as below, of max(r, -1)          this project's monotone form
    published_cooperation   r r + 2 r + c (1 + abs(r))       the code of Adeel's group
    ======================  ===============================  =======================================

    The published cooperation is positive again below r = -2: what is strongly inhibited switches on.

    Its values are rates, which no chip here hands on between neurons: mapping refuses it by name, but for a
    read-out, which programmable chips take. `telemetry` counts its active cells.

    Source: Adeel et al., IEEE TETCI 2023, doi 10.1109/TETCI.2022.3228537.
    """

    gain: Value = param(1.0, when=("law", ("gate",)))
    memory: Value = param(0.9, low=0, high=1)
    law: str = choice("gate", *LAWS)
    phi: str = choice("relu6", "relu6", "relu")
    inputs: ClassVar[tuple[str, ...]] = ("evidence", "proximal", "distal", "universal")

    def states(self) -> tuple[str, ...]:
        return ("m",)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        evidence, proximal, distal, universal = x
        m = p.memory * s.m + (1.0 - p.memory) * universal
        y = ops.maximum(LAWS[self.law](p, evidence, proximal + distal + m, ops), 0.0)
        return ops.minimum(y, 6.0) if self.phi == "relu6" else y, (m,)
