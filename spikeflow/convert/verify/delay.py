"""Delayed read-out: from which step on answers are read, by depth or by an estimate, and whether that helps.

The first steps of a deep network say little: its last layers wait for the spikes of the first. By depth a
layer takes one step. The estimate takes for each layer the time that its fastest channel needs to its first
spike, (threshold - v(0)) / mean activation, and adds these up along the longest path.

Source: T. Bu, M. Li, Z. Yu, Inference-Scale Complexity in ANN-SNN Conversion, CVPR 2025 (with the longest
path in place of all layers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, inf

import numpy as np

from spikeflow.convert.passes.observe import Stats
from spikeflow.convert.verify.until import worst
from spikeflow.errors import ConversionError
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population
from spikeflow.ir.record import LEAST_READ, MAX_STEPS, Network
from spikeflow.sim.classify import RunOptions, evaluate
from spikeflow.sim.fidelity import OutputFidelity
from spikeflow.typing import Array

DEPTH, ESTIMATED = CHOICES = ("depth", "estimated")


@dataclass(frozen=True)
class Delay:
    """What was settled of the first step that is read.

    Parameters
    ----------
    asked : a number, ``depth`` or ``estimated``.
    proposed : steps to leave out by that.
    taken : steps that are left out; 0 where reading from the beginning agrees better, or too few would be
        left.
    agreement, whole : with the ANN on held-back samples after all steps, of the delayed answer and of that of
        all steps; None where it was not measured.
    reason : why reading from the beginning was taken without comparing the two.
    """

    asked: str
    proposed: int
    taken: int
    agreement: float | None = None
    whole: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        text = (
            f"answers are read from step {self.taken} on"
            if self.taken
            else "answers are read from the beginning"
        )
        asked = f"asked for {self.asked}" if self.asked.isdecimal() else f"{self.asked}: {self.proposed}"
        if self.agreement is None or self.whole is None:
            return f"{text} ({asked}, {self.reason})" if self.reason else f"{text} ({asked})"
        late, whole = (f"{100 * share:.2f} %" for share in (self.agreement, self.whole))
        return f"{text} ({asked}; held-back samples answered as by the ANN: {late}, {whole} without it)"


def too_few(steps: int) -> str:
    """Why a run of so many steps is read from the beginning."""
    them = "1 step is" if steps == 1 else f"{steps} steps are"
    return f"for which {them} too few: at least {LEAST_READ} are read behind it"


def of_text(text: str) -> int | str:
    """A number of steps, ``depth`` or ``estimated``.

    Raises
    ------
    ConversionError
        For anything else.
    """
    if text in CHOICES:
        return text
    if not text.isdecimal() or int(text) > MAX_STEPS:
        raise ConversionError(
            "--read-from", f"{text!r:.80} is not understood", "a number of steps, depth, estimated"
        )
    return int(text)


def delayed(
    network: Network, ann_answers: Mapping[str, Array], x: Array, asked: int | str, stats: Stats | None
) -> Delay:
    """The delay that is asked for, held against reading from the beginning on samples that set nothing.

    A number is taken as it is; `depth` and `estimated` only where they agree at least as well.
    """
    proposed = asked if isinstance(asked, int) else proposal(network.graph, asked, stats)
    steps = network.record.steps
    if not proposed or steps - proposed < LEAST_READ:
        return Delay(str(asked), proposed, 0, reason=too_few(steps) if proposed else "")
    run = evaluate(network, x, RunOptions(steps=steps))
    late, whole = (
        worst(replace(run, read_from=first), network, ann_answers, steps) for first in (proposed, 0)
    )
    kept = isinstance(asked, int) or _rank(late) >= _rank(whole)
    return Delay(str(asked), proposed, proposed if kept else 0, late.agreement, whole.agreement)


def _rank(output: OutputFidelity) -> tuple[float, float]:
    return output.agreement, -(output.error if output.error is not None else inf)


def proposal(graph: Graph, asked: str, stats: Stats | None) -> int:
    """Steps to leave out, by depth or estimated.

    Raises
    ------
    ConversionError
        For an estimate without activations to make it of.
    """
    if asked == DEPTH:
        return int(_longest(graph, lambda name: 1.0))
    if stats is None:
        raise ConversionError("--read-from", "estimated is made of activations", "--data, or depth")
    return ceil(_longest(graph, lambda name: _first_spike(graph, name, stats)))


def _longest(graph: Graph, step: Callable[[str], float]) -> float:
    """The longest path through the spiking populations, each with its length."""
    found: dict[str, float] = {}
    for name in graph.order:
        before = max((found[e.src] for e in graph.inputs_of(name) if e.src in found), default=0.0)
        node = graph.nodes[name]
        spikes = isinstance(node, Population) and node.spikes
        found[name] = before + (step(name) if spikes else 0.0)
    return max(found.values(), default=0.0)


def _first_spike(graph: Graph, name: str, stats: Stats) -> float:
    """Steps until the fastest channel of a layer spikes first, if it is driven by its mean."""
    node = graph.nodes[name]
    if not isinstance(node, Population) or name not in stats.activations:
        return 1.0
    mean = np.abs(stats.activations[name].mean)  # a value below 0 is handed on as soon as one above
    channels, none = (len(mean), -1), np.zeros((), np.float32)
    follows = "v" not in node.program.states
    theta, start = (
        np.broadcast_to(values, node.shape).reshape(channels)[:, 0].astype(np.float64)
        for values in (node.params["threshold"], node.initial.get("s" if follows else "v", none))
    )
    start = start + theta / 2 if follows else start  # these hand on a value from half of it on
    active = mean > 0
    return float(((theta - start)[active] / mean[active]).min(initial=inf)) if active.any() else 0.0
