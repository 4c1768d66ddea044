"""Statistics of activations: exact to a bin, the same in any order of samples; and data that is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.convert.passes import observe as module
from spikeflow.convert.passes.observe import BINS, ActivationStats, Stats, observe
from spikeflow.errors import DataError
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Input, Output

SHAPE = (3, 4, 4)


def rectifier() -> Graph:
    return Graph(
        {"in": Input(SHAPE, "current"), "relu": Activation(), "out": Output()},
        (Edge("in", "relu"), Edge("relu", "out")),
    )


def drawn(count: int = 200, seed: int = 0) -> Any:
    x = np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype(np.float32)
    x[:, 2] = -1  # a channel that is never active
    return x


def stats(x: Any) -> ActivationStats:
    return observe(rectifier(), x).activations["relu"]


def test_counts_and_extremes_are_exact() -> None:
    x = drawn()
    found, rows = stats(x), np.maximum(x, 0).transpose(1, 0, 2, 3).reshape(3, -1)
    assert found.values == rows.shape[1] == 3200
    assert found.maximum.tolist() == rows.max(1).tolist()
    assert found.zeros.tolist() == (rows == 0).sum(1).tolist()
    assert np.allclose(found.mean, rows.mean(1, dtype=np.float64), rtol=1e-12)
    assert found.histogram.sum(1).tolist() == (rows > 0).sum(1).tolist()


@pytest.mark.parametrize("q", [30, 60, 90, 99, 99.9, 100])
def test_percentiles_are_those_of_the_values_above_0_to_a_bin(q: float) -> None:
    x = drawn()
    rows = np.maximum(x, 0).transpose(1, 0, 2, 3).reshape(3, -1)
    wanted = [np.percentile(r[r > 0], q, method="inverted_cdf") if r.any() else 0.0 for r in rows]
    assert np.abs(stats(x).percentile(q) - wanted).max() <= rows.max() / BINS * 1.001
    assert stats(x).percentile(q)[2] == 0


def test_fraction_above() -> None:
    x = drawn()
    rows = np.maximum(x, 0).transpose(1, 0, 2, 3).reshape(3, -1)
    theta = np.array([0.5, 1.0, 0.1])
    assert np.abs(stats(x).fraction_above(theta) - (rows > theta[:, None]).mean(1)).max() < 0.01
    assert stats(x).fraction_above(rows.max(1)).tolist() == [0, 0, 0]


def test_order_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = drawn()
    whole = stats(x)
    monkeypatch.setattr(module, "_BATCH_VALUES", 48 * 7)
    parts = stats(x[np.random.default_rng(1).permutation(len(x))])
    for q in (50, 99, 99.9):
        assert whole.percentile(q).tolist() == parts.percentile(q).tolist()
    assert whole.histogram.tolist() == parts.histogram.tolist()
    assert np.allclose(whole.mean, parts.mean, rtol=1e-14)


def test_what_is_noted_about_the_data() -> None:
    seen: list[tuple[int, int]] = []
    x = drawn(10)
    found: Stats = observe(rectifier(), x, lambda done, of: seen.append((done, of)))
    assert (found.samples, found.low, found.high) == (10, float(x.min()), float(x.max()))
    assert np.array_equal(found.logits, np.maximum(x, 0))
    assert seen == [(10, 20), (20, 20)]


@pytest.mark.parametrize(
    "x, words",
    [
        (np.zeros((0, *SHAPE)), "at least one sample"),
        (np.zeros((5, 3, 4, 5)), r"samples, 3, 4, 4"),
        (np.zeros((5, 48)), r"samples, 3, 4, 4"),
        (np.full((5, *SHAPE), np.nan), "NaN"),
        (np.array(["a", "b"]), "numbers"),
    ],
)
def test_unusable_data_is_refused(x: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        observe(rectifier(), x)


@pytest.mark.parametrize("seed", range(8))
def test_a_rare_channel_keeps_its_values(seed: int) -> None:
    """Channels active at 1 to 400 of 64,000 places, values 0.1 to 50: the quantile of those, or their largest."""
    draw = np.random.default_rng(seed)
    x = np.full((4000, *SHAPE), -1.0, np.float32)
    counts = draw.integers(1, 400, 3)
    for channel, count in enumerate(counts):
        at = draw.choice(4000 * 16, count, replace=False)
        x[at // 16, channel, at % 16 // 4, at % 4] = draw.uniform(0.1, 50, count)
    found = stats(x).percentile(99.9)
    for channel, count in enumerate(counts):
        values = x[:, channel][x[:, channel] > 0]
        wanted = values.max() if count < 20 else np.percentile(values, 99.9, method="inverted_cdf")
        assert abs(found[channel] - wanted) <= values.max() / BINS * 1.001


def test_samples_that_leave_float32_are_named() -> None:
    """One beyond the first few, which are compared, ended in an error of numpy's."""
    import torch
    from torch import nn

    from spikeflow.convert import convert

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        net[0].weight *= 1e20
    x = np.random.default_rng(1).normal(size=(80, 6)).astype(np.float32)
    convert(net, x, steps=8)
    x[40:] *= 1e25
    with pytest.raises(DataError, match="samples on which 1 leaves float32"):
        convert(net, x, steps=8)
