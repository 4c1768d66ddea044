"""Run graphs: ``run(graph, inputs, steps)`` on the C++ engine or on the numpy reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spikeflow.errors import SimulationError
from spikeflow.ir.graph import Graph
from spikeflow.sim.inputs import Constant, Dense, RunInputs
from spikeflow.sim.result import Counts, Result

__all__ = ["Constant", "Counts", "Dense", "ENGINES", "Result", "run"]

ENGINES = ("cpp", "reference")


def run(graph: Graph, inputs: RunInputs, steps: int, *, engine: str = "cpp", record: Sequence[str] = (),
        threads: int = 0, progress: Callable[[int, int], None] | None = None) -> Result:
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
    if steps < 1:
        raise SimulationError("run", f"{steps} steps", "at least one step")
    if engine == "reference":
        from spikeflow.sim import reference
        return reference.simulate(graph, inputs, steps, record)
    if engine == "cpp":
        from spikeflow.sim import engine as native
        return native.simulate(graph, inputs, steps, record, threads, progress)
    raise SimulationError("run", f"unknown engine {engine!r}", f"one of {', '.join(ENGINES)}")
