"""Ctrl-C ends what the engine does with large networks, alone and shared by threads, within one stretch of steps."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator

import numpy as np
import pytest

from spikeflow.errors import SimulationError
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output, Sparse
from spikeflow.ir.projections import FixedInDegree, Normal
from spikeflow.neurons import LIF
from spikeflow.populations import Populations
from spikeflow.sim import forecast, prepare


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Generator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def large(count: int, size: int = 4000) -> Graph:
    net = Populations(1e-3, bits=8, scale=0.01)
    net.add("n", LIF(0.9, 1.0, refractory=2), size)
    net.drive("noise", "n", 900.0, 0.4)
    net.project("n", "n", FixedInDegree(count), Normal(0.0, 0.02), Normal(3e-3, 1e-3, 2e-3, 9e-3))
    return net.graph()


def interrupted(call: Callable[[], object], after_s: float) -> None:
    """`call` takes minutes; Ctrl-C comes after a moment."""
    timer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        call()
    timer.join()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run(threads: int) -> None:
    runner = prepare(large(300), threads=threads)
    interrupted(lambda: runner({}, 10_000_000), 0.2)
    live = runner.begin(1)
    interrupted(lambda: live.advance({}, 10_000_000), 0.2)
    with pytest.raises(SimulationError, match="stopped amid"):
        live.advance({}, 1)
    assert runner({}, 5).steps == 5  # the runner is as good as before


@pytest.mark.parametrize("threads", [1, 2])
def test_synapses_that_are_drawn(threads: int) -> None:
    """90 million synapses take seconds; what was stopped leaves nothing, and the next network is made as ever."""
    graph = large(1500, 60_000)
    interrupted(lambda: prepare(graph, threads=threads), 0.3)
    assert prepare(large(3), threads=threads)({}, 5).steps == 5


@pytest.mark.parametrize("threads", [1, 2])
def test_synapses_that_are_listed(threads: int) -> None:
    """At whatever moment of the making it comes: while synapses are counted, stored or sorted by delay."""
    rng = np.random.default_rng(1)
    count, size = 5_000_000, 20_000
    indptr = np.linspace(0, count, size + 1).astype(np.int64)
    target, delay = rng.integers(0, size, count, dtype=np.int32), rng.integers(0, 60, count, dtype=np.int8)
    node = Sparse(indptr, target, np.ones(1, np.float32), (size,), (size,), delays=delay)
    graph = Graph({"x": Input((size,)), "w": node, "out": Output()}, (Edge("x", "w"), Edge("w", "out")))
    forecast.needs(graph)  # what is looked at before the engine begins, once
    for after_s in np.linspace(0.05, 0.6, 12):
        interrupted(lambda: [prepare(graph, threads=threads) for _ in range(100)], after_s)
