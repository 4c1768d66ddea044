"""A population's float program as the chip's integer program, instruction by instruction, for any model.

Each port has a scale, chosen by `quantise`: the integer that stands for the real value 1. Everything made of
the port follows it. Numbers known before the run are folded into each other in float64 and written down once,
at the scale where they are used; each product is rounded once, toward zero; each state is narrowed once,
where it is defined. A new neuron model needs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from spikeflow.hw.chips.arithmetic import Arithmetic, Register
from spikeflow.hw.integer.forms import Forms
from spikeflow.hw.integer.scales import current_ports, lasts, state_scales
from spikeflow.hw.integer.values import (
    Flag,
    Float,
    Moving,
    Static,
    Value,
    Writer,
)
from spikeflow.ir.evaluate import evaluate
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.instructions import Instruction
from spikeflow.ir.nodes import Population
from spikeflow.ir.ops import Symbol
from spikeflow.ir.program import Program, without_unused


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


class _Translation(Forms):
    """One population on its way; `values[i]` is what instruction i of the float program became."""

    def __init__(
        self, name: str, node: Population, ports: Mapping[str, Port], arithmetic: Arithmetic
    ) -> None:
        taken = frozenset((*node.program.states, *node.program.inputs))
        super().__init__(node.program, Writer(name, arithmetic, taken=taken))
        self.node, self.ports = node, ports
        self.currents = current_ports(node.program)
        # what a spike compares with is used by a reset that subtracts it too, so both take the same M
        self.thresholds = {
            self.code[i.args[0]].args[1]
            for i in self.code
            if i.op == "spike" and self.code[i.args[0]].op == "sub" and not self._gate_below_0(i)
        }
        scales = {
            p: np.asarray(port.scale, np.float64) * 2.0**arithmetic.state_shift for p, port in ports.items()
        }
        self.scales = state_scales(node.program, scales, arithmetic)
        self.state_at = dict(zip(node.program.next_states, node.program.states, strict=True))
        self.following: dict[int, Symbol] = {}  # the next states, where they differ from what is read on

    def _gate_below_0(self, spike: Instruction) -> bool:
        """Whether a gate compares with numbers that no neuron's threshold may be: then a state does."""
        compared = self.code[self.code[spike.args[0]].args[1]]
        known = bool(spike.value) and compared.op == "param"
        return known and bool((self.node.params[compared.name] <= 0).any())

    def translate(self) -> None:
        """Every instruction, in order."""
        evaluate(self.node.program, self, _Read(self._param), _Read(self._state), _Read(self._input))

    def made(self, index: int, value: Value) -> Value:
        if isinstance(value, Static):
            value.is_threshold = value.is_threshold or index in self.thresholds
        self.values.append(self._kept(index, value))
        return self.values[-1]

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
            _initial(self),
            _formats(self),
            self.node.alphabet,
        )

    # --- states ---

    def state_scale(self, index: int) -> Float | None:
        return self.scales[self.state_at[index]] if index in self.state_at else None

    def _kept(self, index: int, value: Value) -> Value:
        """A register that is a state's next value, at that state's scale and in its register."""
        scale = self.state_scale(index)
        if scale is None or isinstance(value, Flag):
            return value
        state = self.state_at[index]
        current = state in self.currents
        narrowed = self.w.narrow(value.at(self.w, scale), self.register(index, current), state)
        self.following[index] = narrowed
        bias = self.ports[self.currents[state]].bias if current else None
        if bias is None or lasts(self.node, state):  # a current that lasts has its bias already
            return Moving(narrowed, scale, current)
        # the bias is added where the membrane reads the current
        return Moving(self._biased(self.currents[state], narrowed, bias * scale), scale)

    def register(self, index: int, current: bool) -> Register:
        """Which of the chip's registers a value is kept in."""
        if current:
            return self.a.current
        return self.a.readout if index == self.node.program.output else self.a.state

    def _state(self, name: str) -> Value:
        symbol, scale = self.w.ops.emit("state", name=name), self.scales[name]
        return Flag(symbol) if scale is None else Moving(symbol, scale, name in self.currents)

    # --- what a program reads ---

    def _param(self, name: str) -> Value:
        return Static(self.node.params[name].astype(np.float64), name)

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

    # --- the finished population ---

    def _program(self) -> Program:
        w, program = self.w, self.node.program
        output = self._handed_on(self.values[program.output])
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

    def _handed_on(self, value: Value) -> Symbol:
        """The output; the values of an alphabet are the whole numbers that they are."""
        return value.at(self.w, np.ones(())) if self.node.alphabet else self._symbol(value)

    def _symbol(self, value: Value) -> Symbol:
        return value.symbol if isinstance(value, Flag) else value.at(self.w, self.stands_at(value))


def _initial(work: _Translation) -> dict[str, Float]:
    one = np.ones(())
    scales = {s: scale if scale is not None else one for s, scale in work.scales.items()}
    return {s: np.floor(v.astype(np.float64) * scales[s] + 0.5) for s, v in work.node.initial.items()}


def _formats(work: _Translation) -> Mapping[str, Fixed]:
    states = {}
    for register, state in work.state_at.items():
        kept = work.register(register, state in work.currents)
        states[state] = (
            Fixed(1, signed=False) if work.scales[state] is None else Fixed(kept.bits + (kept.mode == "fold"))
        )
    total = {p: Fixed(work.a.total.bits if work.a.total else 32) for p in work.node.ports}
    # a state may have the name of a port; its format is the one that is checked
    return MappingProxyType({**total, **states, **work.w.formats})


@dataclass(frozen=True)
class _Read:
    """What a program reads, made when it is asked for: integer programs are written in that order."""

    made: Callable[[str], Value]

    def __getitem__(self, name: str) -> Value:
        return self.made(name)
