"""Spike counts do not depend on how many samples are recorded at once; that number bounds the memory alone."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from spikeflow.convert import convert
from spikeflow.ir.nodes import Population
from spikeflow.sim import spike_counts as counting


@pytest.mark.parametrize("alphabet", ["binary", "signed", "burst:3"])
def test_counts_of_few_at_once(monkeypatch: pytest.MonkeyPatch, alphabet: str) -> None:
    x = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
    made = convert(nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3)), x, steps=8, alphabet=alphabet)
    names = tuple(n for n in made.network.graph.of_kind(Population) if n in made.ann.nodes)
    whole = counting.spike_counts(made.network, x[:50], names)
    assert whole and all(np.abs(c).sum() > 0 and c.shape == (50, 9) for c in whole.values())
    for slots in (1, 9 * 8 * 7):  # one sample, and seven, which 50 is no multiple of
        monkeypatch.setattr(counting, "SLOTS", slots)
        parts = counting.spike_counts(made.network, x[:50], names)
        assert all(np.array_equal(parts[n], whole[n]) for n in names)
        assert counting.samples_counted(made.network, names, 50) == 50
