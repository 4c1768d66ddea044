"""The programs of a sweep back: run in numpy they give the adjoint's gradients, and they repeat nothing.

Drawn: random programs of every float operation (`tests.laws.sweeps.random_case`); every model of the laws.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.ir.evaluate import evaluate
from spikeflow.ir.program import Program
from spikeflow.ir.way_back import WayBack, way_back
from spikeflow.neurons import NeuronModel, SiLIF, surrogate
from spikeflow.sim.domains import Float32
from spikeflow.sim.gradient import backward, forward, summed_to
from tests.laws.models import CASES, label
from tests.laws.rounding import assert_within, bounds
from tests.laws.sweeps import random_case, with_slots


def ends(program: Program, params: Any, state: Any, inputs: Any) -> dict[str, Any]:
    with np.errstate(all="ignore"):
        registers = evaluate(program, Float32(), params, state, inputs)
    return {n: registers[i] for n, i in zip(program.states, program.next_states, strict=True)}


def stepped(text: WayBack, run: Any, out: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Gradients of the inputs and of the parameters, a step at a time."""
    carried = {f"d.state.{n}": np.zeros_like(out[0]) for n in run.program.states}
    inputs = {n: np.zeros_like(out) for n in run.program.inputs}
    sums: dict[str, Any] = {n: np.zeros_like(out[0]) for n in text.adjoint.states if n.startswith("sum.")}
    for t in reversed(range(len(out))):
        before, arriving = ({n: v[t] for n, v in of.items()} for of in (run.states, run.inputs))
        again = ends(text.again, run.params, before, arriving)
        given = {f"state.{n}": v for n, v in before.items()} | {f"input.{n}": v for n, v in arriving.items()}
        given |= {n: v for n, v in again.items() if n.startswith("tape.")} | {"d.out": out[t]}
        made = ends(text.adjoint, run.params, carried, given)
        carried = {n: made[n] for n in carried}
        sums = {n: total + made[n] for n, total in sums.items()}
        for n, values in inputs.items():
            values[t] = made[f"d.input.{n}"]
    assert text.gathered is not None
    found = ends(text.gathered, run.params, {}, sums)
    shaped = {n: np.broadcast_to(found[f"d.param.{n}"], out[0].shape) for n in run.params}
    return inputs, {n: summed_to(v, np.shape(run.params[n])) for n, v in shaped.items()}


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed: int) -> None:
    draw = np.random.default_rng(seed)
    compiled, params, x, state = random_case(draw, seed, ((7,), (3, 4)), np.float32)
    run = forward(compiled.program, params, x, state)
    out = draw.normal(0, 1, run.output.shape).astype(np.float32)
    text = way_back(compiled.program, compiled.slots, compiled._others)
    inputs, found = stepped(text, run, out)
    wanted, allowed = backward(run, out, compiled.slots), bounds(run, out, compiled.slots, {})
    assert_within(inputs, wanted.inputs, allowed.inputs)
    assert_within(found, wanted.params, allowed.params)


@pytest.mark.parametrize("model", CASES, ids=label)
def test_functions_of_what_varies_are_read_from_the_tape(model: NeuronModel) -> None:
    compiled = with_slots(model.program(), surrogate.atan.program())
    text = way_back(compiled.program, compiled.slots, compiled._others)
    varying: set[int] = set()
    for index, i in enumerate(text.adjoint.code):
        if i.op in ("state", "input") or not varying.isdisjoint(i.args):
            varying.add(index)
        assert index not in varying or i.op not in ("exp", "function"), f"{i} again"


def test_what_parameters_decide_is_summed_before_it_is_spread() -> None:
    """SiLIF reads two decays, one minus a decay, a, b and the threshold, not its three logarithms."""
    compiled = with_slots(SiLIF().program(), surrogate.atan.program())
    text = way_back(compiled.program, compiled.slots, compiled._others)
    assert sum(n.startswith("sum.") for n in text.adjoint.states) == 6
    assert text.gathered is not None and any(i.op == "exp" for i in text.gathered.code)
    assert way_back(compiled.program, compiled.slots, ["input.in"]).gathered is None
