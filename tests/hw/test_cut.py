"""Law: a run of integers, also of those rebuilt from a mapping's tables, cut at random equals the whole, counts included."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.sim import prepare
from tests.hw.fixed_nets import drawn, inputs_for, mapped, tiny_chip
from tests.sim.test_cut import assert_equal, everything, from_states, joined, stretch


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rebuilt", [False, True])
def test_cut_runs_equal_the_whole(seed: int, rebuilt: bool) -> None:
    """Convolutions, delays on edges and inside nodes, loops, a read-out that wakes later; 14 steps, cut three times."""
    rng = np.random.default_rng(seed)
    graph = drawn(seed, ["current", "spikes"][seed % 2])
    given = inputs_for(graph, seed)
    if rebuilt:
        graph = mapped(graph, tiny_chip()).as_graph()
    named = {graph.inputs[0]: given}
    at = [0, *sorted({int(c) for c in rng.integers(1, 14, 3)}), 14]
    record = everything(graph)
    slow, fast = prepare(graph, "reference"), prepare(graph, threads=1 + seed % 2)
    wanted = slow(named, 14, record)
    got = from_states(lambda: (slow, fast)[rng.integers(2)], named, at, record)
    assert_equal(got, wanted, record)
    live = fast.begin(3)
    pieces = [live.advance(stretch(named, a, b), b - a, record) for a, b in zip(at, at[1:], strict=False)]
    assert_equal(joined(pieces), wanted, record)
    assert live.state() == got.state == wanted.state
