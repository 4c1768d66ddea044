"""Neurons that follow a function: engine and reference agree, and what they hand on is the function of the mean.

Inputs: 40 steps of 4 x 9 values, multiples of 1/16 in [-2, 2] with a third of zeros (exact in float32, so that
ties at half a threshold are met), and real numbers from the same range; thresholds 1/4, 1/2 and 1; seeds fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spikeflow.ir.activations import FUNCTIONS, takes_signs, values
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output
from spikeflow.neurons.burst_if import BurstIF
from spikeflow.neurons.following import Following, FollowingIF
from spikeflow.neurons.iaf import IF
from spikeflow.neurons.multi_threshold_if import MultiThresholdIF
from spikeflow.neurons.signed_if import SignedIF
from spikeflow.sim import prepare
from spikeflow.sim.inputs import Constant, Dense

STEPS, SAMPLES, SIZE = 40, 4, 9
PARAMETERS: Mapping[str, Mapping[str, float]] = {
    "clamp": {"low": -0.5, "high": 0.75}, "leaky_relu": {"slope": -0.25},
    "threshold": {"level": 0.25, "value": -0.5}, "elu": {"alpha": 1.5, "scale": 0.75, "input_scale": 0.5},
    "softplus": {"beta": 2.0, "limit": 1.5}, "silu": {"beta": 1.5},
}  # fmt: skip


def drawn(seed: int, dyadic: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.integers(-32, 33, (STEPS, SAMPLES, SIZE)) / 16 if dyadic else rng.uniform(-2, 2, (STEPS, SAMPLES, SIZE))
    return np.where(rng.random(x.shape) < 1 / 3, 0, x).astype(np.float32)


def run(model: Following | IF, x: Any, engine: str, initial: Mapping[str, Any] | None = None) -> Any:
    nodes = {"x": Input((SIZE,), "current"), "n": model.node((SIZE,), initial), "y": Output()}
    graph = Graph(nodes, (Edge("x", "n"), Edge("n", "y")))
    return prepare(graph, engine)(x, STEPS, ("n",))


def handed_on(model: Following | IF, x: Any, engine: str = "reference", **initial: Any) -> np.ndarray:
    return next(iter(run(model, x, engine, initial or None).outputs.values()))


def models() -> list[Following]:
    found: list[Following] = []
    for kind in FUNCTIONS:
        given = PARAMETERS.get(kind, {})
        found += [SignedIF(0.5, kind, **given), MultiThresholdIF(0.25, kind, levels=3, **given)]
        if not takes_signs(kind, given):
            found += [FollowingIF(0.25, kind, **given), BurstIF(0.25, kind, most=3, **given)]
    return found


@pytest.mark.parametrize("model", models(), ids=lambda m: f"{m.name}-{m.function}")
@pytest.mark.parametrize("dyadic", [True, False])
def test_engine_and_reference_give_the_same_bits(model: Following, dyadic: bool) -> None:
    x = Dense(drawn(1, dyadic))
    a, b = (run(model, x, engine) for engine in ("reference", "cpp"))
    np.testing.assert_array_equal(a.outputs["y"], b.outputs["y"])
    assert {n: c.semantic() for n, c in a.counts.items()} == {n: c.semantic() for n, c in b.counts.items()}
    assert set(np.unique(a.outputs["y"])) <= set(model.node((SIZE,)).values.values)


@pytest.mark.parametrize("model", models(), ids=lambda m: f"{m.name}-{m.function}")
def test_what_was_handed_on_is_the_nearest_to_the_function_of_the_mean(model: Following) -> None:
    """Wherever a step changes t f(s / t) by no more than the alphabet has, and signs allow for it."""
    model, x = replace(model, threshold=1.0), drawn(2, False) * 0.25
    if isinstance(model, FollowingIF | BurstIF):
        x = np.broadcast_to(x[:1], x.shape)
    steps = np.arange(1, STEPS + 1)[:, None, None]
    mean = np.cumsum(x, axis=0, dtype=np.float64) / steps
    wanted = steps * values(model.function, {n: p for n, p in model.params().items() if n != "threshold"}, mean)
    z = handed_on(model, Dense(x))
    off = np.abs(np.cumsum(z, axis=0) * model.threshold - wanted)
    change = np.abs(np.diff(wanted, axis=0, prepend=0)).max(axis=0)
    kept_up = change <= model.threshold  # every alphabet has 1
    assert kept_up.mean() > 0.2
    assert (off[:, kept_up] <= model.threshold / 2 + 1e-4).all()


@pytest.mark.parametrize("theta", [0.25, 0.5, 1.0])
def test_counts_are_the_closed_form_for_constant_inputs(theta: float) -> None:
    """Multiples of 1/16, so that every sum is exact: N = floor(T z / theta + 1/2), from 0 to T."""
    z = (np.arange(SAMPLES * SIZE) - 8).reshape(SAMPLES, SIZE).astype(np.float32) / 16
    counts = np.clip(np.floor(z.astype(np.float64) * STEPS / theta + 0.5), 0, STEPS)
    half = np.float32(theta / 2)
    for model, initial in ((IF(theta), {"v": half}), (FollowingIF(theta), {}), (SignedIF(theta), {}), (MultiThresholdIF(theta, levels=1), {}), (BurstIF(theta, most=1), {})):
        np.testing.assert_array_equal(handed_on(model, Constant(z), **initial).sum(axis=0), counts)


def test_integrate_and_fire_keeps_the_identity() -> None:
    """theta N = sum of z + v(0) - v(T), exactly on multiples of 1/16."""
    x = drawn(3, True)
    result = run(IF(0.5), Dense(x), "reference", {"v": np.float32(0.25)})
    after = result.state.memory["n"]["v"]
    np.testing.assert_array_equal(result.outputs["y"].sum(axis=0) * 0.5, x.sum(axis=0) + 0.25 - after)


@pytest.mark.parametrize("model", [FollowingIF(0.5, "clamp", high=1.0), SignedIF(0.5), SignedIF(0.5, "abs"), BurstIF(0.5), MultiThresholdIF(0.5)])
def test_followers_keep_their_identity(model: Following) -> None:
    """a(T) = theta N and s(T) = sum of z, exactly on multiples of 1/16."""
    x = drawn(4, True)
    result = run(model, Dense(x), "reference")
    state = result.state.memory["n"]
    np.testing.assert_array_equal(result.outputs["y"].sum(axis=0) * 0.5, state["a"])
    np.testing.assert_array_equal(x.sum(axis=0), state["s"])


def test_a_signed_rectifier_takes_back_no_more_than_it_gave() -> None:
    for seed in range(5):
        z = handed_on(SignedIF(0.5), Dense(drawn(seed, bool(seed % 2))))
        assert np.cumsum(z, axis=0).min() == 0 and z.min() == -1


def test_a_rectifier_in_either_form_gives_the_same_spikes() -> None:
    """Of binary spikes: IF that starts half a threshold up, and a follower, on constants of 1/16."""
    x = Constant(drawn(5, True)[0])
    one, other = handed_on(IF(0.5), x, v=np.float32(0.25)), handed_on(FollowingIF(0.5), x)
    np.testing.assert_array_equal(one, other)


def test_functions_are_torchs() -> None:
    torch = pytest.importorskip("torch")
    f, x = torch.nn.functional, torch.linspace(-12, 12, 4801, dtype=torch.float64)
    wanted = SimpleNamespace(
        relu=f.relu(x), identity=x, abs=x.abs(), leaky_relu=f.leaky_relu(x, -0.25), clamp=x.clamp(-0.5, 0.75),
        hard_sigmoid=f.hardsigmoid(x), soft_shrink=f.softshrink(x), hard_shrink=f.hardshrink(x),
        threshold=f.threshold(x, 0.25, -0.5), elu=torch.ops.aten.elu(x, 1.5, 0.75, 0.5), sigmoid=torch.sigmoid(x), tanh=torch.tanh(x),
        softplus=f.softplus(x, 2, 1.5), log_sigmoid=f.logsigmoid(x), softsign=f.softsign(x), gelu=f.gelu(x), gelu_tanh=f.gelu(x, approximate="tanh"),
        silu=x * torch.sigmoid(1.5 * x), mish=f.mish(x), hard_swish=f.hardswish(x),
    )  # fmt: skip
    assert set(vars(wanted)) == set(FUNCTIONS)
    for kind, values_of in vars(wanted).items():
        found = values(kind, PARAMETERS.get(kind, {}), x.numpy())
        assert np.abs(found - values_of.numpy()).max() < 1e-6, kind


def test_what_is_said_of_a_function_is_so() -> None:
    x = np.linspace(-9, 9, 3601)
    for kind, f in FUNCTIONS.items():
        y = values(kind, {}, x)
        assert f.rises == bool((np.diff(y) >= -1e-12).all()) or not f.rises, kind
        if f.scales:
            np.testing.assert_allclose(values(kind, {}, 3 * x), 3 * y, atol=1e-12)
        if f.lines:
            bent = np.abs(np.diff(y, 2)) > 1e-9
            assert bent.sum() <= 6, kind


def test_a_burst_is_so_many_spikes_at_once() -> None:
    """Constants of 1/16: floor(t z / theta + 1/2) after t steps, wherever a step needs no more than `most`."""
    z = (np.arange(SAMPLES * SIZE) - 4).reshape(SAMPLES, SIZE).astype(np.float32) / 16
    counts = np.cumsum(handed_on(BurstIF(0.25, most=8), Constant(z)), axis=0)
    steps = np.arange(1, STEPS + 1)[:, None, None]
    np.testing.assert_array_equal(counts, np.maximum(np.floor(steps * z / 0.25 + 0.5), 0))


def test_several_thresholds_give_the_nearest_value() -> None:
    """Of one step: the value nearest to z / theta, ties (which multiples of 1/16 meet) as they are told."""
    z = np.arange(-80, 81, dtype=np.float32).reshape(1, -1) / 16
    nodes = {"x": Input((161,), "current"), "n": MultiThresholdIF(1.0, "identity", levels=3).node((161,)), "y": Output()}
    found = prepare(Graph(nodes, (Edge("x", "n"), Edge("n", "y"))), "reference")(Constant(z), 1).outputs["y"][0]
    values_of = np.array([-4, -2, -1, 0, 1, 2, 4])
    away = np.abs(values_of[:, None] - z)
    wanted = np.array([max(v for v, a in zip(values_of, column, strict=True) if a == column.min()) for column in away.T])
    np.testing.assert_array_equal(found[0], wanted)
