"""Gradients in numpy: kinks one by one, the adjoint against finite differences, the Jacobian against the adjoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import GraphError
from spikeflow.ir.adjoint import adjoint, jacobian
from spikeflow.ir.evaluate import evaluate
from spikeflow.ir.ops import Recorder, Symbol
from spikeflow.ir.program import Program
from spikeflow.sim.domains import Float64
from spikeflow.sim.gradient import backward, forward

HALF = np.float64(0.5)
INF, NAN = np.inf, np.nan


def of_two(step: Callable[[Any, Any, Any], Any]) -> Program:
    """A program of two ports and no state."""
    r = Recorder(("a", "b"), (), ())
    return r.program(step(r.x[0], r.x[1], r.ops), ())


def slope(step: Callable[[Any], Any]) -> Program:
    r = Recorder(("x",), (), ())
    return r.program(step(r.x[0]), ())


def at(program: Program, a: float, b: float, **slots: Program) -> tuple[float, float]:
    """The gradient of a program's output at one point, by its two ports."""
    x = {"a": np.full((1, 1), float(a)), "b": np.full((1, 1), float(b))}
    run = forward(program, {}, x)
    found = backward(run, np.ones((1, 1)), {int(k[1:]): v for k, v in slots.items()})
    return float(found.inputs["a"][0, 0]), float(found.inputs["b"][0, 0])


KINKS: dict[str, tuple[Callable[[Any, Any, Any], Any], dict[tuple[float, float], tuple[float, float]]]] = {
    "minimum": (
        lambda a, b, ops: ops.minimum(a, b),
        {
            (1, 2): (1, 0),
            (2, 1): (0, 1),
            (1, 1): (0, 1),
            (0.0, -0.0): (0, 1),
            (INF, INF): (0, 1),
            (NAN, 1): (0, 1),
        },
    ),
    "maximum": (
        lambda a, b, ops: ops.maximum(a, b),
        {
            (1, 2): (0, 1),
            (2, 1): (1, 0),
            (1, 1): (0, 1),
            (-INF, -INF): (0, 1),
            (1, NAN): (0, 1),
            (INF, 1): (1, 0),
        },
    ),
    "minimum of neighbours": (
        lambda a, b, ops: ops.minimum(a, b),
        {(5e-324, 1e-323): (1, 0), (1 - 2**-53, 1): (1, 0), (1, 1 - 2**-53): (0, 1)},
    ),
    "clipping": (
        lambda a, b, ops: ops.minimum(ops.maximum(a, -1.0), 1.0),
        {(-1, 0): (0, 0), (1, 0): (0, 0), (0.5, 0): (1, 0)},
    ),
    "where": (
        lambda a, b, ops: ops.where(a, b * 3.0, b * 5.0),
        {(1, 2): (0, 3), (-0.0, 2): (0, 5), (NAN, 2): (0, 3)},
    ),
    "where beneath an infinity": (
        lambda a, b, ops: ops.where(a, b, 1.0) / 0.0,
        {(0, 2): (0, 0), (1, 2): (0, INF)},
    ),
    "abs": (
        lambda a, b, ops: ops.abs(a) * b,
        {(2, 3): (3, 2), (-2, 3): (-3, 2), (-0.0, 3): (0, 0), (5e-324, 3): (3, 5e-324)},
    ),
    "round": (lambda a, b, ops: ops.round(a) * b, {(2.5, 3): (0, 2), (3.5, 3): (0, 4)}),
    "hold": (lambda a, b, ops: ops.stop_gradient(a * b) * a, {(2, 3): (6, 0)}),
    "hold of a spike": (
        lambda a, b, ops: ops.stop_gradient(ops.spike(a)) * b,
        {(0, 3): (0, 1), (-1, 3): (0, 0)},
    ),
    "floor": (lambda a, b, ops: ops.floor(a) * b, {(2.5, 3): (0, 2), (2, 3): (0, 2)}),
    "quotient": (lambda a, b, ops: a / b, {(3, 2): (0.5, -0.75), (3, -2): (-0.5, -0.75)}),
    "one register twice": (lambda a, b, ops: a * a - (a - b) - a, {(3, 5): (4, 1)}),
    "a negation": (lambda a, b, ops: -(a * b) + 0.0, {(3, 5): (-5, -3)}),
    "an output that is an input": (lambda a, b, ops: b, {(3, 5): (0, 1)}),
    "no gradient at all": (lambda a, b, ops: ops.stop_gradient(a), {(3, 5): (0, 0)}),
}


@pytest.mark.parametrize("name", KINKS)
def test_gradients_at_kinks(name: str) -> None:
    step, points = KINKS[name]
    for point, wanted in points.items():
        assert at(of_two(step), *point) == wanted, point


def test_a_spike_has_the_slope_of_its_slot() -> None:
    program = of_two(lambda a, b, ops: ops.spike(a - b, 3) + ops.spike(b, 1))
    three, one = slope(lambda x: x * 2.0 + 10.0), slope(lambda x: x * x)
    assert at(program, 5, 2, _3=three, _1=one) == (16, -16 + 4)


def test_exp_is_its_own_derivative() -> None:
    program = of_two(lambda a, b, ops: ops.exp(a) * b)
    for a in (-3.0, 0.0, 0.7, 80.0):
        value = float(forward(program, {}, {"a": np.full((1, 1), a), "b": np.ones((1, 1))}).output[0, 0])
        assert at(program, a, 1) == (value, value) and abs(value / np.exp(a) - 1) < 1e-7


@pytest.mark.parametrize("name", ["floor", "round"])
def test_what_makes_whole_numbers_has_the_slope_of_its_slot(name: str) -> None:
    program = of_two(lambda a, b, ops: getattr(ops, name)(a * 3.0, 2) * b + getattr(ops, name)(a))
    assert at(program, 1.5, 2, _2=slope(lambda x: x * 0.0 + 1.0)) == (6, 4)
    assert at(program, 1.5, 2, _2=slope(lambda x: x)) == (4.5 * 6, 4)  # 4.5 is 4 both ways
    with pytest.raises(GraphError, match=f"slot 2, of a {name}, has no surrogate"):
        adjoint(program)


def test_what_a_surrogate_needs_is_a_parameter_of_the_adjoint() -> None:
    r = Recorder(("x",), (), ("steepness",))
    surrogate = r.program(r.x[0] * r.p.steepness, ())
    text = adjoint(of_two(lambda a, b, ops: ops.spike(a)), {0: surrogate})
    assert text.params == ("slot0.steepness",)
    run = forward(
        of_two(lambda a, b, ops: ops.spike(a)),
        {"slot0.steepness": 4.0},
        {"a": HALF[None, None], "b": HALF[None, None]},
    )
    assert backward(run, np.ones((1, 1)), {0: surrogate}).inputs["a"] == 2.0


def test_what_has_no_gradient_is_refused_by_name() -> None:
    integers = of_two(lambda a, b, ops: ops.mul(a, b, 3, "zero"))
    two = of_two(lambda a, b, ops: a + b)
    spiking = of_two(lambda a, b, ops: ops.spike(a, 2))
    r = Recorder((), (), ())
    for program, more, text in (
        (integers, {}, "mul computes with integers"),
        (of_two(lambda a, b, ops: ops.narrow(a, 8, "wrap", "a")), {}, "narrow computes with integers"),
        (spiking, {}, "slot 2, of a spike, has no surrogate"),
        (spiking, {"slots": {2: two}}, "the surrogate of slot 2 has 2 inputs"),
        (spiking, {"slots": {2: slope(lambda x: x.ops.shift(x, 2))}}, "shift computes with integers"),
        (two, {"wrt": ["input.c"]}, "no 'input.c'"),
        (r.program(r.ops.const(1.0), ()), {}, "depends on nothing"),
    ):
        for make in (adjoint, jacobian):
            with pytest.raises(GraphError, match=text):
                make(program, **more)


def test_what_is_not_wanted_is_not_computed() -> None:
    r = Recorder(("in",), ("v",), ("decay", "gain"))
    v = r.s.v * r.p.decay + r.ops.tanh(r.x[0] * r.p.gain)
    program = r.program(v, (v,))
    whole, part = adjoint(program), adjoint(program, wrt=["param.decay"])
    assert whole.states == ("d.state.v", "d.input.in", "d.param.decay", "d.param.gain")
    assert part.states == ("d.state.v", "d.param.decay") and "function" not in part.operations()
    assert len(adjoint(program, wrt=[]).code) < len(part.code) < len(whole.code)
    part.check("adjoint")


def smooth(draw: np.random.Generator) -> Program:
    """A random program without kinks; every value stays within [-1, 1] where states and inputs do."""
    r = Recorder(("x", "y"), ("u", "v"), ("a", "b"))
    pool: list[Symbol] = [*r.x, r.s.u, r.s.v, r.p.a, r.p.b]
    made = (
        lambda a, b: (a + b) * 0.5,
        lambda a, b: (a - b) * 0.5,
        lambda a, b: a * b,
        lambda a, b: a / (1.0 + b * b),
        lambda a, b: r.ops.tanh(a - b),
        lambda a, b: r.ops.sigmoid(a + b),
        lambda a, b: r.ops.exp(a - b) * 0.125,
    )
    for _ in range(draw.integers(6, 20)):
        a, b = (pool[i] for i in draw.integers(0, len(pool), 2))
        pool.append(made[draw.integers(len(made))](a, b))
    return r.program(pool[-1], (pool[-2], pool[-3]))


@pytest.mark.parametrize("seed", range(25))
def test_smooth_programs_have_the_gradient_of_central_differences(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over 4 steps of 2 samples in float64, along random directions.

    With a step h, truncation is h^2 / 6 times a third derivative and rounding u / h times the loss; h = u^(1/3) makes
    both about u^(2/3) = 4e-11. The third derivative is estimated from the difference at 2 h, which shows it fourfold.
    The formula of tanh has a slope of its own, 2e-10 off within [-3, 3]. That of exp is float32's, 1e-8 off with jumps
    between its pieces, which a difference over 1e-5 would show; so here exp is numpy's.
    """
    monkeypatch.setattr(Float64, "exp", lambda self, x: np.exp(x))
    draw = np.random.default_rng(seed)
    program, h, shape = smooth(draw), 2.0**-17, (4, 2, 3)
    values = {n: draw.uniform(-1, 1, shape) for n in program.inputs}
    values |= {n: draw.uniform(-1, 1, shape[1:]) for n in program.states}
    values |= {"a": draw.uniform(-1, 1), "b": draw.uniform(-1, 1, 3)}
    weight, read = draw.normal(0, 1, shape), {n: draw.normal(0, 1, shape) for n in program.states}

    def run(at: dict[str, Any]) -> Any:
        params = {n: at[n] for n in program.params}
        return forward(
            program, params, {n: at[n] for n in program.inputs}, {n: at[n] for n in program.states}
        )

    def loss(at: dict[str, Any]) -> float:
        made = run(at)
        return float(
            (made.output * weight).sum() + sum((made.states[n][1:] * w).sum() for n, w in read.items())
        )

    found = backward(run(values), weight, states=read)
    gradient = {**found.inputs, **found.state, **found.params}
    for _ in range(5):
        along = {n: draw.normal(0, 1, np.shape(v)) for n, v in values.items()}
        near, far = (
            (
                loss({n: v + k * along[n] for n, v in values.items()})
                - loss({n: v - k * along[n] for n, v in values.items()})
            )
            / (2 * k)
            for k in (h, 2 * h)
        )
        wanted = sum(float((gradient[n] * along[n]).sum()) for n in values)
        terms = sum(float(np.abs(gradient[n] * along[n]).sum()) for n in values)
        size = np.abs(weight).sum() + sum(np.abs(w).sum() for w in read.values())
        allowed = abs(far - near) / 2 + 1e-9 * terms + 100 * 2.0**-53 / h * size
        assert abs(near - wanted) <= allowed


def test_an_adjoint_is_small() -> None:
    """Of the LIF: its derivative by hand has 5 products and 3 sums beside the forward step and the surrogate."""
    r = Recorder(("in",), ("v",), ("decay", "threshold"))
    v = r.p.decay * r.s.v + r.x[0]
    z = r.ops.spike(v - r.p.threshold)
    program = r.program(z, (r.ops.where(r.ops.stop_gradient(z), 0.0, v),))
    surrogate = slope(lambda x: 1.0 / (1.0 + x * x))
    text = adjoint(program, {0: surrogate})
    leaves = ("const", "param", "state", "input")
    assert sum(i.op not in leaves for i in text.code) <= 4 + 3 + 7
    assert len(text.code) == len({(i, str(i.value)) for i in text.code})


def evaluated(program: Program, **leaves: Any) -> dict[str, Any]:
    """The next states by name, each of the leaves given as ``kind_name``."""
    named = {
        kind: {k.partition("_")[2]: v for k, v in leaves.items() if k.startswith(kind)}
        for kind in ("param", "input")
    }
    registers = evaluate(program, Float64(), named["param"], {}, named["input"])
    return {n: float(registers[i]) for n, i in zip(program.states, program.next_states, strict=True)}


def test_the_jacobian_of_a_lif() -> None:
    r = Recorder(("in",), ("v",), ("decay",))
    v = r.p.decay * r.s.v + r.x[0]
    z = r.ops.spike(v - 1.0)
    program = r.program(z, (r.ops.where(r.ops.stop_gradient(z), 0.0, v),))
    text = jacobian(program, {0: slope(lambda x: x * x)})
    leaves = {"param": {"decay": 0.5}, "input": {"state.v": 2.0}}
    for x, wanted in (
        (3.0, {"out": 9.0, "state.v": 0.0}),  # v = 4: a spike, whose reset lets no gradient through
        (-1.5, {"out": 2.25, "state.v": 1.0}),
    ):
        inputs = {**leaves["input"], "input.in": x}
        registers = evaluate(text, Float64(), leaves["param"], {}, inputs)
        got = {n: float(registers[i]) for n, i in zip(text.states, text.next_states, strict=True)}
        for result, through in wanted.items():
            assert got[f"d.{result}/d.input.in"] == through
            assert got[f"d.{result}/d.state.v"] == 0.5 * through
            assert got[f"d.{result}/d.param.decay"] == 2.0 * through
