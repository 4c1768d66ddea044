"""A part of a network: which neurons a rank holds, and how the parts of a result become one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from spikeflow.errors import GraphError, SimulationError
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population, Procedural, Synaptic
from spikeflow.ir.plastic import plastic_nodes
from spikeflow.sim.lower import Lowered
from spikeflow.sim.process import Found, Record, Traces, WholeProcess
from spikeflow.sim.ranks.exchange import Exchange
from spikeflow.sim.records import ALL, Wanted
from spikeflow.sim.remembered import Remembered, drawn_reach, reach_of_sources, remembered
from spikeflow.sim.result import Exchanged
from spikeflow.sim.room import Room
from spikeflow.sim.sharing import Cut
from spikeflow.typing import Array


class PartProcess(WholeProcess):
    """One of several processes that have a network among them.

    A rank with t threads holds t shares, which lie side by side.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.ranks = exchange
        self.exchange: Callable[[Array], list[Array]] | None = exchange.spikes
        self._told = exchange.spoken
        self._populations = frozenset[str]()

    def expect_records(self, wanted: Wanted) -> None:
        """Refuse sums of some neurons, which are numbered anew before parts are joined."""
        for name, neurons in wanted.nodes.values():
            if neurons.size and name not in self._populations:
                reason = "is recorded of some neurons, which over ranks populations alone are"
                raise SimulationError(name, reason, "a record of all, or one process")

    def layout(self, graph: Graph) -> Remembered:
        """How long values are kept, each rank having drawn the delays of a part of the targets.

        The longest of all stands for every source: which is read how long, the engine knows of its part, and
        only the reference asks beyond.
        """
        return remembered(graph, self._reach)

    def cut(self, graph: Graph, threads: int) -> Cut:
        """As many shares as all ranks have threads.

        Raises
        ------
        GraphError
            For synapses that learn, which are not cut.
        """
        for name, _, _ in plastic_nodes(graph):
            raise GraphError(name, "learns, and such synapses are not cut among processes", "one process")
        self._populations = frozenset(graph.of_kind(Population))
        shares = self.ranks.ranks * threads
        return Cut(shares, (self.ranks.rank * threads, (self.ranks.rank + 1) * threads))

    def join(self, lowered: Lowered, found: Found, recorded: Sequence[str], traces: Traces) -> Found:
        """Spikes of populations are those of all ranks already; sums, states and counts are of a part."""
        outputs, counters, records = found
        parts = _Parts(self.ranks, lowered)
        for trace, values in traces.values():
            parts.complete(trace.node, values, 2, trace.neurons)
        whole = [
            parts.joined(name, one) if parts.hands_on_part(name) else one
            for name, one in zip(recorded, records, strict=True)
        ]
        return outputs, self._counted(parts, counters), whole

    def join_state(self, lowered: Lowered, room: Room) -> None:
        """States are of a part; of what arrived each rank keeps what its own synapses still read."""
        parts = _Parts(self.ranks, lowered)
        for name, held in room.memory.items():
            for values in held.values():
                parts.complete(name, values, 1)
        for name, values in room.emitted.items():
            if parts.hands_on_part(name):
                parts.complete(name, values, 2)
        for name, values in room.arrived.items():
            if parts.is_cut(name):
                for one in self.ranks.arrays("state", values):
                    np.copyto(values, one.reshape(values.shape), where=values == 0)

    def exchanged(self, biology_s: float) -> Exchanged | None:
        """The bytes of all ranks, and the time of the one that spent most in exchanges."""
        now, before = self.ranks.spoken, self._told
        own = np.array([now.bytes - before.bytes, now.seconds - before.seconds])
        sent, seconds = np.stack(self.ranks.arrays("volume", own), axis=1)
        self._told = now
        exchanges = now.exchanges - before.exchanges
        return Exchanged(self.ranks.ranks, exchanges, int(sent.sum()), float(seconds.max()), biology_s)

    def _reach(self, node: Synaptic) -> Array:
        if not isinstance(node, Procedural):
            return reach_of_sources(node)
        first, last = (
            node.rows * border // self.ranks.ranks for border in (self.ranks.rank, self.ranks.rank + 1)
        )
        own = drawn_reach(node, first, last).max(initial=0)
        return np.broadcast_to(np.max(self.ranks.arrays("delays", own)), (node.columns,))

    def _counted(self, parts: _Parts, counters: Sequence[Any]) -> list[_Counters]:
        """Counts of all ranks, as far as each counted its part."""
        own = [[getattr(one, f.name) for f in fields(_Counters)] for one in counters]
        said = [json.loads(one) for one in self.ranks.gather("counts", json.dumps(own).encode())]
        cut = parts.cut_numbers()
        return [
            _added([one[number] for one in said]) if number in cut else _of(row)
            for number, row in enumerate(own)
        ]


@dataclass(frozen=True)
class _Counters:
    """Those of the engine, as far as anything is made of them."""

    spikes: int
    accumulates: int
    multiplies: int
    cached: int
    updates: int
    idle: int
    skipped: int
    narrowed: Sequence[Sequence[int]]
    unbounded: Sequence[Sequence[int]]


def _of(row: Sequence[Any]) -> _Counters:
    return _Counters(**dict(zip((f.name for f in fields(_Counters)), row, strict=True)))


def _added(rows: Sequence[Sequence[Any]]) -> _Counters:
    """The counts of one node's parts; a part without neurons has narrowed nothing, whatever it lists."""
    *numbers, narrowed, unbounded = zip(*rows, strict=True)
    ends = np.zeros((max(map(len, narrowed)), 2), np.int64)
    for one in narrowed:
        ends[: len(one)] += np.asarray(one, np.int64).reshape(-1, 2)
    found: dict[tuple[int, int], int] = {}
    for state, sample, count in (each for one in unbounded for each in one):
        found[state, sample] = found.get((state, sample), 0) + count
    ended = [[*key, n] for key, n in sorted(found.items())]
    return _of([*(sum(n) for n in numbers), ends.tolist(), ended])


class _Parts:
    """Which neurons of a node each rank holds."""

    def __init__(self, exchange: Exchange, lowered: Lowered) -> None:
        self._exchange, self._lowered = exchange, lowered
        self._threads = lowered.network.shares // exchange.ranks

    def cut_numbers(self) -> set[int]:
        """The numbers of the nodes that are cut."""
        return {number for name, number in self._lowered.index.items() if self.is_cut(name)}

    def is_cut(self, name: str) -> bool:
        """Of no share a node that is cut has no neurons, one that is not has all."""
        return self._lowered.network.held(self._lowered.index[name], 0, 0) == (0, 0)

    def hands_on_part(self, name: str) -> bool:
        """Whether what it hands on is of a part: sums are, spikes of a population have gone to all ranks."""
        return self.is_cut(name) and name not in self._lowered.populations

    def complete(self, name: str, values: Array, leading: int, neurons: Array = ALL) -> None:
        """Write the other ranks' neurons into values with so many axes before those of the shape.

        `neurons` are those that the values are of, where not of all.
        """
        if not self.is_cut(name):
            return
        flat = values.reshape(*values.shape[:leading], -1)
        ends = [self._held(name, rank) for rank in range(self._exchange.ranks)]
        if neurons.size:
            ends = [tuple(np.searchsorted(neurons, each).tolist()) for each in ends]
        own = slice(*ends[self._exchange.rank])
        for (first, last), one in zip(ends, self._exchange.arrays("values", flat[..., own]), strict=True):
            flat[..., first:last] = one.reshape(*flat.shape[:-1], last - first)

    def joined(self, name: str, record: Record) -> Record:
        """The records of all ranks, by sample, step and neuron; each tells of its own neurons."""
        first, last = self._held(name, self._exchange.rank)
        own = (record[2] >= first) & (record[2] < last)  # a bias stands at the others' neurons, too
        sample, step, neuron, value = (
            np.concatenate(self._exchange.arrays("record", column[own])) for column in record
        )
        order = np.lexsort((neuron, step, sample))
        return sample[order], step[order], neuron[order], value[order]

    def _held(self, name: str, rank: int) -> tuple[int, int]:
        shares = rank * self._threads, (rank + 1) * self._threads
        return self._lowered.network.held(self._lowered.index[name], *shares)
