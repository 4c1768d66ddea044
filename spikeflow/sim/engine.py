"""Run graphs on the C++ engine: lower once, run often."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError, SimulationError
from spikeflow.events import Spikes
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Population, Synaptic
from spikeflow.sim import forecast
from spikeflow.sim.inputs import Constant, RunInput, RunInputs, by_name, samples_of
from spikeflow.sim.lower import BEST_ISA, Lowered, is_fixed, lower
from spikeflow.sim.result import Counts, Result

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]
_NO_STARTS, _NO_RECORDS = np.zeros(0, np.int64), np.zeros(0, np.int32)
MOST_THREADS = 1024  # more are as good as so many


def prepare(graph: Graph, threads: int = 0, isa: int = BEST_ISA) -> Engine:
    """The graph made ready for many runs; see `Engine`."""
    return Engine(graph, threads, isa)


def simulate(
    graph: Graph,
    inputs: RunInputs,
    steps: int,
    record: Sequence[str] = (),
    threads: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Make a graph ready and run it once."""
    return Engine(graph, threads)(inputs, steps, record, progress)


class Engine:
    """A graph lowered to the engine.

    Parameters
    ----------
    threads : workers, each running whole samples; 0 takes all cores. Results do not depend on it.
    isa : the processor's instructions to use at most; results do not depend on it either.
    """

    def __init__(self, graph: Graph, threads: int = 0, isa: int = BEST_ISA) -> None:
        self.graph, self.isa = graph, isa
        self.threads = min(threads, MOST_THREADS) if threads > 0 else len(os.sched_getaffinity(0))
        self.fixed = is_fixed(graph)
        self._lowered: dict[tuple[int, int], Lowered] = {}
        self._longest = _longest(graph)
        forecast.expect_ready(graph)
        self._prepare(1, 1)

    def __call__(
        self, inputs: RunInputs, steps: int, record: Sequence[str] = (), progress: Progress | None = None
    ) -> Result:
        """Run for so many steps; `record` names nodes whose values come back as spikes.

        `progress` is called with (samples done, samples) about every 50 ms; an exception it raises, or Ctrl-C,
        ends the run.
        """
        if steps < 1:
            raise SimulationError("run", f"{steps} steps", "at least one step")
        unknown = [name for name in record if name not in self.graph.nodes]
        if unknown:
            raise SimulationError(
                unknown[0], "is not a node to record", f"one of {', '.join(self.graph.nodes)}"
            )
        named = by_name(self.graph, inputs, steps)
        begun = time.perf_counter()
        samples = samples_of(next(iter(named.values())))
        workers = max(min(self.threads, samples), 1)
        forecast.expect_room(self.graph, forecast.Size(steps, samples, workers))
        lowered = self._prepare(_largest(self.graph, named) if self.fixed else 1, steps)
        order = [n for n in self.graph.order if n in named]
        feeds = [_feed(name, named[name], steps, lowered.dtype) for name in order]
        outputs, counters, records = lowered.network.run(
            steps, samples, feeds, [lowered.index[n] for n in record], self.threads, progress
        )
        recorded = {
            name: Spikes(sample, step, neuron, value, samples, steps, self.graph.shapes[name])
            for name, (sample, step, neuron, value) in zip(record, records, strict=True)
        }
        return Result(
            steps,
            samples,
            self._outputs(outputs),
            self._counts(lowered, counters),
            recorded,
            time.perf_counter() - begun,
        )

    def _prepare(self, largest: int, steps: int) -> Lowered:
        """The network for inputs of this magnitude and runs of this length: lowered anew only where that matters."""
        bound = 1 << max(largest - 1, 0).bit_length()
        key = bound, forecast.reach(steps) if self._longest > forecast.reach(steps) else self._longest
        if key not in self._lowered:
            self._lowered[key] = lower(self.graph, bound, self.isa, max(key[1], 1))
        return self._lowered[key]

    def _outputs(self, arrays: Sequence[Array]) -> dict[str, Array]:
        by_order = dict(zip((n for n in self.graph.order if n in self.graph.outputs), arrays, strict=True))
        dtype = np.int64 if self.fixed else np.float32
        return {name: by_order[name].astype(dtype, copy=False) for name in self.graph.outputs}

    def _counts(self, lowered: Lowered, counters: Sequence[Any]) -> dict[str, Counts]:
        return {name: _counts(node, counters[lowered.index[name]]) for name, node in self.graph.nodes.items()}


def _longest(graph: Graph) -> int:
    """The longest delay of an edge or of a synapse."""
    synapses = (node.reach for node in graph.nodes.values() if isinstance(node, Synaptic))
    return max((*synapses, *(edge.delay for edge in graph.edges)), default=0)


def _counts(node: object, c: Any) -> Counts:
    low: Counter[str] = Counter()
    high: Counter[str] = Counter()
    if isinstance(node, Population) and c.updates:
        labels = [i.name for i in node.program.code if i.op == "narrow"]
        for label, (below, above) in zip(labels, c.narrowed, strict=True):
            low[label] += below
            high[label] += above
    return Counts(
        c.spikes, c.accumulates, c.multiplies, c.cached, c.updates, c.idle, c.skipped, dict(low), dict(high)
    )


def _largest(graph: Graph, named: Mapping[str, RunInput]) -> int:
    """The largest magnitude that enters where no format bounds it."""
    largest = 1
    for name, x in named.items():
        node = graph.nodes[name]
        values = x.value if isinstance(x, Spikes) else x.values
        if isinstance(node, Input) and node.format is None and values.size:
            largest = max(largest, int(np.abs(values).max()))
    return largest


def _feed(name: str, x: RunInput, steps: int, dtype: Any) -> tuple[str, Array, Array, Array, Array]:
    """An input as the engine takes it: kind, values, and for spikes where they are."""
    if isinstance(x, Spikes):
        starts = np.searchsorted(x.sample, np.arange(x.samples + 1)).astype(np.int64)
        return "spikes", _typed(name, x.value, dtype), starts, x.step, x.neuron
    kind = "constant" if isinstance(x, Constant) else "dense"
    values = x.values if isinstance(x, Constant) else x.values[:steps]
    return kind, np.ascontiguousarray(_typed(name, values, dtype)), _NO_STARTS, _NO_RECORDS, _NO_RECORDS


def _typed(name: str, values: Array, dtype: Any) -> Array:
    whole = values.astype(dtype, copy=False)
    if values.dtype.kind == "f" and np.dtype(dtype).kind == "i" and (whole != values).any():
        raise DataError(name, "fractions", "integers at stage fixed")
    return whole
