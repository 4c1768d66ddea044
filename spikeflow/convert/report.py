"""ConversionReport: what became of every operation, and what the thresholds are; as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.convert.capture.builder import APPROXIMATED, BATCH_NORM, MAX_POOL, SPIKING, Verdict
from spikeflow.convert.options import ConvertOptions
from spikeflow.convert.passes.observe import Stats
from spikeflow.convert.passes.thresholds import Candidate, Thresholds
from spikeflow.convert.verify.answers import Case
from spikeflow.convert.verify.layer_errors import LayerErrors, advice
from spikeflow.convert.verify.read_out import ReadOut, settled
from spikeflow.ir.activations import FUNCTIONS
from spikeflow.ir.alphabet import BINARY, Alphabet, alphabet
from spikeflow.ir.answer import kind_of
from spikeflow.ir.codec import MAX_TEXT
from spikeflow.ir.graph import Graph
from spikeflow.ir.interval import of_samples
from spikeflow.ir.nodes import MaxPool, Node, Population, Shape
from spikeflow.ir.record import Network
from spikeflow.ir.score import score
from spikeflow.ir.whole import sources
from spikeflow.sim.fidelity import Fidelity


@dataclass(frozen=True)
class LayerReport:
    """One spiking layer.

    Parameters
    ----------
    minimum, median, maximum : of its thresholds.
    at_floor : channels whose threshold the floor raised.
    clipped : fraction of the calibration activations above their threshold; None without data.
    zeros : fraction of the calibration activations that are 0; None without data.
    alphabet : what its neurons may hand on in a step, and `bits`, what a message has to tell.
    """

    name: str
    shape: Shape
    channels: int
    minimum: float
    median: float
    maximum: float
    at_floor: int
    clipped: float | None = None
    zeros: float | None = None
    alphabet: str = BINARY
    bits: int = 1


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion did.

    Parameters
    ----------
    verdicts : one for each operation of the user's network, in its order.
    layers : the spiking layers, in the order of the graph.
    samples : of the calibration data; 0 where the network is data-free.
    ann_accuracy : of the network before conversion, on the calibration data, where labels are known.
    difference : of the captured graph from the torch module, relative; None where there was none to compare.
    scale : the value that one input spike stands for.
    fidelity : of the spiking network to the ANN, on calibration samples that set no threshold.
    read_out : how answers are read, and what that was settled on.
    errors : of each spiking layer, in parts, on a few held-back samples.
    warnings : what a user has to know of the result.
    read_from : answers leave out so many steps at the beginning; they count among the steps.
    candidates : what the method auto compared, on samples that are not held back.
    """

    verdicts: tuple[Verdict, ...]
    layers: tuple[LayerReport, ...]
    options: ConvertOptions
    samples: int
    ann_accuracy: float | None
    difference: float | None
    scale: float
    fidelity: Fidelity = Fidelity("the ANN", 0, 0)
    read_out: ReadOut = ReadOut()
    errors: tuple[LayerErrors, ...] = ()
    warnings: tuple[str, ...] = ()
    read_from: int = 0
    candidates: tuple[Candidate, ...] = ()

    @property
    def data_free(self) -> bool:
        """Whether thresholds come from batch norm alone."""
        return self.options.rule(self.samples > 0) == "batch-norm"

    @property
    def at_floor(self) -> int:
        """Channels at the floor, over all layers."""
        return sum(layer.at_floor for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """The same facts as plain values."""
        return {
            **asdict(replace(self, options=ConvertOptions())),
            "options": {
                **asdict(replace(self.options, rules={})),
                "rules": list(map(str, self.options.rules)),
            },
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "fidelity": self.fidelity.to_json(),
            "advice": self.advice,
            "data_free": self.data_free,
            "channels_at_floor": self.at_floor,
        }

    def to_note(self) -> str:
        """The same as one JSON text for the network's file; without its verdicts where that would be too
        long.
        """
        facts = self.to_json()
        whole = json.dumps(facts)
        return whole if len(whole) <= MAX_TEXT else json.dumps({**facts, "verdicts": "too many for the file"})

    def to_text(self) -> str:
        """The same facts as text for people."""
        return "\n".join(
            [
                self._heading(),
                *self._compared(),
                "",
                *_table(_LAYER_HEAD, [_layer_row(x) for x in self.layers]),
                "",
                *self._errors(),
                *verdict_table(self.verdicts),
            ]
        )

    @property
    def advice(self) -> str:
        """The change that would help most, in words; empty where nothing was measured."""
        return advice(self.errors, self.options.steps) if self.errors else ""

    def _errors(self) -> list[str]:
        """The errors of the layers as a table, and what would help; nothing where none were measured."""
        rows = [_error_row(x) for x in self.errors]
        others = len(self.layers) - len(rows)
        if not rows and (not self.fidelity.samples or self.options.reset != "subtract"):
            return []
        which = "other layers follow" if rows else "layers follow"
        left = [f"{others} {which} a function in steps: the parts of their errors are not known"]
        table = [*_table(_ERROR_HEAD, rows), *left[:others], self.advice] if rows else left[:others]
        return [*table, ""]

    def _compared(self) -> list[str]:
        """The candidates of the method auto."""
        rows = [
            (
                "taken" if c.chosen else "",
                c.name,
                str(c.samples),
                f"{100 * c.agreement:.1f} %",
                f"{100 * c.error:.1f} %",
            )
            for c in self.candidates
        ]
        return ["", *_table(_CANDIDATE_HEAD, rows)] if rows else []

    def _heading(self) -> str:
        o = self.options
        how = f"thresholds: {o.threshold_words(self.samples).replace(' samples', ' calibration samples')}"
        if self.data_free:
            how = "data-free: thresholds from batch norm (beta + 3 |gamma|)"
        unread = f", of which the first {self.read_from} are not read" if self.read_from else ""
        lines = [
            f"{how}; reset {o.reset}; alphabet {o.alphabet}; input {o.coding}; {o.steps} steps{unread}",
            f"{self.at_floor} of {sum(x.channels for x in self.layers)} channels hardly respond and have the "
            "smallest threshold that their layer allows (the floor)",
        ]
        if self.ann_accuracy is not None:
            lines.append(f"accuracy of the ANN on these: {of_samples(self.ann_accuracy, self.samples)}")
        if self.difference is not None:
            lines.append(
                f"the captured graph differs from the network by {self.difference:.1e} of the largest answer"
            )
        lines += [str(self.fidelity), *self.read_out.lines()]
        return "\n".join(lines)


_CANDIDATE_HEAD = (
    *("", "candidate, on calibration samples kept apart", "samples", "answers as the ANN", "error"),
)
_LAYER_HEAD = (
    *("spiking layer", "shape", "alphabet", "threshold min", "median", "max", "at floor", "clipped", "zeros"),
)
_ERROR_HEAD = (
    "errors of layer",
    "expected rate",
    "observed",
    "clipping",
    "rounding",
    "unevenness",
    "inherited",
    "error",
    "growth",
)
_VERDICT_HEAD = ("module", "operation", "verdict", "how", "node")


def _layer_row(x: LayerReport) -> tuple[str, ...]:
    part = tuple("-" if f is None else f"{100 * f:.2f} %" for f in (x.clipped, x.zeros))
    shape = " x ".join(map(str, x.shape))
    return (
        x.name,
        shape,
        x.alphabet if x.bits == 1 else f"{x.alphabet} ({x.bits} bits)",
        f"{x.minimum:.4g}",
        f"{x.median:.4g}",
        f"{x.maximum:.4g}",
        f"{x.at_floor} of {x.channels}",
        *part,
    )


def _error_row(x: LayerErrors) -> tuple[str, ...]:
    parts = (x.clipping, x.rounding, x.unevenness, x.inherited, x.error)
    growth = "-" if x.growth is None else f"{x.growth:.2f}"
    return (
        x.name,
        f"{x.expected:.4f}",
        f"{x.observed:.4f}",
        *(f"{100 * part:.2f} %" for part in parts),
        growth,
    )


def verdict_table(verdicts: Iterable[Verdict]) -> list[str]:
    """What became of every operation, line by line."""
    return _table(_VERDICT_HEAD, [(v.module, v.operation, *v.parts, v.node) for v in verdicts])


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def layer_reports(graph: Graph, thresholds: Thresholds, stats: Stats | None) -> tuple[LayerReport, ...]:
    """One record for each spiking layer of the converted graph."""
    return tuple(
        _layer(name, graph.nodes[name], thresholds, stats)
        for name in graph.of_kind(Population)
        if name in thresholds.values
    )


def _layer(name: str, node: Node, thresholds: Thresholds, stats: Stats | None) -> LayerReport:
    assert isinstance(node, Population)
    letters = node.values or alphabet(BINARY)
    theta = thresholds.values[name].astype(np.float64)
    clipped = zeros = None
    if stats is not None:
        seen = stats.activations[name]
        clipped = float(seen.fraction_above(theta).mean())
        zeros = float(seen.zeros.sum() / (seen.values * len(theta)))
    return LayerReport(
        name,
        node.shape,
        len(theta),
        float(theta.min()),
        float(np.median(theta)),
        float(theta.max()),
        thresholds.at_floor[name],
        clipped,
        zeros,
        letters.name,
        letters.bits,
    )


POOLED = {
    "running": "max pooling: as many spikes as the busiest source of a window",
    "any": "approximated (never below the busiest source of a window): max pooling, step by step",
    "constant": "max pooling of the input",
    "means": f"{SPIKING}: max pooling of the means so far, which neurons behind it hand on",
}


def final_verdicts(
    verdicts: tuple[Verdict, ...],
    folded: Mapping[str, tuple[str, ...]],
    graph: Graph,
    silent: Iterable[str] = (),
) -> tuple[Verdict, ...]:
    """The verdicts of capture, completed by what folding and balancing did to the nodes; `silent` are those
    whose neurons never fire.
    """
    quiet = frozenset(silent)
    words = f"{SPIKING}: never active on the calibration samples, so it never fires and adds 0"
    final = (_final(v, folded, graph) for v in verdicts)
    return tuple(replace(v, verdict=words) if v.node in quiet else v for v in final)


def _final(verdict: Verdict, folded: Mapping[str, tuple[str, ...]], graph: Graph) -> Verdict:
    if verdict.verdict == BATCH_NORM:
        into = folded[verdict.node]
        return (
            replace(verdict, verdict=f"folded into {', '.join(into)}", node=into[0])
            if into
            else replace(verdict, verdict="synapses: one factor and bias for each channel")
        )
    if verdict.node and verdict.node not in graph.nodes:
        return replace(verdict, node="")
    node = graph.nodes.get(verdict.node)
    function = verdict.verdict.removeprefix(f"{SPIKING}: ")
    if function in FUNCTIONS and isinstance(node, Population):
        return replace(verdict, verdict=_following(function, node.values or alphabet(BINARY)))
    if verdict.verdict.startswith(SPIKING) and isinstance(node, Population) and node.values is not None:
        return replace(verdict, verdict=_coded(verdict.verdict, node.values))
    if isinstance(node, MaxPool) and verdict.verdict == MAX_POOL:
        return replace(verdict, verdict=POOLED[_pooled(graph, verdict.node, node)])
    return verdict


def _pooled(graph: Graph, name: str, node: MaxPool) -> str:
    """Which form of `POOLED` a pooling has."""
    read = [graph.nodes[n] for n in sources(graph, name)]
    if not all(isinstance(n, Population) for n in read):
        return "constant"
    return node.mode if all(isinstance(n, Population) and n.spikes for n in read) else "means"


def _following(function: str, letters: Alphabet) -> str:
    """The verdict of neurons that follow a function (`neurons.following`), with their bound: what is left to
    hand on is at most half of the widest gap between two values, of which the largest is the threshold.
    """
    gap = max(b - a for a, b in pairwise(letters.values))
    part = 2 * letters.high // gap
    steps = f"threshold {letters.decay:g}^(T - 1) / {part}" if letters.decay else f"threshold / ({part} T)"
    bound = f"{steps} from {function} of the mean input, where spikes keep up"
    return _coded(f"{APPROXIMATED} ({bound}): {SPIKING}", letters)


def _coded(verdict: str, letters: Alphabet) -> str:
    """The verdict of neurons, with the alphabet that is not the usual one."""
    if letters.name == BINARY:
        return verdict
    return f"{verdict}{',' if ': ' in verdict else ':'} {letters.name}, {letters.bits} bits"


def accuracy(logits: npt.NDArray[Any], y: npt.NDArray[Any] | None) -> float | None:
    """The fraction of samples (of a map: of places) answered as labelled; None without labels, and for
    values.
    """
    return None if y is None else score(logits, y, kind_of(logits.shape[1:], y=y)).accuracy


def settled_report(
    case: Case, report: ConversionReport, thresholds: Thresholds, stats: Stats | None
) -> tuple[Network, ConversionReport, Thresholds]:
    """Network, report and thresholds with the steps that the network is run for, and those that are read."""
    record = replace(case.network.record, read_from=thresholds.read_from)
    case = replace(case, network=replace(case.network, record=record))
    network, read = settled(case, report.options, stats)
    report = replace(report, candidates=thresholds.candidates)
    options = replace(report.options, steps=network.record.steps)
    if thresholds.for_steps is not None and network.graph is not case.network.graph:
        thresholds = thresholds.for_steps(options.steps)
        report = replace(report, layers=layer_reports(network.graph, thresholds, stats))
    report = replace(report, options=options, read_out=read, read_from=network.record.read_from)
    return network, report, thresholds
