"""What each operation of a float program becomes in a chip's integers; `translate` goes through the program.

Numbers known before the run are folded into each other in float64; each product is rounded once, toward zero,
and tanh is read from a table.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from spikeflow.hw.integer.scales import resolve
from spikeflow.hw.integer.values import (
    Chosen,
    Combined,
    Flag,
    Float,
    Gated,
    Moving,
    Scaled,
    Static,
    Value,
    Writer,
    multiplied,
    scale_of,
)
from spikeflow.ir.evaluate import Domain, rule
from spikeflow.ir.functions import tanh_table
from spikeflow.ir.operations import FLOAT, Operation
from spikeflow.ir.ops import Symbol
from spikeflow.ir.program import Program
from spikeflow.sim.domains import Float64

_FLOAT64 = Float64()


class Forms(Domain[Value]):
    """The integer form of each operation.

    Parameters
    ----------
    program : the float program; `values[i]` is what its instruction i became.
    w : the integer program under way.
    """

    stages = (FLOAT,)

    def __init__(self, program: Program, w: Writer) -> None:
        self.code, self.w, self.a = program.code, w, w.arithmetic
        self.values: list[Value] = []

    @abstractmethod
    def state_scale(self, index: int) -> Float | None:
        """The scale of the state that register `index` is the next value of; None where it is of none."""

    def const(self, value: float | int) -> Value:
        return Static(np.asarray(value, np.float64), "constant", literal=True)

    def stop_gradient(self, x: Value) -> Value:
        return x

    def spike(self, x: Value, slot: int) -> Value:
        (compared,) = self.code[len(self.values)].args
        argument = self.code[compared]
        if argument.op == "sub":
            v, threshold = (self.values[a] for a in argument.args)
            scale = scale_of(v)
            if isinstance(threshold, Static) and threshold.is_threshold and scale is not None:
                above = v.at(self.w, scale) - threshold.level(self.w, scale)
                return Flag(self.w.ops.spike(above - 1 if self.a.strict else above, slot))
        if isinstance(x, Static):
            return Static((x.value >= 0).astype(np.float64), "flag")
        return Flag(self.w.ops.spike(x.at(self.w, self.stands_at(x)), slot))

    def tanh(self, x: Value) -> Value:
        """tanh(x) as its table at floor(32 x + 1/2), clamped."""
        return Static(np.tanh(x.value), "tanh") if isinstance(x, Static) else self._entry(x, 1.0)

    def sigmoid(self, x: Value) -> Value:
        """sigmoid(x) = (1 + tanh(x / 2)) / 2."""
        if isinstance(x, Static):
            return Static((1 + np.tanh(x.value * 0.5)) / 2, "sigmoid")
        entry = self._entry(x, 0.5)
        return Moving(entry.symbol + 2**self.a.table_frac, 2 * entry.scale)

    def _entry(self, x: Value, factor_of_index: float) -> Moving:
        factor, label, moving = self._factored(x)
        index = (
            multiplied(self.w, moving, factor * factor_of_index * 32 / moving.scale, label, "nearest") + 128
        )
        self.w.tables["tanh"] = tanh_table(self.a.table_frac)
        return Moving(self.w.ops.table(index, "tanh"), np.asarray(2.0**self.a.table_frac))

    def _factored(self, x: Value) -> tuple[Float, str, Moving]:
        if isinstance(x, Scaled):
            return x.factor, x.label, x.moving
        scale = self.stands_at(x)
        return np.ones(()), "index", Moving(x.at(self.w, scale), scale)

    def where(self, condition: Value, yes: Value, no: Value) -> Value:
        scale = scale_of(yes) if scale_of(yes) is not None else scale_of(no)
        test = (
            condition.symbol
            if isinstance(condition, Flag)
            else condition.at(self.w, self.stands_at(condition))
        )
        if scale is None:
            return Chosen(test, yes, no)
        return Moving(self.w.ops.where(test, yes.at(self.w, scale), no.at(self.w, scale)), scale)

    def floor(self, x: Value, slot: int) -> Value:
        if isinstance(x, Static):
            return Static(np.floor(x.value), x.label)
        factor, label, moving = self._factored(x)
        return Moving(multiplied(self.w, moving, factor / moving.scale, label, "floor"), np.ones(()))

    def round(self, x: Value, slot: int) -> Value:
        if not isinstance(x, Static):
            hint = "ops.floor(x + 0.5), whose ties go up"
            self.w.refuse("rounding, ties to even, of something that changes", "floor alone", hint)
        assert isinstance(x, Static)
        return Static(np.rint(x.value), x.label)

    def abs(self, x: Value) -> Value:
        if isinstance(x, Static):
            return Static(np.abs(x.value), f"abs_{x.label}", x.literal)
        return self.maximum(x, self.sub(Static(np.zeros(()), "zero", literal=True), x))

    def unlisted(self, operation: Operation, *args: Any) -> Value:
        return _of_known(self, operation, args)

    def add(self, a: Value, b: Value) -> Value:
        return _folded("add", a, b) or self._alike(self.w.ops.add, a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return _folded("sub", a, b) or self._alike(self.w.ops.sub, a, b)

    def minimum(self, a: Value, b: Value) -> Value:
        return _folded("min", a, b) or self._alike(self.w.ops.minimum, a, b)

    def maximum(self, a: Value, b: Value) -> Value:
        return _folded("max", a, b) or self._alike(self.w.ops.maximum, a, b)

    def mul(self, a: Value, b: Value, count: int, mode: str) -> Value:
        return _folded("mul", a, b) or self.product(a, b)

    def div(self, a: Value, b: Value) -> Value:
        return _folded("div", a, b) or _divided(self, a, b)

    def _alike(self, write: Callable[[Any, Any], Symbol], a: Value, b: Value) -> Value:
        """An operation whose arguments and result stand at one scale."""
        scale = self._common(a, b)
        if scale is None:
            return Combined(write, a, b)
        return Moving(write(a.at(self.w, scale), b.at(self.w, scale)), scale)

    def _common(self, a: Value, b: Value) -> Float | None:
        asked = self.state_scale(len(self.values))
        if asked is not None:
            return asked
        # a rounded product takes the scale of what it is added to, so that it is rounded only once
        ordered = sorted((v for v in (a, b) if scale_of(v) is not None), key=lambda v: isinstance(v, Scaled))
        return scale_of(ordered[0]) if ordered else None

    def product(self, a: Value, b: Value) -> Value:
        """Two values multiplied: by a number known before, by a flag, or by each other."""
        if isinstance(b, Static):
            a, b = b, a
        if isinstance(a, Static):
            return self._by_static(a, b)
        if isinstance(b, Flag):
            a, b = b, a
        if isinstance(a, Flag):
            scale = scale_of(b)
            if scale is None:
                return Chosen(a.symbol, b, Static(np.zeros(()), "zero", literal=True))
            return Moving(a.symbol * b.at(self.w, scale), scale)
        return _of_two(self, a, b)

    def _by_static(self, a: Static, b: Value) -> Value:
        if isinstance(b, Moving):
            return Scaled(a.value, a.label, b)
        if isinstance(b, Scaled):
            return Scaled(a.value * b.factor, f"{a.label}_mul_{b.label}", b.moving)
        if isinstance(b, Flag):
            return Gated(b, a)
        if isinstance(b, Gated):
            return Gated(b.flag, Static(a.value * b.static.value, f"{a.label}_mul_{b.static.label}"))
        scale = self.stands_at(b)
        return Scaled(a.value, a.label, Moving(b.at(self.w, scale), scale))

    def stands_at(self, x: Value) -> Float:
        """The scale of a value; of one that has none, that of a decay."""
        scale = scale_of(x)
        return scale if scale is not None else np.asarray(2.0**self.a.decay_bits)


def _of_two(forms: Forms, a: Value, b: Value) -> Value:
    first, second = forms.stands_at(a), forms.stands_at(b)
    count, scale = resolve(first, second)
    product = forms.w.ops.mul(a.at(forms.w, first), b.at(forms.w, second), count, "zero")
    return Moving(product, scale)


def _of_known(forms: Forms, operation: Operation, args: Sequence[Any]) -> Static:
    """An operation without a form of its own, of numbers known before the run."""
    given, taken = args[: operation.arguments], args[operation.arguments :]
    if not all(isinstance(x, Static) for x in given):
        need, limit = f"{operation.name} of something that changes", "operations with an integer form"
        forms.w.refuse(need, limit, f"a model whose {operation.name} is of parameters alone")
    value = rule(_FLOAT64, operation.name)(*(x.value for x in given), *taken)
    return Static(np.asarray(value, np.float64), "_".join([operation.name, *(x.label for x in given)]))


def _divided(forms: Forms, a: Value, b: Value) -> Value:
    if not isinstance(b, Static):
        forms.w.refuse("a division by something that changes", "multiplications and shifts only")
    assert isinstance(b, Static)
    return forms.product(a, Static(1.0 / b.value, f"inverse_{b.label}"))


_FOLD: Mapping[str, Callable[[Float, Float], Float]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "min": np.minimum,
    "max": np.maximum,
}


def _folded(op: str, a: Value, b: Value) -> Static | None:
    """The number that two known numbers make, in float64; None where something moves."""
    if not isinstance(a, Static) or not isinstance(b, Static):
        return None
    return Static(_FOLD[op](a.value, b.value), f"{a.label}_{op}_{b.label}", a.literal and b.literal)
