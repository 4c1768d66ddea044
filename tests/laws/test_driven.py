"""A product of spikes and the layer that it drives, run at once, are the product and the sweep one after the other: outputs,
states, the cotangents of currents and of first states bit for bit, the gradients of weights, bias and parameters to the
rounding of their sums; whatever the threads and the processor's vectors.

Drawn: LIF, ALIF and TwoPointLIF with the product at either port, one parameter for each neuron; 1 to 600 steps and 1 to
300 samples of at most 700 rows (tiles whole and cut, in time and in samples), 1 to 1,100 inputs, 1 to 300 neurons; 0 to 30 %
active, spikes, whole numbers or normal values; states kept every 1 to 40 steps. Needs no torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.neurons import ALIF, LIF, NeuronModel, TwoPointLIF, _sweep, surrogate
from spikeflow.neurons.compiled import Compiled, Extent, Given
from tests.laws.sweeps import with_slots

Array = np.ndarray[Any, Any]
MODELS = [(LIF(0.8), "in"), (ALIF(), "in"), (TwoPointLIF(), "basal"), (TwoPointLIF(), "apical")]
cases = pytest.mark.parametrize(("model", "port"), MODELS, ids=str)


def at(values: Array) -> int:
    return int(values.ctypes.data)


class Case:
    """A layer, what drives it, and cotangents of what leaves it."""

    def __init__(self, model: NeuronModel, port: str, seed: int) -> None:
        draw = np.random.default_rng(seed)
        steps = int(draw.choice([1, 7, 40, 300, 600]))
        samples, self.inputs, size = (int(draw.integers(1, most)) for most in (max(2, 700 // steps), 1100, 300))
        real = lambda *shape: draw.normal(0.1, 0.6, shape).astype(np.float32)  # noqa: E731
        self.model, self.port, self.shape = model, model.inputs.index(port), (steps, samples, size)
        self.compiled: Compiled = with_slots(model.program(), surrogate.atan.program())
        self.params = {n: np.asarray(v, np.float32) for n, v in model.params().items()}
        threshold = self.params["threshold"]
        self.params["threshold"] = (threshold * draw.uniform(0.5, 2, size)).astype(np.float32)
        values = [1.0, draw.integers(-3, 4, self.inputs), draw.normal(0, 1, self.inputs)][seed % 3]
        active = draw.random((steps, samples, self.inputs)) < draw.uniform(0, 0.3)
        self.x, self.every = (active * values).astype(np.float32), int(draw.integers(1, 41))
        self.weight, self.bias = real(size, self.inputs) / np.float32(np.sqrt(self.inputs / 9)), real(size)
        self.state = [real(samples, size) for _ in model.states()]
        self.out, self.ends = real(*self.shape), [real(samples, size) for _ in model.states()]

    def given(self, currents: Array) -> Given:
        silent = np.zeros(1, np.float32)
        self.held = ports = [currents if i == self.port else silent for i in range(len(self.model.inputs))]
        params = [(at(self.params[n]), self.params[n].shape) for n in self.compiled.program.params]
        return Given([(at(v), v.size) for v in ports], params, [at(v) for v in self.state])

    def into(self) -> tuple[dict[str, Array], list[Array]]:
        """Of parameters by name, and of first states."""
        params = {f"param.{n}": np.full(v.shape, np.nan, np.float32) for n, v in self.params.items()}
        return params, [np.full(self.shape[1:], np.nan, np.float32) for _ in self.state]

    def at_once(self, threads: int = 1, isa: int = 2) -> dict[str, list[Array]]:
        extent = Extent(self.shape, interval=self.every, threads=threads, isa=isa)
        drive = at(self.x), at(self.weight), at(self.bias), self.inputs, self.port
        kept = np.full((extent.moments + 1, len(self.state), *self.shape[1:]), np.nan, np.float32)
        out, after = np.full(self.shape, np.nan, np.float32), self.into()[1]
        given = self.given(np.zeros(1, np.float32))
        self.compiled.driven(extent, given, drive, (at(out), [at(v) for v in after], at(kept)))
        plain = [np.full_like(v, np.nan) for v in (out, *after)]
        self.compiled.driven(extent, given, drive, (at(plain[0]), [at(v) for v in plain[1:]], 0))
        for one, other in zip(plain, (out, *after), strict=True):
            np.testing.assert_array_equal(one, other)
        to = [np.full(v.shape, np.nan, np.float32) for v in (self.weight, self.bias, out)]
        params, state = self.into()
        names = {n.removeprefix("param."): at(v) for n, v in params.items()}
        cotangents = [(at(v), v.size) for v in (self.out, *self.ends)]
        ran, addresses = (given, drive, at(kept)), tuple(at(v) for v in to)
        self.compiled.driven_back(extent, ran, cotangents, addresses, (names, [at(v) for v in state]))  # type: ignore[arg-type]
        return {"onward": [out, *after], "back": [to[2], *state], "sums": [*to[:2], *params.values()]}

    def apart(self) -> dict[str, list[Array]]:
        extent, (steps, samples, size) = Extent(self.shape, interval=self.every), self.shape
        currents, out = (np.full(self.shape, np.nan, np.float32) for _ in range(2))
        sizes = (steps * samples, self.inputs, size, 1, 2)
        _sweep.product(sizes, at(self.x), at(self.weight), at(self.bias), at(currents))
        kept = np.full((extent.moments, len(self.state), *self.shape[1:]), np.nan, np.float32)
        (params, state), after, given = self.into(), self.into()[1], self.given(currents)
        self.compiled.forward(extent, given, at(out), [at(v) for v in after], at(kept))
        current = np.full(self.shape, np.nan, np.float32)
        wanted = {f"input.{self.model.inputs[self.port]}": at(current)} | {n: at(v) for n, v in params.items()}
        cotangents = [(at(v), v.size) for v in (self.out, *self.ends)]
        self.compiled.backward(extent, given, at(kept), cotangents, (wanted, [at(v) for v in state]))
        flat, x = (v.reshape(steps * samples, -1).astype(np.float64) for v in (current, self.x))
        self.sizes = [np.abs(flat).T @ np.abs(x), np.abs(flat).sum(0)]
        return {
            "onward": [out, *after],
            "back": [current, *state],
            "sums": [flat.T @ x, flat.sum(0), *params.values()],
        }


@cases
@pytest.mark.parametrize("seed", range(9))
def test_at_once_is_one_after_the_other(model: NeuronModel, port: str, seed: int) -> None:
    case = Case(model, port, seed)
    found, wanted = case.at_once(), case.apart()
    for part in ("onward", "back"):
        for one, other in zip(found[part], wanted[part], strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other, size in zip(found["sums"], wanted["sums"], case.sizes, strict=False):
        assert (np.abs(one - other) <= (case.shape[0] * case.shape[1] + 2) * 2.0**-24 * size + 1e-30).all()
    for one, other in zip(found["sums"][2:], wanted["sums"][2:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(other).max() + 1e-30)


@cases
def test_threads_and_vectors_change_no_bit(model: NeuronModel, port: str) -> None:
    for seed in range(3):
        case = Case(model, port, seed)
        first = case.at_once()
        for threads, isa in ((2, 2), (5, 1), (1, 0)):
            found = case.at_once(threads, isa)
            for part, arrays in first.items():
                for one, other in zip(arrays, found[part], strict=True):
                    np.testing.assert_array_equal(one, other, part)
