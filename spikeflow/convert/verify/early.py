"""Dynamic confidence: the numbers of a network's exit, calibrated on held-back samples without their labels.

For each of a few temperatures and powers (`ir.exit_rule`) every confidence is tried; taken is the rule of the
fewest mean steps with which at most the allowed share of the samples is answered otherwise than after all
steps. The confidence is then put a tenth further in log-odds than these samples ask for, since among others
there are harder ones.

Source: C. Li, E. Jones, S. Furber, Unleashing the Potential of Spiking Neural Networks with Dynamic
Confidence, ICCV 2023; there the numbers were found on test images, here on samples that set nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeflow.errors import ConversionError
from spikeflow.ir import answer
from spikeflow.ir.exit_rule import ExitRule
from spikeflow.ir.interval import shown, wilson
from spikeflow.ir.record import Network, OutputRecord
from spikeflow.sim.classify import Evaluation, RunOptions, evaluate
from spikeflow.typing import Array

POWERS = (0.5, 0.75, 1.0)
SHARPNESS = (4.0, 16.0)  # the usual margin of the last step, in temperatures
TRIED = 200  # confidences
POINTS = 24  # of the curve
FURTHER = 1.1  # of the log-odds that the held-back samples ask for
MOST = 1 - 2.0**-40  # a confidence that float64 still tells from 1


@dataclass(frozen=True)
class ExitPoint:
    """One confidence: the mean steps, and the shares answered as after all steps, and as by the ANN."""

    confidence: float
    mean_steps: float
    unchanged: float
    agreement: float


@dataclass(frozen=True)
class Exit:
    """What was calibrated, and what it does on the held-back samples.

    Parameters
    ----------
    allowed : points of them that may be answered otherwise than after all steps.
    steps, samples : of the whole run, and held-back samples.
    mean_steps, p95, to_the_end : steps on average, within which 95 % stop, share that run to the last step.
    unchanged : share answered as after all steps; the rule was chosen on these samples.
    apart, low, high : the same of each half by a rule that was chosen on the other half, which is what other
        samples may expect, with its 95 % interval.
    agreement, whole : share answered as by the ANN, with the exit and after all steps.
    curve : for other confidences, from the fewest mean steps to the most.
    """

    rule: ExitRule
    allowed: float
    steps: int
    samples: int
    mean_steps: float
    p95: float
    to_the_end: float
    unchanged: float
    apart: float
    low: float
    high: float
    agreement: float
    whole: float
    curve: tuple[ExitPoint, ...]

    def __str__(self) -> str:
        return (
            f"early exit: {self.mean_steps:.1f} of {self.steps} steps on average, 95 % within "
            f"{self.p95:.0f}, {100 * self.to_the_end:.1f} % run to the end; "
            f"{shown(self.apart, (self.low, self.high))} of {self.samples} held-back samples answered as "
            "after all steps, each half by a rule chosen on the other; by this rule, which was chosen on "
            f"them, {100 * self.unchanged:.2f} %, and {100 * self.agreement:.2f} % as by the ANN "
            f"({100 * self.whole:.2f} % after all steps)"
        )


def calibrated_exit(network: Network, ann_answers: Mapping[str, Array], x: Array, allowed: float) -> Exit:
    """The exit of the fewest mean steps that changes at most so many points of the held-back answers.

    Raises
    ------
    ConversionError
        Where the output that answers is not one class for a sample.
    """
    output = _answering(network, ann_answers)
    run = evaluate(network, x, RunOptions(steps=network.record.steps))
    course = _Course.of(run, output, ann_answers[output.node])
    return _told(course, _chosen(course, allowed), allowed)


@dataclass(frozen=True, eq=False)
class _Course:
    """The output that answers over the steps, of N samples."""

    means: Array  # (T, N, *shape), in units of the ANN
    classes: Array  # (T, N)
    ann: Array  # (N,)

    @staticmethod
    def of(run: Evaluation, output: OutputRecord, logits: Array) -> _Course:
        kind = run.kind(output.name)
        means = np.stack([run.in_units(t, output.name) for t in range(1, run.steps + 1)])
        classes = np.stack([answer.predictions(values, kind) for values in means])
        return _Course(means, classes, answer.predictions(logits, kind))

    def confidences(self, rule: ExitRule) -> Array:
        """The highest up to each step, ``(T, N)``, so that what lies above a number stays above."""
        found = [rule.confidences(values, t) for t, values in enumerate(self.means, 1)]
        return np.maximum.accumulate(np.stack(found))

    def stops(self, rule: ExitRule) -> Array:
        """After how many steps each sample stops."""
        return self.ends(self.confidences(rule), rule.confidence)

    def ends(self, highest: Array, confidence: float) -> Array:
        """The same for another confidence of the same rule."""
        return np.minimum((highest <= confidence).sum(axis=0) + 1, len(highest))

    def answers(self, stops: Array) -> Array:
        """The class of each sample in the step in which it stops."""
        return self.classes[stops - 1, np.arange(len(stops))]

    def half(self, number: int) -> _Course:
        """Every second sample, from the first or the second on."""
        return _Course(self.means[:, number::2], self.classes[:, number::2], self.ann[number::2])

    def unchanged(self, stops: Array) -> float:
        """The share answered as after all steps."""
        return float((self.answers(stops) == self.classes[-1]).mean())


def _answering(network: Network, ann_answers: Mapping[str, Array]) -> OutputRecord:
    """The output that answers, of one class for each sample."""
    read = (
        {edge.dst for edge in network.graph.outputs_of(network.record.readout)}
        if network.record.readout
        else set()
    )
    outputs = [output for output in network.outputs if output.node in read]
    if len(outputs) != 1:
        raise ConversionError(
            "--exit", f"none of {len(network.outputs)} outputs was chosen to answer", "--output NAME"
        )
    kind = answer.kind_of(ann_answers[outputs[0].node].shape[1:], outputs[0].answer)
    if kind not in (answer.CLASS, answer.SIGN):
        what = "values have no confidence" if kind == answer.VALUE else "a map has many answers for a sample"
        raise ConversionError("--exit", what, "a network that answers with one class, or no --exit")
    return outputs[0]


def _rules(course: _Course) -> list[ExitRule]:
    """Temperatures in which the usual margin of the last step is large, for each power."""
    steps, count = course.means.shape[:2]
    last = course.means[-1].reshape(count, -1)
    two = np.sort(last if last.shape[1] > 1 else np.concatenate([0 * last, last], axis=1), axis=1)[:, -2:]
    margin = float(np.median(two[:, 1] - two[:, 0])) or 1.0
    return [ExitRule(margin * steps**power / sharp, MOST, power) for power in POWERS for sharp in SHARPNESS]


def _chosen(course: _Course, allowed: float) -> ExitRule:
    """The rule of the fewest mean steps."""
    tried = (_best(course, rule, allowed) for rule in _rules(course))
    return min(tried, key=lambda rule: course.stops(rule).mean())


def _apart(course: _Course, allowed: float) -> float:
    """The share answered as after all steps where each half is stopped by a rule that never saw it."""
    halves = course.half(0), course.half(1)
    if not len(halves[1].ann):
        return course.unchanged(course.stops(_chosen(course, allowed)))
    shares = (b.unchanged(b.stops(_chosen(a, allowed))) for a, b in (halves, halves[::-1]))
    sizes = (len(halves[1].ann), len(halves[0].ann))
    return sum(share * size for share, size in zip(shares, sizes, strict=True)) / sum(sizes)


def _best(course: _Course, rule: ExitRule, allowed: float) -> ExitRule:
    """The lowest confidence with which, and a tenth further, no more changes than is allowed; further on."""
    highest, classes = course.confidences(rule), max(2, course.means[0, 0].size)
    for confidence in np.unique(np.quantile(highest, np.linspace(0, 1, TRIED))):
        further = _further(float(confidence), classes)
        shares = (course.unchanged(course.ends(highest, c)) for c in (confidence, further))
        if 1 - min(shares) <= allowed / 100 + 1e-12:
            return replace(rule, confidence=further)
    return rule


def _further(confidence: float, classes: int) -> float:
    """A tenth further in log-odds, counted from those of a guess among so many classes."""
    sure = min(confidence, MOST)
    odds = max(sure / (1 - sure) * (classes - 1), 1.0) ** FURTHER / (classes - 1)
    return min(odds / (1 + odds), MOST)


def _told(course: _Course, rule: ExitRule, allowed: float) -> Exit:
    highest = course.confidences(rule)
    stops, (steps, count) = course.stops(rule), highest.shape
    apart = _apart(course, allowed)
    return Exit(
        rule,
        allowed,
        steps,
        count,
        float(stops.mean()),
        float(np.quantile(stops, 0.95, method="inverted_cdf")),
        float((highest[-1] <= rule.confidence).mean()),
        course.unchanged(stops),
        apart,
        *wilson(apart, count),
        float((course.answers(stops) == course.ann).mean()),
        float((course.classes[-1] == course.ann).mean()),
        _curve(course, highest),
    )


def _curve(course: _Course, highest: Array) -> tuple[ExitPoint, ...]:
    """What no other confidence is better than in both mean steps and answers, few of them."""
    found: list[ExitPoint] = []
    for confidence in np.unique(np.quantile(highest, np.linspace(0, 1, TRIED))):
        stops = course.ends(highest, confidence)
        alike: Any = (course.answers(stops) == course.ann).mean()
        point = ExitPoint(float(confidence), float(stops.mean()), course.unchanged(stops), float(alike))
        if not found or (point.agreement > found[-1].agreement and point.mean_steps > found[-1].mean_steps):
            found.append(point)
    some = np.unique(np.linspace(0, len(found) - 1, POINTS).round().astype(int))
    return tuple(found[i] for i in some)
