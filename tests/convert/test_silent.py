"""What is never active on the calibration samples converts to neurons that never fire and adds exactly 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.errors import SpikeflowWarning
from spikeflow.hw import map_network
from spikeflow.sim import Constant, run
from spikeflow.sim.classify import RunOptions, classify
from tests.convert.networks import samples


class Branches(nn.Module):
    """Two branches of rectifiers; the first is dead, or some channels of it are."""

    def __init__(self, dead: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(16, 3)
        with torch.no_grad():
            self.a.bias[:dead] = -100

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c(torch.cat([torch.relu(self.a(x)), torch.relu(self.b(x))], 1))


def test_a_dead_layer_adds_exactly_0_with_a_warning_and_a_verdict() -> None:
    net, x = Branches(8).eval(), samples((6,), 80)
    with pytest.warns(SpikeflowWarning, match="relu: no unit is active.*adds exactly 0"):
        made = convert(net, x)
    assert any("relu: no unit is active" in text for text in made.warnings)
    assert [v.verdict for v in made.report.verdicts if v.node == "relu"][0].startswith(
        "spiking: never active"
    )
    far = Constant(np.full((4, 6), 1000, np.float32))  # no sample wakes it, however large
    found = run(made.network.graph, far, 30, record=("relu", "relu_2"))
    assert not found.recorded["relu"].dense().any() and found.recorded["relu_2"].dense().any()
    assert made.fidelity.worst is not None and made.fidelity.worst.error < 0.05


def test_dead_channels_never_fire_beside_living_ones() -> None:
    made = convert(Branches(3).eval(), samples((6,), 80))
    far = Constant(np.full((4, 6), 1000, np.float32) * np.array([[1], [-1], [1], [-1]], np.float32))
    fired = run(made.network.graph, far, 30, record=("relu",)).recorded["relu"].dense()
    assert not fired[..., :3].any() and fired[..., 3:].any()


@pytest.mark.filterwarnings("ignore::spikeflow.SpikeflowWarning")
@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
def test_it_maps(chip: str) -> None:
    x: Any = samples((6,), 80)
    made = convert(Branches(8).eval(), x)
    mapping = map_network(made.network, chip, x)
    got = classify(mapping.as_network(), x).accumulated()
    np.testing.assert_array_equal(
        got, classify(mapping.as_network(), x, RunOptions("reference")).accumulated()
    )
