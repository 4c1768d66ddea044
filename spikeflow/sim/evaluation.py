"""Evaluation: what a network answered to samples: outputs after each step, answers, scores, counts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spikeflow import intake
from spikeflow.errors import DataError, SpikeflowWarning
from spikeflow.events import Spikes
from spikeflow.ir import answer
from spikeflow.ir.record import LEAST_READ, OutputRecord
from spikeflow.ir.score import Score, doubts, score
from spikeflow.sim.checkpoint import Checkpoint
from spikeflow.sim.result import Counts, Exchanged
from spikeflow.typing import Array

_SHUFFLED = (
    "these labels are not those that the samples came with: a DataLoader that shuffles gives samples in "
    "another order. Try: no labels, which takes those of the samples; or shuffle=False"
)


def too_short(read_from: int, steps: int) -> tuple[str, ...]:
    """What is told of a run that leaves too few steps behind the one from which answers would be read."""
    if not read_from or steps - read_from >= LEAST_READ:
        return ()
    text = f"answers are read from the beginning, not from step {read_from} on, since {steps} steps leave"
    return (f"{text} fewer than {LEAST_READ} of them. Try: --steps {read_from + LEAST_READ} or more",)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Answers of a network.

    Where it has several outputs, each method takes the `output` that is meant, by name; without one it is the
    output that `classify` was told, or the one that the run record reads out.

    Parameters
    ----------
    outputs : by name of the output its accumulators after each step, ``(T, N, *shape)``.
    counts : of every node, over all samples and steps.
    recorded : for each recorded node the spikes of each batch.
    seconds : wall time of the runs.
    about : by name of the output what the run record says of it.
    chosen : name of the output that answers; empty where there are several and none was chosen.
    spiking : names of outputs that hold spikes of each step, which are added up for an answer.
    y : labels, where they came with the samples.
    warnings : what a user should know of the run.
    outside : share of the input values outside of the range that calibration saw; None where that is not
        known.
    kept : the steps after which outputs were kept, and which T then counts; empty where each step was.
    before : steps that lay behind the samples where a run went on; steps of this evaluation count from there.
    added : by name of an output that hands on spikes those of the steps before.
    checkpoint : from which another run can go on, where it was to be kept.
    read_from : answers leave out what was added up in so many steps of the whole run, or nothing where fewer
        than 4 would be left.
    behind : by name of an output what it had added up after these, where they lie before this evaluation.
    stopped : after how many steps each sample stopped, ``(N,)``; its outputs stay what they were then. None
        where all ran to the end.
    moments : samples x steps that were run, those before the read-outs wake included; what `counts` are over.
    exchanged : what processes exchanged that had the network among them.
    """

    outputs: Mapping[str, Array]
    counts: Mapping[str, Counts]
    recorded: Mapping[str, tuple[Spikes, ...]]
    seconds: float
    about: Mapping[str, OutputRecord] = field(default_factory=dict)
    chosen: str = ""
    spiking: frozenset[str] = frozenset()
    y: Array | None = None
    warnings: tuple[str, ...] = ()
    outside: float | None = None
    kept: tuple[int, ...] = ()
    before: int = 0
    added: Mapping[str, Array] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    read_from: int = 0
    behind: Mapping[str, Array] = field(default_factory=dict)
    stopped: Array | None = None
    moments: int = 0
    exchanged: Exchanged | None = None

    @property
    def logits(self) -> Array:
        """The accumulators of the output that answers, after each step, ``(T, N, *shape)``."""
        return self.outputs[self.name_of()]

    @property
    def steps(self) -> int:
        """Steps that were read."""
        return self.kept[-1] if self.kept else int(next(iter(self.outputs.values())).shape[0])

    @property
    def samples(self) -> int:
        """Samples that were run."""
        return int(next(iter(self.outputs.values())).shape[1])

    @property
    def synaptic_operations(self) -> int:
        """Of all nodes, samples and steps."""
        return sum(c.synaptic_operations for c in self.counts.values())

    @property
    def entered(self) -> Array:
        """Steps in which inputs entered, of each sample, ``(N,)``."""
        return np.full(self.samples, self.steps) if self.stopped is None else self.stopped

    def name_of(self, output: str = "") -> str:
        """The name of an output; DataError where there is none of this name, or none was chosen of
        several.
        """
        name = output or self.chosen or (next(iter(self.outputs)) if len(self.outputs) == 1 else "")
        if name not in self.outputs:
            got = repr(output) if output else f"{len(self.outputs)} outputs"
            raise DataError(
                "output", got, f"one of {', '.join(self.outputs)}", "--output NAME, or output=NAME"
            )
        return name

    def kind(self, output: str = "", y: Array | None = None) -> str:
        """What an output says, see ``ir.answer``; `y` are the labels, where known."""
        name = self.name_of(output)
        recorded = self.about[name].answer if name in self.about else ""
        return answer.kind_of(self.outputs[name].shape[2:], recorded, y)

    def accumulated(self, steps: int | None = None, output: str = "") -> Array:
        """What an output has added up for an answer after so many steps, and those before, ``(N, *shape)``.

        What a delayed read-out leaves out is taken off.
        """
        at, name = self._at(steps), self.name_of(output)
        first = self._left_out(at)
        whole = self.added_up(at, name)
        if not first:
            return whole
        local = first - self.before
        return whole - (self.behind[name] if local <= 0 else self.added_up(local, name))

    def added_up(self, at: int, name: str) -> Array:
        """Everything that an output has added up after a step of this evaluation."""
        values = self.outputs[name]
        at = self.kept.index(at) + 1 if self.kept else at
        if name not in self.spiking:
            return values[at - 1]
        return values[:at].sum(axis=0) + self.added.get(name, values.dtype.type(0))

    def _left_out(self, at: int) -> int:
        """Steps of the whole run that an answer leaves out."""
        return self.read_from if self.before + at - self.read_from >= LEAST_READ else 0

    def _read(self, at: int) -> Array | int:
        """How many steps an answer was read over; of each sample where some have stopped, ``(N, 1, ...)``."""
        if self.stopped is None:
            return self.before + at - self._left_out(at)
        return np.minimum(self.stopped, at)

    def values(self, steps: int | None = None, output: str = "") -> Array:
        """The same in the units of the network before conversion, float64, ``(N, *shape)``: what a
        regression answers.

        A function that the network ended in and that was left off is put back.

        Raises
        ------
        DataError
            Where it is one that cannot be put back, or the unit is not known.
        """
        found, about = self.in_units(steps, output), self.about[self.name_of(output)]
        return answer.with_final(found, about.final)

    def in_units(self, steps: int | None = None, output: str = "") -> Array:
        """The same before a function that was left off at the end."""
        at, about = self._at(steps), self.about.get(self.name_of(output))
        if about is None:
            got = "accumulators of which the file does not say what 1 stands for"
            raise DataError("values", got, "a unit", "map the network again, with this version")
        found = self.accumulated(at, output).astype(np.float64)
        if not about.mean:
            return found * about.unit
        return found * about.unit / np.reshape(self._read(at), (-1, *(1,) * (found.ndim - 1)))

    def predictions(self, steps: int | None = None, output: str = "") -> npt.NDArray[np.int64]:
        """The class of each sample after so many steps, ``(N,)``, or of each place of a map, ``(N, *S)``.

        The largest accumulator, ties to the lowest index; of one accumulator whether it lies above 0.
        """
        return answer.predictions(self.accumulated(steps, output), self.kind(output))

    def tied(self, steps: int | None = None, output: str = "") -> npt.NDArray[np.bool_]:
        """Where the accumulators leave the prediction undecided."""
        return answer.tied(self.accumulated(steps, output), self.kind(output))

    def score(self, y: npt.ArrayLike | None = None, steps: int | None = None, output: str = "") -> Score:
        """Answers against labels after so many steps: accuracy of classes, error of values in the units of y.

        Without `y` the labels that came with the samples are taken.

        Raises
        ------
        DataError
            Where labels are missing or do not fit; see ``ir.score.checked_labels``.
        """
        labels = self._labels(y)
        about = self.about.get(self.name_of(output))
        for text in doubts(labels, about.answer if about else ""):
            warnings.warn(text, SpikeflowWarning, stacklevel=2)
        kind = self.kind(output, labels)
        outputs = self.values(steps, output) if kind == answer.VALUE else self.accumulated(steps, output)
        return score(outputs, labels, kind)

    def accuracy(self, y: npt.ArrayLike | None = None, steps: int | None = None, output: str = "") -> float:
        """The fraction of samples (of a map: of places) answered as in y after so many steps."""
        found = self.score(y, steps, output).accuracy
        if found is None:
            raise DataError(
                "labels", "real numbers, or an output of values", "whole numbers, the classes", "score(y)"
            )
        return found

    def _labels(self, y: npt.ArrayLike | None) -> Array:
        if y is None and self.y is None:
            raise DataError("labels", "none", "one for each sample")
        labels = intake.array_of("labels", self.y if y is None else y)
        own = self.y
        if own is not None and labels.size == own.size and not np.array_equal(labels.ravel(), own.ravel()):
            warnings.warn(_SHUFFLED, SpikeflowWarning, stacklevel=4)
        return labels

    def _at(self, steps: int | None) -> int:
        if steps is None:
            return self.steps
        if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or not 1 <= steps <= self.steps:
            raise DataError("steps", steps, f"a whole number, 1 to {self.steps}, the steps that were run")
        if self.kept and steps not in self.kept:
            raise DataError("steps", steps, f"one of {self.kept}, after which outputs were kept")
        return int(steps)
