"""The core's recurrent layer without torch: forward its steps one by one, backward the cotangents that solve

    total[t] = given[t] + W^T (gradient of step t + 1's current, given `total`),

whatever the threads and the processor's vectors. Drawn: LIF and TwoPointLIF, their feedback into each port; 1 to 11 samples of
1 to 90 neurons, 20 steps, states kept every 1 to 20 steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.neurons import LIF, NeuronModel, TwoPointLIF, surrogate
from spikeflow.neurons.compiled import Compiled, Extent, Given
from spikeflow.sim.gradient import backward, forward
from tests.laws.sweeps import with_slots

Array = np.ndarray[Any, Any]
STEPS = 20


class Case:
    """A layer, what enters it, and cotangents of what leaves it."""

    def __init__(self, model: NeuronModel, port: str, seed: int) -> None:
        draw = np.random.default_rng(seed)
        samples, size = int(draw.integers(1, 12)), int(draw.integers(1, 91))
        self.model, self.port, self.shape = model, model.inputs.index(port), (STEPS, samples, size)
        self.compiled: Compiled = with_slots(model.program(), surrogate.atan.program())
        self.params = {n: np.asarray(v, np.float32) for n, v in model.params().items()}
        real = lambda *shape: draw.normal(0.2, 0.6, shape).astype(np.float32)  # noqa: E731
        self.x = [real(*self.shape) for _ in model.inputs]
        self.state = [real(samples, size) for _ in model.states()]
        self.weight, self.bias = real(size, size) / np.float32(np.sqrt(size)), real(size)
        self.last = (draw.random((samples, size)) < 0.3).astype(np.float32)
        self.out, self.ends = real(*self.shape), [real(samples, size) for _ in model.states()]
        self.every = int(draw.integers(1, STEPS + 1))

    def given(self, ports: list[Array]) -> Given:
        params = [(self.params[n].ctypes.data, self.params[n].shape) for n in self.compiled.program.params]
        return Given([(v.ctypes.data, v.size) for v in ports], params, [v.ctypes.data for v in self.state])

    def run(self, threads: int = 1, isa: int = 2) -> tuple[Array, ...]:
        """Outputs, currents, cotangents of the outputs, states after the last step."""
        extent = Extent(self.shape, interval=self.every, threads=threads, isa=isa)
        fed = self.weight.ctypes.data, self.bias.ctypes.data, self.last.ctypes.data, self.port
        out, currents, total = (np.full(self.shape, np.nan, np.float32) for _ in range(3))
        kept = np.full((extent.moments, len(self.state), *self.shape[1:]), np.nan, np.float32)
        after = [np.full(self.shape[1:], np.nan, np.float32) for _ in self.state]
        into = out.ctypes.data, kept.ctypes.data, currents.ctypes.data
        self.compiled.recurrent(extent, self.given(self.x), fed, into, [v.ctypes.data for v in after])
        ports = [currents if i == self.port else v for i, v in enumerate(self.x)]
        cotangents = [(v.ctypes.data, v.size) for v in (self.out, *self.ends)]
        self.compiled.recurrent_back(
            extent, self.given(ports), fed, kept.ctypes.data, cotangents, total.ctypes.data
        )
        return out, currents, total, *after


cases = pytest.mark.parametrize(
    ("model", "port"), [(LIF(0.8), "in"), (TwoPointLIF(), "basal"), (TwoPointLIF(), "apical")], ids=str
)


@cases
@pytest.mark.parametrize("seed", range(4))
def test_steps_forward_and_cotangents_back(model: NeuronModel, port: str, seed: int) -> None:
    case = Case(model, port, seed)
    out, currents, total, *after = case.run()
    before = np.concatenate([case.last[None], out[:-1]])
    sums = np.zeros(case.shape, np.float32)
    for source in range(case.shape[2]):
        sums = sums + before[..., source : source + 1] * case.weight[:, source]
    np.testing.assert_array_equal(currents, case.x[case.port] + (sums + case.bias))
    ports = {n: currents if i == case.port else case.x[i] for i, n in enumerate(model.inputs)}
    run = forward(
        case.compiled.program, case.params, ports, dict(zip(model.states(), case.state, strict=True))
    )
    np.testing.assert_array_equal(out, run.output)
    for one, name in zip(after, model.states(), strict=True):
        np.testing.assert_array_equal(one, run.states[name][-1])
    ends = {
        n: np.concatenate([np.zeros((STEPS - 1, *v.shape), np.float32), v[None]])
        for n, v in zip(model.states(), case.ends, strict=True)
    }
    current = backward(run, total, case.compiled.slots, ends).inputs[port]
    wanted = case.out.astype(np.float64)
    wanted[:-1] += current[1:].astype(np.float64) @ case.weight.astype(np.float64)
    allowed = np.abs(case.out) + np.concatenate([np.abs(current[1:]) @ np.abs(case.weight), 0 * total[-1:]])
    assert out.any() and (np.abs(total - wanted) <= (case.shape[2] + 40) * 2.0**-23 * allowed + 1e-30).all()


@cases
def test_threads_and_vectors_change_no_bit(model: NeuronModel, port: str) -> None:
    for seed in range(4):
        case = Case(model, port, seed)
        first = case.run()
        for threads, isa in ((2, 2), (5, 1), (1, 0)):
            for one, other in zip(first, case.run(threads, isa), strict=True):
                np.testing.assert_array_equal(one, other)
