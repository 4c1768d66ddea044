"""Each point neuron against a loop of its paper's equations, written by hand in float64 and here alone.

Drawn: 200 steps of 3 samples and 5 neurons, currents normal with a mean that makes most neurons spike. Spikes are
equal exactly; a membrane that comes so close to its threshold that float32 decides otherwise would show as a fault,
and with these seeds none does. States are close to 1e-4 of their largest value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.errors import GraphError
from spikeflow.neurons import ALIF, IF, LIF, AdLIF, CubaLIF, Neuron, NeuronModel, ParametricLIF

T, B, N = 200, 3, 5
Array = np.ndarray
Loop = Callable[[Array], tuple[Array, dict[str, Array]]]


def drawn(mean: float = 0.3, deviation: float = 0.6, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(mean, deviation, (T, B, N)).astype(np.float32).astype(np.float64)


def ran(model: NeuronModel, x: Array) -> tuple[Array, dict[str, Array]]:
    z, state = Neuron(model)(torch.from_numpy(x.astype(np.float32)))
    return z.numpy(), {n: getattr(state, n).numpy() for n in model.states()}


def same(model: NeuronModel, loop: Loop, x: Array) -> None:
    (z, state), (wanted, wanted_state) = ran(model, x), loop(x)
    assert wanted.mean() > 0.005
    np.testing.assert_array_equal(z, wanted)
    for name, value in wanted_state.items():
        np.testing.assert_allclose(state[name], value, rtol=0, atol=1e-4 * max(1, np.abs(value).max()))


def leaky(decay: float, normalised: bool, threshold: float, kind: str, to: float = 0.0, rest: int = 0) -> Loop:
    """v[t] = decay v[t-1] + x or (1 - decay) x; spike, reset; dead for `rest` steps after a spike."""

    def loop(x: Array) -> tuple[Array, dict[str, Array]]:
        spikes, v, dead = np.zeros_like(x), np.zeros(x.shape[1:]), np.zeros(x.shape[1:], int)
        for t in range(len(x)):
            for at in np.ndindex(v.shape):
                if dead[at]:
                    dead[at] -= 1
                    continue
                v[at] = decay * v[at] + ((1 - decay) * x[t][at] if normalised else x[t][at])
                if v[at] >= threshold:
                    spikes[t][at], dead[at] = 1, rest
                    v[at] = {"zero": 0, "subtract": v[at] - threshold, "value": to, "none": v[at]}[kind]
        return spikes, {"v": v}

    return loop


@pytest.mark.parametrize("rest", [0, 1, 4])
@pytest.mark.parametrize("kind", ["zero", "subtract", "value", "none"])
@pytest.mark.parametrize("mode", ["raw", "normalised"])
def test_lif_of_every_reset_input_and_refractory_period(mode: str, kind: str, rest: int) -> None:
    to = {"reset_value": -0.25} if kind == "value" else {}
    threshold = 0.4 if mode == "normalised" else 1.3
    model = LIF(0.8, threshold, kind, mode, refractory=rest, **to)  # type: ignore[arg-type]
    same(model, leaky(np.float32(0.8).item(), mode == "normalised", np.float32(threshold).item(), kind, -0.25, rest), drawn())


@pytest.mark.parametrize("kind", ["zero", "subtract", "value"])
def test_if_of_every_reset(kind: str) -> None:
    to = {"reset_value": 0.5} if kind == "value" else {}
    same(IF(1.5, kind, refractory=2, **to), leaky(1.0, False, 1.5, kind, 0.5, 2), drawn())  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["raw", "normalised"])
def test_current_based_lif(mode: str) -> None:
    du, dv = np.float32(0.7).item(), np.float32(0.85).item()
    threshold = np.float32(0.4 if mode == "normalised" else 2.1).item()

    def loop(x: Array) -> tuple[Array, dict[str, Array]]:
        spikes, u, v = np.zeros_like(x), np.zeros(x.shape[1:]), np.zeros(x.shape[1:])
        dead = np.zeros(x.shape[1:], int)
        for t in range(len(x)):
            u = du * u + (x[t] if mode == "raw" else (1 - du) * x[t])
            moved = dv * v + (u if mode == "raw" else (1 - dv) * u)
            v = np.where(dead > 0, v, moved)
            spikes[t] = (v >= threshold) & (dead == 0)
            v = np.where(spikes[t] > 0, 0, v)
            dead = np.where(spikes[t] > 0, 3, np.maximum(dead - 1, 0))
        return spikes, {"u": u, "v": v}

    same(CubaLIF(du, dv, threshold, convention=mode, refractory=3), loop, drawn())


@pytest.mark.parametrize("tau", [2.0, 5.0])
def test_parametric_lif_is_the_papers_charge(tau: float) -> None:
    """H[t] = V[t-1] + (X[t] - V[t-1]) / tau; S = H >= threshold; V = H (1 - S)."""

    def loop(x: Array) -> tuple[Array, dict[str, Array]]:
        spikes, v = np.zeros_like(x), np.zeros(x.shape[1:])
        for t in range(len(x)):
            v = v + (x[t] - v) / tau
            spikes[t] = v >= 0.5
            v = v * (1 - spikes[t])
        return spikes, {"v": v}

    same(ParametricLIF.from_tau_steps(tau, threshold=0.5), loop, drawn())


def test_the_decay_of_a_parametric_lif_stays_a_decay_whatever_is_learned() -> None:
    layer = Neuron(ParametricLIF(), learn="leak")
    optimiser, x = torch.optim.SGD(layer.parameters(), lr=1e4), torch.rand(20, 2, 3)
    for sign in (1.0, -1.0):
        for _ in range(5):
            optimiser.zero_grad()
            (sign * layer(x)[0].sum()).backward()
            optimiser.step()
            z, state = layer(x)
            assert torch.isfinite(state.v).all() and state.v.abs().max() <= 1.0


def test_time_constants_of_one_step_and_less_are_refused() -> None:
    for tau in (1.0, 0.5, float("nan"), [2.0, 0.0]):
        with pytest.raises(GraphError, match="more than 1 step"):
            ParametricLIF.from_tau_steps(tau)  # type: ignore[arg-type]


def test_alif_is_the_lsnn_with_a_threshold_that_counts_spikes() -> None:
    """B[t] = b0 + beta b[t]; V = alpha V + X; spike at V >= B; V - z B; b = rho b + z."""
    alpha, rho, beta = (np.float32(v).item() for v in (0.9, 0.97, 0.3))

    def loop(x: Array) -> tuple[Array, dict[str, Array]]:
        spikes, v, b = np.zeros_like(x), np.zeros(x.shape[1:]), np.zeros(x.shape[1:])
        for t in range(len(x)):
            v, height = alpha * v + x[t], 1.0 + beta * b
            spikes[t] = v >= height
            v, b = v - spikes[t] * height, rho * b + spikes[t]
        return spikes, {"v": v, "a": b}

    same(ALIF(alpha, rho, beta), loop, drawn())


def test_alif_slows_down_and_recovers() -> None:
    x = torch.full((400, 1, 1), 0.5)
    z = Neuron(ALIF(0.9, 0.99, 0.3))(x)[0][:, 0, 0]
    first, later = z[:40].sum(), z[-40:].sum()
    assert first > 2 * later > 0
    silence = torch.zeros(600, 1, 1)
    again = Neuron(ALIF(0.9, 0.99, 0.3))(torch.cat([x, silence, x]))[0][:, 0, 0]
    assert again[1000:1040].sum() >= first - 1


def test_the_gradient_of_an_alif_reaches_back_through_its_adaptation() -> None:
    """A spike 60 steps ago moves the membrane of today only by the threshold that it raised: there is a gradient."""
    x = torch.zeros(80, 1, 1)
    x[2], x[79] = 1.5, 0.9
    x.requires_grad_()
    layer = Neuron(ALIF(0.2, 0.999, 1.0, reset="zero"))
    z, _ = layer(x)
    z[79].sum().backward()
    assert x.grad is not None and abs(float(x.grad[2])) > 1e-3 * abs(float(x.grad[79]))


def adaptive(decay: float, decay_w: float, a: float, b: float, q: float, threshold: float) -> Loop:
    """SE-adLIF: u[t] = al u + (1 - al)(x - w); s; u (1 - s); w[t] = bw w + (1 - bw) q (a u[t] + b s[t])."""

    def loop(x: Array) -> tuple[Array, dict[str, Array]]:
        spikes, u, w = np.zeros_like(x), np.zeros(x.shape[1:]), np.zeros(x.shape[1:])
        for t in range(len(x)):
            u = decay * u + (1 - decay) * (x[t] - w)
            spikes[t] = u >= threshold
            u = u * (1 - spikes[t])
            w = decay_w * w + (1 - decay_w) * q * (a * u + b * spikes[t])
        return spikes, {"v": u, "w": w}

    return loop


@pytest.mark.parametrize(("a", "b"), [(0.0, 0.5), (0.5, 1.0), (1.0, 2.0)])
def test_adlif_in_the_symplectic_order(a: float, b: float) -> None:
    decay, slow = (np.float32(np.exp(-1 / tau)).item() for tau in (5, 60))
    same(AdLIF(decay, slow, a, b, threshold=0.25), adaptive(decay, slow, a, b, 120.0, 0.25), drawn(1.0, 2.0))


def test_adlif_is_stable_where_the_order_of_euler_is_not() -> None:
    """The methods' corner: q 120, a 1, tau 5 and 60 steps. The layer's own matrix, by unit states; Euler's by hand."""
    al, bw = np.exp(-1 / 5), np.exp(-1 / 60)
    model = AdLIF.from_tau(5e-3, 60e-3, 1e-3, a=1.0)
    layer, columns = Neuron(AdLIF(al, bw, 1.0, 1.0, threshold=1e6)), []
    for unit in ([1.0, 0.0], [0.0, 1.0]):
        state = layer.state_type(*(torch.full((1, 1), v) for v in unit))
        after = layer(torch.zeros(1, 1, 1), state)[1]
        columns.append([float(after.v), float(after.w)])
    radius = np.abs(np.linalg.eigvals(np.array(columns).T)).max()
    euler = np.abs(np.linalg.eigvals([[al, -(1 - al)], [(1 - bw) * 120, bw]])).max()
    assert abs(radius - 0.897) < 2e-3 and abs(euler - 1.079) < 2e-3
    assert float(model.decay) == pytest.approx(al) and float(model.decay_adaptation) == pytest.approx(bw)


@pytest.mark.parametrize("period", [1, 2, 7])
@pytest.mark.parametrize("make", [IF, LIF, CubaLIF, ParametricLIF, ALIF, AdLIF])
@pytest.mark.parametrize("kind", ["zero", "subtract", "value", "none"])
def test_never_two_spikes_within_the_refractory_period(make: Any, period: int, kind: str) -> None:
    """Driven far above the threshold; the gaps between spikes are period + 1 steps and more, and some are just that."""
    more = {"reset_value": 5.0} if kind == "value" else {}
    model = make(threshold=0.05, reset=kind, refractory=period, **more)
    z, state = ran(model, np.abs(drawn(3.0, 1.0)))
    gaps = [np.diff(np.flatnonzero(z[:, b, n])) for b in range(B) for n in range(N)]
    gaps = np.concatenate(gaps)
    assert gaps.size > 10 and gaps.min() == period + 1
    assert state["r"].max() <= period


def test_parameters_of_other_choices_are_refused() -> None:
    for wrong in ({"reset_value": 0.5}, {"reset": "none", "reset_value": 0.1}):
        with pytest.raises(GraphError, match="reset_value acts only with reset='value'"):
            LIF(**wrong)  # type: ignore[arg-type]
    for period in (-1, 1001, 2.0, True, "3"):
        with pytest.raises(GraphError, match="refractory"):
            LIF(refractory=period)  # type: ignore[arg-type]
    assert list(LIF().params()) == ["decay", "threshold"]
    assert list(LIF(reset="value").params()) == ["reset_value", "decay", "threshold"]
