"""Ranks that are processes of this machine, started by the first of them, which is the caller's.

The others are told each call and make it as well; what they get is the same, and dropped.
"""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from spikeflow.errors import SimulationError
from spikeflow.ir.graph import Graph
from spikeflow.sim.engine import Progress
from spikeflow.sim.inputs import RunInputs, within
from spikeflow.sim.latency import Latency
from spikeflow.sim.ranks.engine import RankEngine, RankLive
from spikeflow.sim.ranks.exchange import Exchange
from spikeflow.sim.ranks.local import Sockets, mesh
from spikeflow.sim.records import Asked
from spikeflow.sim.result import Result
from spikeflow.sim.state import State

_PATIENCE_S = 5.0


class Processes:
    """A graph made ready over so many processes of this machine; a `spikeflow.sim.Runner`.

    They end with it, and with the process that made it.
    """

    def __init__(self, graph: Graph, ranks: int, threads: int = 0) -> None:
        ends = mesh(ranks)
        others = [_started(rank, ends[rank]) for rank in range(1, ranks)]
        self._exchange = Exchange(Sockets(0, ends[0]))
        self._others, self._numbers, self._dropped = others, count(), list[int]()
        self._close = weakref.finalize(self, _ended, others, self._exchange)
        try:
            self.tell("prepare", graph, threads)
            self._engine = RankEngine(graph, self._exchange, threads)
        except BaseException:
            self.close()
            raise

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
        self.tell("run", inputs, steps, record, None, state, keep_state)
        return self._engine(inputs, steps, record, progress, state, keep_state)

    def begin(self, state: State | int = 1) -> ProcessesLive:
        """A run that keeps its state and is advanced piece by piece."""
        number = next(self._numbers)
        self.tell("begin", number, state)
        live = ProcessesLive(self, number, self._engine.begin(state))
        weakref.finalize(live, self._dropped.append, number)
        return live

    def close(self) -> None:
        """End the other processes; nothing more can be run."""
        self._close()

    def tell(self, what: str, *arguments: Any) -> None:
        """Tell the other processes a call, which they make while this one does."""
        dropped, self._dropped[:] = tuple(self._dropped), ()
        said = pickle.dumps((what, arguments, dropped))
        for rank, other in enumerate(self._others, 1):
            assert other.stdin is not None
            try:
                other.stdin.write(len(said).to_bytes(8, "little") + said)
                other.stdin.flush()
            except (OSError, ValueError) as error:  # the second: closed
                raise SimulationError(f"rank {rank}", "is gone", "prepare(graph, ...) anew") from error


class ProcessesLive:
    """A batch under way over processes of this machine."""

    def __init__(self, processes: Processes, number: int, live: RankLive) -> None:
        self._processes, self._number, self._live = processes, number, live

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
        self._processes.tell("advance", self._number, inputs, steps, record)
        return self._live.advance(inputs, steps, record, progress)

    def state(self) -> State:
        """What the next step depends on."""
        self._processes.tell("state", self._number)
        return self._live.state()


def _started(rank: int, ends: dict[int, socket.socket]) -> subprocess.Popen[bytes]:
    """A process that is another rank. Ctrl-C reaches the first alone, which tells it."""
    joined = [f"{other}:{end.fileno()}" for other, end in ends.items()]
    command = [sys.executable, "-m", "spikeflow.sim.ranks.child", str(rank), *joined]
    numbers = [end.fileno() for end in ends.values()]
    found = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=numbers, start_new_session=True
    )
    for end in ends.values():
        end.close()  # held by the child alone, so that it is closed where that ends
    return found


def _ended(others: Sequence[subprocess.Popen[bytes]], exchange: Exchange) -> None:
    exchange.close()
    for other in others:
        if other.stdin is not None:
            with suppress(OSError):
                other.stdin.close()
    for other in others:
        try:
            other.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            other.kill()
            other.wait()
