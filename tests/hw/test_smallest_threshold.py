"""Law: a stored threshold is never 0, and a neuron that is silent in floats is silent in integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.hw import map_network
from spikeflow.ir.nodes import Population


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
def test_dead_units_stay_silent_whatever_the_inputs_levels(seed: int, chip: str) -> None:
    """Rows of 8 to 24 units, 1 to half of them dead; inputs of 4 to 64 levels, which 8 bits hold exactly, or of any."""
    draw = np.random.default_rng(seed)
    size, inputs, levels = int(draw.integers(8, 25)), int(draw.integers(6, 65)), 2.0 ** draw.integers(2, 7)
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(inputs, size), nn.ReLU(), nn.Linear(size, 4)).eval()
    dead = draw.choice(size, draw.integers(1, size // 2 + 1), replace=False)
    with torch.no_grad():
        net[0].bias[dead] = -100.0
    x = draw.random((96, inputs)).astype(np.float32)
    x = np.round(x * levels) / levels if seed % 3 else x
    mapping = map_network(convert(net, x, steps=32).network, chip, x, accept_loss=True)
    fired = [
        node
        for node in mapping.as_graph().nodes.values()
        if isinstance(node, Population) and "threshold" in node.params
    ]
    assert fired and min(int(node.params["threshold"].min()) for node in fired) >= 1
    assert mapping.loss is not None
    layer = next(one for one in mapping.loss.layers if one.thresholds)
    # one spike of each dead unit in a sample would be 1 / (2 size) to 1 / 2 a step of 32 more
    assert abs(layer.rate_fixed - layer.rate) < 0.25 / 32 / size + 0.003 * layer.rate
