"""Which registers of a chip limit a port's scales, and which of them overflow in a run.

A membrane may clip at its low end: a silent neuron that drifts down stays silent. It gets room for as far as
it comes up again after its lowest value. Any other overflow is harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.hw.chips.arithmetic import Arithmetic, Register
from spikeflow.hw.integer.probes import ENDS, Reach
from spikeflow.hw.integer.scales import current_ports, state_scales
from spikeflow.ir.nodes import Population
from spikeflow.ir.program import Instruction
from spikeflow.sim.overflow import is_membrane
from spikeflow.sim.result import Counts
from spikeflow.typing import Float

# how much further than on the calibration samples a register may go
WRAPPED = 2.0  # where it would come out at the other end
CLIPPED = 1.25
UNSEEN = 1.6  # and so much further again where only some of the samples were followed
READOUT_ROOM = 2.0
LOWEST = 8.0  # thresholds of room under 0, whatever the samples say
LEVELS = 128  # below so many levels to the threshold no neuron gives up more for room under 0


def followed(node: Population) -> list[Reach]:
    """The registers of a float population that integers will have to hold."""
    registers = [i for i, c in enumerate(node.program.code) if c.op == "input"]
    ends = [Reach(r, end) for r in registers for end in ("low", "high")]
    return ends + [Reach(r, end) for r in dict.fromkeys(node.program.next_states) for end in ENDS]


@dataclass(frozen=True, eq=False)
class Needs:
    """A float population on calibration samples.

    Parameters
    ----------
    node : the population; `bias` : what arrives at each of its ports when nothing spikes.
    reaches : how far its registers go; `all_seen` : on all samples, or on some of them.
    """

    node: Population
    bias: Mapping[str, Float | None]
    reaches: Mapping[Reach, Float]
    arithmetic: Arithmetic
    all_seen: bool = True

    def ceiling(self, port: str, threshold: Float) -> Float:
        """The largest scale of the port for each neuron, in C order; infinite where nothing limits it.

        `threshold` : of each neuron, in real numbers; 0 where there is none.
        """
        limit = self._sums(port)
        for state, ratio in self._states(port).items():
            limit = np.minimum(limit, self._state(state, ratio, threshold))
        return limit

    def _sums(self, port: str) -> Float:
        a, low, high = self.arithmetic, np.zeros(prod(self.node.shape)), np.zeros(prod(self.node.shape))
        for register in (
            i for i, c in enumerate(self.node.program.code) if c.op == "input" and c.name == port
        ):
            low, high = self.reaches[Reach(register, "low")], self.reaches[Reach(register, "high")]
        bias = self.bias[port]
        own = np.zeros(1) if bias is None else np.broadcast_to(bias, self.node.shape).reshape(-1)
        alone = np.maximum(high - own, own - low)
        shift = 2.0**a.state_shift
        found = _ratio(_limit(a.current) / shift, alone)
        if a.total is not None:
            found = np.minimum(found, _ratio(_limit(a.total), alone))
        if a.biased is not None:
            found = np.minimum(found, _ratio(_limit(a.biased) / shift, np.maximum(high, -low)))
        if bias is not None:
            found = np.minimum(found, _ratio(bias_limit(a) / shift, np.abs(own)))
        return found

    def _states(self, port: str) -> dict[str, Float]:
        """The states that are counted at the port's scale, and their scale where the port's is 1."""
        one, two = (self._scales({port: k}) for k in (1.0, 4.0))
        return {s: one[s] for s in one if not np.array_equal(one[s], two[s])}

    def _scales(self, ports: Mapping[str, float]) -> dict[str, Float]:
        shift = 2.0**self.arithmetic.state_shift
        scales = {p: np.asarray(ports.get(p, 1.0) * shift) for p in self.node.ports}
        found = state_scales(self.node.program, scales, self.arithmetic)
        return {s: scale for s, scale in found.items() if scale is not None}

    def _state(self, state: str, ratio: Float, threshold: Float) -> Float:
        a, program = self.arithmetic, self.node.program
        register = program.next_states[program.states.index(state)]
        low, high, rise = (self.reaches[Reach(register, end)] for end in ENDS)
        if state in current_ports(program):
            return _ratio(_limit(a.current) / ratio, np.maximum(high, -low))
        if not self.node.spikes:
            kept = a.readout if register == program.output else a.state
            return _ratio((2.0 ** (kept.bits - 1) - 1) / READOUT_ROOM / ratio, np.maximum(high, -low))
        top = _limit(a.state) / (1.0 if self.all_seen else UNSEEN)
        if not is_membrane(self.node, state):
            return _ratio(top / ratio, np.maximum(high, -low))
        room = _ratio(_limit(a.state) / ratio, np.maximum(rise, LOWEST * threshold))
        unit = 2.0 ** (a.state_shift - a.threshold_shift)
        enough = np.divide(LEVELS / unit, threshold, out=np.zeros_like(threshold), where=threshold > 0)
        return np.minimum(_ratio(top / ratio, high), np.maximum(room, enough))


def bias_limit(a: Arithmetic) -> float:
    """The largest bias, in units of a state."""
    return float(a.bias_mantissa) * 2.0**a.bias_exponent


def _limit(register: Register) -> float:
    around = register.mode in ("wrap", "fold")
    return (2.0 ** (register.bits - 1) - 1) / (WRAPPED if around else CLIPPED)


def _ratio(limit: float | Float, value: Float) -> Float:
    return np.divide(limit, value, out=np.full(value.shape, np.inf), where=value > 0)


# --- overflow in a run of integers ---


def overflowing(node: Population, counts: Counts, currents: Sequence[str]) -> list[str]:
    """The registers of an integer population that overflowed, clips of a membrane's low end apart."""
    high = {name for name, n in counts.narrowed_high.items() if n}
    low = {name for name, n in counts.narrowed_low.items() if n and not _may_clip(node, name, currents)}
    return sorted(high | low)


def low_clips(node: Population, counts: Counts, currents: Sequence[str]) -> int:
    """How often a membrane clipped at its low end."""
    return sum(n for name, n in counts.narrowed_low.items() if _may_clip(node, name, currents))


def _may_clip(node: Population, name: str, currents: Sequence[str]) -> bool:
    if name in currents or not is_membrane(node, name):
        return False
    return all(i.mode in ("saturate", "symmetric") for i in _narrowed(node, name))


def watched(node: Population, name: str, currents: Sequence[str]) -> list[Reach]:
    """What a probe has to follow to tell how far a register of an integer population overflows."""
    ends = ("high",) if _may_clip(node, name, currents) else ("low", "high")
    return [Reach(i.args[0], end) for i in _narrowed(node, name) for end in ends]


def excess(node: Population, name: str, reaches: Mapping[Reach, Float], currents: Sequence[str]) -> Float:
    """How many times too large each neuron's values of a register were; 1 and less where they fit."""
    found = np.zeros(prod(node.shape))
    bits = {i.args[0]: int(i.value) for i in _narrowed(node, name)}
    for reach in watched(node, name, currents):
        most = 2.0 ** (bits[reach.register] - 1) - 1
        found = np.maximum(found, np.abs(reaches[reach]) / most)
    return found


def _narrowed(node: Population, name: str) -> list[Instruction]:
    return [i for i in node.program.code if i.op == "narrow" and i.name == name]
