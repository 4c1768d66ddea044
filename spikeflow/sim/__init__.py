"""Run graphs: ``run(graph, inputs, steps)`` on the C++ engine or on the numpy reference."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from spikeflow.errors import DataError, SimulationError, SpikeflowWarning
from spikeflow.files.opened import PathLike
from spikeflow.ir.divided import divided_of
from spikeflow.ir.graph import Graph
from spikeflow.ir.plastic import tell_beyond_bounds
from spikeflow.ir.record import expect_graph
from spikeflow.sim.inputs import Constant, Dense, RunInputs, within
from spikeflow.sim.latency import Latency
from spikeflow.sim.learned import with_weights
from spikeflow.sim.records import Asked, Probe
from spikeflow.sim.result import Counts, Result
from spikeflow.sim.state import State
from spikeflow.typing import Progress

if TYPE_CHECKING:
    from spikeflow.sim.event_time import EventRun

__all__ = [
    "Constant",
    "Counts",
    "Dense",
    "ENGINES",
    "Latency",
    "Live",
    "Probe",
    "Result",
    "Runner",
    "State",
    "keep_lowered",
    "prepare",
    "run",
    "run_events",
    "with_weights",
]

ENGINES = ("cpp", "reference")


def run(
    graph: Graph,
    inputs: RunInputs,
    steps: int,
    *,
    state: State | None = None,
    engine: str = "cpp",
    record: Sequence[Asked] = (),
    threads: int = 0,
    progress: Progress | None = None,
    ranks: int | str = 1,
) -> Result:
    """Run a graph at stage snn or fixed for so many steps.

    Parameters
    ----------
    inputs : Spikes, Dense ``(T, B, *shape)`` or Constant ``(B, *shape)``; by name where there are several.
    state : where the run goes on, `Result.state` of an earlier one; without it the run begins at step 0. The
        inputs begin with the first step that is run now.
    engine : "cpp", the event-driven engine, or "reference", the same bits in slow numpy.
    record : what comes back of every step: a node by its name, as spikes; a state of a population ("layer.v")
        or what arrives at its port ("layer.in"), as an array ``(T, B, *shape)``. A `Probe` names some
        neurons, or steps, of these.
    threads : for the engine; 0 takes all cores. Results do not depend on it.
    progress : called with (samples done, samples).
    ranks : over how many processes of this machine the network is spread, or "mpi" for those that an MPI
        launcher started (`spikeflow.sim.ranks`). Results do not depend on it.

    Warns
    -----
    SpikeflowWarning
        For spikes and values that come after the last step. What `Result.warnings` holds: values beyond
        float32 (`spikeflow.sim.unbounded` says which are found).

    Raises
    ------
    DataError, SimulationError, GraphError
    """
    inputs, steps = within(inputs, steps)
    found = prepare(graph, engine, threads, ranks)(inputs, steps, record, progress, state)
    for text in found.warnings:
        warnings.warn(text, SpikeflowWarning, stacklevel=2)
    return found


def run_events(
    graph: Graph,
    inputs: Mapping[str, tuple[Any, Any]],
    end_s: float,
    currents: Mapping[str, Any] | None = None,
) -> EventRun:
    """Run a graph of stage snn in continuous time, from spike to spike, exactly (`spikeflow.sim.event_time`).

    Parameters
    ----------
    inputs : for each Input of spikes when they come, in seconds, and of which neurons (C-order).
    end_s : seconds to run.
    currents : for each Input of a current what it gives in every step, of its shape.

    Raises
    ------
    SimulationError
        By name, for neurons without a closed form and for nodes that are not linear.
    DataError
        For inputs that do not fit.
    """
    from spikeflow.sim import event_time

    return event_time.run_events(graph, inputs, end_s, currents)


class Runner(Protocol):
    """A graph made ready for one engine; call it as often as you like, each call is a run of its own."""

    def __call__(
        self,
        inputs: RunInputs,
        steps: int,
        record: Sequence[Asked] = (),
        progress: Progress | None = None,
        state: State | None = None,
        keep_state: bool = True,
    ) -> Result:
        """Run for so many steps, from `state` or from the initial one.

        Without `keep_state` the result has no `state`, which saves its memory where nothing goes on from it.
        What comes after the last step is told by a SpikeflowWarning.
        """
        ...

    def begin(self, state: State | int = 1) -> Live:
        """A run that is advanced piece by piece, from a state, or for so many samples from their initial
        one.
        """
        ...


class Live(Protocol):
    """A batch under way. It owns its state: going on copies nothing. Pieces together equal one run, bit
    for bit.
    """

    @property
    def latency(self) -> Latency:
        """How long the calls of `advance` took until now: half of them, 99 % and the longest."""
        ...

    def advance(
        self,
        inputs: RunInputs,
        steps: int,
        record: Sequence[Asked] = (),
        progress: Progress | None = None,
    ) -> Result:
        """Run so many further steps; `inputs` begin with the first of them. The result holds no state.

        What comes after the last of them is told by a SpikeflowWarning: the next piece does not begin there.
        """
        ...

    def state(self) -> State:
        """The state behind the last step, as a value: a copy."""
        ...


def prepare(
    graph: Graph,
    engine: str = "cpp",
    threads: int = 0,
    ranks: int | str = 1,
    *,
    lowered: PathLike | None = None,
) -> Runner:
    """The graph made ready: lowering is done once for many runs; the arguments are those of `run`.

    Parameters
    ----------
    lowered : a file of `keep_lowered`, from which the synapses are mapped into memory, read-only and shared
        with other processes. The graph may have other neurons, drive and biases than the one that was kept.

    Raises
    ------
    SimulationError
        For an engine that does not exist, and for a file where that is not one process of the engine.
    DataError
        For what is no Graph, and for a number of threads that is none.
    FileError
        For a file that is damaged, was kept of other synapses, for other threads or by another engine.
    """
    _expect_task(graph, threads)
    if lowered is not None and (engine == "reference" or ranks != 1):
        what = "the reference" if engine == "reference" else "a run over ranks"
        raise SimulationError("run", f"{what} takes no lowered network", 'engine="cpp" in one process')
    if ranks != 1:
        if engine != "cpp":
            raise SimulationError("run", f"over ranks, which engine {engine!r} cannot do", "engine='cpp'")
        from spikeflow.sim import ranks as over_ranks

        return over_ranks.prepare(graph, ranks, threads)
    if engine == "reference":
        from spikeflow.sim import reference

        return reference.prepare(graph)
    if engine == "cpp":
        from spikeflow.sim import divided
        from spikeflow.sim import engine as native

        if lowered is None and (found := divided_of(graph)) is not None:
            return divided.DividedEngine(graph, found, threads)
        return native.prepare(graph, threads, lowered=lowered)
    raise SimulationError("run", f"unknown engine {engine!r}", f"one of {', '.join(ENGINES)}")


def keep_lowered(graph: Graph, path: PathLike, threads: int = 0) -> Runner:
    """The graph made ready for the engine, and its synapses as the engine holds them written to a file.

    ``prepare(graph, lowered=path)`` maps them into memory, which takes a moment where drawing or sorting them
    took minutes; runs give the same bits. Kept are nodes whose synapses name their targets (Sparse,
    Procedural).

    Raises
    ------
    SimulationError
        Where the graph has no such node.
    FileError
        Where the file cannot be written; what was there before is then still there.
    """
    _expect_task(graph, threads)
    from spikeflow.sim import engine as native

    return native.keep(graph, path, threads)


def _expect_task(graph: Graph, threads: int) -> None:
    expect_graph(graph)
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 0:
        raise DataError("threads", threads, "a whole number, 0 for all cores")
    tell_beyond_bounds(graph)
