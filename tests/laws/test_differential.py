"""Differential code: engine and reference agree, and what was handed on, step by step, is an estimate of the function.

Inputs: 40 steps of 4 x 9 changes, drawn so that running means lie in about [-2, 2]: multiples of 1/16 times the step
(exact in float32, so that ties at half a threshold are met), and real numbers, a third of them 0; seeds fixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.ir.activations import FUNCTIONS, values
from spikeflow.ir.alphabet import alphabet, counted
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output
from spikeflow.neurons import DifferenceDecoder, DifferenceEncoder, DifferentialIF, NeuronModel
from spikeflow.sim import prepare
from spikeflow.sim.inputs import Constant, Dense
from tests.laws.test_following import PARAMETERS

STEPS, SAMPLES, SIZE = 40, 4, 9
T = np.arange(1, STEPS + 1)[:, None, None]


def means(seed: int, dyadic: bool) -> np.ndarray:
    """Running means that the changes make, float64."""
    rng = np.random.default_rng(seed)
    moves = rng.integers(-8, 9, (STEPS, SAMPLES, SIZE)) / 16 if dyadic else rng.normal(0, 0.2, (STEPS, SAMPLES, SIZE))
    return np.cumsum(np.where(rng.random(moves.shape) < 1 / 3, 0, moves), axis=0)


def changes(seed: int, dyadic: bool) -> np.ndarray:
    mean = means(seed, dyadic)
    return (np.diff(mean, axis=0, prepend=0) * T).astype(np.float32)


def run(x: Any, *models: NeuronModel, engine: str = "reference") -> Any:
    names = [f"n{k}" for k in range(len(models))]
    nodes = {"x": Input((SIZE,), "current"), **{n: m.node((SIZE,)) for n, m in zip(names, models, strict=True)}, "y": Output()}
    chain = ["x", *names, "y"]
    return prepare(Graph(nodes, tuple(map(Edge, chain, chain[1:]))), engine)(x, STEPS)


def models() -> list[DifferentialIF]:
    found = [DifferentialIF(0.25, kind, most=most, **PARAMETERS.get(kind, {})) for kind in FUNCTIONS for most in (1, 3)]
    return [*found, DifferentialIF(0.5, most=16)]


@pytest.mark.parametrize("model", models(), ids=lambda m: f"{m.function}-{m.most}")
@pytest.mark.parametrize("dyadic", [True, False])
def test_engine_and_reference_give_the_same_bits(model: DifferentialIF, dyadic: bool) -> None:
    a, b = (run(Dense(changes(1, dyadic)), model, engine=engine) for engine in ("reference", "cpp"))
    np.testing.assert_array_equal(a.outputs["y"], b.outputs["y"])
    for name, state in a.state.memory["n0"].items():
        np.testing.assert_array_equal(state, b.state.memory["n0"][name])
    assert {n: c.semantic() for n, c in a.counts.items()} == {n: c.semantic() for n, c in b.counts.items()}
    assert set(np.unique(a.outputs["y"])) <= set(alphabet(f"differential:{model.most}").values)


@pytest.mark.parametrize("reads", ["steps", "means"])
def test_encoders_and_decoders_are_the_same_in_the_engine(reads: str) -> None:
    chain = DifferenceEncoder(reads), DifferentialIF(0.25, "identity"), DifferenceDecoder(reads)
    for dyadic in (True, False):
        x = Dense(changes(2, dyadic))
        a, b = (run(x, *chain, engine=engine).outputs["y"] for engine in ("reference", "cpp"))
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("model", models(), ids=lambda m: f"{m.function}-{m.most}")
def test_the_estimate_is_what_was_handed_on_and_the_nearest_to_the_function(model: DifferentialIF) -> None:
    """Both in float64: e = sum of threshold z / t; where the step's want lay within reach, |f(m) - e| <= threshold / 2 t."""
    mean = means(3, False)
    result = run(Dense(changes(3, False)), model)
    z = result.outputs["y"].astype(np.float64)
    e = np.cumsum(z * model.threshold / T, axis=0)
    state = result.state.memory["n0"]
    np.testing.assert_allclose(state["e"], e[-1], atol=1e-5)
    np.testing.assert_allclose(state["m"], mean[-1], atol=1e-5)
    np.testing.assert_allclose(e[-1], np.tensordot(counted(f"differential:{model.most}", STEPS), z, 1) * model.threshold)
    wanted = values(model.function, {n: p for n, p in model.params().items() if n != "threshold"}, mean)
    before = np.concatenate([np.zeros_like(e[:1]), e[:-1]])
    reached = np.abs(wanted - before) * T <= (model.most + 0.5) * model.threshold
    assert reached.mean() > 0.1 and not reached.all()
    assert (np.abs(wanted - e) * T <= model.threshold / 2 + 1e-4)[reached].all()


def test_a_settled_neuron_falls_silent() -> None:
    """A constant through an encoder: the first steps say it, to within threshold / 2 t; what is a multiple of
    the threshold is said at once and never again."""
    x = (np.arange(SAMPLES * SIZE) - 8).reshape(SAMPLES, SIZE).astype(np.float32) / 16
    d = run(Constant(x), DifferenceEncoder()).outputs["y"]
    np.testing.assert_array_equal(d[0], x)
    assert not d[1:].any()
    z = run(Constant(x), DifferenceEncoder(), DifferentialIF(0.5, "identity", most=8)).outputs["y"]
    exact = x % 0.5 == 0
    assert exact.any() and not z[1:][:, exact].any()
    np.testing.assert_array_equal(z[0][exact] * 0.5, x[exact])
    e = np.cumsum(z * 0.5 / T, axis=0)
    assert (np.abs(e - x) * T <= 0.25 + 1e-5).all()


def test_ties_go_up_as_those_of_a_signed_neuron() -> None:
    """Of one step and threshold 1: floor(x + 1/2), from -2 to 2, on multiples of 1/16."""
    x = (np.arange(SAMPLES * SIZE).reshape(SAMPLES, SIZE).astype(np.float32) - 18) / 4
    z = run(Constant(x), DifferentialIF(1.0, "identity", most=2)).outputs["y"]
    np.testing.assert_array_equal(z[0], np.clip(np.floor(x + 0.5), -2, 2))


def test_decoders_undo_encoders() -> None:
    x = changes(4, False)
    np.testing.assert_allclose(run(Dense(x), DifferenceEncoder(), DifferenceDecoder()).outputs["y"], x, atol=1e-4)
    # of values the running mean, and of means the values themselves
    mean = np.cumsum(x, axis=0, dtype=np.float64) / T
    np.testing.assert_allclose(run(Dense(x), DifferenceEncoder(), DifferenceDecoder("means")).outputs["y"], mean, atol=1e-4)
    np.testing.assert_allclose(run(Dense(x), DifferenceEncoder("means"), DifferenceDecoder("means")).outputs["y"], x, atol=1e-4)


@pytest.mark.parametrize("read_from", [0, 5])
def test_what_counts_of_a_step(read_from: int) -> None:
    """Of rates an equal share of the steps read; of changes their running means, T m(T) - r m(r) over T - r."""
    z = np.random.default_rng(5).integers(-3, 4, (STEPS, 7)).astype(np.float64)
    np.testing.assert_allclose(counted("signed", STEPS, read_from) @ z, z[read_from:].mean(axis=0), atol=1e-12)
    m = np.cumsum(z / T[:, 0], axis=0)
    early = read_from * m[read_from - 1] if read_from else 0
    np.testing.assert_allclose(counted("differential:3", STEPS, read_from) @ z, (STEPS * m[-1] - early) / (STEPS - read_from))
