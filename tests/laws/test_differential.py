"""Differential code: engine and reference agree, and what was handed on, step by step, is an estimate of the function.

Inputs: 40 steps of 4 x 9 changes, drawn so that running means lie in about [-2, 2]: multiples of 1/16 times the step
(exact in float32, so that ties at half a threshold are met), and real numbers, a third of them 0; seeds fixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.errors import GraphError
from spikeflow.ir.activations import FUNCTIONS, values
from spikeflow.ir.alphabet import LEAST_WORTH, alphabet, counted, worths
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


def changes(seed: int, dyadic: bool, decay: float = 0.0) -> np.ndarray:
    mean = means(seed, dyadic)
    return (np.diff(mean, axis=0, prepend=0) / worths(decay, STEPS)[:, None, None]).astype(np.float32)


def run(x: Any, *models: NeuronModel, engine: str = "reference") -> Any:
    names = [f"n{k}" for k in range(len(models))]
    nodes = {"x": Input((SIZE,), "current"), **{n: m.node((SIZE,)) for n, m in zip(names, models, strict=True)}, "y": Output()}
    chain = ["x", *names, "y"]
    return prepare(Graph(nodes, tuple(map(Edge, chain, chain[1:]))), engine)(x, STEPS)


def models() -> list[DifferentialIF]:
    found = [DifferentialIF(0.25, kind, most=most, **PARAMETERS.get(kind, {})) for kind in FUNCTIONS for most in (1, 3)]
    found += [DifferentialIF(0.25, kind, decay=0.8, **PARAMETERS.get(kind, {})) for kind in FUNCTIONS]
    return [*found, DifferentialIF(0.5, most=16), DifferentialIF(0.5, decay=0.5)]


def named(model: DifferentialIF) -> str:
    return f"{model.function}-{model.most}-{model.decay:g}"


def worth_of(model: DifferentialIF | DifferenceEncoder) -> np.ndarray:
    """Of each step, as the changes that enter are counted."""
    return worths(model.decay, STEPS)[:, None, None]


@pytest.mark.parametrize("model", models(), ids=named)
@pytest.mark.parametrize("dyadic", [True, False])
def test_engine_and_reference_give_the_same_bits(model: DifferentialIF, dyadic: bool) -> None:
    x = Dense(changes(1, dyadic, model.decay))
    a, b = (run(x, model, engine=engine) for engine in ("reference", "cpp"))
    np.testing.assert_array_equal(a.outputs["y"], b.outputs["y"])
    for name, state in a.state.memory["n0"].items():
        np.testing.assert_array_equal(state, b.state.memory["n0"][name])
    assert {n: c.semantic() for n, c in a.counts.items()} == {n: c.semantic() for n, c in b.counts.items()}
    assert set(np.unique(a.outputs["y"])) <= set(alphabet(model.alphabet).values)


@pytest.mark.parametrize("decay", [0.0, 0.8])
@pytest.mark.parametrize("reads", ["steps", "means"])
def test_encoders_and_decoders_are_the_same_in_the_engine(reads: str, decay: float) -> None:
    chain = (
        DifferenceEncoder(reads, decay),
        DifferentialIF(0.25, "identity", decay=decay),
        DifferenceDecoder(reads, decay),
    )
    for dyadic in (True, False):
        x = Dense(changes(2, dyadic))
        a, b = (run(x, *chain, engine=engine).outputs["y"] for engine in ("reference", "cpp"))
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("model", models(), ids=named)
def test_the_estimate_is_what_was_handed_on_and_the_nearest_to_the_function(model: DifferentialIF) -> None:
    """Both in float64: e = sum of threshold z w, w = 1 / t or decay^(t - 1); where the step's want lay within reach,
    |f(m) - e| <= threshold w / 2."""
    mean, w = means(3, False), worth_of(model)
    result = run(Dense(changes(3, False, model.decay)), model)
    z = result.outputs["y"].astype(np.float64)
    e = np.cumsum(z * model.threshold * w, axis=0)
    state = result.state.memory["n0"]
    np.testing.assert_allclose(state["e"], e[-1], atol=1e-5)
    np.testing.assert_allclose(state["m"], mean[-1], atol=1e-5)
    np.testing.assert_allclose(e[-1], np.tensordot(counted(model.alphabet, STEPS), z, 1) * model.threshold)
    wanted = values(model.function, {n: p for n, p in model.params().items() if n != "threshold"}, mean)
    before = np.concatenate([np.zeros_like(e[:1]), e[:-1]])
    reached = np.abs(wanted - before) <= (model.most + 0.5) * model.threshold * w
    assert reached.mean() > (0.1 if not model.decay else 0.02) and not reached.all()
    assert (np.abs(wanted - e) <= model.threshold * w / 2 + 1e-5)[reached].all()


def test_a_worth_that_falls_ends_at_a_least() -> None:
    """Of a constant, finer and finer: after 40 steps of which each is worth 0.6 of the one before 2^-17 thresholds
    are left at most; no share of a step comes to 0, however many there are."""
    x = np.linspace(-1.5, 1.5, SAMPLES * SIZE, dtype=np.float32).reshape(SAMPLES, SIZE)
    chain = DifferenceEncoder(decay=0.6), DifferentialIF(0.5, "identity", decay=0.6), DifferenceDecoder("means", 0.6)
    y = run(Constant(x), *chain).outputs["y"] / 2
    far = [np.abs(y[t] - x).max() for t in (0, 4, 9)]
    assert all(f <= 0.25 * 0.6**t + 1e-6 for f, t in zip(far, (0, 4, 9), strict=True))
    assert np.abs(y[-1] - x).max() <= 0.25 * LEAST_WORTH + 1e-6
    assert worths(0.6, 10_000)[-1] == LEAST_WORTH
    np.testing.assert_allclose(worths(0.6, 20), 0.6 ** np.arange(20), rtol=1e-5)


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


@pytest.mark.parametrize("decay", [0.0, 0.8])
def test_decoders_undo_encoders(decay: float) -> None:
    x = changes(4, False)

    def through(reads: str, gives: str) -> Any:
        return run(Dense(x), DifferenceEncoder(reads, decay), DifferenceDecoder(gives, decay)).outputs["y"]

    np.testing.assert_allclose(through("steps", "steps"), x, atol=1e-4)
    # of values the running mean, and of means the values themselves
    mean = np.cumsum(x, axis=0, dtype=np.float64) / T
    np.testing.assert_allclose(through("steps", "means"), mean, atol=1e-4)
    np.testing.assert_allclose(through("means", "means"), x, atol=1e-4)


@pytest.mark.parametrize("read_from", [0, 5])
def test_what_counts_of_a_step(read_from: int) -> None:
    """Of rates an equal share of the steps read; of changes their running means, T m(T) - r m(r) over T - r."""
    z = np.random.default_rng(5).integers(-3, 4, (STEPS, 7)).astype(np.float64)
    np.testing.assert_allclose(counted("signed", STEPS, read_from) @ z, z[read_from:].mean(axis=0), atol=1e-12)
    m = np.cumsum(z / T[:, 0], axis=0)
    early = read_from * m[read_from - 1] if read_from else 0
    np.testing.assert_allclose(counted("differential:3", STEPS, read_from) @ z, (STEPS * m[-1] - early) / (STEPS - read_from))
    m = np.cumsum(z * 0.75 ** np.arange(STEPS)[:, None], axis=0)
    early = read_from * m[read_from - 1] if read_from else 0
    found = counted("differential:3:0.75", STEPS, read_from) @ z
    np.testing.assert_allclose(found, (STEPS * m[-1] - early) / (STEPS - read_from), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "kept"), [("differential:3:0.75", "differential:3:0.75"), ("differential:03:0.7500", "differential:3:0.75")]
)
def test_a_name_says_the_decay(name: str, kept: str) -> None:
    found = alphabet(name)
    assert (found.name, found.decay, found.bits, found.worth) == (kept, 0.75, 3, "0.75^(t - 1)")
    assert alphabet("differential:3").decay == 0 and alphabet("differential:3").worth == "1 / t"


@pytest.mark.parametrize("name", ["burst:4:0.5", "differential:3:", "differential:3:1", "differential:3:0.0", "differential:3:0.12345", "differential::0.5"])
def test_other_decays_are_none(name: str) -> None:
    with pytest.raises(GraphError, match="unknown"):
        alphabet(name)


@pytest.mark.parametrize("decay", [1.0, -0.5, 0.12345, float("nan"), True, "half"])
def test_a_decay_is_a_share_of_four_digits(decay: Any) -> None:
    with pytest.raises(GraphError, match="decay"):
        DifferentialIF(decay=decay)
