"""Programs: what check refuses, what tracing records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeflow.errors import GraphError
from spikeflow.ir.operations import OPERATIONS
from spikeflow.ir.ops import Ops, Recorder
from spikeflow.ir.program import MAX_INSTRUCTIONS, Instruction, Program

Op = Instruction
X = Op("input", name="in")


def made(*code: Instruction, **more: object) -> Program:
    values: dict[str, object] = {
        "inputs": ("in",),
        "states": (),
        "params": (),
        "output": 0,
        "next_states": (),
    }
    return Program(code=code, **{**values, **more})


def test_legal_programs_pass(lif: Program, integer_lif: Program) -> None:
    lif.check("n")
    integer_lif.check("n")


@pytest.mark.parametrize(
    "code",
    [
        (),
        (Op("cosine"),),
        (X, Op("exp")),
        (X, Op("round", (0,), value=0.5)),
        (X, Op("floor", (0,), value=-1)),
        (Op("add"),),
        (X, Op("add", (0,))),
        (X, Op("add", (0, 1))),
        (X, Op("add", (0, -1))),
        (X, Op("floor", (0, 0))),
        (Op("param", name="missing"),),
        (Op("state", name="in"),),
        (X, Op("function", (0,), "exp")),
        (X, Op("table", (0,), "missing")),
        (X, Op("narrow", (0,), value=8)),
        (X, Op("narrow", (0,), value=8, mode="clamp")),
        (X, Op("narrow", (0,), value=1, mode="wrap")),
        (X, Op("narrow", (0,), value=63, mode="wrap")),
        (X, Op("narrow", (0,), value=8.0, mode="wrap")),
        (X, Op("narrow", (0,), value=True, mode="wrap")),
        (X, Op("shift", (0,), value=63)),
        (X, Op("shift", (0,), value=-63, mode="floor")),
        (X, Op("shift", (0,), value=-1)),
        (X, Op("shift", (0,), value=-1.5, mode="floor")),
        (X, Op("mul", (0, 0), value=3)),
        (X, Op("mul", (0, 0), value=-3, mode="floor")),
        (X, Op("mul", (0, 0), value=100, mode="floor")),
        (X, Op("spike", (0,), value=-1)),
        (X, Op("spike", (0,), value=0.5)),
        (Op("const", value=float("nan")),),
        (Op("const", value=float("inf")),),
        (Op("const", value=2**63),),
        (Op("const", value=10**400),),
        (Op("const", value="1"),),
        (X,) * (MAX_INSTRUCTIONS + 1),
    ],
)
def test_malformed_code_is_refused(code: tuple[Instruction, ...]) -> None:
    with pytest.raises(GraphError):
        made(*code).check("n")


@pytest.mark.parametrize(
    "more",
    [
        {"output": 1},
        {"output": -1},
        {"next_states": (0,)},
        {"states": ("v",)},
        {"states": ("v",), "next_states": (1,)},
        {"inputs": ("in", "in")},
        {"params": ("a", "a")},
        {"states": ("v", "v"), "next_states": (0, 0)},
        {"tables": {"t": ()}},
        {"tables": {"t": (2**31,)}},
    ],
)
def test_malformed_outsides_are_refused(more: dict[str, object]) -> None:
    with pytest.raises(GraphError):
        made(X, **more).check("n")


def test_the_error_names_node_and_instruction() -> None:
    with pytest.raises(GraphError, match=r"fc1: instruction 1 \(add\)"):
        made(X, Op("add", (0,))).check("fc1")


def test_spikes_looks_through_hold() -> None:
    code = (X, Op("spike", (0,)), Op("hold", (1,)), Op("add", (2, 2)))
    assert [made(*code, output=i).spikes() for i in range(4)] == [False, True, True, False]


def test_operations(lif: Program) -> None:
    assert lif.operations() == {"param", "state", "input", "mul", "add", "sub", "spike", "hold"}


def test_tables_cannot_be_changed(integer_lif: Program) -> None:
    with pytest.raises(TypeError):
        integer_lif.tables["steps"] = (0,)  # type: ignore[index]


def test_tracing_records_equal_operations_once() -> None:
    r = Recorder(["in"], [], [])
    a = r.x[0] + 1.0
    b = r.x[0] + 1.0
    assert a.index == b.index and len(r.ops.code) == 3


def test_tracing_keeps_zeros_of_different_kind_apart() -> None:
    ops = Ops()
    indices = {ops.record(Op("const", value=v)).index for v in (0, 0.0, -0.0)}
    assert len(indices) == 3


def test_numpy_integers_stay_integers() -> None:
    r = Recorder(["in"], [], [])
    consts = [r.ops.code[(r.x[0] + x).index - 1].value for x in (np.int64(3), 5, np.float32(7))]
    assert consts == [3, 5, 7.0] and [type(c) for c in consts] == [int, int, float]


def test_tracing_refuses_a_branch() -> None:
    r = Recorder(["in"], [], [])
    with pytest.raises(TypeError, match="where"):
        bool(r.x[0])


def test_every_operation_can_be_recorded() -> None:
    r = Recorder(["in"], ["v"], ["p"])
    x, o = r.x[0], r.ops
    made_ = [
        x + 1.0,
        1.0 + x,
        x - 1.0,
        1.0 - x,
        x * r.p.p,
        2.0 * x,
        x / 2.0,
        2.0 / x,
        -x,
        o.minimum(x, 0.0),
        o.maximum(x, 0.0),
        o.floor(x),
        o.where(x, x, 0.0),
        o.spike(x, 1),
        o.stop_gradient(x),
        o.tanh(x),
        o.sigmoid(x),
        o.shift(x, -2),
        o.mul(x, x, 3, "floor"),
        o.narrow(x, 8, "wrap", "x"),
        o.table(x, "t"),
        o.abs(x),
        o.round(x, 2),
        o.exp(x),
    ]
    made_ += [getattr(o, row.name)(*[x] * row.arguments) for row in OPERATIONS.values() if not row.takes]
    program = r.program(made_[13], [made_[0]], {"t": (1,)})
    program.check("n")
    assert program.operations() == {row.op for row in OPERATIONS.values()}


def test_replace_keeps_tables(integer_lif: Program) -> None:
    assert replace(integer_lif, output=0).tables == integer_lif.tables


def test_a_mode_that_no_operation_has_is_refused_wherever_it_stands() -> None:
    for op, count in (("add", 2), ("shift", 1), ("mul", 2), ("spike", 1)):
        code = (Instruction("const", value=1), Instruction(op, (0,) * count, value=0, mode="sideways"))
        with pytest.raises(GraphError, match="mode"):
            Program((), (), (), code, 1, ()).check("cells")
