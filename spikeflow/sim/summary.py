"""RunSummary: the facts of a run that people ask for: accuracy, rates, operations, time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.ir.answer import VALUE
from spikeflow.ir.interval import wilson
from spikeflow.ir.nodes import Input, Poisson, Population
from spikeflow.ir.record import Network
from spikeflow.ir.score import Score
from spikeflow.ir.stages import stage_of
from spikeflow.sim.classify import Evaluation
from spikeflow.sim.overflow import narrowed


@dataclass(frozen=True)
class NodeFacts:
    """One node, for one sample on average.

    Parameters
    ----------
    rate : spikes per neuron and step awake.
    narrowed : stage fixed: values that narrowing changed, over the whole run, by register.
    low_clips, overflow : the same in two parts: membranes that stopped at their low end, and all else, which
        may change answers; see ``sim.overflow``.
    """

    node: str
    kind: str
    neurons: int
    spikes: float
    rate: float
    accumulates: float
    multiply_accumulates: float
    neuron_updates: float
    narrowed: dict[str, int]
    low_clips: dict[str, int] = field(default_factory=dict)
    overflow: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ExitFacts:
    """Samples that may stop early: mean steps, steps within which 95 % stop, share that run to the end."""

    mean_steps: float
    p95: int
    to_the_end: float

    @staticmethod
    def of(evaluation: Evaluation) -> ExitFacts | None:
        """Those of an evaluation; None where every sample ran to the end."""
        stopped = evaluation.stopped
        if stopped is None:
            return None
        within = int(np.quantile(stopped, 0.95, method="inverted_cdf"))
        return ExitFacts(float(stopped.mean()), within, float((stopped == evaluation.steps).mean()))

    def __str__(self) -> str:
        return (
            f"samples stop early: after {self.mean_steps:.1f} steps on average, 95 % within {self.p95}; "
            f"{100 * self.to_the_end:.1f} % run to the end"
        )


@dataclass(frozen=True)
class RunSummary:
    """A run in numbers; operations are per sample.

    Parameters
    ----------
    output, kind : the output that answers, and what it says (``ir.answer``); empty where none of several was
        chosen.
    outputs : the shape of every output, by name.
    accuracy, accuracy_over_steps : of classes, with labels; `interval` is the accuracy's, at 95 %.
    rmse, r2, rmse_over_steps : of values, with labels, in the units of y.
    tied : share of the answers that only the order of the classes decided; None for values.
    outside : share of the input values that lie outside of what calibration covered.
    exit : how long samples ran, where they may stop early.
    """

    stage: str
    samples: int
    steps: int
    accuracy: float | None
    accuracy_over_steps: dict[int, float]
    synaptic_operations: float
    computed_operations: float
    seconds: float
    nodes: tuple[NodeFacts, ...]
    outside: float | None = None
    output: str = ""
    kind: str = ""
    outputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    rmse: float | None = None
    r2: float | None = None
    rmse_over_steps: dict[int, float] = field(default_factory=dict)
    tied: float | None = None
    interval: tuple[float, float] | None = None
    exit: ExitFacts | None = None

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)

    def to_text(self) -> str:
        """The same for people."""
        lines = [
            f"{self.samples} samples, {self.steps} steps, stage {self.stage}, {self.seconds:.2f} s",
            *self._answers(),
            *([str(self.exit)] if self.exit is not None else []),
        ]
        lines.append(
            f"synaptic operations a sample: {self.synaptic_operations:,.0f} "
            f"({self.computed_operations:,.0f} computed; a constant input is computed once)"
        )
        lines += [
            f"  {n.node} ({n.kind}): {n.neurons} neurons, {n.rate:.4f} spikes a neuron and step"
            for n in self.nodes
            if n.kind not in ("Input",) and n.neurons
        ]
        if self.outside is not None:
            lines.append(f"input values outside of the range of the calibration: {100 * self.outside:.2f} %")
        clips = [f"{n.node}.{r}: {c:,}" for n in self.nodes for r, c in n.low_clips.items()]
        lines += [f"silent neurons at the lowest value of a register: {', '.join(clips)}"] if clips else []
        over = [f"{n.node}.{r}: {c:,}" for n in self.nodes for r, c in n.overflow.items()]
        lines += [f"values changed by overflow: {', '.join(over)}"] if over else []
        return "\n".join(lines)

    def _answers(self) -> list[str]:
        """How well the samples are answered, as lines."""
        shapes = ", ".join(f"{name} {shape}" for name, shape in self.outputs.items())
        lines = [f"outputs: {shapes}"] if len(self.outputs) > 1 else []
        if self.rmse is not None:
            lines.append(Score(self.kind, self.samples, None, self.rmse, self.r2).to_text())
        elif self.accuracy is not None:
            lines.append(Score(self.kind, self.samples, self.accuracy).to_text())
        else:
            lines.append(
                "accuracy: not known (no labels)" if self.kind != VALUE else "error: not known (no labels)"
            )
        over = [f"{t}: {self._right(a)}" for t, a in self.accuracy_over_steps.items()]
        over += [f"{t}: {e:.6g}" for t, e in self.rmse_over_steps.items()]
        what = "" if self.rmse_over_steps else f", right of {self.samples:,}"
        lines += [f"  by steps{what}: {', '.join(over)}"] if over else []
        lines += [f"  undecided (tied): {100 * self.tied:.2f} %"] if self.tied else []
        return lines

    def _right(self, share: float) -> str:
        """How many samples that are; of a map, places counted as parts of their sample."""
        count = share * self.samples
        return f"{count:,.0f}" if abs(count - round(count)) < 1e-6 else f"{count:,.1f}"


def reading_points(steps: int) -> tuple[int, ...]:
    """1, 2, 4, ... below the number of steps, and that number."""
    points = [2**k for k in range(21) if 2**k < steps]
    return (*points, steps)


def summarise(network: Network, evaluation: Evaluation, y: npt.ArrayLike | None = None) -> RunSummary:
    """The facts of an evaluation; how well it answers where labels are known."""
    labels = evaluation.y if y is None else y
    points = () if labels is None else reading_points(evaluation.steps)
    over = {t: evaluation.score(labels, t) for t in points}
    last = over.get(evaluation.steps)
    name = evaluation.chosen
    kind = last.kind if last else evaluation.kind(name) if name else ""
    cached = sum(c.cached_operations for c in evaluation.counts.values())
    total = evaluation.synaptic_operations
    return RunSummary(
        stage_of(network.graph),
        evaluation.samples,
        evaluation.steps,
        last.accuracy if last else None,
        {t: s.accuracy for t, s in over.items() if s.accuracy is not None},
        total / evaluation.samples,
        (total - cached) / evaluation.samples,
        evaluation.seconds,
        tuple(_facts(network, evaluation, name) for name in network.graph.nodes),
        evaluation.outside,
        name,
        kind,
        {n: values.shape[2:] for n, values in evaluation.outputs.items()},
        last.rmse if last else None,
        last.r2 if last else None,
        {t: s.rmse for t, s in over.items() if s.rmse is not None},
        float(evaluation.tied(output=name).mean()) if name and kind != VALUE else None,
        wilson(last.accuracy, evaluation.samples) if last and last.accuracy is not None else None,
        ExitFacts.of(evaluation),
    )


def _facts(network: Network, evaluation: Evaluation, name: str) -> NodeFacts:
    node, count, samples = network.graph.nodes[name], evaluation.counts[name], evaluation.samples
    fires = isinstance(node, Input | Poisson) or (isinstance(node, Population) and node.spikes)
    neurons = prod(node.shape) if isinstance(node, Population | Input | Poisson) else 0
    parts = narrowed(node, count)
    # a population's steps awake, which in a mapped network come after its level; an Input has no updates
    chances = count.neuron_updates or int(evaluation.entered.sum()) * neurons
    rate = count.spikes / chances if fires else 0.0
    kind = node.model if isinstance(node, Population) else type(node).__name__
    return NodeFacts(
        name,
        kind,
        neurons,
        count.spikes / samples if fires else 0.0,
        rate,
        count.accumulates / samples,
        count.multiply_accumulates / samples,
        count.neuron_updates / samples,
        dict(count.narrowed),
        dict(parts.low_clips),
        dict(parts.overflow),
    )
