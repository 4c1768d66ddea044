"""The table of operations against every domain: each operation is computed, or refused by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import spikeflow
from spikeflow.convert.verify.replay import Bounded, Bounds
from spikeflow.errors import HardwareError, OperationRefused
from spikeflow.hw.chips import chip
from spikeflow.hw.integer.scales import Scales
from spikeflow.hw.integer.translate import Port, _Translation
from spikeflow.hw.passes.gains import _Known
from spikeflow.ir.evaluate import Domain, evaluate, offered, rule
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.instructions import instruction
from spikeflow.ir.nodes import Input, Output, Population
from spikeflow.ir.operations import FIXED, FLOAT, OPERATIONS, Operation
from spikeflow.ir.ops import Ops, Recorder
from spikeflow.ir.program import Instruction, Program
from spikeflow.ir.recording import Recording
from spikeflow.neurons import surrogate
from spikeflow.neurons.printed import Kernel
from spikeflow.neurons.settling import PLAIN, _Decisions
from spikeflow.neurons.tensors import Tensors
from spikeflow.sim import Dense, _engine, engine
from spikeflow.sim.alphabets import Alphabet, Alphabets
from spikeflow.sim.domains import Float32, Float64, Integers
from spikeflow.sim.event_time.closed import _Form, _Linear, _Unlike
from spikeflow.sim.interpreter import Step
from spikeflow.sim.intervals import INT64, Interval, Intervals
from tests.sim import random_programs

TABLES = {"t": (3, 5, 7)}
LEAVES = ("param", "state", "input")
LOIHI2 = chip.load("loihi2").formats.arithmetic


def translation() -> tuple[Domain[Any], Any]:
    """Of a program whose first three registers are the port; the scale of a value is that of the port."""
    code = (*[Instruction("input", name="in")] * 3, Instruction("spike", (0,)))
    node = Population("t", Program(("in",), (), (), code, 3, ()), {}, (2,))
    made = _Translation("t", node, {"in": Port(np.asarray(64.0))}, LOIHI2)
    value = made._input("in")
    for index in range(3):
        made.made(index, value)
    return made, value


# how each domain is made, and one value of its kind
MADE: dict[type[Domain[Any]], Callable[[], tuple[Domain[Any], Any]]] = {
    Float32: lambda: (Float32(), np.array([0.5, -1.5], np.float32)),
    Float64: lambda: (Float64(), np.array([0.5, -1.5])),
    Integers: lambda: (Integers(TABLES, (2,)), np.array([1, -7])),
    Alphabets: lambda: (Alphabets(), Alphabet(-7, 3, True)),
    Intervals: lambda: (Intervals(TABLES), Interval(-7, 3)),
    Tensors: lambda: (Tensors({0: surrogate.atan}, torch.zeros(2)), torch.tensor([0.5, -1.5])),
    _Decisions: lambda: (_Decisions(), PLAIN),
    Bounds: lambda: (Bounds(np.zeros(2)), Bounded(np.array([0.5, -1.5]), np.zeros(2))),
    Scales: lambda: (Scales(LOIHI2), np.asarray(64.0)),
    _Known: lambda: (_Known(), np.asarray(0.5)),
    _Translation: translation,
    _Linear: lambda: (_Linear(0.0, 1), _Form(np.array([0.5]))),
    Ops: lambda: (ops := Ops(), ops.const(0.5)),
    Kernel: lambda: (kernel := Kernel("float32"), kernel.const(0.5)),
    Recording: lambda: (ops := Recording(), ops.const(0.5)),
}
# of `value` and `mode`, where an operation needs some
LEGAL: dict[str, dict[str, Any]] = {
    "narrow": {"value": 4, "mode": "saturate", "name": "t"},
    "shift": {"value": 1},
    "table": {"name": "t"},
}


# what chips have for numbers known before the run alone, and the word of the refusal
KNOWN_ONLY = {"div": "division", "round": "ties to even"} | {
    name: f"{name} of something that changes" for name in OPERATIONS if not hasattr(_Translation, name)
}


def made(row: Operation) -> Instruction:
    return instruction(row.name, tuple(range(row.arguments)), **LEGAL.get(row.name, {}))


def test_every_domain_of_the_package_is_tried() -> None:
    for module in pkgutil.walk_packages(spikeflow.__path__, "spikeflow."):
        if not module.name.startswith(("spikeflow.datasets", "spikeflow.__main__")):
            importlib.import_module(module.name)
    found, todo = set[type](), list(Domain.__subclasses__())
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if kind.__module__.startswith("spikeflow.") and not kind.__subclasses__():
            found.add(kind)
    assert found | {Ops} == set(MADE)


@pytest.mark.parametrize("kind", MADE, ids=lambda k: k.__name__)
@pytest.mark.parametrize("row", OPERATIONS.values(), ids=lambda r: r.name)
def test_a_domain_computes_an_operation_or_refuses_it_by_name(
    kind: type[Domain[Any]], row: Operation
) -> None:
    domain, value = MADE[kind]()
    if row.name in LEAVES:
        code = (Instruction(row.op, name="x"),)
        names = {"params": (), "states": (), "inputs": (), row.names: ("x",)}
        program = Program(**names, code=code, output=0, next_states=())  # type: ignore[arg-type]
        assert evaluate(program, domain, {"x": value}, {"x": value}, {"x": value}) == [value]
    elif row in offered(kind):
        args = [value] * row.arguments
        if kind is _Translation and row.name in KNOWN_ONLY:
            with pytest.raises(HardwareError, match=f"t: needs .*{KNOWN_ONLY[row.name]}"):
                rule(domain, row.name)(*args, *made(row).taken)
            args = [domain.const(4.0)] * row.arguments  # type: ignore[attr-defined]
        if kind is _Linear and not hasattr(_Linear, row.name):
            with pytest.raises(_Unlike, match=f"computes {row.name}, which is not linear"):
                rule(domain, row.name)(*args, *made(row).taken)
            return
        made_ = rule(domain, row.name)(*args, *made(row).taken)
        assert made_ is not None or kind is _Known  # which follows sums and products alone
    else:
        with pytest.raises(OperationRefused, match=row.name) as caught:
            rule(domain, row.name)(*[value] * row.arguments, *made(row).taken)
        assert (caught.value.domain, caught.value.operation) == (kind.__name__, row.name)


def _takes(operation: str, stage: str) -> bool:
    return operation not in LEAVES and stage in OPERATIONS[operation].stages


@pytest.mark.parametrize("name", [n for n in OPERATIONS if _takes(n, FLOAT)])
def test_what_holds_of_any_operation_holds_of_each(name: str) -> None:
    """What a domain says of an operation that it has no line for is true of those that it has one for."""
    row, taken = OPERATIONS[name], made(OPERATIONS[name]).taken
    for kind in (Float32, Float64, Tensors):
        domain, value = MADE[kind]()
        with pytest.raises(OperationRefused, match=name):
            domain.unlisted(row, *[value] * row.arguments, *taken)
    decisions = _Decisions()
    assert decisions.unlisted(row, *[PLAIN] * row.arguments, *taken) == PLAIN and decisions.others
    assert _Known().unlisted(row, *[np.asarray(2.0)] * row.arguments, *taken) is None
    assert Alphabets().unlisted(row, *[Alphabet(0, 1, True)] * row.arguments, *taken) == Alphabet()
    x = Bounded(np.array([0.5, -1.5, 2.0, -0.25]), np.full(4, 1e-3))
    bounds, given = Bounds(np.ones(4)), [x, x, x][: row.arguments]
    unknown = bounds.unlisted(row, *given, *taken)
    if name not in ("spike", "const"):  # spikes are as recorded
        np.testing.assert_allclose(unknown.value, rule(bounds, name)(*given, *taken).value)
    assert np.isinf(unknown.error).all()
    forms, moving = translation()
    known = rule(forms, "const")(0.75)
    if row.arguments:
        with pytest.raises(HardwareError, match=f"t: needs {name} of something that changes"):
            forms.unlisted(row, *[moving] * row.arguments, *taken)
        wanted = rule(forms, name)(*[known] * row.arguments, *taken)
        got = forms.unlisted(row, *[known] * row.arguments, *taken)
        if name != "where":  # whose form chooses when it is asked for
            np.testing.assert_allclose(got.value, wanted.value, rtol=1e-7)
        assert Scales(LOIHI2).unlisted(row, *["static"] * row.arguments, *taken) == "static"
        assert Scales(LOIHI2).unlisted(row, *[np.ones(())] * row.arguments, *taken) == "unknown"


@pytest.mark.parametrize("name", [n for n in OPERATIONS if _takes(n, FIXED)])
def test_any_integer_may_come_of_an_operation_that_intervals_do_not_know(name: str) -> None:
    row, taken = OPERATIONS[name], made(OPERATIONS[name]).taken
    given = [Interval(0, 1)] * row.arguments
    assert Intervals(TABLES).unlisted(row, *given, *taken) == INT64
    with pytest.raises(OperationRefused, match=name):
        Integers(TABLES, (2,)).unlisted(row, *[np.ones(2, int)] * row.arguments, *taken)


def test_the_engines_table_is_this_one() -> None:
    rows = {
        row.name: (row.arguments, FLOAT in row.stages, FIXED in row.stages) for row in OPERATIONS.values()
    }
    assert {name: tuple(facts) for name, *facts in _engine.operations()} == rows


def test_every_float_operation_has_a_derivative() -> None:
    assert all((row.derivative is not None) == (FLOAT in row.stages) for row in OPERATIONS.values())


@pytest.mark.parametrize("word", ["cosine", "made", "begin", "__init__"])
def test_what_is_no_operation_is_refused_by_name(word: str) -> None:
    program = Program((), (), (), (Instruction(word),), 0, ())
    with pytest.raises(OperationRefused, match=word):
        evaluate(program, Integers({}), {}, {}, {})


@pytest.mark.parametrize("row", OPERATIONS.values(), ids=lambda r: r.name)
def test_every_row_says_what_a_program_may_hold(row: Operation) -> None:
    names: dict[str, object] = dict.fromkeys(("params", "states", "inputs", "tables"), ("t",))
    given = made(row) if row.name not in LEAVES else Instruction(row.op, name="t")
    assert given.operation is row and row.meaning and row.stages
    assert given.problem(3, names) == "" and str(given).startswith(row.op)


def float_program(seed: int) -> tuple[Any, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return random_programs.population(rng, (6,), False, 2), rng


@pytest.mark.parametrize("seed", range(200))
def test_tensors_equal_arrays_bit_for_bit_on_random_programs(seed: int) -> None:
    """Inputs and states are normal, zeros and halves among them; NaN and infinity arise and are equal too."""
    node, rng = float_program(seed)
    drawn = [rng.choice([0.0, 0.5, *rng.normal(0, 1, 6)], (4, 6)).astype(np.float32) for _ in range(4)]
    state, inputs = drawn[:2], drawn[2:]
    expected = Step(node.program, node.params, False).registers(state, inputs)
    named = [
        {n: torch.from_numpy(np.array(v)) for n, v in pairs}
        for pairs in (
            node.params.items(),
            zip(node.program.states, state, strict=True),
            zip(node.program.inputs, inputs, strict=True),
        )
    ]
    domain = Tensors({0: surrogate.atan}, torch.zeros(4, 6))
    got = evaluate(node.program, domain, *named)
    for array, tensor in zip(expected, got, strict=True):
        np.testing.assert_array_equal(domain.tensor(tensor).numpy(), array)


@pytest.mark.parametrize("isa", [0, 1, 2])
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "exp"])
def test_a_function_keeps_a_nan(name: str, isa: int) -> None:
    r = Recorder(("in",), (), ())
    made_ = rule(r.ops, name)(r.x[0] / 0.0)
    x = np.zeros((1, 1, 8), np.float32)
    x[..., 1::2] = [1, -1, 0.5, 0]
    with np.errstate(all="ignore"):
        wanted = rule(Float32(), name)(x / np.float32(0))
        torch_ = rule(Tensors({}, torch.zeros(8)), name)(torch.from_numpy(x / np.float32(0)))
    assert np.isnan(wanted[..., ::2]).all() and np.isfinite(wanted[0, 0, 3])
    np.testing.assert_array_equal(torch_.numpy(), wanted)
    # a NaN is no number to hand on: the comparison with itself tells it apart
    isnan = 1.0 - r.ops.spike(made_ - made_)
    node = Population("t", r.program(isnan, []), {}, (8,))
    edges = (Edge("x", "p", "in"), Edge("p", "y"))
    graph = Graph({"x": Input((8,), "current"), "p": node, "y": Output()}, edges)
    found = engine.prepare(graph, isa=isa)({"x": Dense(x)}, 1).outputs["y"]
    infinite = np.isinf(wanted)  # the difference of infinities is no number either
    np.testing.assert_array_equal(found, np.isnan(wanted) | infinite)


@pytest.mark.parametrize("seed", range(50))
def test_a_program_evaluated_on_symbols_is_copied(seed: int) -> None:
    program = float_program(seed)[0].program
    ops = Ops()
    leaves = [
        {n: ops.emit(kind, name=n) for n in names}
        for kind, names in (("param", program.params), ("state", program.states), ("input", program.inputs))
    ]
    before = len(ops.code)
    registers = evaluate(program, ops, *leaves)
    copied = Program(
        program.inputs,
        program.states,
        program.params,
        tuple(ops.code),
        registers[program.output].index,
        tuple(registers[r].index for r in program.next_states),
    )
    copied.check("copy")
    assert len(copied.code) <= len(program.code) + before
    assert copied.operations() == program.operations()
