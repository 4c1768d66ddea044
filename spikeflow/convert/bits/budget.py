"""Bit budget: what a spiking network costs beside the quantised ANN of equal bits, and which answers better.

A synapse of a spiking network of T steps takes T x weight bits x spike bits, one of a quantised ANN weight
bits x activation bits (Shen et al., CVPR 2024). Per sample and over all layers:

    S-ACE    multiply-accumulates x bits of the synapse: hardware that skips nothing
    NS-ACE   the same for values that are not 0: spikes as counted in a run, activations by their density
    traffic  bits moved: a weight for each operation that is not skipped, what is handed on, and each membrane
             read and written in every step
    energy   NS-ACE and traffic at the prices of `Prices`

The first layer is counted as what it is, one product of values of `input_bits` bits: a constant input is
computed once for all steps; `every_step` says what computing it in every step would come to. Pools and the
read-out's own additions are counted in neither network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

from spikeflow.convert.bits.quantised import QuantisedAnn, ranges_of, with_rounded_weights
from spikeflow.convert.pipeline import Conversion
from spikeflow.convert.verify.answers import ann_outputs
from spikeflow.errors import ConversionError, DataError
from spikeflow.ir import answer
from spikeflow.ir.alphabet import alphabet
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation, Input, Population, Synaptic
from spikeflow.ir.record import Network
from spikeflow.ir.score import checked_labels
from spikeflow.ir.synapses import connections
from spikeflow.ir.whole import sources
from spikeflow.samples import samples_of
from spikeflow.sim.classify import RunOptions, evaluate
from spikeflow.sim.joined import taken
from spikeflow.typing import Array

SNN, EQUAL_LEVELS, EQUAL_BITS = "spiking", "ANN of equal levels", "ANN of equal bits"
MOST_BITS = 16  # of an activation of the ANN
DEFAULT_STEPS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Prices:
    """Joule for one product of two bits, and for one bit moved to or from a small memory nearby.

    The defaults are those of 45 nm: an 8-bit multiplication and addition 0.23 pJ, 64 bits of an 8 KB memory
    10 pJ (M. Horowitz, Computing's Energy Problem, ISSCC 2014).
    """

    product: float = 0.23e-12 / 64
    moved: float = 10e-12 / 64


@dataclass(frozen=True)
class BitOptions:
    """What is compared, and how it is counted; bits of weights, of the input, of a membrane."""

    steps: tuple[int, ...] = DEFAULT_STEPS
    weight_bits: int = 8
    input_bits: int = 8
    membrane_bits: int = 16
    prices: Prices = Prices()

    def __post_init__(self) -> None:
        if not self.steps or list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 1:
            raise DataError("steps", self.steps, "rising whole numbers from 1")
        for name, low, high in (("weight_bits", 2, 16), ("input_bits", 1, 32), ("membrane_bits", 1, 64)):
            if not low <= getattr(self, name) <= high:
                raise DataError(name, getattr(self, name), f"{low} to {high}")


@dataclass(frozen=True)
class BitRow:
    """One network: what it answers, and what it takes for a sample.

    Parameters
    ----------
    kind : "spiking", "ANN of equal levels" or "ANN of equal bits".
    steps : T of the spiking network, also in the rows it is compared with.
    bits : of a synapse: T x weight bits x spike bits, or weight bits x activation bits.
    share : accuracy; without labels the share answered as by the ANN in floats.
    operations : of the layers behind the first, those of zeros left out.
    """

    kind: str
    steps: int
    bits: int
    activation_bits: int
    share: float
    dense_ace: float
    sparse_ace: float
    operations: float
    traffic_bits: float
    energy_j: float


@dataclass(frozen=True)
class BitBudget:
    """The table, and what it comes to.

    Parameters
    ----------
    macs, first_macs : multiply-accumulates of the ANN for a sample, and those of its first layers among them.
    every_step : bit operations that the first layers would take, were they computed in every one of the most
        steps.
    """

    rows: tuple[BitRow, ...]
    options: BitOptions
    samples: int
    labelled: bool
    macs: int
    first_macs: int
    every_step: int

    def compared(self) -> list[str]:
        """For each number of steps who answers better and who takes less, against the ANN of equal bits."""
        lines = []
        for row in self.rows:
            if row.kind == SNN:
                other = next(r for r in self.rows if (r.kind, r.steps) == (EQUAL_BITS, row.steps))
                lines.append(f"T = {row.steps}: {_verdict(row, other)}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """The same facts as plain values."""
        return {**asdict(self), "compared": self.compared()}

    def to_text(self) -> str:
        """The same facts as text for people."""
        what = "accuracy" if self.labelled else "as the ANN"
        head = ("network", "T", "bits", what, "S-ACE", "NS-ACE", "operations", "bits moved", "energy")
        rows = [_cells(row) for row in self.rows]
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        table = [
            "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in (head, *rows)
        ]
        o = self.options
        counted = (
            f"for one of {self.samples} samples; weights of {o.weight_bits} bits, input of {o.input_bits}, "
            f"membranes of {o.membrane_bits}; the first layer ({self.first_macs:,} of {self.macs:,} products)"
            f" is computed once: in every step it would take {self.every_step:,} bit operations"
        )
        return "\n".join([counted, *table, *self.compared()])


def bit_budget(
    conversion: Conversion,
    x: object,
    y: object = None,
    options: BitOptions = BitOptions(),
) -> BitBudget:
    """The converted network after so many steps against quantised ANNs, on samples.

    Both get weights of equal bits, each rounded by itself, and the same thresholds. The ANN of equal levels
    has ceil(log2(m T + 1)) bits an activation, for a spiking network that hands on up to m in a step; the ANN
    of equal bits has T x spike bits, at most 16.

    Raises
    ------
    DataError
        Where samples or labels do not fit.
    ConversionError
        For outputs that are values or several, and activations that are no rectifiers.
    """
    given = taken(conversion.network, samples_of(x, y))
    judge = _Judge.of(conversion, given.x, given.y)
    network = Network(
        with_rounded_weights(conversion.network.graph, options.weight_bits), conversion.network.record
    )
    counted = _Counted(network.graph, options)
    rounded = with_rounded_weights(conversion.ann, options.weight_bits)
    most = alphabet(conversion.report.options.alphabet)
    rows: list[BitRow] = []
    for steps in options.steps:
        run = evaluate(network, given.x, RunOptions(steps=steps))
        share = judge.share(run.in_units(output=judge.name))
        rows.append(counted.spiking(run, share, most.bits))
        for kind, bits in (
            (EQUAL_LEVELS, (most.high * steps).bit_length()),
            (EQUAL_BITS, min(steps * most.bits, MOST_BITS)),
        ):
            ann = QuantisedAnn(rounded, ranges_of(network.graph, most.high), 2**bits - 1)
            share = judge.share(ann.outputs(given.x)[judge.node])
            rows.append(replace(_Counted(rounded, options).quantised(ann, share, kind), steps=steps))
    ann_macs = _Counted(rounded, options)
    every = ann_macs.first * options.weight_bits * options.input_bits * max(options.steps)
    sizes = ann_macs.macs, ann_macs.first, every
    return BitBudget(tuple(rows), options, len(given.x), given.y is not None, *sizes)


@dataclass(frozen=True, eq=False)
class _Judge:
    """How answers are held against labels, or without them against the ANN in floats."""

    name: str
    node: str
    kind: str
    wanted: Array

    @staticmethod
    def of(conversion: Conversion, x: Array, y: Array | None) -> _Judge:
        outputs = conversion.network.outputs
        logits = ann_outputs(conversion.ann, x)
        first = outputs[0]
        kind = answer.kind_of(logits[first.node].shape[1:], first.answer, y)
        if len(outputs) != 1 or kind == answer.VALUE:
            what = "values are" if kind == answer.VALUE else f"{len(outputs)} outputs are"
            raise ConversionError("--bits", f"{what} not compared", "a network with one output of classes")
        values = logits[first.node]
        if y is None:
            return _Judge(first.name, first.node, kind, answer.predictions(values, kind))
        return _Judge(first.name, first.node, kind, checked_labels(y, len(x), values.shape[1:], kind))

    def share(self, outputs: Array) -> float:
        return float((answer.predictions(outputs, self.kind) == self.wanted).mean())


class _Counted:
    """Multiply-accumulates of each linear node of a graph for a sample, and whether it reads the input."""

    def __init__(self, graph: Graph, options: BitOptions) -> None:
        self.graph, self.options = graph, options
        self.nodes = {name: connections(graph, name) for name in graph.of_kind(Synaptic)}
        self.reads = {name: sources(graph, name) for name in self.nodes}
        entry = set(graph.of_kind(Input))
        entry |= {
            n for n in graph.of_kind(Population) if sources(graph, n) <= entry and not _spikes(graph, n)
        }
        self.firsts = {n for n, read in self.reads.items() if read & entry}
        self.macs = sum(self.nodes.values())
        self.first = sum(self.nodes[name] for name in self.firsts)

    def spiking(self, run: Any, share: float, spike_bits: int) -> BitRow:
        """The row of a run of the spiking network."""
        o, steps, samples = self.options, run.steps, run.samples
        later = [name for name in self.nodes if name not in self.firsts]
        operations = sum(run.counts[name].synaptic_operations for name in later) / samples
        graph = self.graph
        firing = [n for n in graph.of_kind(Population) if _spikes(graph, n)]
        spikes = sum(run.counts[name].spikes for name in firing) / samples
        neurons = sum(prod(graph.shapes[name]) for name in graph.of_kind(Population))
        state = 2 * steps * o.membrane_bits * neurons
        moved = operations * o.weight_bits + spikes * spike_bits + state
        dense = (self.macs - self.first) * steps
        return self._row(SNN, (steps, spike_bits), share, (dense, operations), moved)

    def quantised(self, ann: QuantisedAnn, share: float, kind: str) -> BitRow:
        """The row of a quantised ANN that has been run."""
        o = self.options
        later = [name for name in self.nodes if name not in self.firsts]
        operations = sum(self.nodes[name] * self._density(name, ann) for name in later)
        values = sum(
            prod(self.graph.shapes[name]) * ann.density[name] for name in self.graph.of_kind(Activation)
        )
        moved = operations * o.weight_bits + values * ann.bits
        dense = float(self.macs - self.first)
        return self._row(kind, (1, ann.bits), share, (dense, operations), moved)

    def _density(self, name: str, ann: QuantisedAnn) -> float:
        """Of what a node reads, by the sizes of its sources; what is no activation is dense."""
        read = self.reads[name]
        sizes = {source: prod(self.graph.shapes[source]) for source in read}
        active = sum(size * ann.density.get(source, 1.0) for source, size in sizes.items())
        return active / max(sum(sizes.values()), 1)

    def _row(
        self, kind: str, bits: tuple[int, int], share: float, macs: tuple[float, float], moved: float
    ) -> BitRow:
        """Costs of the layers behind the first, and of the first once, in both networks alike."""
        o, (steps, each) = self.options, bits
        first = self.first * o.weight_bits * o.input_bits
        moved += self.first * o.weight_bits
        dense, sparse = (count * o.weight_bits * each + first for count in macs)
        energy = sparse * o.prices.product + moved * o.prices.moved
        return BitRow(
            kind, steps, steps * o.weight_bits * each, each, share, dense, sparse, macs[1], moved, energy
        )


def _spikes(graph: Graph, name: str) -> bool:
    node = graph.nodes[name]
    return isinstance(node, Population) and node.spikes


def _verdict(spiking: BitRow, other: BitRow) -> str:
    better = spiking.share - other.share
    answers = (
        "both answer alike"
        if better == 0
        else f"the {_who(better > 0)} answers better by {abs(100 * better):.2f} points"
    )
    ratio = spiking.energy_j / other.energy_j if other.energy_j else float("inf")
    less = f"takes {ratio:.2f} times the energy of the ANN of equal bits"
    if (better >= 0) == (ratio <= 1) or better == 0:
        winner = f"the {_who(ratio <= 1)} wins"
    else:
        winner = "neither wins both"
    return f"{answers}; the spiking network {less}: {winner}"


def _who(spiking: bool) -> str:
    return "spiking network" if spiking else "ANN"


def _cells(row: BitRow) -> Sequence[str]:
    return (
        f"{row.kind} ({row.activation_bits} bits)",
        f"{row.steps}",
        f"{row.bits}",
        f"{100 * row.share:.2f} %",
        *(f"{value:,.0f}" for value in (row.dense_ace, row.sparse_ace, row.operations, row.traffic_bits)),
        f"{1e6 * row.energy_j:.4g} uJ",
    )
