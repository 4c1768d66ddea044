"""Izhikevich, AdEx and EGRU against loops of their papers' equations, and their known firing patterns.

The loops count potentials as the papers do, in absolute mV, in float64; so do the layers here, in double precision.
Spikes are equal exactly.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.errors import GraphError
from spikeflow.hw.chips.chip import NAMES, load
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.rules import check_rules
from spikeflow.neurons import EGRU, ILIF, AdEx, Izhikevich, Neuron, NeuronModel
from tests.hw import nets

Array = np.ndarray
REGULAR, INTRINSIC, CHATTERING, FAST, THRESHOLDED = (
    (0.02, 0.2, -65.0, 8.0),
    (0.02, 0.2, -55.0, 4.0),
    (0.02, 0.2, -50.0, 2.0),
    (0.1, 0.2, -65.0, 2.0),
    (0.02, 0.25, -65.0, 2.0),
)
PATTERNS = (REGULAR, INTRINSIC, CHATTERING, FAST, THRESHOLDED)


def published(numbers: tuple[float, ...], current: Array) -> tuple[Array, float, float]:
    """The loop of the paper's program: 1 ms, v in two halves, then u; a spike at 30 mV resets at once."""
    a, b, c, d = numbers
    rest = (-(5 - b) - np.sqrt((5 - b) ** 2 - 22.4)) / 0.08
    v, u, spikes = rest, b * rest, np.zeros(len(current))
    for t, i in enumerate(current):
        v += 0.5 * (0.04 * v * v + 5 * v + 140 - u + i)
        v += 0.5 * (0.04 * v * v + 5 * v + 140 - u + i)
        u += a * (b * v - u)
        spikes[t] = v >= 30
        if spikes[t]:
            v, u = c, u + d
    return spikes, v - rest, u - b * rest


def driven(model: NeuronModel, current: Array) -> tuple[Array, Any]:
    z, state = Neuron(model).double()(torch.from_numpy(current.astype(np.float64))[:, None, None])
    return z[:, 0, 0].numpy(), state


@pytest.mark.parametrize("numbers", PATTERNS)
def test_izhikevich_is_the_published_loop(numbers: tuple[float, ...]) -> None:
    """Parameters are float32, and steps of 1 ms are chaos, so that spike trains are equal for 90 ms and later in number."""
    noise = np.random.default_rng(0).normal(0, 5, 1000)
    for current in (np.full(1000, 10.0), 6 + noise):
        model = Izhikevich.from_published(*numbers)
        wanted, z = published(numbers, current)[0], driven(model, current)[0]
        assert wanted[:90].sum() >= 2 and abs(z.sum() - wanted.sum()) <= 0.1 * wanted.sum()
        np.testing.assert_array_equal(z[:90], wanted[:90])
        (_, v, u), state = published(numbers, current[:40]), driven(model, current[:40])[1]
        assert abs(float(state.v) - v) < 0.02 and abs(float(state.u) - u) < 0.02


def gaps(numbers: tuple[float, ...]) -> Array:
    """Gaps between spikes in ms, of 800 ms at a current of 10, in steps of 0.2 ms, fine enough not to jitter."""
    z = driven(Izhikevich.from_published(*numbers, dt=0.2), np.full(4000, 10.0))[0]
    return np.diff(np.flatnonzero(z)) * 0.2


def test_izhikevich_patterns() -> None:
    """Regular spiking slows down to even gaps; fast spiking is faster and even; chattering bursts; bursting starts with one."""
    regular, fast, chattering, intrinsic = (gaps(n) for n in (REGULAR, FAST, CHATTERING, INTRINSIC))
    assert regular[0] < regular[-1] and np.ptp(regular[-8:]) <= 1
    assert len(fast) > 2 * len(regular) and np.ptp(fast[-8:]) <= 1
    within, between = chattering <= 8, chattering >= 15
    assert (within | between).all() and within.sum() >= 2 * between.sum() >= 10
    assert (intrinsic[:2] <= 10).all() and intrinsic[-1] > 2 * intrinsic[0]


def test_izhikevich_without_a_resting_potential_is_refused() -> None:
    with pytest.raises(GraphError, match="resting potential"):
        Izhikevich.from_published(0.02, 0.27, -65.0, 2.0)
    model = Izhikevich.from_published(0.02, np.array([0.2, 0.25]), -65.0, 2.0)
    np.testing.assert_allclose(np.asarray(model.peak), [100.0, 94.4], atol=0.05)


def adex(current: Array, dt: float, b: float = 80.5, a: float = 4.0) -> tuple[Array, float, float]:
    """C v' = -gL (v - EL) + gL D exp((v - VT) / D) - w + I; tau w' = a (v - EL) - w; v >= 20 mV: v = EL, w += b."""
    c, leak, slope, rest, height, tau = 281.0, 30.0, 2.0, -70.6, -50.4, 144.0
    v, w, spikes = rest, 0.0, np.zeros(len(current))
    for t, i in enumerate(current):
        rise = leak * slope * np.exp(min((v - height) / slope, 16))
        dv = -leak * (v - rest) + rise - w + i
        v, w = v + dt / c * dv, w + dt / tau * (a * (v - rest) - w)
        spikes[t] = v >= 20
        if spikes[t]:
            v, w = rest, w + b
    return spikes, v - rest, w


@pytest.mark.parametrize("dt", [0.05, 0.1])
def test_adex_is_the_published_equation(dt: float) -> None:
    """The paper's own, without the constant of 0.0025 pA that keeps rest at rest: spikes within a step of each other."""
    current = np.full(6000, 1000.0)
    z, state = driven(AdEx.from_millivolts(-70.6, -50.4, 20.0, -70.6, dt=dt), current)
    wanted, _, w = adex(current, dt)
    times, others = np.flatnonzero(z), np.flatnonzero(wanted)
    assert len(times) == len(others) >= 10 and np.abs(times - others).max() <= 1
    assert abs(float(state.w) - w) < 1.0


def test_adex_adapts_and_not_without_its_jump() -> None:
    times = [np.diff(np.flatnonzero(driven(AdEx(b=b, a=0.0), np.full(8000, 900.0))[0])) for b in (80.5, 0.0)]
    assert times[0][-1] > 1.5 * times[0][0] and np.ptp(times[1]) <= 1


def test_adex_and_izhikevich_rest_and_come_back_to_rest() -> None:
    push = np.zeros(20_000)
    push[:100] = 5.0
    for model in (AdEx(dt=0.5, gain=20.0), Izhikevich(gain=0.3)):
        z, state = driven(model, push)
        assert not z.any() and all(abs(float(s)) < 1e-3 for s in state)
        assert all(float(s) == 0 for s in driven(model, np.zeros(500))[1])


@pytest.mark.parametrize("kind", ["subtract", "zero", "none"])
def test_egru_is_the_gated_recursion(kind: str) -> None:
    draw = np.random.default_rng(0)
    x = {p: draw.normal(0, 1.5, (60, 3, 4)) for p in EGRU.inputs}
    logistic = {p: 1 / (1 + np.exp(-v)) for p, v in x.items()}
    c, wanted = np.zeros((3, 4)), np.zeros((60, 3, 4))
    for t in range(60):
        h = np.tanh(x["candidate"][t] + logistic["reset"][t] * x["recurrent"][t])
        c = logistic["update"][t] * h + (1 - logistic["update"][t]) * c
        event = c >= 0.3
        wanted[t] = c * event
        c = {"subtract": c - 0.3 * event, "zero": c * ~event, "none": c}[kind]
    y, state = Neuron(EGRU(reset=kind))({p: torch.from_numpy(v.astype(np.float32)) for p, v in x.items()})
    np.testing.assert_array_equal(y.detach().numpy() != 0, wanted != 0)
    np.testing.assert_allclose(y.detach().numpy(), wanted, atol=1e-5)
    np.testing.assert_allclose(state.c.numpy(), c, atol=1e-5)
    assert 0.05 < (wanted != 0).mean() < 0.95


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (AdEx(dt=1.0, gain=1000.0), "exp of something that changes"),
        (EGRU(), "to hand on its state"),
        (ILIF(levels=17), "to hand on its state"),
    ],
    ids=lambda x: getattr(x, "name", "reason"),
)
def test_chips_refuse_by_name_what_they_cannot_do(model: NeuronModel, reason: str, name: str) -> None:
    chip = load(name)
    found = [v for v in check_rules(adapt(compose(nets.layered(model)), chip), chip) if v.node == "cells"]
    said = " ".join(v.need for v in found)
    assert re.search(f"{reason}|the neuron {model.name}", said), said
    assert all(v.limit for v in found) and any(v.hint for v in found)
