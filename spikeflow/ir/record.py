"""How a network is to be run, and the two together: what a ``net.h5`` holds."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from numbers import Real
from types import MappingProxyType

from spikeflow.errors import DataError, GraphError, ShapeError
from spikeflow.frozen import ADDED, Frozen, added
from spikeflow.ir import answer
from spikeflow.ir.exit_rule import ExitRule
from spikeflow.ir.graph import Graph
from spikeflow.ir.input_record import CODINGS, InputRecord
from spikeflow.ir.nodes import Input, Population, Shape
from spikeflow.ir.preprocessing import FIRST

MAX_STEPS = 2**20
LEAST_READ = 4  # steps that a delayed read-out leaves, or it is off


@dataclass(frozen=True)
class OutputRecord:
    """What is known of one output besides its numbers.

    Parameters
    ----------
    node : name of its Output in the graph.
    name : what the user calls it: a key, or an index.
    answer : ``class``, ``value``, or empty: then the shape and the labels say so, see ``ir.answer``.
    unit : the value that 1 in its accumulator stands for.
    mean : whether the accumulator is divided by the number of steps, as where it adds up the same logits in
        every step.
    final : the function of torch that the network ends in and that was left off: ``sigmoid``, ``softmax``,
        ...
    """

    node: str
    name: str
    answer: str = ""
    unit: float = 1.0
    mean: bool = False
    final: str = ""

    def check(self) -> None:
        """Raise DataError unless every value is one that a run can follow."""
        if self.answer not in answer.CHOICES:
            raise DataError(
                "answer", repr(self.answer), f"one of {', '.join(c for c in answer.CHOICES if c)}"
            )
        if not (math.isfinite(self.unit) and self.unit > 0):
            raise DataError("unit of an output", self.unit, "a finite number above 0")
        if self.final not in answer.FINAL:
            raise DataError(
                "final function", repr(self.final), f"one of {', '.join(f for f in answer.FINAL if f)}"
            )


@dataclass(frozen=True)
class RunRecord(Frozen):
    """The frozen answers to: how long, with which input, read where.

    Parameters
    ----------
    steps : length of a run; reading starts at the output's level.
    coding : ``direct`` repeats the sample as a current, ``rate`` draws spikes with probability x / scale,
        ``onoff`` does so for max(x, 0) and for max(-x, 0), the first axis doubled; with ``spikes`` a sample
        has a time axis already and holds spikes or a current for each step.
    scale : the value that stands for one spike in every step.
    seed : of the spikes drawn.
    readout : name of the population that accumulates the answer; empty where nothing is read out.
    input_shape : of a sample, without time; empty where it is not known.
    labels : names of the classes, in order.
    notes : where the network came from, for people.
    outputs : what is known of each output; empty in files of the first version, see ``Network.outputs``.
    calibration : digests of the samples that set thresholds or scales, see ``spikeflow.calibration``.
    seen : smallest and largest input value that calibration saw; empty where there was none.
    inputs : of each input what differs from coding, scale and seen above, and its preprocessing; see
        ``Network.inputs``.
    read_from : an answer leaves out what was read in so many steps at the beginning; where fewer than 4 steps
        would be left, nothing. `steps` counts them all.
    exit : when a sample may stop before `steps`; None where each runs to the end.
    """

    steps: int
    coding: str = "direct"
    scale: float = 1.0
    seed: int = 0
    readout: str = ""
    input_shape: Shape = ()
    labels: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict, repr=False)
    outputs: tuple[OutputRecord, ...] = field(default=(), metadata=ADDED)
    calibration: tuple[str, ...] = field(default=(), repr=False, metadata=ADDED)
    seen: tuple[float, ...] = field(default=(), metadata=ADDED)
    inputs: tuple[InputRecord, ...] = field(default=(), metadata=ADDED)
    read_from: int = field(default=0, metadata=added(3))
    exit: ExitRule | None = field(default=None, metadata=added(3))

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", MappingProxyType(dict(self.notes)))
        self.check()

    def check(self) -> None:
        """Raise DataError unless every value is one that a run can follow."""
        if not isinstance(self.steps, Real) or not 1 <= self.steps <= MAX_STEPS:
            raise DataError("steps", repr(self.steps), f"a whole number, 1 to {MAX_STEPS}")
        if self.coding not in CODINGS:
            raise DataError("coding", self.coding, f"one of {', '.join(CODINGS)}")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise DataError("scale", self.scale, "a finite number above 0")
        if not 0 <= self.seed < 2**63:
            raise DataError("seed", self.seed, "0 to 2**63 - 1")
        if len(self.seen) not in (0, 2) or not all(map(math.isfinite, self.seen)):
            raise DataError("range of the calibration", self.seen, "two finite numbers, or none")
        if any(n < 1 for n in self.input_shape):
            raise DataError("input shape", self.input_shape, "positive sizes")
        if not 0 <= self.read_from <= MAX_STEPS:
            raise DataError("read_from", self.read_from, f"0 to {MAX_STEPS} steps")
        if self.exit is not None:
            self.exit.check()
            if self.read_from:
                got = f"reading from step {self.read_from} on, and an exit"
                raise DataError("the run record", got, "one of the two", "read_from=0")
        for described in (*self.inputs, *self.outputs):
            described.check()


@dataclass(frozen=True, eq=False)
class Network:
    """A graph and the record that says how to run it."""

    graph: Graph
    record: RunRecord

    def __post_init__(self) -> None:
        expect_graph(self.graph)
        if not isinstance(self.record, RunRecord):
            got = f"a {type(self.record).__name__}"
            raise DataError("the record", got, "a RunRecord", "RunRecord(steps=64)")

    def with_seed(self, seed: int) -> Network:
        """The same network, its random coding drawn from another seed."""
        return replace(self, record=replace(self.record, seed=seed))

    @property
    def inputs(self) -> tuple[InputRecord, ...]:
        """How each input is fed, in the order of the graph's, nothing left open."""
        return tuple(map(self.input, self.graph.inputs))

    def input(self, node: str) -> InputRecord:
        """How one input is fed, nothing left open."""
        known = {described.node: described for described in self.record.inputs}
        found, record = known.get(node, InputRecord(node)), self.record
        return replace(
            found,
            coding=found.coding or record.coding,
            scale=found.scale or record.scale,
            seen=found.seen or record.seen,
        )

    def with_seen(self, seen: Mapping[str, tuple[float, float]]) -> Network:
        """The same network, whose record says the smallest and largest value that calibration saw of each
        input.
        """
        low, high = min(low for low, _ in seen.values()), max(high for _, high in seen.values())
        record = replace(self.record, seen=(low, high))
        if len(seen) > 1:
            known = {described.node: described for described in self.record.inputs}
            entries = (replace(known.get(n, InputRecord(n)), seen=seen[n]) for n in self.graph.inputs)
            record = replace(record, inputs=tuple(entries))
        return replace(self, record=record)

    def sample_shape(self, node: str) -> Shape:
        """The shape of a sample of one input, without time, as it enters after preprocessing."""
        shape = self.graph.shapes[node]
        if self.input(node).coding == "onoff" and shape:
            return (shape[0] // 2, *shape[1:])
        return shape

    @property
    def outputs(self) -> tuple[OutputRecord, ...]:
        """What is known of every output, in the order of the graph's."""
        known = {output.node: output for output in self.record.outputs}
        # conversions of the first version wrote nothing of their one output, but a note
        mean = "conversion" in self.record.notes
        return tuple(known.get(n, OutputRecord(n, n, mean=mean)) for n in self.graph.outputs)

    def check(self) -> None:
        """Raise GraphError or ShapeError where the record does not fit the graph."""
        self.record.check()
        self._check_outputs()
        self._check_inputs()
        if self.record.readout:
            self._check_readout()
        if self.record.input_shape:
            self._check_input_shape()

    def _check_readout(self) -> None:
        name = self.record.readout
        node = self.graph.nodes.get(name)
        if not isinstance(node, Population):
            raise GraphError(name, "the run record reads it out, but it is not a population of the graph")
        if not any(e.dst in self.graph.outputs for e in self.graph.outputs_of(name)):
            raise GraphError(name, "the run record reads it out, but it feeds no Output")
        labels, shape = len(self.record.labels), node.shape
        classes = answer.class_count(shape, answer.kind_of(shape, answer.CLASS))
        if labels and labels not in (classes, prod(shape)):
            raise ShapeError(name, f"{labels} labels", f"one for each of {classes} classes")

    def _check_outputs(self) -> None:
        nodes = [output.node for output in self.record.outputs]
        names = [output.name for output in self.record.outputs]
        for node in nodes:
            if node not in self.graph.outputs:
                raise GraphError(node, "the run record describes it, but it is no Output of the graph")
        if len(set(nodes)) < len(nodes) or len(set(names)) < len(names):
            raise GraphError("graph", "the run record describes an output twice, or two of one name")

    def _check_inputs(self) -> None:
        nodes = [described.node for described in self.record.inputs]
        for node in nodes:
            if node not in self.graph.inputs:
                raise GraphError(node, "the run record describes it, but it is no Input of the graph")
        if len(set(nodes)) < len(nodes):
            raise GraphError("graph", "the run record describes an input twice")
        for described in self.inputs:
            timed = any(isinstance(step, FIRST) for step in described.preprocessing)
            if timed and not described.timed:
                reason = f"its recordings become frames in time, but its coding is {described.coding}"
                raise GraphError(described.node, reason, 'coding="spikes"')

    def _check_input_shape(self) -> None:
        names, shape = self.graph.inputs, self.record.input_shape
        if len(names) != 1:
            raise GraphError("graph", f"has {len(names)} inputs, but the run record describes one")
        if self.input(names[0]).coding == "onoff":
            shape = (2 * shape[0], *shape[1:])
        node = self.graph.nodes[names[0]]
        if isinstance(node, Input) and node.shape != shape:
            how = self.input(names[0]).coding
            raise ShapeError(names[0], node.shape, f"{shape}, as the run record says ({how})")


def expect_graph(value: object) -> None:
    """Raise DataError unless `value` is a Graph; the hint says what makes one of it."""
    if isinstance(value, Graph):
        return
    hint = "its .graph"
    if hasattr(value, "as_graph"):
        hint = "mapping.as_graph()"
    elif isinstance(value, str | os.PathLike):
        hint = "spikeflow.read_network(path).graph"
    elif not isinstance(value, Network):
        hint = "the .graph of a Network"
    raise DataError("the graph", f"a {type(value).__name__}", "a Graph of spikeflow", hint)


def expect_network(value: object) -> None:
    """Raise DataError unless `value` is a Network; the hint says what makes one of it."""
    if isinstance(value, Network):
        return
    hint = "spikeflow.convert(...).network"
    if hasattr(value, "as_network"):
        hint = "mapping.as_network()"
    elif isinstance(value, Graph):
        hint = "Network(graph, RunRecord(steps=64)), which says how to run it"
    elif isinstance(getattr(value, "network", None), Network):
        hint = "its .network"
    elif isinstance(value, str | os.PathLike):
        hint = "spikeflow.read_network(path)"
    raise DataError("the network", f"a {type(value).__name__}", "a Network of spikeflow", hint)
