"""`benchmarks/conversion.py`: the interval of a paired difference, the ceiling of a conversion, and the page."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from conversion_page import comparisons, conversion_report
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


def test_the_page_compares_like_with_like_and_prints_what_is_lost() -> None:
    """Our row that was made for the steps, on the images that both answered; a loss beyond the interval is marked."""
    right, images = {8: "1" * 20 + "0" * 30, 16: "1" * 50}, 50
    theirs = {8: "1" * 40, 16: "1" * 40}

    def row(texts: dict[int, str], **more: object) -> dict[str, object]:
        shares = {str(t): text.count("1") / len(text) for t, text in texts.items()}
        alike = {"snn": shares, "alike": shares, "right": {str(t): text for t, text in texts.items()}}
        return {**alike, "images": images, "calibration": 9, "convert_cpu_s": 1.0, "cpu_ms_an_image": 1.0, **more}

    ours = {"ann": 0.9, "operations_an_image": 5e6, "neurons": 7}
    parts = {
        "net: binary, percentile, up to 16 steps": row({8: "1" * 50, 16: "1" * 50}, **ours),
        "net: binary, auto, at 8 steps": row({8: right[8]}, **ours),
        "net: SpikingJelly, some recipe": {**row(theirs), "images": 40},
        "net: binary on loihi2": {"cores": 1200, "chips": 2, "agreement": 0.975, "samples": 40},
        "net: signed on loihi2": {"refused": "loihi2 cannot take this, 1 reason:\n  pool: needs x. Try: y"},
    }
    found = {(steps, our): d for _, steps, our, d in comparisons({k[5:]: v for k, v in parts.items()})}
    assert set(found) == {("8", "binary, auto, at 8 steps"), ("16", "binary, percentile, up to 16 steps")}
    eight = found["8", "binary, auto, at 8 steps"]
    assert eight.lost and eight.mean == pytest.approx(-0.5)  # 20 of the first 40, not of all 50
    assert not found["16", "binary, percentile, up to 16 steps"].lost
    page = "\n".join(conversion_report({"parts": parts}))
    assert page.count("**lost**") == 2  # once where it is said what it means
    assert "| binary (1 bit), auto, made for each T | 40.0, 40.0 |  |" in page
    assert "| net | binary | loihi2 | 1,200 | 2 | 98 % of 40 images |" in page
    assert "| net | signed | loihi2 | refused | | pool: needs x. |" in page
