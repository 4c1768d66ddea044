"""classify: run a network on samples as its run record says, and read the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow import encode
from spikeflow.errors import DataError, SimulationError
from spikeflow.events import Spikes
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Population
from spikeflow.ir.record import Network, RunRecord
from spikeflow.sim import ENGINES, Constant, Counts, Dense, Result, prepare
from spikeflow.sim.inputs import RunInput

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RunOptions:
    """How to run: engine, threads (0: all cores), samples at a time, steps (None: as recorded)."""

    engine: str = ENGINES[0]
    threads: int = 0
    batch: int = 250
    steps: int | None = None
    record: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Answers of a network.

    Parameters
    ----------
    logits : the read-out's accumulators after each step, ``(T, N, classes)``.
    counts : of every node, over all samples and steps.
    recorded : for each recorded node the spikes of each batch.
    seconds : wall time of the runs.
    """

    logits: Array
    counts: dict[str, Counts]
    recorded: dict[str, tuple[Spikes, ...]]
    seconds: float

    @property
    def steps(self) -> int:
        """Steps that were read."""
        return int(self.logits.shape[0])

    @property
    def samples(self) -> int:
        """Samples that were run."""
        return int(self.logits.shape[1])

    def predictions(self, steps: int | None = None) -> npt.NDArray[np.int64]:
        """The largest accumulator of each sample after so many steps; ties go to the lowest index."""
        at = self.steps if steps is None else steps
        return np.argmax(self.logits[at - 1], axis=1).astype(np.int64)

    def accuracy(self, y: npt.ArrayLike, steps: int | None = None) -> float:
        """The fraction of samples answered as in y after so many steps."""
        return float((self.predictions(steps) == np.asarray(y)).mean())

    @property
    def synaptic_operations(self) -> int:
        """Of all nodes, samples and steps."""
        return sum(c.synaptic_operations for c in self.counts.values())


def classify(
    network: Network, x: npt.ArrayLike, options: RunOptions = RunOptions(), progress: Progress | None = None
) -> Evaluation:
    """Run samples ``(N, *shape)`` through a network as its run record says.

    Coding `direct` repeats each sample in every step; `rate` and `onoff` draw spikes; with `spikes` the samples
    are ``(N, T, *shape)`` already. The run is lengthened by the read-out's level, where reading starts.

    Raises
    ------
    DataError
        Where samples do not fit the network.
    SimulationError
        Where the network has no read-out, or not one input and one output.
    """
    level = read_out_level(network)
    for what, names in (("inputs", network.graph.inputs), ("outputs", network.graph.outputs)):
        if len(names) != 1:
            raise SimulationError(
                "the network", f"has {len(names)} {what}; samples and labels go with one", "sim.run"
            )
    array = _checked(network.record, np.asarray(x))
    steps = _steps(network.record, array, options.steps)
    runner = prepare(network.graph, options.engine, options.threads)
    begun, results = time.perf_counter(), []
    for first, batch in _batches(array, options.batch):
        inputs = encode_batch(network, batch, steps, level, first)
        results.append(runner(inputs, steps + level, options.record))
        if progress is not None:
            progress(first + len(batch), len(array))
    return _gather(results, level, time.perf_counter() - begun)


def _gather(results: list[Result], level: int, seconds: float) -> Evaluation:
    logits = np.concatenate(
        [r.output[level:].reshape(r.steps - level, r.samples, -1) for r in results], axis=1
    )
    names = results[0].counts
    counts = {n: _add([r.counts[n] for r in results]) for n in names}
    recorded = {n: tuple(r.recorded[n] for r in results) for n in results[0].recorded}
    return Evaluation(logits, counts, recorded, seconds)


def _add(parts: list[Counts]) -> Counts:
    return sum(parts[1:], start=parts[0])


def _batches(x: Array, size: int) -> Iterator[tuple[int, Array]]:
    for first in range(0, len(x), size):
        yield first, x[first : first + size]


def _checked(record: RunRecord, x: Array) -> Array:
    lead = 2 if record.coding == "spikes" else 1
    if x.ndim == 0 or len(x) == 0:
        raise DataError("data", f"shape {x.shape}", "at least one sample")
    if record.input_shape and x.shape[lead:] != record.input_shape:
        expected = ("samples, steps, " if lead == 2 else "samples, ") + ", ".join(
            map(str, record.input_shape)
        )
        raise DataError("data", f"shape {x.shape}", f"({expected})")
    if not np.isfinite(x).all():
        raise DataError("data", "NaN or infinite values", "finite values")
    return x


def _steps(record: RunRecord, x: Array, wanted: int | None) -> int:
    steps = record.steps if wanted is None else wanted
    if steps < 1:
        raise DataError("steps", steps, "at least 1")
    if record.coding == "spikes" and x.shape[1] < steps:
        raise DataError("data", f"{x.shape[1]} steps", f"{steps}", f"--steps {x.shape[1]}")
    return steps


def read_out_level(network: Network) -> int:
    """The step at which the read-out wakes, and reading starts."""
    node = network.graph.nodes.get(network.record.readout)
    if not isinstance(node, Population):
        raise SimulationError(
            "the network",
            "its run record names no population to read out",
            "sim.run, which gives every output as it is",
        )
    return node.start


def encode_batch(network: Network, x: Array, steps: int, level: int, first: int) -> RunInput:
    """Samples as the network's input: `first` is the running number of the first, for random coding."""
    record = network.record
    node = _input(network.graph)
    if record.coding == "direct":
        return Constant(x if node.format is None else node.format.quantise(x))
    if record.coding == "spikes":
        moments = np.moveaxis(x[:, :steps], 1, 0)
        values = np.concatenate([moments, np.zeros((level, *moments.shape[1:]), moments.dtype)])
        if node.kind == "spikes":
            return Spikes.from_dense(values)
        return Dense(values if node.format is None else node.format.quantise(values))
    coder = encode.rate if record.coding == "rate" else encode.onoff
    return replace(coder(x, steps, record.scale, record.seed, first), steps=steps + level)


def _input(graph: Graph) -> Input:
    node = graph.nodes[graph.inputs[0]]
    assert isinstance(node, Input)
    return node
