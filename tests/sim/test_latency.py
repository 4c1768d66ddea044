"""What a live run says of the time that its calls took."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.errors import SimulationError
from spikeflow.sim import latency, prepare
from spikeflow.sim.latency import Calls
from tests.files.rule_network import rule_network


def test_quantiles_are_times_that_were_measured() -> None:
    """By nearest rank, against sorting: 1 to 300 calls, drawn."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        seconds, calls = rng.exponential(1.0, int(rng.integers(1, 300))), Calls()
        for s in seconds:
            calls.add(float(s), 3)
        found, ranked = calls.latency(), np.sort(seconds)
        n = len(ranked)
        assert (found.calls, found.steps) == (n, 3 * n)
        wanted = ranked[[-(-n // 2) - 1, -(-99 * n // 100) - 1, -1]]
        assert [found.p50_s, found.p99_s, found.most_s] == wanted.tolist()
    assert "99 %" in str(found) and str(Calls().latency()) == "no calls yet"


def test_the_oldest_calls_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "KEPT", 4)
    calls = Calls()
    for s in (9.0, 8.0, 1.0, 2.0, 3.0, 4.0):
        calls.add(s, 1)
    assert calls.latency() == latency.Latency(4, 4, 2.0, 4.0, 4.0)


@pytest.mark.parametrize("engine", ["cpp", "reference"])
def test_a_live_run_tells_of_its_calls(engine: str) -> None:
    live = prepare(rule_network(), engine).begin(1)
    assert live.latency.calls == 0
    for _ in range(5):
        live.advance({}, 1)
    with pytest.raises(SimulationError):
        live.advance({}, 0)  # which is no call that came back
    found = live.latency
    assert (found.calls, found.steps) == (5, 5) and 0 < found.p50_s <= found.p99_s <= found.most_s < 60
