"""One process that has a network whole; `spikeflow.sim.ranks.part` is one of several that have it among them.

What of a run depends on which it is stands here, so that the engine need not know.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from spikeflow.errors import FileError, GraphError
from spikeflow.files.mapped import HINT
from spikeflow.ir.divided import Division
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Node
from spikeflow.sim.kept import Kept
from spikeflow.sim.kept_rows import KeptRows
from spikeflow.sim.lower import Lowered
from spikeflow.sim.records import Asked, Trace, Wanted, wanted
from spikeflow.sim.remembered import Remembered, remembered
from spikeflow.sim.result import Exchanged
from spikeflow.sim.room import Room
from spikeflow.sim.sharing import Cut, shares_of
from spikeflow.typing import Array

Record = tuple[Array, Array, Array, Array]  # sample, step, neuron, value
# outputs, counters of each node, and what each recorded node handed on, as the engine gives them
Found = tuple[Sequence[Array], Sequence[Any], Sequence[Record]]
Traces = Mapping[str, tuple[Trace, Array]]  # by name: what is kept, and its values (T, B, ...)


class WholeProcess:
    """Nothing is exchanged, and what a run gives is whole."""

    exchange: Callable[[Array], list[Array]] | None = None
    held: Mapping[str, KeptRows] = MappingProxyType({})  # rows that need not be made
    divisions: Mapping[str, Division] = MappingProxyType({})  # nodes whose counts are told apart

    def wanted(self, graph: Graph, record: Sequence[Asked]) -> Wanted:
        """What is to be recorded of the graph that is run."""
        return wanted(graph, record)

    def counted(self, graph: Graph) -> Mapping[str, Node]:
        """The nodes whose counts a result has."""
        return graph.nodes

    def counters(
        self, names: Sequence[str], index: Mapping[str, int], found: Sequence[Any]
    ) -> Iterator[tuple[str, Any]]:
        """What each of these nodes did, as the engine counted it."""
        return ((name, found[index[name]]) for name in names)

    def expect_records(self, wanted: Wanted) -> None:
        """Raise SimulationError for what cannot be recorded here."""

    def layout(self, graph: Graph) -> Remembered:
        """What the graph remembers."""
        return remembered(graph)

    def cut(self, graph: Graph, threads: int) -> Cut:
        """How the neurons of one sample are cut among so many threads."""
        return Cut(shares_of(graph, threads))

    def join(self, lowered: Lowered, found: Found, recorded: Sequence[str], traces: Traces) -> Found:
        """What a run gave, whole; traces are completed where they lie."""
        return found

    def join_state(self, lowered: Lowered, room: Room) -> None:
        """Complete a state where it lies."""

    def exchanged(self, biology_s: float) -> Exchanged | None:
        """What was exchanged since it was last asked."""
        return None

    @contextmanager
    def lowering(self) -> Generator[None]:
        """Around what lowers the graph: says where rows came from that do not fit."""
        yield


class KeptProcess(WholeProcess):
    """A process whose rows of synapses lie in a file, cut for as many threads as they were when it was made.

    Parameters
    ----------
    threads : that were asked for; 0 for any.
    """

    def __init__(self, kept: Kept, threads: int) -> None:
        self._kept, self._asked, self.held = kept, threads, kept.rows

    def cut(self, graph: Graph, threads: int) -> Cut:
        """As the file is; FileError where others were asked for."""
        return Cut(self._kept.shares_for(graph, self._asked))

    @contextmanager
    def lowering(self) -> Generator[None]:
        """What the engine says of rows that do not fit is said of their file."""
        try:
            yield
        except GraphError as error:
            if error.node not in self.held:
                raise
            reason = f"holds rows of {error.node} that cannot be run: {error.reason}"
            raise FileError(self._kept.path, reason, HINT) from error
