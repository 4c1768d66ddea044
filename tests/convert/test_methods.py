"""Every rule for thresholds gives a network that is right for long runs, and says its name.

Drawn: 4 seeds of a network of 6-12-12-3 with batch norm on 80 samples of normal values; T = 256.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.convert.passes.methods import METHODS
from spikeflow.errors import ConversionError
from spikeflow.sim.classify import classify


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    layers = [
        nn.Linear(6, 12),
        nn.BatchNorm1d(12),
        nn.ReLU(),
        nn.Linear(12, 12),
        nn.BatchNorm1d(12),
        nn.ReLU(),
    ]
    net = nn.Sequential(*layers, nn.Linear(12, 3))
    for _ in range(30):
        net(torch.randn(64, 6))
    return net.eval()


@pytest.mark.parametrize(
    ("method", "seed"),
    [
        (m, s)
        for m in METHODS
        for s in range(4 if m in ("percentile", "largest", "batch-norm", "tracking") else 1)
    ],
)
def test_every_method_converts(method: str, seed: int) -> None:
    net = network(seed)
    x = np.random.default_rng(seed).normal(size=(80, 6)).astype(np.float32)
    with torch.no_grad():
        wanted = net(torch.from_numpy(x)).numpy()
    alphabet = "differential:3" if method == "tracking" else "binary"
    found = convert(net, x, steps=256, method=method, alphabet=alphabet)
    values = classify(found.network, x).values()
    # rates are counts of 256 steps; what a threshold clips is told apart, so the median error is the law
    assert np.median(abs(values - wanted)) < 0.1 * np.abs(wanted).mean()
    assert found.report.options.rule(True) == method
    assert found.report.data_free == (method == "batch-norm")
    words = found.network.record.notes["thresholds"]
    assert ("batch norm" if method == "batch-norm" else method) in words


def test_largest_is_the_hundredth_percentile() -> None:
    x = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    one, other = (
        convert(network(0), x, **o).network.graph for o in ({"method": "largest"}, {"percentile": 100.0})
    )
    assert one.digest == other.digest


def test_unknown_and_impossible_methods_are_refused() -> None:
    with pytest.raises(ConversionError, match="one of percentile"):
        convert(network(0), None, method="median")
    with pytest.raises(ConversionError, match="--data"):
        convert(network(0), None, method="largest", input_shape=(6,))
