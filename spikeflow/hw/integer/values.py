"""What a register of a float program is while it becomes integers: how it scales, and how it is asked for.

A value x stands for the integer x times its scale. Some have a scale (they were made of a port's sum); others
have none and are written down at whichever scale is asked for: numbers known before the run, and flags.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import HardwareError, Violation
from spikeflow.hw.chips.arithmetic import Arithmetic, Register
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.ops import Ops, Symbol
from spikeflow.typing import Float

SIGNIFICANT = 15  # bits of a factor that is not a decay
BEYOND = 2.0**62  # more than any register holds
LOG2_ONE = 1e-9  # scales closer than this, as exponents of 2, are the same


@dataclass(eq=False)
class Writer:
    """The integer program under way: its instructions, params with their formats, and tables.

    With `trial` nothing is refused: the program is made to see which numbers it would need.
    """

    name: str
    arithmetic: Arithmetic
    trial: bool = False
    ops: Ops = field(default_factory=Ops)
    taken: frozenset[str] = (
        frozenset()
    )  # names of states and ports, which share the table of formats with params
    params: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    formats: dict[str, Fixed] = field(default_factory=dict)
    tables: dict[str, tuple[int, ...]] = field(default_factory=dict)
    thresholds: list[tuple[Float, Float]] = field(default_factory=list)  # real values and their scales

    def number(self, label: str, values: npt.NDArray[Any], bits: int = 0) -> Symbol:
        """A param of whole numbers; the same numbers under the same label are one param."""
        given = np.asarray(values)
        if given.dtype.kind == "f":  # what is beyond every register stays that, without an undefined cast
            given = np.clip(given, -BEYOND, BEYOND)
        values = shrunk(given.astype(np.int64))
        name, count = label, 2
        while name in self.taken or (name in self.params and not np.array_equal(self.params[name], values)):
            name, count = f"{label}_{count}", count + 1
        self.params[name] = values
        low = int(values.min(initial=0))
        needed = max(int(values.max(initial=0)).bit_length(), (-low - 1).bit_length() if low < 0 else 0, 1)
        self.formats[name] = Fixed(max(bits, needed + (low < 0)), signed=low < 0)
        if self.formats[name].high > 2**31 - 1 and not self.trial:
            self.refuse(f"{label} of {np.abs(values).max()}", "32 bits for a parameter")
        return self.ops.emit("param", name=name)

    def narrow(self, x: Symbol, register: Register, name: str) -> Symbol:
        """x in a register of the chip."""
        return self.ops.narrow(x, register.bits, register.mode, name)

    def refuse(self, need: str, limit: str, hint: str = "") -> None:
        """Raise HardwareError for this population."""
        raise HardwareError("integer arithmetic", [Violation(self.name, need, limit, hint)])


class Value(ABC):
    """A register of the float program."""

    @abstractmethod
    def at(self, w: Writer, scale: Float) -> Symbol:
        """The integer at this scale."""


@dataclass(eq=False)
class Static(Value):
    """A number known before the run, or one for each neuron; `is_threshold` where a spike compares with
    it.
    """

    value: Float
    label: str
    literal: bool = False
    is_threshold: bool = False

    def at(self, w: Writer, scale: Float) -> Symbol:
        if self.is_threshold:
            a, level = w.arithmetic, self.level(w, scale)
            return level + 2**a.threshold_shift if a.strict else level
        values = shrunk(np.floor(self.value * scale + 0.5))
        if self.literal and values.size == 1:
            return w.ops.emit("const", value=int(values.reshape(())))
        return w.number(self.label, values)

    def mantissa(self, w: Writer, scale: Float) -> Symbol:
        """The threshold as the chip stores it: M, or M - 1 where it compares with >."""
        unit, least = 2.0**w.arithmetic.threshold_shift, w.arithmetic.smallest_threshold
        values = np.floor(self.value * scale / unit + 0.5)
        # a threshold below the smallest: the neuron spikes less often than in float, never in every step
        values = np.where(self.value > 0, np.maximum(values, least), values)
        if not w.trial and (values.min(initial=1) < 1 or values.max(initial=1) > w.arithmetic.threshold):
            w.refuse(
                f"thresholds of {values.min():.0f} to {values.max():.0f}",
                f"1 to {w.arithmetic.threshold}",
                "thresholds and weights of one layer of about the same size",
            )
        return w.number(self.label, values - w.arithmetic.strict)

    def level(self, w: Writer, scale: Float) -> Symbol:
        """The number that the state is compared with."""
        w.thresholds.append((self.value, scale))
        stored = self.mantissa(w, scale)
        return w.ops.shift(stored, w.arithmetic.threshold_shift) if w.arithmetic.threshold_shift else stored


def shrunk(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One number instead of an array that repeats it."""
    return values.reshape(-1)[0] if values.size and (values == values.reshape(-1)[0]).all() else values


@dataclass(eq=False)
class Flag(Value):
    """0 or 1."""

    symbol: Symbol

    def at(self, w: Writer, scale: Float) -> Symbol:
        return Gated(self, Static(np.ones(()), "one", literal=True)).at(w, scale)


@dataclass(eq=False)
class Gated(Value):
    """A known number where the flag is 1, else 0."""

    flag: Flag
    static: Static

    def at(self, w: Writer, scale: Float) -> Symbol:
        return self.flag.symbol * self.static.at(w, scale)


@dataclass(eq=False)
class Moving(Value):
    """An integer that changes from step to step; `current` where its register is that of a current."""

    symbol: Symbol
    scale: Float
    current: bool = False

    def at(self, w: Writer, scale: Float) -> Symbol:
        ratio = np.log2(scale / self.scale)
        power = int(np.rint(ratio.reshape(-1)[0]))
        if (np.abs(ratio - power) < LOG2_ONE).all():
            return w.ops.shift(self.symbol, power, "zero") if power else self.symbol
        return multiplied(w, self, scale / self.scale, "rescale")


@dataclass(eq=False)
class Scaled(Value):
    """A known number times a moving one, rounded when it is asked for: once."""

    factor: Float
    label: str
    moving: Moving

    def at(self, w: Writer, scale: Float) -> Symbol:
        factor = self.factor * scale / self.moving.scale
        if (factor == 1).all():
            return self.moving.symbol
        if factor.min(initial=1) < 0 or factor.max(initial=0) > 1:
            return multiplied(w, self.moving, factor, self.label)
        return _decayed(w, self.moving, factor, self.label)


def scale_of(x: Value) -> Float | None:
    """The scale at which a value stands if nothing asks for another; None where any will do."""
    if isinstance(x, Scaled):
        return x.moving.scale
    return x.scale if isinstance(x, Moving) else None


def _decayed(w: Writer, x: Moving, factor: Float, label: str) -> Symbol:
    a = w.arithmetic
    one = 2**a.decay_bits
    low, high = (0, a.current_decay_high) if x.current else (a.state_decay_low, one)
    kept = np.clip(np.floor(factor * one + 0.5), low, high)
    return w.ops.mul(x.symbol, w.number(label, kept), a.decay_bits, "zero")


def multiplied(w: Writer, x: Moving, factor: Float, label: str, mode: str = "zero") -> Symbol:
    """x times any known factor of 15 significant bits, rounded once."""
    largest = float(np.abs(factor).max(initial=0.0))
    count = 0 if largest == 0 else int(np.clip(SIGNIFICANT - np.ceil(np.log2(largest)), 0, 40))
    values = np.floor(factor * 2.0**count + 0.5)
    return w.ops.mul(x.symbol, w.number(label, values), count, mode)


@dataclass(eq=False)
class Chosen(Value):
    """One of two values without a scale, by a flag or any other register."""

    condition: Symbol
    yes: Value
    no: Value

    def at(self, w: Writer, scale: Float) -> Symbol:
        return w.ops.where(self.condition, self.yes.at(w, scale), self.no.at(w, scale))


@dataclass(eq=False)
class Combined(Value):
    """A sum, difference, minimum or maximum of values without a scale."""

    op: Callable[[Any, Any], Symbol]
    a: Value
    b: Value

    def at(self, w: Writer, scale: Float) -> Symbol:
        return self.op(self.a.at(w, scale), self.b.at(w, scale))
