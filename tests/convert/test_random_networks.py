"""A few of the random networks of ``benchmarks/random_networks.py``: none is refused, and all answer as torch does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.hw import map_network
from spikeflow.sim import Constant, run
from spikeflow.sim.classify import RunOptions, classify, evaluate
from tests.convert.random_networks import network, samples

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")
RECTIFIERS = (nn.ReLU, nn.ReLU, nn.ReLU, nn.ReLU, nn.ReLU6)  # smooth functions divide, which no chip does
SEEDS = (1, 3, 4, 7, 8, 12, 13, 15, 17, 18, 19, 21)  # small ones of the first 24


@pytest.mark.parametrize("seed", SEEDS)
def test_it_converts_and_answers_as_torch_does(seed: int) -> None:
    """256 calibration samples, 32 others at T = 256: within 2 %; engine and reference agree bit for bit."""
    net, shape = network(seed)
    made = convert(net, samples(seed, shape, 256), steps=256)
    x = samples(seed + 10**6, shape, 32)
    with torch.no_grad():
        wanted = net(torch.from_numpy(x)).numpy()
    got = evaluate(made.network, x).accumulated() / 256
    assert np.abs(got - wanted).sum() <= 0.02 * np.abs(wanted).sum()
    found = [run(made.network.graph, Constant(x[:2]), 8, engine=e).output for e in ("cpp", "reference")]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("seed", (8, 18))
@pytest.mark.parametrize("chip", ("loihi2", "spinnaker2"))
def test_it_maps(seed: int, chip: str) -> None:
    """Integers of the tables: engine and reference agree, and most samples are answered as by the float network."""
    net, shape = network(seed, RECTIFIERS)
    x = samples(seed, shape, 120)
    made = convert(net, x, steps=64)
    mapping = map_network(made.network, chip, x, chips=4, accept_loss=True)
    found = mapping.as_network()
    got = classify(found, x[:8]).accumulated()
    np.testing.assert_array_equal(got, classify(found, x[:8], RunOptions("reference")).accumulated())
