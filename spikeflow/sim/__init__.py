"""Run graphs: ``run(graph, inputs, steps)`` on the C++ engine or on the numpy reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from spikeflow.errors import SimulationError
from spikeflow.ir.graph import Graph
from spikeflow.sim.inputs import Constant, Dense, RunInputs
from spikeflow.sim.result import Counts, Result

__all__ = ["Constant", "Counts", "Dense", "ENGINES", "Result", "Runner", "prepare", "run"]

Progress = Callable[[int, int], None]
ENGINES = ("cpp", "reference")


def run(
    graph: Graph,
    inputs: RunInputs,
    steps: int,
    *,
    engine: str = "cpp",
    record: Sequence[str] = (),
    threads: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Run a graph at stage snn or fixed for so many steps.

    Parameters
    ----------
    inputs : Spikes, Dense ``(T, B, *shape)`` or Constant ``(B, *shape)``; by name where there are several.
    engine : "cpp", the event-driven engine, or "reference", the same bits in slow numpy.
    record : nodes whose values come back as spikes.
    threads : for the engine; 0 takes all cores. Results do not depend on it.
    progress : called with (samples done, samples).

    Raises
    ------
    DataError, SimulationError, GraphError
    """
    return prepare(graph, engine, threads)(inputs, steps, record, progress)


class Runner(Protocol):
    """A graph made ready for one engine; call it as often as you like."""

    def __call__(
        self, inputs: RunInputs, steps: int, record: Sequence[str] = (), progress: Progress | None = None
    ) -> Result:
        """Run for so many steps."""
        ...


def prepare(graph: Graph, engine: str = "cpp", threads: int = 0) -> Runner:
    """The graph made ready: lowering is done once for many runs.

    Raises
    ------
    SimulationError
        For an engine that does not exist.
    """
    if engine == "reference":
        from spikeflow.sim import reference

        return reference.prepare(graph)
    if engine == "cpp":
        from spikeflow.sim import engine as native

        return native.prepare(graph, threads)
    raise SimulationError("run", f"unknown engine {engine!r}", f"one of {', '.join(ENGINES)}")
