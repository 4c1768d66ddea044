"""RunSummary: the facts of a run that people ask for: accuracy, rates, operations, time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy.typing as npt

from spikeflow.ir.nodes import Input, Population
from spikeflow.ir.record import Network
from spikeflow.ir.stages import stage_of
from spikeflow.sim.classify import Evaluation


@dataclass(frozen=True)
class NodeFacts:
    """One node, for one sample on average.

    Parameters
    ----------
    rate : spikes per neuron and step awake.
    narrowed : stage fixed: values that overflow changed, over the whole run, by register.
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


@dataclass(frozen=True)
class RunSummary:
    """A run in numbers; operations are per sample, `outside` is the share of inputs that calibration did not cover."""

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

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)

    def to_text(self) -> str:
        """The same for people."""
        accuracy = "not known (no labels)" if self.accuracy is None else f"{100 * self.accuracy:.2f} %"
        lines = [
            f"{self.samples} samples, {self.steps} steps, stage {self.stage}, {self.seconds:.2f} s",
            f"accuracy: {accuracy}",
        ]
        if self.accuracy_over_steps:
            lines.append(
                "  by steps: "
                + ", ".join(f"{t}: {100 * a:.2f} %" for t, a in self.accuracy_over_steps.items())
            )
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
        clipped = [f"{n.node}.{r}: {c}" for n in self.nodes for r, c in n.narrowed.items() if c]
        if clipped:
            lines.append("values changed by overflow: " + ", ".join(clipped))
        return "\n".join(lines)


def reading_points(steps: int) -> tuple[int, ...]:
    """1, 2, 4, ... below the number of steps, and that number."""
    points = [2**k for k in range(21) if 2**k < steps]
    return (*points, steps)


def summarise(network: Network, evaluation: Evaluation, y: npt.ArrayLike | None = None) -> RunSummary:
    """The facts of an evaluation; accuracies where labels are known."""
    over = {} if y is None else {t: evaluation.accuracy(y, t) for t in reading_points(evaluation.steps)}
    cached = sum(c.cached_operations for c in evaluation.counts.values())
    total = evaluation.synaptic_operations
    return RunSummary(
        stage_of(network.graph),
        evaluation.samples,
        evaluation.steps,
        over.get(evaluation.steps),
        over,
        total / evaluation.samples,
        (total - cached) / evaluation.samples,
        evaluation.seconds,
        tuple(_facts(network, evaluation, name) for name in network.graph.nodes),
        evaluation.outside,
    )


def _facts(network: Network, evaluation: Evaluation, name: str) -> NodeFacts:
    node, count, samples = network.graph.nodes[name], evaluation.counts[name], evaluation.samples
    fires = isinstance(node, Input) or (isinstance(node, Population) and node.program.spikes())
    neurons = prod(node.shape) if isinstance(node, Population | Input) else 0
    # a population's steps awake, which in a mapped network come after its level; an Input has no updates
    chances = count.neuron_updates or samples * evaluation.steps * neurons
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
    )
