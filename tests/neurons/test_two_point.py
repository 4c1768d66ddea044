"""The invariants of the two-point cell (methods-architectures 1.4, as decisions section 5 makes them definite).

Random currents are normal (basal mean 0.1, deviation 0.5; apical mean 0.3, deviation 2), seeds 0 to 5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.errors import GraphError
from spikeflow.neurons import LIF, Neuron, TwoPointLIF
from spikeflow.neurons.gates import GATES
from spikeflow.sim import Dense, run
from tests.laws.models import SIZE, lone_graph

MODES = (*GATES, "coupled")
# the modes that a current into the apical point alone can bring to spike
DRIVEN = ("drive", "amplify_drive", "cooperation", "coupled")


def drawn(seed: int, steps: int = 300, samples: int = 4) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    shape = (steps, samples, SIZE)
    return {
        "basal": draw.normal(0.1, 0.5, shape).astype(np.float32),
        "apical": draw.normal(0.3, 2, shape).astype(np.float32),
    }


def cells(model: TwoPointLIF, x: dict[str, np.ndarray], state: Any = None) -> tuple[torch.Tensor, Any]:
    with torch.no_grad():
        return Neuron(model)({port: torch.from_numpy(v) for port, v in x.items()}, state)


# --- what each mode says, written out once more in numpy, float64 ---


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def law(m: TwoPointLIF, b: np.ndarray, a: np.ndarray) -> np.ndarray:
    amplified = b * (1 + m.strength * sigmoid(np.asarray(m.gain * (a - m.apical_threshold))))
    r = np.maximum(b, -1)
    return {
        "isolation": b,
        "gate": b * (1 + np.tanh(m.gain * a)),
        "amplify": amplified,
        "drive": b + m.strength * np.tanh(a),
        "amplify_drive": amplified + 0.5 * np.tanh(a),
        "pass": np.where(a >= m.apical_threshold, b, 0),
        "cooperation": 0.5 * np.clip(r**2 + 2 * r + a * (1 + np.abs(r)), -6, 6),
    }[m.mode]


def written_out(m: TwoPointLIF, x: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs, and how far each spike and burst was from its threshold, ``(T, B, N)``."""
    shape = x["basal"].shape[1:]
    u, a, z = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    outputs, margins, bursts = [], [], []
    for b, c in zip(x["basal"].astype(float), x["apical"].astype(float), strict=True):
        if m.mode == "coupled":
            a = a - m.to_dendrite * u + b + c
            u = u + m.to_soma * a
        else:
            a = m.decay_apical * a + (1 - np.asarray(m.decay_apical)) * c + m.bap * z
            drive = law(m, b, a)
            u = m.decay * u + (drive if m.convention == "raw" else (1 - np.asarray(m.decay)) * drive)
        margins.append(u - m.threshold)
        z = (u >= m.threshold).astype(float)
        burst = a >= m.burst_threshold
        bursts.append(a - m.burst_threshold)
        outputs.append(z * (1 + burst) if m.burst else z)
        u = {
            "subtract": u - m.threshold * z,
            "zero": np.where(z, 0, u),
            "value": np.where(z, m.reset_value, u),
        }[m.reset]
        a = a - m.discharge * z if m.mode == "coupled" or m.apical_discharge else a
    return np.stack(outputs), np.stack(margins), np.stack(bursts)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reset", ["zero", "subtract", "value"])
def test_a_cell_computes_what_its_equations_say(mode: str, reset: str) -> None:
    """Spikes differ from those of float64 nowhere before a potential came within 1e-4 of its threshold."""
    more: dict[str, Any] = {"reset_value": -0.2} if reset == "value" else {}
    leaks = mode != "coupled"
    for seed, options in enumerate(
        (
            {},
            {"burst": True, "burst_threshold": 1.2 if mode in ("pass", "coupled") else 0.3},
            {"apical_discharge": True, "discharge": 0.25},
            {"convention": "normalised", "decay": 0.5, "threshold": 0.4} if leaks else {"to_soma": 0.7},
            {"bap": 0.4, "back_propagation": True} if leaks else {"to_dendrite": 0.9},
        )
    ):
        if mode in ("amplify", "amplify_drive"):
            options = {**options, "gain": 4.0, "strength": 0.7}
        model, x = TwoPointLIF(mode=mode, reset=reset, **more, **options), drawn(seed)  # type: ignore[arg-type]
        got = cells(model, x)[0].numpy()
        wanted, margins, bursts = written_out(model, x)
        near = np.abs(margins) < 1e-4
        near |= (np.abs(bursts) < 1e-4) if model.burst else False
        if mode == "pass":
            near |= _near_the_gate(model, x)
        told = np.cumsum(near, axis=0) == 0
        np.testing.assert_array_equal(got[told], wanted[told])
        assert got[told].any() and told.mean() > 0.5
        if model.burst:
            assert set(np.unique(got)) == {0.0, 1.0, 2.0}


def _near_the_gate(m: TwoPointLIF, x: dict[str, np.ndarray]) -> np.ndarray:
    """Where the apical potential itself is close to the threshold of `pass`; from the layer's own states."""
    layer, state, found = Neuron(m), None, []
    for t in range(len(x["basal"])):
        with torch.no_grad():
            z, state = layer({p: torch.from_numpy(v[t : t + 1]) for p, v in x.items()}, state)
        a = state.a + (m.discharge * (z[0] > 0) if m.apical_discharge else 0)
        found.append((a - m.apical_threshold).abs().numpy() < 1e-4)
    return np.stack(found)


# --- 1: without apical weights a LIF ---


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize(
    "model",
    [{"mode": "gate"}, {"mode": "isolation"}, {"mode": "amplify", "strength": 0.0}],
    ids=lambda m: m["mode"],
)
def test_without_apical_input_it_is_a_lif_bit_for_bit(model: dict[str, Any], reset: str) -> None:
    for seed in range(3):
        x = torch.from_numpy(drawn(seed)["basal"])
        two, state = Neuron(TwoPointLIF(decay=0.9, reset=reset, **model))(x)
        one, other = Neuron(LIF(decay=0.9, reset=reset))(x)
        assert torch.equal(two, one) and two.any()
        assert torch.equal(state.u, other.v)  # type: ignore[attr-defined]


def test_isolation_is_a_lif_whatever_the_context() -> None:
    x = drawn(1)
    two, _ = cells(TwoPointLIF(decay=0.9, mode="isolation"), x)
    assert torch.equal(two, Neuron(LIF(decay=0.9))(torch.from_numpy(x["basal"]))[0])


# --- 2: context alone ---


@pytest.mark.parametrize("mode", MODES)
def test_apical_input_alone_spikes_only_where_it_drives(mode: str) -> None:
    apical = np.random.default_rng(1).normal(5, 50, (500, 2, 8)).astype(np.float32)
    z, state = cells(TwoPointLIF(mode=mode), {"basal": np.zeros_like(apical), "apical": apical})
    assert z.any() == (mode in DRIVEN)
    assert state.a.any()
    if mode not in DRIVEN:
        assert not state.u.any()


# --- 3: the curve of response ---


def rate(model: TwoPointLIF, basal: float, apical: float, steps: int = 4000) -> float:
    x = {"basal": torch.full((steps, 1, 1), basal), "apical": torch.full((steps, 1, 1), apical)}
    with torch.no_grad():
        return float(Neuron(model)(x)[0].mean())


@pytest.mark.parametrize("strength", [0.5, 1.313262, 3.0])
def test_amplification_multiplies_the_slope_by_one_and_its_strength(strength: float) -> None:
    """Without leak and with subtraction the rate is the drive; ends of the apical range, basal 0.02 to 0.1."""
    cell = TwoPointLIF(decay=1.0, reset="subtract", mode="amplify", gain=4.0, strength=strength)
    for basal in (0.02, 0.05, 0.1):
        ratio = rate(cell, basal, 20.0) / rate(cell, basal, -20.0)
        assert abs(ratio - (1 + strength)) < 0.03 * (1 + strength)


def test_the_gate_doubles_the_slope_and_shuts() -> None:
    cell = TwoPointLIF(decay=1.0, reset="subtract")
    for basal in (0.02, 0.05, 0.1):
        assert abs(rate(cell, basal, 20.0) / rate(cell, basal, 0.0) - 2.0) < 0.03
        assert rate(cell, basal, -20.0) < 1e-3


def test_drive_grows_with_both_inputs() -> None:
    cell = TwoPointLIF()
    assert rate(cell, 0.12, 1.0) > rate(cell, 0.12, 0.0) > rate(cell, 0.12, -1.0)


# --- 4: state ---


@pytest.mark.parametrize("mode", MODES)
def test_steps_are_the_stretch_and_single_samples_are_reset(mode: str) -> None:
    x = drawn(2, 60, 3)
    model = TwoPointLIF(mode=mode)
    whole, end = cells(model, x)
    state, parts = None, []
    for t in range(60):
        z, state = cells(model, {p: v[t : t + 1] for p, v in x.items()}, state)
        parts.append(z)
    assert torch.equal(torch.cat(parts), whole)
    assert all(torch.equal(a, b) for a, b in zip(state, end, strict=True))
    mask = torch.tensor([True, False, True])
    cleared = type(end)(*(torch.where(mask[:, None], torch.zeros_like(s), s) for s in end))
    again, _ = cells(model, x, cleared)
    assert torch.equal(again[:, mask], whole[:, mask]) and not torch.equal(again[:, 1], whole[:, 1])


# --- 5: the event-driven engine ---


@pytest.mark.parametrize("mode", MODES)
def test_the_event_driven_engine_is_the_clocked_reference(mode: str) -> None:
    """Currents that are 0 in nine steps of ten, with a bias that no gate touches in each neuron but one."""
    pytest.importorskip("spikeflow.sim._engine")
    draw = np.random.default_rng(3)
    x = {p: np.where(draw.random(v.shape) < 0.1, 4 * v, 0) for p, v in drawn(3, 200).items()}
    x["basal"] += np.linspace(0, 0.06, SIZE, dtype=np.float32)
    graph = lone_graph(TwoPointLIF(mode=mode, burst=True, burst_threshold=0.2))
    given = {p: Dense(v.astype(np.float32)) for p, v in x.items()}
    names = ("cells.u", "cells.a")
    first, second = (run(graph, given, 200, engine=e, record=names) for e in ("cpp", "reference"))
    np.testing.assert_array_equal(first.output, second.output)
    for name in names:
        np.testing.assert_array_equal(first.recorded[name], second.recorded[name])
    assert first.output.any()


# --- options ---


def test_back_propagating_spike_raises_the_apical_state() -> None:
    x = torch.full((30, 1, 1), 0.4)
    quiet, _ = Neuron(TwoPointLIF(bap=0.0, back_propagation=True))(x)
    loud, state = Neuron(TwoPointLIF(bap=0.8, back_propagation=True))(x)
    assert loud.sum() > quiet.sum() and state.a.item() > 0


def test_a_spike_discharges_the_apical_point() -> None:
    x = {"basal": np.full((50, 1, 1), 0.4, np.float32), "apical": np.full((50, 1, 1), 1.0, np.float32)}
    kept, spent = (cells(TwoPointLIF(apical_discharge=d), x) for d in (False, True))
    assert spent[0].sum() < kept[0].sum() and spent[1].a < kept[1].a


def test_the_coupled_cell_never_fades() -> None:
    """Below threshold its step is a rotation: the determinant of what it does to (u, a) is 1."""
    for down, up in ((0.5, 0.5), (0.2, 0.9), (1.0, 1.0)):
        model = TwoPointLIF(mode="coupled", threshold=1e9, to_dendrite=down, to_soma=up)
        step = []
        for unit in ((1.0, 0.0), (0.0, 1.0)):
            start = [torch.tensor([[v]], dtype=torch.float64) for v in unit]
            _, after = Neuron(model).double()(torch.zeros(1, 1, 1, dtype=torch.float64), start)
            step.append([after.u.item(), after.a.item()])
        assert abs(np.linalg.det(np.array(step)) - 1) < 1e-12
        assert np.allclose(np.abs(np.linalg.eigvals(np.array(step))), 1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"strength": 2.0}, "strength acts only with mode='amplify'"),
        ({"mode": "pass", "gain": 2.0}, "gain acts only with mode='gate'"),
        ({"reset_value": 0.5}, "reset='value'"),
        ({"discharge": 0.1}, "apical_discharge=True"),
        ({"burst_threshold": 2.0}, "burst=True"),
        ({"to_soma": [0.5, 0.6]}, "mode='coupled'"),
        ({"mode": "coupled", "decay": 0.5}, "decay acts only with"),
        ({"mode": "coupled", "back_propagation": True}, "neither back_propagation"),
        ({"mode": "coupled", "convention": "normalised"}, "nor a normalised input"),
        ({"mode": "open"}, "mode 'open'.*isolation"),
        ({"convention": "decayed"}, "convention 'decayed'.*raw"),
    ],
)
def test_what_nothing_would_read_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(GraphError, match=said):
        TwoPointLIF(**wrong)


def test_a_closed_pass_still_learns_from_its_surrogate() -> None:
    layer = Neuron(TwoPointLIF(mode="pass"), learn="apical_threshold")
    apical = torch.full((5, 1, 1), 0.3, requires_grad=True)
    z, state = layer({"basal": torch.full((5, 1, 1), 0.4), "apical": apical})
    assert not z.any()
    z.sum().backward()
    assert apical.grad is not None and (apical.grad[:-1] > 0).all()
    assert layer.apical_threshold.grad is not None and layer.apical_threshold.grad < 0
