"""The invariants of the two-point cell (methods-architectures 1.4, as decisions section 5 makes them definite)."""

from __future__ import annotations

import numpy as np
import torch

from spikeflow.neurons import LIF, Neuron, TwoPointLIF


def _drive(basal: float, apical: float, steps: int = 2000) -> float:
    cell = Neuron(TwoPointLIF(gain=1.0))
    x = {"basal": torch.full((steps, 1, 1), basal), "apical": torch.full((steps, 1, 1), apical)}
    return float(cell(x)[0].mean())


def test_without_apical_input_it_is_a_lif_bit_for_bit() -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(0.1, 0.5, (300, 4, 9)).astype(np.float32))
    two, _ = Neuron(TwoPointLIF(decay=0.9))(x)
    one, _ = Neuron(LIF(decay=0.9, reset="zero"))(x)
    assert torch.equal(two, one) and two.any()


def test_apical_input_alone_never_spikes() -> None:
    draw = np.random.default_rng(1)
    apical = torch.from_numpy(draw.normal(5, 50, (500, 2, 8)).astype(np.float32))
    z, state = Neuron(TwoPointLIF())({"basal": torch.zeros_like(apical), "apical": apical})
    assert not z.any() and not state.u.any() and state.a.any()


def test_gain_doubles_with_apical_input_and_vanishes_without_its_consent() -> None:
    # a small drive with subtracting reset has a rate proportional to the gain
    cell = Neuron(TwoPointLIF(decay=1.0, reset="subtract"))

    def rate(apical: float) -> float:
        x = {"basal": torch.full((4000, 1, 1), 0.05), "apical": torch.full((4000, 1, 1), apical)}
        return float(cell(x)[0].mean())

    assert abs(rate(20.0) / rate(0.0) - 2.0) < 0.02
    assert rate(-20.0) < 1e-3


def test_state_is_reset_for_single_samples() -> None:
    x = torch.rand(50, 3, 4)
    cell = Neuron(TwoPointLIF())
    _, state = cell({"basal": x, "apical": x})
    mask = torch.tensor([True, False, True])
    cleared = type(state)(*(torch.where(mask[:, None], torch.zeros_like(s), s) for s in state))
    fresh, _ = cell({"basal": x[:, :1], "apical": x[:, :1]})
    again, _ = cell({"basal": x, "apical": x}, cleared)
    assert torch.equal(again[:, :1], fresh) and not torch.equal(again[:, 1:2], fresh)


def test_back_propagating_spike_raises_the_apical_state() -> None:
    x = torch.full((30, 1, 1), 0.4)
    quiet, _ = Neuron(TwoPointLIF(bap=0.0, back_propagation=True))(x)
    loud, state = Neuron(TwoPointLIF(bap=0.8, back_propagation=True))(x)
    assert loud.sum() > quiet.sum() and state.a.item() > 0


def test_drive_grows_with_both_inputs() -> None:
    assert _drive(0.12, 1.0) > _drive(0.12, 0.0) > _drive(0.12, -1.0)
