"""Chunks of time side by side are the sweep step by step: outputs, states and those kept bit for bit, gradients to the
rounding of their sums; for every model and random programs, whether chunks meet or not.

Drawn: the currents of the laws of the sweep; of long sequences also whole quarters (ties at the threshold), constants,
silence. States are normal. Needs no torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.neurons import IF, LIF, LeakyIntegrator, NeuronModel, TwoPointLIF, surrogate
from spikeflow.neurons.compiled import CARRIED, FEW, LONG, USUAL, chunk
from spikeflow.sim.gradient import forward
from tests.laws.models import CASES, SIZE, currents, label
from tests.laws.sweeps import Swept, random_case, same, with_slots
from tests.laws.test_sweep import compared, each, types

RESETS = (
    *(LIF(reset=reset, reset_value=0.1) if reset == "value" else LIF(reset=reset) for reset in ("zero", "subtract", "value", "none")),
    *(LIF(reset="zero", refractory=3), LIF(decay=0.999, reset="subtract"), IF(), IF(reset="zero"), TwoPointLIF()),
    *(LeakyIntegrator(), LeakyIntegrator(decay=0.999)),
)
KINDS = ("normal", "quarters", "constant", "silence", "not a number")


def equal(a: Swept, b: Swept) -> None:
    for one, other in ((a.output, b.output), (a.kept, b.kept), *((a.after[n], b.after[n]) for n in a.after)):
        assert one.tobytes() == other.tobytes()


def case(model: NeuronModel, shape: tuple[int, ...], kind: str, seed: int = 0, dtype: Any = np.float32) -> tuple[Any, ...]:
    """What `Swept` takes."""
    draw = np.random.default_rng(seed)
    x = {port: draw.normal(0.1, 0.5, shape).astype(dtype) for port in model.inputs}
    for port, values in x.items():
        if kind == "quarters":
            x[port] = np.round(values * 4) / 4
        elif kind != "normal":
            values[shape[0] // 8 :] = {"constant": 0.3, "silence": 0.0, "not a number": np.nan}[kind]
    state = {n: draw.normal(0, 0.5, shape[1:]).astype(dtype) for n in model.states()}
    params = {n: np.asarray(v) for n, v in model.params().items()}
    return with_slots(model.program(), surrogate.atan.program()), params, x, state


@each
@types
def test_every_model_is_the_reference_both_ways(model: NeuronModel, dtype: Any) -> None:
    draw = np.random.default_rng(3)
    assert len(model.states()) <= CARRIED
    x = {port: v.astype(dtype) for port, v in currents(model, 52, 2, 0).items()}
    for values in x.values():
        values[..., 1:3] = np.round(values[..., 1:3] * 4) / 4
    state = {n: draw.normal(0, 0.5, (2, SIZE)).astype(dtype) for n in model.states()}
    params = {n: np.asarray(v, np.float32) for n, v in model.params().items()}
    compiled = with_slots(model.program(), surrogate.fast_sigmoid.program())
    run = forward(model.program(), params, x, state)
    for length, interval in ((16, 16), (24, 4)):
        swept = Swept(compiled, params, x, state, interval=interval, chunk=length)
        equal(swept, Swept(compiled, params, x, state, interval=interval))
        compared(run, swept, compiled.slots, np.random.default_rng(1))


@pytest.mark.parametrize("seed", range(60))
@types
def test_random_programs(seed: int, dtype: Any) -> None:
    draw = np.random.default_rng(seed)
    compiled, params, x, state = random_case(draw, seed, ((7,), (3, 4), (1,)), dtype)
    run = forward(compiled.program, params, x, state)
    swept = Swept(compiled, params, x, state, interval=1 + seed % 2, chunk=2)
    equal(swept, Swept(compiled, params, x, state, interval=1 + seed % 2))
    compared(run, swept, compiled.slots, draw)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", RESETS, ids=lambda m: f"{m.name}-{getattr(m, 'reset', 'none')}")
def test_long_sequences(model: NeuronModel, kind: str) -> None:
    for seed, shape in enumerate(((2000, 1, 1), (1999, 1, 3), (4100, 2, 4))):
        given = case(model, shape, kind, seed)
        length = chunk(shape, len(model.states()), None)
        assert length % USUAL == 0 and 0 < length <= shape[0] // 2
        swept, wanted = Swept(*given, chunk=length), Swept(*given)
        equal(swept, wanted)
        if kind != "not a number":
            draw = np.random.default_rng(seed)
            out = draw.normal(0, 1, shape).astype(np.float32)
            last = {n: draw.normal(0, 1, shape[1:]).astype(np.float32) for n in model.states()}
            a, b = swept.back(out, last), wanted.back(out, last)
            for one, other in ((a.inputs, b.inputs), (a.state, b.state), (a.params, b.params)):
                for name in one:
                    # of sums over thousands of steps: each stays beside the largest of its kind
                    np.testing.assert_allclose(one[name], other[name], 1e-4, 1e-4 * np.abs(other[name]).max(), err_msg=name)


def test_chunks_that_meet_and_chunks_that_do_not() -> None:
    found = {}
    for model in (LIF(), LIF(reset="none"), IF(reset="zero"), IF(), LeakyIntegrator(decay=0.9999)):
        swept = Swept(*case(model, (4000, 1, 1), "normal"), chunk=96)
        settled, wanted = swept.compiled.settled
        assert wanted == 4000 // 96 * 96 and settled % 96 == 0 and settled > 0
        found[model] = settled == wanted
    assert list(found.values()) == [True, True, True, False, False]


@types
def test_threads_and_vectors_change_no_bit(dtype: Any) -> None:
    given = case(TwoPointLIF(), (400, 1, 5), "normal", dtype=dtype)
    out = np.random.default_rng(0).normal(0, 1, (400, 1, 5)).astype(dtype)
    last = {n: np.ones((1, 5), dtype) for n in TwoPointLIF().states()}
    first = Swept(*given, chunk=64)
    wanted = first.back(out, last)
    for changed in ({"threads": 3}, {"isa": 0}, {"isa": 1}):
        other = Swept(*given, chunk=64, **changed)
        equal(other, first)
        same(other.back(out, last), wanted)


@pytest.mark.parametrize("model", CASES, ids=label)
def test_one_number_stands_for_a_port_and_for_a_cotangent(model: NeuronModel) -> None:
    shape = (100, 1, SIZE)
    compiled, params, _, state = case(model, shape, "normal")
    x = {port: np.full(shape, 0.3, np.float32) for port in model.inputs}
    full, one = (Swept(compiled, params, x, state, chunk=32) for _ in range(2))
    one.given = type(one.given)([(v.ctypes.data, 1) for v in x.values()], one.given.params, one.given.state)
    one.output[:] = 9
    compiled.forward(one.extent, one.given, one.output.ctypes.data, [v.ctypes.data for v in one.after.values()], one.kept.ctypes.data)
    equal(one, full)
    zero, half = np.zeros((), np.float32), np.float32(0.5)
    wide = {n: np.zeros(shape[1:], np.float32) for n in model.states()}
    same(one.back(half, dict.fromkeys(wide, zero)), full.back(np.full(shape, half), wide))


def test_the_choice() -> None:
    assert chunk((LONG, 1, 1), 1, None) and not chunk((LONG - 1, 1, 1), 1, None)
    assert chunk((10 * LONG, 1, FEW), 1, None) and not chunk((10 * LONG, 2, FEW), 1, None) and not chunk((LONG, 1, 3), 1, None)
    assert not chunk((LONG, 1, 1), 1, False) and not chunk((LONG, 1, 1), 0, True) and not chunk((LONG, 1, 1), CARRIED + 1, True)
    assert chunk((64, 1, 1), 1, True) == 32 and not chunk((63, 1, 1), 1, True) and not chunk((0, 1, 1), 1, True)
    assert not chunk((LONG, 0, 3), 1, True)
