"""Arithmetic: how a core computes in integers, as a table; `hw.integer.translate` turns it into programs.

The word *unit* below: a port delivers whole numbers of weights; a state counts in 2**-state_shift of them.
"""

from __future__ import annotations

from dataclasses import dataclass

# of a core that runs programs; the words are those of files (`ir.instructions`)
PROGRAMMABLE = frozenset(
    [
        "const",
        "param",
        "state",
        "input",
        "add",
        "sub",
        "mul",
        "shift",
        "min",
        "max",
        "where",
        "spike",
        "hold",
        "narrow",
        "table",
    ]
)


@dataclass(frozen=True)
class Register:
    """A register's width and what it does with a number that is too large (a mode of ``ir.fixed.narrow``)."""

    bits: int
    mode: str
    source: str


@dataclass(frozen=True)
class Arithmetic:
    """What happens between the sum of the weights and the spike.

    ::

        q = total(sum of the weights) 2**state_shift
        u = current(decay u + q)                 where a state only filters its port; else u = current(q)
        x = biased(u + bias)                     bias = mantissa 2**exponent
        u = current(decay u + q + bias)          where a current that lasts has a bias, and current_bias
        v = state(decay v + x ...)               products rounded toward zero, decays of decay_bits
        spike where v > 2**threshold_shift (M - 1) if strict, else v >= 2**threshold_shift M

    Parameters
    ----------
    total, biased : registers that exist on some chips only.
    current_bias : whether a core's program may add a bias to a current that lasts; else it is refused.
    readout : register of a state that is handed on as it is.
    current_decay_high : largest decay of a current, in 2**-decay_bits; state_decay_low : smallest of a state.
    bias_mantissa, bias_exponent : largest values.
    threshold, smallest_threshold : largest M, and the smallest that a scale is chosen for: where v > 0 fires
        (M of 1, stored as 0) a bias of 1 makes a silent neuron spike.
    excitatory_bits : whether weights without a negative (or positive) one gain the bit of the sign.
    table_frac : binary places of a table's entries.
    """

    state_shift: int
    current: Register
    state: Register
    readout: Register
    decay_bits: int
    current_decay_high: int
    state_decay_low: int
    threshold: int
    threshold_shift: int
    strict: bool
    bias_mantissa: int
    bias_exponent: int
    excitatory_bits: bool
    total: Register | None = None
    biased: Register | None = None
    table_frac: int = 12
    current_bias: bool = False
    smallest_threshold: int = 1
