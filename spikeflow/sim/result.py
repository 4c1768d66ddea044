"""Result: what a run gives back; it prints itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError, SimulationError
from spikeflow.events import Spikes
from spikeflow.ir.answer import CLASS, kind_of, predictions
from spikeflow.sim.digest import digest_of
from spikeflow.sim.state import State
from spikeflow.sim.unbounded import Unbounded, in_run, later_found, unbounded_warnings
from spikeflow.typing import Array


@dataclass(frozen=True)
class Counts:
    """What one node did, summed over all samples and steps.

    Parameters
    ----------
    spikes : non-zero values emitted by an Input or a Population.
    accumulates : additions of a weight for a value of 1, and subtractions for one of -1.
    multiply_accumulates : those for any other value, and all that comes straight from a current.
    cached_operations : of these, not computed again because the input was constant.
    neuron_updates : neurons x steps awake.
    idle : neurons x steps in which nothing happened: the sum at every port is 0 (bias included), no bit of
        the state changes, nothing is emitted and nothing narrowed; a neuron that has not started is idle.
    updates_skipped : updates that the engine left out because nothing could change; speed, not meaning.
    narrowed_low, narrowed_high : stage fixed: for each register, how many values overflow changed because
        they lay below its low end, and above its high end.
    """

    spikes: int = 0
    accumulates: int = 0
    multiply_accumulates: int = 0
    cached_operations: int = 0
    neuron_updates: int = 0
    idle: int = 0
    updates_skipped: int = 0
    narrowed_low: Mapping[str, int] = field(default_factory=dict)
    narrowed_high: Mapping[str, int] = field(default_factory=dict)

    @property
    def synaptic_operations(self) -> int:
        """Accumulates and multiply-accumulates."""
        return self.accumulates + self.multiply_accumulates

    @property
    def narrowed(self) -> dict[str, int]:
        """For each register, how many values overflow changed, at either end."""
        return added(self.narrowed_low, self.narrowed_high)

    def __add__(self, other: Counts) -> Counts:
        """The counts of two runs together."""
        return Counts(
            self.spikes + other.spikes,
            self.accumulates + other.accumulates,
            self.multiply_accumulates + other.multiply_accumulates,
            self.cached_operations + other.cached_operations,
            self.neuron_updates + other.neuron_updates,
            self.idle + other.idle,
            self.updates_skipped + other.updates_skipped,
            added(self.narrowed_low, other.narrowed_low),
            added(self.narrowed_high, other.narrowed_high),
        )

    def semantic(self) -> Counts:
        """Without what depends on the engine: the part that every engine must agree on."""
        return replace(self, cached_operations=0, updates_skipped=0)


def added(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    """Two tables of counts as one; a name that one of them lacks counts 0 there."""
    return {name: a.get(name, 0) + b.get(name, 0) for name in {**a, **b}}


def _one_after(first: Any, later: Any) -> Any:
    """Records of two stretches of steps, arrays or spikes."""
    if not isinstance(first, Spikes):
        return np.concatenate([first, later])
    columns = [
        np.concatenate([getattr(first, c), getattr(later, c)]) for c in ("sample", "step", "neuron", "value")
    ]
    columns[1][first.count :] += first.steps
    order = np.lexsort(columns[1::-1])  # by sample, then step; neurons of a step are in order already
    sample, step, neuron, value = (column[order] for column in columns)
    steps = first.steps + later.steps
    return Spikes(sample, step, neuron, value, first.samples, steps, first.shape, first.integers)


@dataclass(frozen=True)
class Exchanged:
    """What all ranks together exchanged of spikes in a run.

    Parameters
    ----------
    ranks : how many.
    exchanges : how often each gave its spikes to all others.
    bytes : that were sent, each copy counted: a rank's spikes go to all other ranks.
    seconds : wall time in exchanges, waiting for the slowest included; of the rank where it was most.
    biology_s : seconds of the network's time; 0 where its graph does not say how long a step is.
    """

    ranks: int
    exchanges: int = 0
    bytes: int = 0
    seconds: float = 0.0
    biology_s: float = 0.0

    @property
    def messages(self) -> int:
        """One from each rank to each other one in each exchange."""
        return self.exchanges * self.ranks * (self.ranks - 1)

    def __add__(self, later: Exchanged) -> Exchanged:
        """Those of two stretches of a run."""
        return Exchanged(
            self.ranks,
            self.exchanges + later.exchanges,
            self.bytes + later.bytes,
            self.seconds + later.seconds,
            self.biology_s + later.biology_s,
        )

    def __str__(self) -> str:
        text = f"{self.ranks} ranks: {self.exchanges} exchanges, {self.messages} messages, {self.bytes} bytes"
        text += f", {self.seconds:.3g} s"
        if not self.biology_s:
            return text
        messages, size = (x / self.biology_s for x in (self.messages, self.bytes))
        return f"{text}; a second of biology {messages:.4g} messages, {size:.4g} bytes"


@dataclass(frozen=True, eq=False)
class Result:
    """What a run gives back.

    Parameters
    ----------
    outputs : for each Output node its values, ``(T, B, *shape)``; float32, or int64 at stage fixed.
    counts : for each node.
    recorded : by the names in `record`: of a node its `Spikes`; of a state or a port ("layer.v", "layer.in")
        an array ``(T, B, *shape)``, float32, or int64 at stage fixed.
    seconds : wall time of the run itself.
    unbounded : states that ended infinite or as no number.
    exchanged : what processes exchanged that had the network among them.
    after : makes the state behind the last step, where that was kept; `state` asks it.
    moments : of records that were not kept of every step in which they were, from the run's first on.
    """

    steps: int
    samples: int
    outputs: Mapping[str, Array]
    counts: Mapping[str, Counts]
    recorded: Mapping[str, Any]
    seconds: float
    after: Callable[[], State] | None = None
    unbounded: tuple[Unbounded, ...] = ()
    exchanged: Exchanged | None = None
    moments: Mapping[str, range] = field(default_factory=dict[str, range])

    def beyond(self) -> tuple[Unbounded, ...]:
        """What is infinite or no number in records."""
        return in_run(self.recorded, self.moments)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know of the run: values beyond float32 in states, outputs and records."""
        kept = (*in_run(self.outputs), *self.beyond())
        states = (u for u in self.unbounded if u.name not in {k.name for k in kept})  # a record tells more
        return unbounded_warnings((*states, *kept))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of outputs and records, NaN as one; equal for runs that agree in every bit, whatever
        threads, batches, instruction sets, engines and machines made them (`spikeflow.sim.digest`).
        """
        outputs = {f"output {name}": x for name, x in self.outputs.items()}
        return digest_of(outputs | {f"record {name}": x for name, x in self.recorded.items()})

    @cached_property
    def state(self) -> State:
        """The state behind the last step, from which another run can go on.

        Raises
        ------
        SimulationError
            Where the run did not keep it.
        """
        if self.after is None:
            raise SimulationError(
                "run", "did not keep its state", "keep_state=True; of a live run, live.state()"
            )
        return self.after()

    @property
    def output(self) -> Array:
        """The values of the only Output, ``(T, B, *shape)``."""
        if len(self.outputs) != 1:
            names = ", ".join(self.outputs)
            raise DataError(
                "output", f"{len(self.outputs)} outputs", "one", f"outputs[name], a name of {names}"
            )
        return next(iter(self.outputs.values()))

    def followed_by(self, later: Result) -> Result:
        """This stretch of steps and the next one as one; the state is that behind the later."""
        outputs = {name: np.concatenate([x, later.outputs[name]]) for name, x in self.outputs.items()}
        counts = {name: count + later.counts[name] for name, count in self.counts.items()}
        recorded = {name: _one_after(x, later.recorded[name]) for name, x in self.recorded.items()}
        steps, seconds = self.steps + later.steps, self.seconds + later.seconds
        found = later_found(self.unbounded, later.unbounded, self.steps)
        spoken = exchanged_in((self, later))
        moments = {n: range(x.start, steps, x.step) for n, x in self.moments.items()}
        run = Result(steps, self.samples, outputs, counts, recorded, seconds, later.after, found, spoken)
        return replace(run, moments=moments)

    @property
    def synaptic_operations(self) -> int:
        """Of all nodes, samples and steps."""
        return sum(c.synaptic_operations for c in self.counts.values())

    def predictions(self, step: int = -1) -> npt.NDArray[np.int64]:
        """The answer of each sample after `step`, ``(B,)``, or ``(B, *S)`` for a map; see ``ir.answer``.

        Raises
        ------
        DataError
            For a step that was not run, counted from 0, or from -1 backwards; and where there are several
            outputs.
        """
        values = self.output
        if isinstance(step, bool) or not -len(values) <= step < len(values):
            raise DataError("step", step, f"{-len(values)} to {len(values) - 1}, the steps that were run")
        return predictions(values[step], kind_of(values.shape[2:], CLASS))

    def __str__(self) -> str:
        lines = [
            f"{self.samples} sample(s), {self.steps} steps, {self.seconds:.3g} s, "
            f"{self.synaptic_operations / max(self.samples, 1):.3g} synaptic operations a sample"
        ]
        lines += [
            f"  {name}: {c.spikes} spikes, {c.synaptic_operations} synaptic operations"
            for name, c in self.counts.items()
            if c.spikes or c.synaptic_operations
        ]
        lines += [] if self.exchanged is None else [f"  {self.exchanged}"]
        return "\n".join(lines)


def exchanged_in(results: Iterable[Result]) -> Exchanged | None:
    """What was exchanged in all of them together; None where nothing was."""
    found = [result.exchanged for result in results if result.exchanged is not None]
    return reduce(add, found) if found else None
