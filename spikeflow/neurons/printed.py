"""A neuron's step and its adjoint, printed as the text of two Triton kernels.

Each kernel keeps a block of neurons in registers over all steps. Its text follows from the program alone:
each operation is one line, or the lines of its formula (`ir.functions`), so a new model needs nothing here.
Names of a program never enter the text, only numbers do: a network from a stranger's file cannot write code.

Every operation rounds by itself, as numpy's does: the kernels are launched without contraction of a product
and a sum, and divide by ``div_rn``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikeflow.ir import functions
from spikeflow.ir.adjoint import Slots, adjoint
from spikeflow.ir.evaluate import Domain, evaluate
from spikeflow.ir.limits import FLUSH
from spikeflow.ir.operations import FLOAT, OPERATIONS
from spikeflow.ir.program import Program


@dataclass(frozen=True)
class Value:
    """A variable of the kernel's text; arithmetic on it writes a line."""

    name: str
    of: Kernel

    def __add__(self, other: Value | float) -> Value:
        return self.of.line(f"{self.name} + {_text(other)}")

    def __sub__(self, other: Value | float) -> Value:
        return self.of.line(f"{self.name} - {_text(other)}")

    def __mul__(self, other: Value | float) -> Value:
        return self.of.line(f"{self.name} * {_text(other)}")

    def __truediv__(self, other: Value) -> Value:
        return self.of.div(self, other)


def _text(x: Value | float) -> str:
    return x.name if isinstance(x, Value) else repr(float(x))


class Kernel(Domain[Value]):
    """The text of one step: operations as lines, in one type of numbers.

    Parameters
    ----------
    real : ``float32`` or ``float64``.
    """

    stages = (FLOAT,)

    def __init__(self, real: str) -> None:
        self.real, self.lines = real, list[str]()

    def line(self, expression: str) -> Value:
        """A new variable with this value."""
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {expression}")
        return Value(name, self)

    def named(self, word: str, names: Sequence[str]) -> dict[str, Value]:
        """The variables ``word0``, ``word1``... by these names."""
        return {name: Value(f"{word}{i}", self) for i, name in enumerate(names)}

    def const(self, value: float | int) -> Value:
        return self.line(f"tl.full((BLOCK,), {float(value)!r}, tl.{self.real})")

    def add(self, a: Value, b: Value) -> Value:
        return a + b

    def sub(self, a: Value, b: Value) -> Value:
        return a - b

    def mul(self, a: Value, b: Value, count: int, mode: str) -> Value:
        return a * b

    def div(self, a: Value, b: Value) -> Value:
        # Triton's own / of float32 is an approximation
        exact = f"tl.div_rn({a.name}, {b.name})" if self.real == "float32" else f"{a.name} / {b.name}"
        return self.line(exact)

    def minimum(self, a: Value | float, b: Value | float) -> Value:
        return self._chosen("<", a, b)

    def maximum(self, a: Value | float, b: Value | float) -> Value:
        return self._chosen(">", a, b)

    def _chosen(self, sign: str, a: Value | float, b: Value | float) -> Value:
        first, second = (x if isinstance(x, Value) else self.const(x) for x in (a, b))
        return self.line(f"tl.where({first.name} {sign} {second.name}, {first.name}, {second.name})")

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        return self.line(f"tl.where({condition.name} != 0, {a.name}, {b.name})")

    def spike(self, x: Value, slot: int) -> Value:
        return self.line(f"({x.name} >= 0).to(tl.{self.real})")

    def floor(self, x: Value, slot: int) -> Value:
        return self.line(f"tl.floor({x.name})")

    def round(self, x: Value, slot: int) -> Value:
        return self.nearest(x)

    def stop_gradient(self, x: Value) -> Value:
        return x

    def abs(self, x: Value) -> Value:
        return self.line(f"tl.abs({x.name})")

    def tanh(self, x: Value) -> Value:
        return functions.tanh(x, self)

    def sigmoid(self, x: Value) -> Value:
        return functions.sigmoid(x, self)

    def exp(self, x: Value) -> Value:
        return functions.exp(x, self)

    def nearest(self, x: Value) -> Value:
        """The nearest whole number, ties to the even one, with the sign of x where it is 0."""
        whole = 2.0**23 if self.real == "float32" else 2.0**52  # beyond it every number is whole
        size = self.abs(x)
        near = size + whole - whole
        signed = self.line(f"tl.where({x.name} < 0, -{near.name}, {near.name})")
        some = self.line(f"tl.where({near.name} == 0, {x.name} * 0.0, {signed.name})")
        return self.line(f"tl.where({size.name} < {whole!r}, {some.name}, {x.name})")

    def scaled(self, x: Value, k: Value) -> Value:
        """x 2^k by the bits of two exact powers."""
        bits, bias, mantissa = ("int32", 127, 23) if self.real == "float32" else ("int64", 1023, 52)
        whole = self.line(f"{k.name}.to(tl.{bits})")
        half = self.line(f"{whole.name} >> 1")
        rest = self.line(f"{whole.name} - {half.name}")
        for part in (half, rest):
            power = self.line(f"(({part.name} + {bias}) << {mantissa}).to(tl.{self.real}, bitcast=True)")
            x = x * power
        return x

    def exp_range(self, x: Value) -> tuple[float, float]:
        """Where exp is 0 below, and infinite above."""
        return functions.EXP_RANGE_32 if self.real == "float32" else functions.EXP_RANGE_64

    def settled(self, x: Value) -> Value:
        """The end of a step: what is too small becomes +0."""
        zero = self.const(0.0)
        return self.line(f"tl.where(tl.abs({x.name}) < {FLUSH!r}, {zero.name}, {x.name})")


# a layer with an operation that has no line here is evaluated by torch, and says so
Kernel.refuses = frozenset(name for name in OPERATIONS if not hasattr(Kernel, name))


def forward(program: Program, real: str) -> str:
    """The kernel of the steps.

    ::

        forward(inputs..., their strides of time..., and of neurons..., first states...,
                params..., their strides..., output, kept, last states..., T, K, N, M, BLOCK)

    `kept` gets the states before every K-th step, ``(moments, states, N)``; N neurons of all samples, M of
    one.
    """
    k = Kernel(real)
    params, states, inputs = (
        k.named("p", program.params),
        k.named("s", program.states),
        k.named("x", program.inputs),
    )
    registers = evaluate(program, k, params, states, inputs)
    output, *after = (registers[end] for end in program.ends)
    after = [k.settled(value) for value in after]
    n, m, q = len(inputs), len(states), len(params)
    keeping = [f"tl.store(kept_at + ((t // K) * {m} + {i}) * N + at, s{i}, inside)" for i in range(m)]
    body = [
        "t = tl.cast(step, tl.int64)",
        *_loaded(n),
        *(["if step % K == 0:", *_indented(keeping)] if m else []),
        *k.lines,
        f"tl.store(out_at + t * N + at, {output.name}, inside)",
        *_swapped("s", after),
    ]
    arguments = [*_arriving(n), *_of("s_at", m), *_of("p_at", q), *_of("p_each", q), "out_at", "kept_at"]
    begun = [f"s{i} = tl.load(s_at{i} + at, inside, 0)" for i in range(m)]
    ended = [f"tl.store(last_at{i} + at, s{i}, inside)" for i in range(m)]
    lines = [*begun, *_parameters(q), *_over_time(body), *ended]
    return _kernel("forward", [*arguments, *_of("last_at", m), "T", "K"], lines)


def backward(program: Program, slots: Slots, wrt: Sequence[str], real: str) -> str:
    """The kernel of the adjoint, from the last step to the first.

    ::

        backward(inputs..., their strides of time..., and of neurons..., kept, params..., their strides...,
                 d.output, its strides of time and of neurons, d.states..., d.inputs..., d.params...,
                 T, N, M, BLOCK)

    `kept` holds the states before every step, ``(T, states, N)``. The cotangents of the states are those of
    the last at its begin, of the first at its end; to those of the parameters it adds.

    Parameters
    ----------
    wrt : what besides the states a gradient is asked of, ``input.NAME``, then ``param.NAME``.
    """
    text, k = adjoint(program, slots, wrt), Kernel(real)
    states = [f"d.state.{name}" for name in program.states]
    made = _cotangents(program, text, k)
    n, m, q = len(program.inputs), len(states), len(text.params)
    asked = [made[f"d.{name}"].name for name in wrt if name.startswith("input.")]
    learned = [made[f"d.{name}"].name for name in wrt if name.startswith("param.")]
    body = [
        "t = tl.cast(T - 1 - step, tl.int64)",
        *_loaded(n),
        *(f"s{i} = tl.load(kept_at + (t * {m} + {i}) * N + at, inside, 0)" for i in range(m)),
        "d_out = tl.load(d_out_at + t * d_out_step + at * d_out_each, inside, 0)",
        *k.lines,
        *(f"tl.store(dx_at{i} + t * N + at, {name}, inside)" for i, name in enumerate(asked)),
        *(f"total{i} += {name}" for i, name in enumerate(learned)),
        *_swapped("d", [made[name] for name in states]),
    ]
    arguments = [*_arriving(n), "kept_at", *_of("p_at", q), *_of("p_each", q), "d_out_at", "d_out_step"]
    arguments += ["d_out_each", *_of("d_at", m), *_of("dx_at", len(asked)), *_of("dp_at", len(learned)), "T"]
    carried = [("d", "d_at", m), ("total", "dp_at", len(learned))]
    begun = [f"{a}{i} = tl.load({at}{i} + at, inside, 0)" for a, at, count in carried for i in range(count)]
    ended = [f"tl.store({at}{i} + at, {a}{i}, inside)" for a, at, count in carried for i in range(count)]
    return _kernel("backward", arguments, [*begun, *_parameters(q), *_over_time(body), *ended])


def _cotangents(program: Program, text: Program, k: Kernel) -> dict[str, Value]:
    """The lines of an adjoint, and the variable of each of its results."""
    arriving = k.named("x", [f"input.{name}" for name in program.inputs])
    arriving |= k.named("s", [f"state.{name}" for name in program.states])
    arriving["d.out"] = Value("d_out", k)
    carried = k.named("d", [f"d.state.{name}" for name in program.states])
    registers = evaluate(text, k, k.named("p", text.params), carried, arriving)
    return {name: registers[end] for name, end in zip(text.states, text.next_states, strict=True)}


def _arriving(count: int) -> list[str]:
    return [*_of("x_at", count), *_of("x_step", count), *_of("x_each", count)]


def _loaded(count: int) -> list[str]:
    """Loads of what arrives in step t; one number for all neurons has strides of 0."""
    return [f"x{i} = tl.load(x_at{i} + t * x_step{i} + at * x_each{i}, inside, 0)" for i in range(count)]


def _of(word: str, count: int) -> list[str]:
    return [f"{word}{i}" for i in range(count)]


def _parameters(count: int) -> list[str]:
    """Loads of each neuron's parameters; one that all share has the stride 0."""
    return [f"p{i} = tl.load(p_at{i} + at % M * p_each{i}, inside, 0)" for i in range(count)]


def _swapped(word: str, values: Sequence[Value]) -> list[str]:
    """All of them set at once: a value may be one of the variables that it sets."""
    if not values:
        return []
    names = [f"next_{word}{i}" for i in range(len(values))]
    held = [f"{name} = {value.name}" for name, value in zip(names, values, strict=True)]
    return held + [f"{word}{i} = {name}" for i, name in enumerate(names)]


def _over_time(body: Sequence[str]) -> list[str]:
    return ["for step in range(0, T):", *_indented(body)]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _kernel(name: str, arguments: Sequence[str], lines: Sequence[str]) -> str:
    head = f"def {name}({', '.join(arguments)}, N, M, BLOCK: tl.constexpr):"
    begun = ["at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)", "inside = at < N"]
    return "\n".join(["@triton.jit", head, *_indented([*begun, *lines])]) + "\n"
