"""Law: in a run of integers, membranes that stop at their low end stand apart from overflow, and overflow is told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.errors import SpikeflowWarning
from spikeflow.hw import map_network
from spikeflow.sim.classify import RunOptions, classify
from spikeflow.sim.summary import summarise


@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
@pytest.mark.parametrize("seed", range(4))
def test_overflow_of_longer_runs_is_told_and_silent_neurons_are_not(chip: str, seed: int) -> None:
    """Drawn: 4 to 12 inputs in [0, 1), 8 to 24 hidden, a third of them driven down by a bias of -1 to -3; 3 to 6 outputs."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    sizes = int(rng.integers(4, 13)), int(rng.integers(8, 25)), int(rng.integers(3, 7))
    first, last = nn.Linear(sizes[0], sizes[1]), nn.Linear(sizes[1], sizes[2])
    with torch.no_grad():
        first.bias[: sizes[1] // 3] = -torch.tensor(rng.uniform(1, 3, sizes[1] // 3))
    x = rng.random((100, sizes[0])).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = convert(nn.Sequential(first, nn.ReLU(), last).eval(), x).network
        mapped = map_network(network, chip, x, min_agreement=0.0, accept_loss=True).as_network()
        as_made = classify(mapped, x[:10])
        long = classify(mapped, x[:10], RunOptions(steps=20_000))
    assert not [t for t in as_made.warnings if "registers" in t]
    # an Input's format is counted too, but its clips are told by the range of the calibration
    assert not any(n.overflow for n in summarise(mapped, as_made).nodes if n.kind != "Input")
    facts = {n.node: n for n in summarise(mapped, long).nodes if n.kind != "Input"}
    changed = {name: dict(node.overflow) for name, node in facts.items() if node.overflow}
    for node in facts.values():
        for register, count in node.narrowed.items():
            assert count == node.low_clips.get(register, 0) + node.overflow.get(register, 0)
    assert bool(changed) == any("integer registers" in t for t in long.warnings)
    if chip == "loihi2":
        assert sum(sum(n.low_clips.values()) for n in facts.values()) > 0
        assert changed


def test_the_warning_names_register_count_and_steps() -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).random((60, 6)).astype(np.float32)
    network = convert(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).eval(), x).network
    mapped = map_network(network, "loihi2", x, min_agreement=0.0).as_network()
    with pytest.warns(SpikeflowWarning, match=r"readout\.v: [\d,]+.*Try: --steps 64, for which"):
        found = classify(mapped, x[:5], RunOptions(steps=100_000))
    assert "low end" not in " ".join(found.warnings)
