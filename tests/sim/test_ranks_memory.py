"""Memory that one rank alone lacks, wherever it is asked for, ends all ranks with that reason, and none waits."""

from __future__ import annotations

import threading
from itertools import count

import numpy as np
import pytest

from spikeflow.errors import NotEnoughMemory, SimulationError
from spikeflow.files import memory
from spikeflow.ir.nodes import Linear
from spikeflow.sim.ranks.engine import RankEngine
from spikeflow.sim.ranks.exchange import Exchange
from tests.sim.test_ranks import balanced
from tests.sim.threads_as_ranks import on_each


def test_what_one_rank_has_no_room_for_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made ready, run, run again to find where a state left float32, begun, advanced: each asks whether there is room."""
    whole, asked, least = balanced(readout=True), dict[int, int](), 6
    graph = whole.with_nodes({"dense": Linear(np.full((4, 400), 3e38, np.float32))})

    def work(exchange: Exchange) -> None:
        if exchange.rank == 1:
            asked[threading.get_ident()] = 0
        runner = RankEngine(graph, exchange, 1)
        found = runner({}, 20)
        assert [u.name for u in found.unbounded] == ["slow.v"] and found.unbounded[0].step < 19
        live = runner.begin(1)
        live.advance({}, 5)
        live.state()

    for ends in count():

        def expect(what: str, needed: int, hint: str = "", ends: int = ends) -> None:
            here = threading.get_ident()
            if here in asked:
                asked[here] += 1
                if asked[here] > ends:
                    raise NotEnoughMemory(what, needed, 0, hint or "more memory")

        asked.clear()
        monkeypatch.setattr(memory, "expect", expect)
        first, second = on_each(2, work)
        if not isinstance(second, BaseException):
            assert first is second is None and ends >= least
            return
        assert isinstance(second, NotEnoughMemory), repr(second)
        assert isinstance(first, SimulationError), repr(first)
        assert "rank 1: ended with an error: NotEnoughMemory: " in str(first), ends
