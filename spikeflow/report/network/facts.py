"""ReportFacts: everything that a report says, as frozen records; text, JSON and HTML are three views of
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spikeflow.hw.report import CoreReport, MappingReport
from spikeflow.ir.interval import wilson
from spikeflow.sim.fidelity import OutputFidelity
from spikeflow.sim.summary import ExitFacts

NOT_PUBLISHED = "not published"
ASSUMED = "assumed"


@dataclass(frozen=True)
class MadeFacts:
    """Where the report comes from."""

    version: str
    date: str
    engine: str
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NetworkFacts:
    """The network and its run record.

    Parameters
    ----------
    synapses : stored; a convolution stores its kernels.
    connections : pairs of source and target that these join.
    """

    digest: str
    stage: str
    nodes: int
    edges: int
    neurons: int
    synapses: int
    connections: int
    dt_s: float
    steps: int
    coding: str
    scale: float
    seed: int
    readout: str
    input_shape: tuple[int, ...]
    labels: tuple[str, ...]
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Spread:
    """Smallest, median and largest of some values."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class LayerFacts:
    """One node: what it is, and what it did in one sample on average.

    Parameters
    ----------
    rate : spikes per neuron and step; None for what does not spike.
    overflow : stage fixed: values that overflow changed, over the whole run, by register; without membranes
        that stopped at their low end (``sim.overflow``).
    """

    node: str
    kind: str
    shape: tuple[int, ...]
    neurons: int
    synapses: int
    connections: int
    threshold: Spread | None
    rate: float | None
    spikes: float
    accumulates: float
    multiply_accumulates: float
    neuron_updates: float
    overflow: Mapping[str, int]

    @property
    def synaptic_operations(self) -> float:
        """Accumulates and multiply-accumulates."""
        return self.accumulates + self.multiply_accumulates


@dataclass(frozen=True)
class RunFacts:
    """One run over all samples; operations are per sample.

    Parameters
    ----------
    accuracy : None without labels; `interval` is its 95 % interval.
    accuracy_over_steps : by the number of steps read.
    kind : of the answer, see ``ir.answer``; empty where none of several outputs was chosen.
    rmse, r2, rmse_over_steps : of values, with labels, in the units of y.
    tied : share of the answers that only the order of the classes decided.
    seconds : wall time on this computer, of all samples.
    exit : how long samples ran, where they may stop early.
    """

    title: str
    stage: str
    samples: int
    steps: int
    accuracy: float | None
    accuracy_over_steps: Mapping[int, float]
    synaptic_operations: float
    computed_operations: float
    neuron_updates: float
    seconds: float
    interval: tuple[float, float] | None = None
    kind: str = ""
    rmse: float | None = None
    r2: float | None = None
    rmse_over_steps: Mapping[int, float] = field(default_factory=dict)
    tied: float = 0.0
    exit: ExitFacts | None = None


@dataclass(frozen=True)
class AnnFacts:
    """The accuracy of the network that was converted, measured on the report's own samples.

    Parameters
    ----------
    digest : of its graph, batch norm folded, as the conversion notes it; empty where it is not known.
    """

    accuracy: float
    samples: int
    source: str
    digest: str = ""

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, Wilson's."""
        return wilson(self.accuracy, self.samples)


@dataclass(frozen=True)
class RasterRow:
    """The steps in which one neuron spiked."""

    neuron: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class RasterFacts:
    """Some neurons of a node in one sample.

    Parameters
    ----------
    fired : neurons that spiked at all; `rows` are chosen evenly among them.
    """

    node: str
    neurons: int
    fired: int
    steps: int
    rows: tuple[RasterRow, ...]


@dataclass(frozen=True)
class CostLine:
    """One constant of an estimate.

    Parameters
    ----------
    count : how often, per sample.
    each : for one, in `unit` (pJ or ns); None where not published.
    mark : `assumed`, `not published`, or empty.
    """

    what: str
    count: float
    each: float | None
    unit: str
    source: str
    mark: str = ""


@dataclass(frozen=True)
class CostFacts:
    """Energy and time of one sample, always together.

    Parameters
    ----------
    joule, second : None where not published; then `mark` says so.
    bound : the time is only a lower bound.
    """

    title: str
    joule: float | None
    second: float | None
    lines: tuple[CostLine, ...]
    notes: tuple[str, ...] = ()
    mark: str = ""
    bound: bool = False


@dataclass(frozen=True)
class Use:
    """How much of one resource is used, and how much there is."""

    resource: str
    used: float
    limit: float

    @property
    def share(self) -> float:
        """Used over limit."""
        return self.used / self.limit if self.limit else 0.0


@dataclass(frozen=True)
class CoreFacts:
    """One core among all of its mapping.

    Parameters
    ----------
    column, row : of its tile on the joint mesh of all chips.
    report : its place, what it holds, and what happens on it in one step.
    uses : how full it is.
    """

    core: int
    column: int
    row: int
    report: CoreReport
    uses: tuple[Use, ...]

    @property
    def holds(self) -> str:
        """The populations on it, and how many of their neurons."""
        return ", ".join(f"{name} ({count:,})" for name, count in self.report.holds.items())


@dataclass(frozen=True)
class LinkFacts:
    """Messages a step on one link of the joint mesh, from one router to the next."""

    source: tuple[int, int]
    target: tuple[int, int]
    load: float


@dataclass(frozen=True)
class MeshFacts:
    """The joint mesh of all chips, in routers, and those of its links that carry messages.

    Parameters
    ----------
    chip_columns, chip_rows : of one chip.
    measured : where the loads come from, in words.
    """

    columns: int
    rows: int
    chip_columns: int
    chip_rows: int
    cores_per_tile: int
    links: tuple[LinkFacts, ...]
    measured: str

    def busiest(self, most: int = 12) -> tuple[LinkFacts, ...]:
        """The links with the largest loads."""
        return tuple(sorted(self.links, key=lambda link: -link.load)[:most])


@dataclass(frozen=True)
class MappedFacts:
    """A mapping: what it uses, its mesh, and the run of exactly what is on it.

    Parameters
    ----------
    report : of the mapping, counted over its run; what ``spikeflow map`` prints, too.
    agreement : with the unmapped network, on the samples of the report; ties and constant answers count
        against it.
    costs : of a sample, one for each published model.
    """

    report: MappingReport
    cores: tuple[CoreFacts, ...]
    mesh: MeshFacts
    run: RunFacts
    agreement: OutputFidelity
    layers: tuple[LayerFacts, ...]
    costs: tuple[CostFacts, ...]
    warnings: tuple[str, ...] = ()

    @property
    def assumed(self) -> tuple[str, ...]:
        """Every value of the chip's table for which nothing was published."""
        return tuple(f"{name} = {value:g}: {why}" for name, value, why in self.report.assumed)

    @property
    def overflowed(self) -> int:
        """Values that overflow changed, over the whole run."""
        return sum(n for layer in self.layers for n in layer.overflow.values())


@dataclass(frozen=True)
class ReportFacts:
    """Everything that a report says.

    Parameters
    ----------
    conversion : what the conversion said of itself, as JSON; empty where the network was not converted.
    sample : number of the sample in the raster, its label where known, and the answer to it.
    warnings : what a reader should know of the runs, and what was told when the network was mapped.
    """

    made: MadeFacts
    network: NetworkFacts
    layers: tuple[LayerFacts, ...]
    run: RunFacts
    ann: AnnFacts | None
    conversion: Mapping[str, Any]
    raster: tuple[RasterFacts, ...]
    sample: Mapping[str, str]
    cost: tuple[CostFacts, ...]
    mapped: MappedFacts | None = None
    warnings: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple[RunFacts, ...]:
        """The run of the network, and that of its mapping."""
        return (self.run,) if self.mapped is None else (self.run, self.mapped.run)

    @property
    def costs(self) -> tuple[CostFacts, ...]:
        """The estimates for the chip, then those by convention."""
        return (*(self.mapped.costs if self.mapped else ()), *self.cost)
