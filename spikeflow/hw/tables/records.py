"""The tables of a mapping: what each core, the host's inputs and the read-out would load; frozen, complete.

An edge of the network with its synapse node is a `Projection`; every axon names the one it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from spikeflow.frozen import ADDED, Frozen
from spikeflow.hw.integer.loss import Loss
from spikeflow.ir.arrays import Array, frozen
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.nodes import Shape
from spikeflow.ir.program import Program
from spikeflow.ir.record import RunRecord

WORDS = frozenset(np.dtype(t) for t in ("i1", "<i2", "<i4"))  # types of a stored weight mantissa


@dataclass(frozen=True)
class Projection:
    """One edge of the network: a source, a port that it reaches, and the one sum and exponent in between.

    Parameters
    ----------
    name : of the synapse node.
    delay : of the edge, in steps; the shortest that an axon of this projection may have.
    exponent : shifts the whole sum of one target, once for each delay.
    format : of the weight mantissas.
    delayed : whether its axons differ in their delays.
    """

    name: str
    source: str
    target: str
    port: str
    delay: int
    exponent: int
    format: Fixed
    delayed: bool


@dataclass(frozen=True, eq=False)
class NeuronKind(Frozen):
    """A neuron's program, formats and alphabet, loaded once for all neurons that run it."""

    model: str
    program: Program
    formats: Mapping[str, Fixed]
    alphabet: str = field(default="", metadata=ADDED)

    def __post_init__(self) -> None:
        object.__setattr__(self, "formats", MappingProxyType(dict(self.formats)))


@dataclass(frozen=True, eq=False)
class SliceTable(Frozen):
    """The neurons of one population on one core.

    Parameters
    ----------
    neurons : int32, ``(n,)``, ascending: their indices in the population, in C order.
    kind : index into the mapping's neuron kinds.
    start : the first step in which they are awake.
    params, initial : int32, ``(n,)``, or ``(1,)`` where all are equal.
    spikes : float32, ``(n,)``: spikes a step on calibration data, or 1 where none was given.
    """

    population: str
    neurons: Array
    kind: int
    start: int
    params: Mapping[str, Array]
    initial: Mapping[str, Array]
    spikes: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "neurons", frozen(self.neurons, np.int32))
        object.__setattr__(self, "spikes", frozen(self.spikes, np.float32))
        for name in ("params", "initial"):
            arrays = {k: frozen(v, np.int32) for k, v in getattr(self, name).items()}
            object.__setattr__(self, name, MappingProxyType(arrays))


@dataclass(frozen=True, eq=False)
class AxonTable(Frozen):
    """The input axons of one core and the synapse words that each of them reaches.

    Parameters
    ----------
    projection, delay : int32, ``(axons,)``.
    indptr : int64, ``(axons + 1,)``; the words of axon i are indptr[i] to indptr[i + 1].
    neuron : uint16, ``(words,)``: index on the core, over its slices in order.
    weight : int8, int16 or int32, ``(words,)``: the mantissas.
    """

    projection: Array
    delay: Array
    indptr: Array
    neuron: Array
    weight: Array

    def __post_init__(self) -> None:
        for name, dtype in (
            ("projection", np.int32),
            ("delay", np.int32),
            ("indptr", np.int64),
            ("neuron", np.uint16),
        ):
            object.__setattr__(self, name, frozen(getattr(self, name), dtype))
        kind = self.weight.dtype
        object.__setattr__(self, "weight", frozen(self.weight, kind if kind in WORDS else np.int32))

    @property
    def lengths(self) -> Array:
        """Words of each axon, ``(axons,)``."""
        return np.diff(self.indptr)


@dataclass(frozen=True, eq=False)
class RouteTable(Frozen):
    """Where the spikes of one core, or of one input, go: one entry for each axon that they reach.

    Parameters
    ----------
    neuron : int32, ``(entries,)``: index on the core, or into the input in C order; ascending.
    core, axon : int32, ``(entries,)``: the core that receives and its axon.
    """

    neuron: Array
    core: Array
    axon: Array

    def __post_init__(self) -> None:
        for name in ("neuron", "core", "axon"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.int32))


@dataclass(frozen=True, eq=False)
class CoreTable(Frozen):
    """One core: its place, its neurons, what it listens to and where it sends."""

    chip: int
    x: int
    y: int
    slot: int
    slices: tuple[SliceTable, ...]
    axons: AxonTable
    routes: RouteTable

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return sum(len(s.neurons) for s in self.slices)


@dataclass(frozen=True, eq=False)
class InputTable(Frozen):
    """What the host injects: values of one Input, in its format, to the axons that it reaches.

    Parameters
    ----------
    spikes : float32, ``(size,)``: messages a step on calibration data, or 1 where none was given.
    """

    name: str
    shape: Shape
    kind: str
    format: Fixed | None
    routes: RouteTable
    spikes: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "spikes", frozen(self.spikes, np.float32))


@dataclass(frozen=True, eq=False)
class OutputTable(Frozen):
    """Where the host reads one addend of an output.

    Parameters
    ----------
    shape : of the output.
    delay : steps from the neuron to the host, in the network's count.
    core, neuron : int32, ``(size,)``: the address of each element, in C order.
    """

    name: str
    shape: Shape
    delay: int
    core: Array
    neuron: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "core", frozen(self.core, np.int32))
        object.__setattr__(self, "neuron", frozen(self.neuron, np.int32))


@dataclass(frozen=True)
class TrafficRecord(Frozen):
    """On what the spikes in the tables were measured.

    Parameters
    ----------
    samples, steps : how many samples were run, and for how long each.
    idle : for each population the share of its neurons that were idle in a step (``sim.result.Counts.idle``).
    """

    samples: int
    steps: int
    idle: Mapping[str, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "idle", MappingProxyType(dict(self.idle)))


@dataclass(frozen=True)
class Layout:
    """The chips as one mesh: their own columns and rows of tiles, and how many chips stand side by side."""

    columns: int
    rows: int
    cores_per_tile: int
    chips: int
    chips_across: int = field(default=1)


@dataclass(frozen=True, eq=False)
class MappingTables(Frozen):
    """The fields of a `Mapping`: all of its tables, not yet held against each other.

    Parameters
    ----------
    chip : name of the chip.
    layout : the mesh that the cores' places refer to.
    dt : seconds a step.
    record : how the network is run.
    kinds : programs of the neurons.
    projections : edges of the network, with their exponents.
    measured : whether the spikes in the tables come from calibration data; else each is 1 a step.
    loss : what the integers lost against the float network; None where integers were given.
    origin : digest of the float graph that it was made from; empty where that is not known.
    semantics : digest of how the chip computes, `Chip.semantics`; empty where that is not known.
    traffic : on what the spikes in the tables were measured; None where they were not, or it is not known.
    """

    chip: str
    layout: Layout
    dt: float
    record: RunRecord
    kinds: tuple[NeuronKind, ...]
    projections: tuple[Projection, ...]
    inputs: tuple[InputTable, ...]
    cores: tuple[CoreTable, ...]
    outputs: tuple[OutputTable, ...]
    measured: bool = False
    loss: Loss | None = field(default=None, metadata=ADDED)
    origin: str = field(default="", metadata=ADDED)
    semantics: str = field(default="", metadata=ADDED)
    traffic: TrafficRecord | None = field(default=None, metadata=ADDED)
