"""How a network is to be run, and the two together: what a ``net.h5`` holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from types import MappingProxyType

from spikeflow.errors import DataError, GraphError, ShapeError
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Population, Shape

CODINGS = ("direct", "rate", "onoff", "spikes")
MAX_STEPS = 2**20


@dataclass(frozen=True)
class RunRecord:
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
    """

    steps: int
    coding: str = "direct"
    scale: float = 1.0
    seed: int = 0
    readout: str = ""
    input_shape: Shape = ()
    labels: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", MappingProxyType(dict(self.notes)))
        self.check()

    def check(self) -> None:
        """Raise DataError unless every value is one that a run can follow."""
        if not 1 <= self.steps <= MAX_STEPS:
            raise DataError("steps", self.steps, f"1 to {MAX_STEPS}")
        if self.coding not in CODINGS:
            raise DataError("coding", self.coding, f"one of {', '.join(CODINGS)}")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise DataError("scale", self.scale, "a finite number above 0")
        if not 0 <= self.seed < 2**63:
            raise DataError("seed", self.seed, "0 to 2**63 - 1")
        if any(n < 1 for n in self.input_shape):
            raise DataError("input shape", self.input_shape, "positive sizes")


@dataclass(frozen=True, eq=False)
class Network:
    """A graph and the record that says how to run it."""

    graph: Graph
    record: RunRecord

    def with_seed(self, seed: int) -> Network:
        """The same network, its random coding drawn from another seed."""
        return replace(self, record=replace(self.record, seed=seed))

    def check(self) -> None:
        """Raise GraphError or ShapeError where the record does not fit the graph."""
        self.record.check()
        if self.record.readout:
            self._check_readout()
        if self.record.input_shape:
            self._check_input()

    def _check_readout(self) -> None:
        name, labels = self.record.readout, self.record.labels
        node = self.graph.nodes.get(name)
        if not isinstance(node, Population):
            raise GraphError(name, "the run record reads it out, but it is not a population of the graph")
        if not any(e.dst in self.graph.outputs for e in self.graph.outputs_of(name)):
            raise GraphError(name, "the run record reads it out, but it feeds no Output")
        if labels and len(labels) != prod(node.shape):
            raise ShapeError(name, f"{len(labels)} labels", f"one for each of {prod(node.shape)} neurons")

    def _check_input(self) -> None:
        names, shape = self.graph.inputs, self.record.input_shape
        if len(names) != 1:
            raise GraphError("graph", f"has {len(names)} inputs, but the run record describes one")
        if self.record.coding == "onoff":
            shape = (2 * shape[0], *shape[1:])
        node = self.graph.nodes[names[0]]
        if isinstance(node, Input) and node.shape != shape:
            raise ShapeError(names[0], node.shape, f"{shape}, as the run record says ({self.record.coding})")
