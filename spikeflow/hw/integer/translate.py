"""A population's float program as the chip's integer program, instruction by instruction, for any model.

Each port has a scale, chosen by `quantise`: the integer that stands for the real value 1. Everything made of
the port follows it. Numbers known before the run are folded into each other in float64 and written down once,
at the scale where they are used; each product is rounded once, toward zero; each state is narrowed once,
where it is defined. A new neuron model needs nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from spikeflow.hw.chips.arithmetic import Arithmetic, Register
from spikeflow.hw.integer.scales import current_ports, lasts, resolve, state_scales
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
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.functions import tanh_table
from spikeflow.ir.nodes import Population
from spikeflow.ir.ops import Symbol
from spikeflow.ir.program import Instruction, Program, without_unused


@dataclass(frozen=True, eq=False)
class Port:
    """What arrives at a port: the integer for the real value 1 (broadcasts to the neurons), and a
    constant.
    """

    scale: Float
    bias: Float | None = None


def translate(name: str, node: Population, ports: Mapping[str, Port], arithmetic: Arithmetic) -> Population:
    """The population in the chip's integers.

    Parameters
    ----------
    name : for errors.
    ports : one for each of the program's inputs.

    Raises
    ------
    HardwareError
        For operations that have no integer form (division by a state), thresholds or biases out of range, and
        a bias into a current that is kept.
    """
    return _Translation(name, node, ports, arithmetic).population()


def thresholds(node: Population, port: str, arithmetic: Arithmetic) -> list[Float]:
    """The real values that spikes compare with, of those compared at the scale of this port."""
    found = []
    for scale in (1.0, 4.0):
        ports = {p: Port(np.asarray(scale if p == port else 1.0)) for p in node.ports}
        found.append(_trial("", node, ports, arithmetic).w.thresholds)
    return [
        value for (value, first), (_, second) in zip(*found, strict=True) if not np.array_equal(first, second)
    ]


def operations(
    name: str, node: Population, biases: Mapping[str, Float | None], arithmetic: Arithmetic
) -> frozenset[str]:
    """The integer operations that the population needs, whatever its scales; HardwareError where it has no
    form.
    """
    ports = {p: Port(np.ones(()), biases[p]) for p in node.ports}
    return frozenset(i.op for i in _trial(name, node, ports, arithmetic).w.ops.code)


def _trial(name: str, node: Population, ports: Mapping[str, Port], arithmetic: Arithmetic) -> _Translation:
    trial = _Translation(name, node, ports, arithmetic)
    trial.w.trial = True
    trial.translate()
    return trial


class _Translation:
    """One population on its way; `values[i]` is what instruction i of the float program became."""

    def __init__(
        self, name: str, node: Population, ports: Mapping[str, Port], arithmetic: Arithmetic
    ) -> None:
        self.node, self.ports, self.a = node, ports, arithmetic
        self.w = Writer(name, arithmetic, taken=frozenset((*node.program.states, *node.program.inputs)))
        self.code = node.program.code
        self.currents = current_ports(node.program)
        # what a spike compares with is used by a reset that subtracts it too, so both take the same M
        self.thresholds = {
            self.code[i.args[0]].args[1]
            for i in self.code
            if i.op == "spike" and self.code[i.args[0]].op == "sub"
        }
        scales = {
            p: np.asarray(port.scale, np.float64) * 2.0**arithmetic.state_shift for p, port in ports.items()
        }
        self.scales = state_scales(node.program, scales, arithmetic)
        self.state_at = dict(zip(node.program.next_states, node.program.states, strict=True))
        self.values: list[Value] = []
        self.following: dict[int, Symbol] = {}  # the next states, where they differ from what is read on

    def translate(self) -> None:
        """Every instruction, in order."""
        for index, instruction in enumerate(self.code):
            value = self._value(index, instruction)
            if isinstance(value, Static):
                value.is_threshold = value.is_threshold or index in self.thresholds
            self.values.append(self._kept(index, value))

    def population(self) -> Population:
        """The finished population."""
        self.translate()
        program = self._program()
        return Population(
            self.node.model,
            program,
            self.w.params,
            self.node.shape,
            self.node.start,
            self._initial(),
            self._formats(),
        )

    # --- states ---

    def _kept(self, index: int, value: Value) -> Value:
        """A register that is a state's next value, at that state's scale and in its register."""
        state = self.state_at.get(index)
        scale = None if state is None else self.scales[state]
        if state is None or scale is None or isinstance(value, Flag):
            return value
        current = state in self.currents
        narrowed = self.w.narrow(value.at(self.w, scale), self._register(index, current), state)
        self.following[index] = narrowed
        bias = self.ports[self.currents[state]].bias if current else None
        if bias is None or lasts(self.node, state):  # a current that lasts has its bias already
            return Moving(narrowed, scale, current)
        # the bias is added where the membrane reads the current
        return Moving(self._biased(self.currents[state], narrowed, bias * scale), scale)

    def _register(self, index: int, current: bool) -> Register:
        if current:
            return self.a.current
        return self.a.readout if index == self.node.program.output else self.a.state

    def _state(self, name: str) -> Value:
        symbol, scale = self.w.ops.emit("state", name=name), self.scales[name]
        return Flag(symbol) if scale is None else Moving(symbol, scale, name in self.currents)

    # --- instructions ---

    def _value(self, index: int, i: Instruction) -> Value:
        args = [self.values[a] for a in i.args]
        if i.op == "const":
            return Static(np.asarray(i.value, np.float64), "constant", literal=True)
        if i.op == "param":
            return Static(self.node.params[i.name].astype(np.float64), i.name)
        if i.op == "state":
            return self._state(i.name)
        if i.op == "input":
            return self._input(i.name)
        if i.op == "hold":
            return args[0]
        if i.op == "spike":
            return self._spike(i, args[0])
        if i.op == "function":
            return self._function(i.name, args[0])
        if i.op == "where":
            return self._where(*args)
        if i.op == "floor":
            return self._floor(args[0])
        return self._binary(index, i.op, *args)

    def _input(self, name: str) -> Value:
        port, w, scale = self.ports[name], self.w, np.asarray(self.ports[name].scale, np.float64)
        x = w.ops.emit("input", name=name)
        if self.a.total:
            x = w.narrow(x, self.a.total, self._label(f"{name} total"))
        x = w.ops.shift(x, self.a.state_shift) if self.a.state_shift else x
        scale = scale * 2.0**self.a.state_shift
        if name in self.currents.values():
            return self._into_current(name, x, scale)
        if self.a.total is None or self.a.total.bits + self.a.state_shift > self.a.current.bits:
            x = w.narrow(x, self.a.current, self._label(f"{name} current"))
        return Moving(x if port.bias is None else self._biased(name, x, port.bias * scale), scale)

    def _into_current(self, name: str, x: Symbol, scale: Float) -> Value:
        """What a port adds to the current that it fills: its bias too, where that current lasts."""
        bias = self.ports[name].bias
        state = next(s for s, p in self.currents.items() if p == name)
        if bias is None or not lasts(self.node, state):
            return Moving(x, scale)
        if not self.a.current_bias:
            self.w.refuse(
                f"a bias into the current that {self.node.model} keeps",
                "biases that enter the membrane, on a chip without programs of its own",
                "training without a bias",
            )
        return Moving(self._biased(name, x, bias * scale), scale)

    def _label(self, wanted: str) -> str:
        """The name of a port's register, which no state has: overflow is counted by name."""
        while wanted in self.node.program.states:
            wanted += "'"
        return wanted

    def _biased(self, name: str, x: Symbol, bias: Float) -> Symbol:
        """x plus the bias, which is a mantissa and an exponent for each neuron, stored as one number."""
        exponent = np.maximum(0, np.ceil(np.log2(np.maximum(np.abs(bias), 1) / self.a.bias_mantissa)))
        if exponent.max(initial=0) > self.a.bias_exponent and not self.w.trial:
            self.w.refuse(
                f"a bias of {np.abs(bias).max():.0f}",
                f"{self.a.bias_mantissa} times 2 to the {self.a.bias_exponent}",
            )
        limit = self.a.bias_mantissa
        mantissa = np.clip(np.floor(bias / 2.0**exponent + 0.5), -limit, limit)
        x = x + self.w.number("bias" if name == "in" else f"bias_{name}", mantissa * 2.0**exponent)
        return x if self.a.biased is None else self.w.narrow(x, self.a.biased, self._label(f"{name} biased"))

    def _spike(self, i: Instruction, x: Value) -> Value:
        argument = self.code[i.args[0]]
        if argument.op == "sub":
            v, threshold = (self.values[a] for a in argument.args)
            scale = scale_of(v)
            if isinstance(threshold, Static) and threshold.is_threshold and scale is not None:
                above = v.at(self.w, scale) - threshold.level(self.w, scale)
                return Flag(self.w.ops.spike(above - 1 if self.a.strict else above, int(i.value)))
        if isinstance(x, Static):
            return Static((x.value >= 0).astype(np.float64), "flag")
        return Flag(self.w.ops.spike(x.at(self.w, self._scale_of(x)), int(i.value)))

    def _function(self, name: str, x: Value) -> Value:
        """tanh(x) as its table at floor(32 x + 1/2), clamped; sigmoid(x) = (1 + tanh(x / 2)) / 2."""
        half, frac = (0.5 if name == "sigmoid" else 1.0), self.a.table_frac
        if isinstance(x, Static):
            exact = np.tanh(x.value * half)
            return Static(exact if half == 1 else (1 + exact) / 2, name)
        factor, label, moving = self._factored(x)
        index = multiplied(self.w, moving, factor * half * 32 / moving.scale, label, "nearest") + 128
        self.w.tables["tanh"] = tanh_table(frac)
        entry = self.w.ops.table(index, "tanh")
        one = np.asarray(2.0**frac)
        return Moving(entry, one) if half == 1 else Moving(entry + 2**frac, 2 * one)

    def _factored(self, x: Value) -> tuple[Float, str, Moving]:
        if isinstance(x, Scaled):
            return x.factor, x.label, x.moving
        scale = self._scale_of(x)
        return np.ones(()), "index", Moving(x.at(self.w, scale), scale)

    def _where(self, condition: Value, yes: Value, no: Value) -> Value:
        scale = scale_of(yes) if scale_of(yes) is not None else scale_of(no)
        test = (
            condition.symbol
            if isinstance(condition, Flag)
            else condition.at(self.w, self._scale_of(condition))
        )
        if scale is None:
            return Chosen(test, yes, no)
        return Moving(self.w.ops.where(test, yes.at(self.w, scale), no.at(self.w, scale)), scale)

    def _floor(self, x: Value) -> Value:
        if isinstance(x, Static):
            return Static(np.floor(x.value), x.label)
        factor, label, moving = self._factored(x)
        return Moving(multiplied(self.w, moving, factor / moving.scale, label, "floor"), np.ones(()))

    def _binary(self, index: int, op: str, a: Value, b: Value) -> Value:
        if isinstance(a, Static) and isinstance(b, Static):
            return Static(_FOLD[op](a.value, b.value), f"{a.label}_{op}_{b.label}", a.literal and b.literal)
        if op == "div":
            return self._divided(a, b)
        if op == "mul":
            return self._product(a, b)
        write = {
            "add": lambda p, q: p + q,
            "sub": lambda p, q: p - q,
            "min": self.w.ops.minimum,
            "max": self.w.ops.maximum,
        }[op]
        scale = self._common(index, a, b)
        if scale is None:
            return Combined(write, a, b)
        return Moving(write(a.at(self.w, scale), b.at(self.w, scale)), scale)

    def _common(self, index: int, a: Value, b: Value) -> Float | None:
        if index in self.state_at and self.scales[self.state_at[index]] is not None:
            return self.scales[self.state_at[index]]
        # a rounded product takes the scale of what it is added to, so that it is rounded only once
        ordered = sorted((v for v in (a, b) if scale_of(v) is not None), key=lambda v: isinstance(v, Scaled))
        return scale_of(ordered[0]) if ordered else None

    def _divided(self, a: Value, b: Value) -> Value:
        if not isinstance(b, Static):
            self.w.refuse("a division by something that changes", "multiplications and shifts only")
        assert isinstance(b, Static)
        return self._product(a, Static(1.0 / b.value, f"inverse_{b.label}"))

    def _product(self, a: Value, b: Value) -> Value:
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
        return self._of_two(a, b)

    def _by_static(self, a: Static, b: Value) -> Value:
        if isinstance(b, Moving):
            return Scaled(a.value, a.label, b)
        if isinstance(b, Scaled):
            return Scaled(a.value * b.factor, f"{a.label}_mul_{b.label}", b.moving)
        if isinstance(b, Flag):
            return Gated(b, a)
        if isinstance(b, Gated):
            return Gated(b.flag, Static(a.value * b.static.value, f"{a.label}_mul_{b.static.label}"))
        scale = self._scale_of(b)
        return Scaled(a.value, a.label, Moving(b.at(self.w, scale), scale))

    def _of_two(self, a: Value, b: Value) -> Value:
        first, second = self._scale_of(a), self._scale_of(b)
        count, scale = resolve(first, second)
        product = self.w.ops.multiply_shift(a.at(self.w, first), b.at(self.w, second), count, "zero")
        return Moving(product, scale)

    def _scale_of(self, x: Value) -> Float:
        scale = scale_of(x)
        return scale if scale is not None else np.asarray(2.0**self.a.decay_bits)

    # --- the finished population ---

    def _program(self) -> Program:
        w, program = self.w, self.node.program
        output = self._symbol(self.values[program.output])
        following = [
            self.following[r] if r in self.following else self._symbol(self.values[r])
            for r in program.next_states
        ]
        ends = [s.index for s in following]
        code, (end, *states) = without_unused(w.ops.code, (output.index, *ends))
        used = {i.name for i in code if i.op in ("param", "table")}
        w.params = {k: v for k, v in w.params.items() if k in used}
        w.formats = {k: v for k, v in w.formats.items() if k in used}
        tables = {k: v for k, v in w.tables.items() if k in used}
        return Program(program.inputs, program.states, tuple(w.params), code, end, tuple(states), tables)

    def _symbol(self, value: Value) -> Symbol:
        return value.symbol if isinstance(value, Flag) else value.at(self.w, self._scale_of(value))

    def _initial(self) -> dict[str, Float]:
        one = np.ones(())
        scales = {s: scale if scale is not None else one for s, scale in self.scales.items()}
        return {s: np.floor(v.astype(np.float64) * scales[s] + 0.5) for s, v in self.node.initial.items()}

    def _formats(self) -> Mapping[str, Fixed]:
        states = {}
        for register, state in self.state_at.items():
            kept = self._register(register, state in self.currents)
            states[state] = (
                Fixed(1, signed=False)
                if self.scales[state] is None
                else Fixed(kept.bits + (kept.mode == "fold"))
            )
        total = {p: Fixed(self.a.total.bits if self.a.total else 32) for p in self.node.ports}
        # a state may have the name of a port; its format is the one that is checked
        return MappingProxyType({**total, **states, **self.w.formats})


_FOLD = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "min": np.minimum,
    "max": np.maximum,
}
