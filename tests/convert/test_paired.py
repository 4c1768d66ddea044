"""`benchmarks/paired.py`: the interval of a paired difference, and the ceiling of a conversion."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from paired import ceiling, paired

from spikeflow.convert import convert

RIGHT, WRONG = [True], [False]


def test_the_interval_by_hand() -> None:
    """8 that only the first has right and 2 that only the second has, of 98: b = 8.5, c = 2.5, n = 100."""
    first = np.array(RIGHT * 8 + WRONG * 2 + RIGHT * 80 + WRONG * 8)
    second = np.array(WRONG * 8 + RIGHT * 2 + RIGHT * 80 + WRONG * 8)
    found = paired(first, second)
    assert found.mean == pytest.approx(6 / 98)
    half = 1.959964 * np.sqrt(11 - 36 / 100) / 100
    assert (found.low, found.high) == pytest.approx((0.06 - half, 0.06 + half), abs=1e-6)
    assert not found.lost and not paired(second, first).lost


def test_lost_beyond_the_interval_alone() -> None:
    much = paired(np.array(WRONG * 20 + RIGHT * 80), np.array(RIGHT * 100))
    assert much.lost and much.mean == pytest.approx(-0.2)
    assert not paired(np.array(RIGHT * 100), np.array(WRONG * 20 + RIGHT * 80)).lost
    alike = paired(np.array(RIGHT * 50), np.array(RIGHT * 50))
    assert alike.low < 0 < alike.high and not alike.lost


def test_the_interval_covers_what_is_true() -> None:
    """1,000 draws of 200 pairs whose true difference is 0.05: 95 % hold it, give or take 2.5 points."""
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        cell = draw.choice(4, size=200, p=(0.1, 0.05, 0.7, 0.15))
        found = paired((cell == 0) | (cell == 2), (cell == 1) | (cell == 2))
        held += found.low <= 0.05 <= found.high
    assert 925 <= held <= 975


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((0,), (0,)), ((2, 2), (2, 2))])
def test_other_samples_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="same samples"):
        paired(*(np.zeros(shape, bool) for shape in shapes))


def test_the_ceiling_rounds_to_levels_of_the_thresholds() -> None:
    """Activations of 0 to 1 with thresholds 1: with 2 levels above 0 the values are 0, 1/2 and 1, halves upwards."""
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 3, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(2))
        # the answer is whether 4 x0 - 4 x1 lies at 0, above 1 or below -1
        net[2].weight.copy_(torch.tensor([[0.0, 0.0], [4.0, -4.0], [-4.0, 4.0]]))
    x = np.random.default_rng(0).uniform(0, 1, (200, 2)).astype(np.float32)
    x[0] = 1
    made = convert(net, x, method="largest", steps=2)
    theta = x.max(0)
    rounded = theta / 2 * np.clip(np.floor(x * 2 / theta + 0.5), 0, 2)
    wanted = (rounded @ np.array([[0.0, 0.0], [4.0, -4.0], [-4.0, 4.0]]).T).argmax(1)
    exact = (x @ np.array([[0.0, 0.0], [4.0, -4.0], [-4.0, 4.0]]).T).argmax(1)
    assert (ceiling(made, 2, x) == wanted).mean() > 0.98 and (wanted != exact).any()
    assert (ceiling(made, 2**16, x) == exact).mean() > 0.98
