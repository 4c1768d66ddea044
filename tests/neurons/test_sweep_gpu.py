"""The kernels printed for a GPU compute what the reference computes; their text runs here in numpy, and through Triton's
own interpreter where Triton is installed.

Drawn: as in `tests.laws.test_sweep`, every model and random programs with every operation, parameters of every form of
broadcasting, values that are 0 or whole in a share of places.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.neurons import NeuronModel, printed, surrogate, sweep_gpu
from spikeflow.neurons.compiled import Compiled, Extent
from spikeflow.neurons.parts import Cotangents, Parts
from spikeflow.sim.gradient import Gradients, backward, forward
from tests.laws.models import CASES, SIZE, currents, label
from tests.laws.rounding import assert_within, bounds
from tests.laws.surrogates import SURROGATES
from tests.laws.sweeps import random_case, with_slots
from tests.laws.test_sweep import at_the_end
from tests.neurons import numpy_triton

types = pytest.mark.parametrize("dtype", [np.float32, np.float64])
STEPS = 12
Arrays = dict[str, Any]


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Triton's own interpreter where `SPIKEFLOW_TRITON` asks for it, else numpy."""
    if os.environ.get("SPIKEFLOW_TRITON"):
        read_numbers(monkeypatch)
    else:
        numpy_triton.install(monkeypatch)
    sweep_gpu._kernel.cache_clear()
    yield
    sweep_gpu._kernel.cache_clear()


def read_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter of Triton 3.6 takes the bound of a loop for ``int(an array of one)``, which numpy 2.4 refuses;
    later ones ask for its only number.
    """
    interpreter: Any = import_module("triton.runtime.interpreter")
    theirs = interpreter._patch_lang_tensor

    def patched(tensor: Any, *scope: Any) -> None:
        theirs(tensor, *scope)
        tensor.__index__ = lambda self: int(self.handle.data.item())

    monkeypatch.setattr(interpreter, "_patch_lang_tensor", patched)


def compared(compiled: Compiled, params: Arrays, x: Arrays, state: Arrays, interval: int) -> None:
    """A stretch by the kernels against the reference, forward and backward."""
    program, draw = compiled.program, np.random.default_rng(1)
    like = next(iter(x.values()))
    run = forward(program, params, x, state)
    extent = Extent(like.shape, like.itemsize, interval)
    values = [[torch.from_numpy(np.array(part[n], like.dtype)) for n in names] for part, names in (
        (x, program.inputs), (params, program.params), (state, program.states))]  # fmt: skip
    parts = Parts(*map(tuple, values))
    output, *after, kept = sweep_gpu.onward(compiled, extent, parts, keeps=True)
    np.testing.assert_array_equal(output.numpy(), run.output)
    for name, last in zip(program.states, after, strict=True):
        np.testing.assert_array_equal(last.numpy(), run.states[name][-1], name)
    out = draw.normal(0, 1, run.output.shape).astype(like.dtype)
    last = {n: draw.normal(0, 1, out.shape[1:]).astype(like.dtype) for n in program.states}
    every = at_the_end(program, last, len(out))
    given = Cotangents(kept, torch.from_numpy(out), [torch.from_numpy(v) for v in last.values()])
    wanted = [True] * (len(program.inputs) + len(program.params))
    found = iter(sweep_gpu.backward(compiled, extent, parts, given, wanted))
    made = [
        {n: next(found).numpy() for n in names} for names in (program.inputs, program.params, program.states)
    ]
    got, reference, allowed = Gradients(made[0], made[2], made[1]), *(
        f(run, out, compiled.slots, every) for f in (backward, bounds)
    )  # fmt: skip
    assert_within(got.inputs, reference.inputs, allowed.inputs)
    assert_within(got.state, reference.state, allowed.state)
    assert_within(got.params, reference.params, allowed.params)


@pytest.mark.parametrize("model", CASES, ids=label)
@types
def test_every_model(model: NeuronModel, dtype: Any) -> None:
    draw = np.random.default_rng(3)
    x = {port: v.astype(dtype) for port, v in currents(model, STEPS, 2, 0).items()}
    for values in x.values():
        values[..., 0] = 0
        values[..., 1:3] = np.round(values[..., 1:3] * 4) / 4
    state = {n: draw.normal(0, 0.5, (2, SIZE)).astype(dtype) for n in model.states()}
    params = {n: np.asarray(v, np.float32) for n, v in model.params().items()}
    for number, interval in enumerate((1, 5, 50)):
        slope = SURROGATES[(number + len(model.name)) % len(SURROGATES)]
        compared(with_slots(model.program(), slope.program()), params, x, state, interval)


@pytest.mark.parametrize("seed", range(40))
@types
def test_random_programs(seed: int, dtype: Any) -> None:
    compiled, params, x, state = random_case(np.random.default_rng(seed), seed, ((7,), (3, 4), (2, 9, 8)), dtype)
    compared(compiled, dict(params), x, state, 1 + seed % 4)


def test_one_number_stands_for_a_port_and_for_a_cotangent() -> None:
    from spikeflow.neurons import TwoPointLIF

    model, draw = TwoPointLIF(), np.random.default_rng(0)
    compiled = with_slots(model.program(), surrogate.atan.program())
    params = tuple(torch.tensor(v, dtype=torch.float32) for v in model.params().values())
    state = (torch.zeros(2, 5), torch.zeros(2, 5))
    basal = torch.from_numpy(draw.normal(0.3, 1, (4, 2, 5)).astype(np.float32))
    seen = []
    for apical in (torch.zeros(()).expand(4, 2, 5), torch.zeros(4, 2, 5)):
        parts = Parts((basal, apical), params, state)
        out, *after, kept = sweep_gpu.onward(compiled, Extent((4, 2, 5), interval=1), parts, keeps=True)
        half = torch.tensor(0.5) if len(seen) else torch.full((4, 2, 5), 0.5)
        given = Cotangents(kept, half, [None, None])
        seen.append(
            [
                out,
                *after,
                *sweep_gpu.backward(compiled, Extent((4, 2, 5), interval=1), parts, given, [True] * 9),
            ]
        )
    for one, other in zip(*seen, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


def test_nothing_at_all_and_a_moment_without_the_axis_of_time() -> None:
    compiled = with_slots(CASES[0].program(), surrogate.atan.program())
    params = tuple(torch.tensor(v, dtype=torch.float32) for v in CASES[0].params().values())
    for extent, shape in (
        (Extent((1, 2, 3)), (2, 3)),
        (Extent((4, 0, 3)), (4, 0, 3)),
        (Extent((4, 2, 0)), (4, 2, 0)),
    ):
        states = tuple(torch.zeros(extent.shape[1:]) for _ in CASES[0].states())
        parts = Parts((torch.full(shape, 2.0),), params, states)
        out, *_, kept = sweep_gpu.onward(compiled, extent, parts, keeps=True)
        assert out.shape == shape and (out == 1).all()
        given = Cotangents(kept, torch.ones(shape), [None] * len(states))
        found = sweep_gpu.backward(compiled, extent, parts, given, [True] * (1 + len(params)))
        assert found[0] is not None and found[0].shape == shape


def test_a_program_s_names_are_no_part_of_the_text() -> None:
    """A network from a stranger's file cannot write code."""
    for model in CASES:
        program, slots = model.program(), with_slots(model.program(), surrogate.atan.program()).slots
        wrt = [f"input.{n}" for n in program.inputs] + [f"param.{n}" for n in program.params]
        for text in (printed.forward(program, "float32"), printed.backward(program, slots, wrt, "float64")):
            names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
            allowed = (
                r"(tl|triton|range|inside|step|t|at|next_[sd]\d+|(x|s|p|d|v|total)\d+|d_out|[TKNM]|BLOCK)"
            )
            allowed += r"|(x|s|p|last|dx|dp|d)_(at|step|each)\d+|d_out_(at|step|each)|out_at|kept_at"
            strange = {name for name in names if not re.fullmatch(allowed, name)}
            assert not strange, strange


@pytest.mark.skipif(
    find_spec("triton") is None,
    reason="Triton is not installed: pip install triton, its interpreter needs no GPU",
)
def test_through_triton_s_own_interpreter() -> None:
    environment = {**os.environ, "SPIKEFLOW_TRITON": "1", "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "every_model"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
