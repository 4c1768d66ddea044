"""map_network: from a spiking network to a Mapping, read from top to bottom."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from spikeflow.calibration import Split, split
from spikeflow.errors import DataError, HardwareError, SpikeflowWarning, Violation
from spikeflow.hw.chips.chip import Chip, load
from spikeflow.hw.cost import over_limits
from spikeflow.hw.integer.loss import Loss, measure_loss, refuse_loss
from spikeflow.hw.integer.quantise import quantise
from spikeflow.hw.integer.units import with_units
from spikeflow.hw.layout.messages import count_messages
from spikeflow.hw.layout.partition import countable, partition
from spikeflow.hw.layout.place import place
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.pools import check_pooled, without_pools
from spikeflow.hw.passes.rests import with_rests
from spikeflow.hw.passes.retime import retime
from spikeflow.hw.passes.rules import BEFORE, check_rules, neurons
from spikeflow.hw.tables.build import build
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.hw.tables.origin import check_chip, for_chip
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.listed import listed
from spikeflow.ir.nodes import Input, Population
from spikeflow.ir.record import Network, OutputRecord, RunRecord, expect_network
from spikeflow.sim import forecast
from spikeflow.sim.joined import parted, taken
from spikeflow.typing import Array, Progress

STEPS = 64  # of a bare graph that says nothing of its run
AT_ONCE = 4  # samples for which the forecast of a mapping is made


@dataclass(frozen=True)
class MapOptions:
    """The choices of a mapping.

    Parameters
    ----------
    chips : the most that may be used.
    seed : of the placement; the same seed gives the same mapping.
    steps : other than recorded.
    min_agreement : share of held-back samples that the integers have to answer as the float network.
    accept_loss : map all the same where they do not.
    """

    chips: int = 1
    seed: int = 0
    steps: int | None = None
    min_agreement: float = 0.95
    accept_loss: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.chips, int) and self.chips >= 1):
            raise DataError("--chips", repr(self.chips), "a whole number, 1 or more")
        if not 0 <= self.min_agreement <= 1:
            raise DataError("--min-agreement", self.min_agreement, "a share from 0 to 1")


class Settings(TypedDict, total=False):
    """The same choices as keywords of `map_network`."""

    chips: int
    seed: int
    steps: int | None
    min_agreement: float
    accept_loss: bool


def map_network(
    network: Network | Graph,
    chip: Chip | str,
    data: object = None,
    options: MapOptions = MapOptions(),
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> Mapping:
    """A network on a chip: checked, made of what the chip has, retimed, quantised, cut, placed and routed.

    Parameters
    ----------
    network : at stage snn, or at stage fixed if it has been quantised for this chip.
    data : calibration samples ``(N, *shape)``, whatever ``samples.samples_of`` takes, and of several inputs a
        mapping by their names; a network at stage fixed maps without, each source then counted as one message
        a step. A quarter, chosen by a hash of each sample, sets no scale: on these the integers are run and
        compared with the float network.
    progress : called with (done, all).
    settings : fields of `MapOptions` by name; they come before `options`.

    Raises
    ------
    HardwareError
        With every violation of the first stage that finds any: all rules together, quantisation, then fit.
    LossError
        Where the integers answer otherwise than the float network, and that is not accepted.
    DataError
        Where calibration samples are missing or do not fit.
    """
    chip = load(chip)
    options = replace(options, **settings)
    if isinstance(network, Mapping):
        raise DataError(
            "the network", f"a mapping, onto {network.chip} already", "the network it was made from"
        )
    if not isinstance(network, Graph):
        expect_network(network)
    network = _with_record(network, options.steps)
    given = None if data is None else taken(network, data)
    x = None if given is None else given.x
    # the passes handle each value of a layer a few times, whatever the layer does
    forecast.expect_room(network.graph, forecast.Size(network.record.steps, AT_ONCE, AT_ONCE))
    reached = _Steps(progress, len(network.graph.of_kind(Population)) + 3)
    fixed, loss = as_integers(network, chip, x, options)
    reached.at(1)
    messages = None if x is None else count_messages(fixed, x)
    reached.at(2)
    spikes = None if messages is None else messages.spikes
    cut = partition(fixed.graph, chip, options.chips, spikes, lambda done, _: reached.at(2 + done))
    cut = replace(cut, traffic=None if messages is None else messages.traffic)
    mapping = build(fixed.graph, cut, place(cut, chip, options.seed), fixed.record, chip.name)
    _refuse(chip, over_limits(mapping, chip))
    reached.at(reached.total)
    return replace(mapping, loss=loss)


class _Steps:
    """Progress in steps of the whole."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total = progress, total

    def at(self, done: int) -> None:
        """Tell whoever listens."""
        if self.progress is not None:
            self.progress(done, self.total)


def _with_record(network: Network | Graph, steps: int | None) -> Network:
    if isinstance(network, Graph):
        network = Network(network, _record(network))
    return network if steps is None else replace(network, record=replace(network.record, steps=steps))


def _record(graph: Graph) -> RunRecord:
    """For a bare graph: its inputs as they are, its only output read out, or several as they are."""
    inputs = [node for node in graph.nodes.values() if isinstance(node, Input)]
    first = inputs[0] if len(inputs) == 1 else None
    direct = all(node.kind == "current" for node in inputs)
    read = [e.src for name in graph.outputs for e in graph.inputs_of(name)]
    readout = read[0] if len(read) == 1 and isinstance(graph.nodes[read[0]], Population) else ""
    return RunRecord(
        STEPS,
        "direct" if direct else "spikes",
        readout=readout,
        input_shape=first.shape if first is not None else (),
        outputs=() if readout else tuple(OutputRecord(name, name) for name in graph.outputs),
    )


def as_integers(
    network: Network, chip: Chip, x: Array | None, options: MapOptions
) -> tuple[Network, Loss | None]:
    """The integer network of a chip before it is cut, or as it is if it is one already, and what it lost."""
    _refuse(chip, tuple(found for rule in BEFORE for found in rule(network.graph)))
    if stages.stage_of(network.graph) == "fixed":
        stages.check(network.graph, "fixed")
        check_chip(network.graph, chip)
        return network, None
    stages.check(network.graph, "snn")
    graph = adapt(compose(without_pools(listed(network.graph), chip)), chip)
    graph = with_rests(graph, chip, network.record.steps)
    found = check_rules(graph, chip, options.chips)
    # how many chips a network needs is told by the cut, which counts every limit
    if found != tuple(neurons(graph, chip, options.chips)) or not countable(graph):
        _refuse(chip, found)
    graph = retime(graph, chip)
    if x is None:
        raise DataError("calibration data", "none", "samples as the network takes them", "--data, data=")
    _refuse(chip, check_pooled(network, x))
    parts = split(x, network.record.calibration)
    found = quantise(replace(network, graph=graph), chip, x[parts.setting])
    fixed = calibrated(with_units(found), x[parts.setting], parts)
    fixed = for_chip(fixed, chip, network.graph.digest)
    loss = measure_loss(network, found, fixed, x, parts)
    if not options.accept_loss:
        refuse_loss(chip.name, loss, options.min_agreement)
    for text in loss.warnings:
        warnings.warn(text, SpikeflowWarning, stacklevel=3)
    return fixed, loss


def calibrated(network: Network, setting: Array, parts: Split) -> Network:
    """The run record with the samples that set scales, and the range of their values for each input."""
    record = network.record
    digests = tuple(dict.fromkeys((*record.calibration, *parts.digests)))
    seen = {name: (float(x.min()), float(x.max())) for name, x in parted(network, setting).items()}
    return replace(network, record=replace(record, calibration=digests)).with_seen(seen)


def _refuse(chip: Chip, found: tuple[Violation, ...]) -> None:
    if found:
        raise HardwareError(chip.name, found)
