"""A graph made ready on one of several ranks: what `spikeflow.sim.Runner` is, called by all ranks alike."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from spikeflow.events import Spikes
from spikeflow.ir.graph import Graph
from spikeflow.sim.engine import Engine, LiveEngine, Progress
from spikeflow.sim.inputs import RunInputs, within
from spikeflow.sim.latency import Latency
from spikeflow.sim.ranks.exchange import Exchange
from spikeflow.sim.ranks.part import PartProcess
from spikeflow.sim.records import Asked
from spikeflow.sim.result import Result
from spikeflow.sim.state import State

_SAME = "the same graph, inputs, steps and records on every rank"


class RankEngine:
    """A part of a graph; every method is called by all ranks, with the same arguments, and gives the same.

    Parameters
    ----------
    exchange : with the other ranks.
    threads : of this rank; 0 for as many cores as there are for each rank of this machine, one at least.

    Raises
    ------
    GraphError
        By name, for what cannot be cut: synapses that learn, and what reads the sums of a part.
    SimulationError
        Where another rank ends, or has another graph.
    """

    def __init__(self, graph: Graph, exchange: Exchange, threads: int = 0) -> None:
        self.exchange = exchange
        with exchange.together():
            exchange.expect_same("graph", graph.digest.encode(), _SAME)
            threads = threads or max(1, len(os.sched_getaffinity(0)) // _ranks_here(exchange))
            least = min(int(n[0]) for n in exchange.arrays("threads", np.array([threads])))
            whole = exchange.ranks == 1
            self.engine = (
                Engine(graph, least) if whole else Engine(graph, least, process=PartProcess(exchange))
            )
            exchange.gather("ready", b"")

    def __call__(
        self,
        inputs: RunInputs,
        steps: int,
        record: Sequence[Asked] = (),
        progress: Progress | None = None,
        state: State | None = None,
        keep_state: bool = True,
    ) -> Result:
        """Run for so many steps, from a state or from the initial one."""
        inputs, steps = within(inputs, steps)
        with self.exchange.together():
            asked = _said(self.engine, inputs, steps, (record, keep_state, _of_state(state)))
            self.exchange.expect_same("run", asked, _SAME)
            result = self.engine(inputs, steps, record, progress, state, keep_state)
            self.exchange.gather("done", b"")
            return result

    def begin(self, state: State | int = 1) -> RankLive:
        """A run that keeps its state and is advanced piece by piece."""
        with self.exchange.together():
            said = _of_state(state) if isinstance(state, State) else repr(state)
            self.exchange.expect_same("state", said.encode(), _SAME)
            return RankLive(self.engine, self.engine.begin(state), self.exchange)


class RankLive:
    """A batch under way over ranks; every method is called by all ranks alike."""

    def __init__(self, engine: Engine, live: LiveEngine, exchange: Exchange) -> None:
        self._engine, self._live, self._exchange = engine, live, exchange

    @property
    def latency(self) -> Latency:
        """How long the calls of `advance` took this rank until now."""
        return self._live.latency

    def advance(
        self,
        inputs: RunInputs,
        steps: int,
        record: Sequence[Asked] = (),
        progress: Progress | None = None,
    ) -> Result:
        """Run so many further steps."""
        inputs, steps = within(inputs, steps)
        with self._exchange.together():
            self._exchange.expect_same("run", _said(self._engine, inputs, steps, record), _SAME)
            result = self._live.advance(inputs, steps, record, progress)
            self._exchange.gather("done", b"")
            return result

    def state(self) -> State:
        """What the next step depends on, whole on every rank."""
        with self._exchange.together():
            self._exchange.expect_same("call", b"state", _SAME)
            state = self._live.state()
            self._exchange.gather("done", b"")
            return state


def _said(engine: Engine, inputs: RunInputs, steps: int, more: Any) -> bytes:
    """What a run is asked, in a few bytes; ranks that are asked different things would compute nonsense."""
    with np.printoptions(threshold=sys.maxsize):  # else the middle of long arrays is left out
        words = repr((steps, more))
    found = hashlib.blake2b(words.encode(), digest_size=16)
    for name, x in sorted(engine.expected.by_name(inputs, steps).items()):
        found.update(f"{name} {type(x).__name__}".encode())
        held = (x.sample, x.step, x.neuron, x.value) if isinstance(x, Spikes) else (x.values,)
        for array in held:
            found.update(f"{array.shape} {array.dtype}".encode())
            found.update(np.ascontiguousarray(array).data)
    return found.digest()


def _ranks_here(exchange: Exchange) -> int:
    """How many ranks there are on this machine."""
    name = socket.gethostname().encode()
    return exchange.gather("machine", name).count(name)


def _of_state(state: State | None) -> str:
    if not isinstance(state, State):
        return repr(state)
    found = hashlib.blake2b(digest_size=16)
    for array in (state.steps, state.sample, *state.arrays().values()):
        found.update(np.ascontiguousarray(array).data)
    return state.graph + found.hexdigest()
