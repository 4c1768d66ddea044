"""What the C++ core sweeps is what the reference computes: outputs and states bit for bit, gradients to the rounding
of their sums; whatever the interval at which states are kept, the threads and the processor's vectors.

Drawn: the currents of the laws of the adjoint; random programs of `tests.sim.random_programs` with every operation,
parameters of every form of broadcasting, values that are 0 or whole in a share of places. Needs no torch.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.neurons import LIF, CSiLIF, NeuronModel, TwoPointLIF, surrogate
from spikeflow.neurons.compiled import Compiled, Extent, interval, of_text
from spikeflow.neurons.surrogate import Surrogate
from spikeflow.sim.gradient import Forward, Gradients, backward, forward
from tests.laws.models import CASES, SIZE, currents, label
from tests.laws.rounding import assert_within, bounds
from tests.laws.surrogates import SURROGATES
from tests.laws.sweeps import Swept, random_case, same, with_slots

ROOT = Path(__file__).parents[2]
each = pytest.mark.parametrize("model", CASES, ids=label)
types = pytest.mark.parametrize("dtype", [np.float32, np.float64])
STEPS = 20


def at_the_end(program: Any, last: dict[str, np.ndarray], steps: int) -> dict[str, np.ndarray]:
    """Cotangents of the states after each step, of which those after the last are given."""
    found = {n: np.zeros((steps, *last[n].shape), last[n].dtype) for n in program.states}
    for name, values in found.items():
        values[-1] = last[name]
    return found


def compared(run: Forward, swept: Swept, slots: Any, draw: np.random.Generator) -> None:
    """A sweep against the reference, forward and backward."""
    np.testing.assert_array_equal(swept.output, run.output)
    for name, values in swept.after.items():
        np.testing.assert_array_equal(values, run.states[name][-1], name)
    out = draw.normal(0, 1, run.output.shape).astype(run.output.dtype)
    last = {n: draw.normal(0, 1, out.shape[1:]).astype(out.dtype) for n in run.program.states}
    every = at_the_end(run.program, last, len(out))
    wanted, allowed, got = backward(run, out, slots, every), bounds(run, out, slots, every), swept.back(out, last)
    assert_within(got.inputs, wanted.inputs, allowed.inputs)
    assert_within(got.state, wanted.state, allowed.state)
    assert_within(got.params, wanted.params, allowed.params)


@each
@types
@pytest.mark.parametrize("slope", SURROGATES, ids=str)
def test_every_model_with_every_surrogate(model: NeuronModel, slope: Surrogate, dtype: Any) -> None:
    draw = np.random.default_rng(3)
    x = {port: v.astype(dtype) for port, v in currents(model, STEPS, 2, 0).items()}
    for values in x.values():
        values[..., 0] = 0
        values[..., 1:3] = np.round(values[..., 1:3] * 4) / 4
    state = {n: draw.normal(0, 0.5, (2, SIZE)).astype(dtype) for n in model.states()}
    params = {n: np.asarray(v, np.float32) for n, v in model.params().items()}
    compiled = with_slots(model.program(), slope.program())
    run = forward(model.program(), params, x, state)
    assert (run.output != 0).any(), "a law about silence proves nothing"
    for steps_between in (1, 3, 16, 50):
        swept = Swept(compiled, params, x, state, interval=steps_between)
        compared(run, swept, compiled.slots, np.random.default_rng(1))


@pytest.mark.parametrize("seed", range(60))
@types
def test_random_programs(seed: int, dtype: Any) -> None:
    draw = np.random.default_rng(seed)
    compiled, params, x, state = random_case(draw, seed, ((7,), (3, 4), (2, 3, 3)), dtype)
    run = forward(compiled.program, params, x, state)
    swept = Swept(compiled, params, x, state, interval=1 + seed % 4)
    compared(run, swept, compiled.slots, draw)


@types
@pytest.mark.parametrize("model", [LIF(np.linspace(0.5, 0.9, 2311)), CSiLIF(np.linspace(-2, 0, 2311)), TwoPointLIF()], ids=str)
def test_threads_vectors_and_intervals_change_no_bit(model: NeuronModel, dtype: Any) -> None:
    """Of a population of several blocks; the number of neurons is no multiple of anything."""
    draw = np.random.default_rng(0)
    shape = (40, 3, 2311)
    x = {port: draw.normal(0.2, 0.6, shape).astype(dtype) for port in model.inputs}
    state = {n: draw.normal(0, 0.5, shape[1:]).astype(dtype) for n in model.states()}
    params = {n: np.asarray(v) for n, v in model.params().items()}
    compiled = with_slots(model.program(), surrogate.atan.program())
    out = draw.normal(0, 1, shape).astype(dtype)
    last = {n: draw.normal(0, 1, shape[1:]).astype(dtype) for n in model.states()}
    first = Swept(compiled, params, x, state)
    wanted = first.back(out, last)
    assert all(g.any() for g in wanted.inputs.values())
    for changed in ({"threads": 3}, {"threads": 7}, {"isa": 0}, {"isa": 1}, {"interval": 1}, {"interval": 40}):
        other = Swept(compiled, params, x, state, **changed)
        np.testing.assert_array_equal(other.output, first.output)
        same(other.back(out, last), wanted)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_not_asked_for_changes_no_bit_of_the_rest(seed: int) -> None:
    """Gradients of any choice of ports and parameters are those of all."""
    draw = np.random.default_rng(seed)
    compiled, params, x, state = random_case(draw, seed, ((7,), (3, 4)), np.float32)
    swept = Swept(compiled, params, x, state, interval=1 + seed % 4)
    out = draw.normal(0, 1, swept.shape).astype(np.float32)
    last = {n: draw.normal(0, 1, v.shape).astype(np.float32) for n, v in state.items()}
    every = swept.back(out, last)
    chosen = [n for n in compiled._others if draw.random() < 0.5]
    part = swept.back(out, last, chosen)
    for kind, got, wanted in (("input", part.inputs, every.inputs), ("param", part.params, every.params)):
        for name in wanted:
            asked = f"{kind}.{name}" in chosen
            np.testing.assert_array_equal(got[name], wanted[name] if asked else np.zeros_like(wanted[name]), name)
    same(Gradients({}, part.state, {}), Gradients({}, every.state, {}))


@each
def test_one_number_stands_for_a_port_and_for_a_cotangent(model: NeuronModel) -> None:
    draw = np.random.default_rng(0)
    shape = (STEPS, 2, SIZE)
    params = {n: np.asarray(v) for n, v in model.params().items()}
    state = {n: draw.normal(0, 1, shape[1:]).astype(np.float32) for n in model.states()}
    compiled = with_slots(model.program(), surrogate.atan.program())
    x = {port: np.full(shape, 0.3, np.float32) for port in model.inputs}
    full = Swept(compiled, params, x, state)
    one = Swept(compiled, params, x, state)
    one.given = type(one.given)([(v.ctypes.data, 1) for v in x.values()], one.given.params, one.given.state)
    addresses = [v.ctypes.data for v in one.after.values()]
    compiled.forward(one.extent, one.given, one.output.ctypes.data, addresses, one.kept.ctypes.data)
    np.testing.assert_array_equal(one.output, full.output)
    zero, half = np.zeros((), np.float32), np.float32(0.5)
    wide = {n: np.zeros(shape[1:], np.float32) for n in model.states()}
    same(one.back(half, dict.fromkeys(wide, zero)), full.back(np.full(shape, half), wide))


def test_nothing_at_all_is_swept_too() -> None:
    for shape in ((3, 0, 4), (3, 2, 0)):
        empty = np.zeros(shape, np.float32)
        swept = Swept(with_slots(LIF().program(), surrogate.atan.program()), LIF().params(), {"in": empty}, {"v": empty[0]})
        found = swept.back(empty, {"v": empty[0]})
        assert found.inputs["in"].shape == shape and found.params["decay"] == 0


def test_the_text_makes_the_same_anew() -> None:
    model = TwoPointLIF(back_propagation=True, bap=0.2)
    compiled = with_slots(model.program(), surrogate.multi_gaussian.program())
    again = of_text(compiled.text)
    assert again.program == compiled.program and again.slots == compiled.slots and again.text == compiled.text
    assert not compiled.refused
    assert "slot 0" in Compiled(model.program(), {}).refused


@pytest.mark.parametrize("seed", range(30))
def test_the_budget_is_kept_and_used(seed: int) -> None:
    draw = np.random.default_rng(seed)
    shape, states = tuple(int(n) for n in draw.integers(1, 40, 3)), int(draw.integers(0, 4))
    each_moment = states * shape[1] * shape[2] * 4
    for budget in (0, 1, 1000, 10**5, 10**9):
        found = Extent(shape, interval=interval(shape, states, 4, budget))
        assert found.moments * each_moment <= budget
        finer = Extent(shape, interval=found.interval - 1) if found.interval > 1 else None
        assert finer is None or finer.moments * each_moment > budget, "more could have been kept"


def test_the_core_includes_no_python_and_no_torch() -> None:
    sources = sorted((ROOT / "src/sweep").iterdir())
    assert sources
    for path in sources:
        assert not re.search(r"#include\s*[<\"](Python|nanobind|torch|ATen|numpy)", path.read_text()), path.name


def test_the_stub_is_current(tmp_path: Path) -> None:
    pytest.importorskip("nanobind")
    made, stub = tmp_path / "_sweep.pyi", "spikeflow/neurons/_sweep.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "spikeflow.neurons._sweep", "-o"]
    subprocess.run([*command, str(made)], check=True, cwd=ROOT, capture_output=True)
    assert made.read_text() == (ROOT / stub).read_text(), " ".join(["run:", *command[1:], stub])


def test_no_torch_is_needed() -> None:
    code = "import sys; sys.modules['torch'] = None; import spikeflow.neurons.compiled as c; print(c.FASTEST)"
    assert subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True).stdout == b"2\n"
