"""The facts of a mapping: its cores, its mesh, what its own run did, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from spikeflow.errors import DataError, HardwareError, Violation
from spikeflow.hw.activity import measured_on
from spikeflow.hw.chips.chip import NAMES, Chip, load
from spikeflow.hw.layout.place import mesh_position
from spikeflow.hw.layout.route import EAST, NORTH, SOUTH, WEST, routes_of
from spikeflow.hw.report import CoreReport, MappingReport, mapping_report
from spikeflow.hw.tables.mapping import Mapping as ChipMapping
from spikeflow.ir.record import Network
from spikeflow.report.network.estimates import cost_facts
from spikeflow.report.network.facts import CoreFacts, LinkFacts, MappedFacts, MeshFacts, RunFacts, Use
from spikeflow.report.network.layers import run_facts
from spikeflow.report.network.slices import joined_layers
from spikeflow.samples import Samples
from spikeflow.sim.classify import Evaluation, Progress, RunOptions, classify
from spikeflow.sim.fidelity import OutputFidelity, compare_outputs

_RESOURCES = {
    "neurons": "neurons",
    "axons_in": "input axons",
    "axons_out": "output axons",
    "delay": "delay, steps",
}
_STEPS = {EAST: (1, 0), WEST: (-1, 0), SOUTH: (0, 1), NORTH: (0, -1)}


def chip_of(mapping: ChipMapping, name: str | None = None) -> Chip:
    """The table of a mapping's chip.

    Parameters
    ----------
    name : what the user says it is. Without it only our own chips are looked up: the name comes from the
        mapping's file, and no file may make us import a module.

    Raises
    ------
    HardwareError
        Where there is no such chip.
    """
    if name is None and mapping.chip not in NAMES:
        raise HardwareError(
            mapping.chip,
            [
                Violation(
                    "the mapping",
                    f"the table of the chip {mapping.chip!r}",
                    "spikeflow's own chips",
                    "--chip with the module that holds its CHIP",
                )
            ],
        )
    return load(name or mapping.chip)


def mapped_facts(
    mapping: ChipMapping,
    chip: Chip,
    samples: Samples,
    options: RunOptions,
    unmapped: Evaluation,
    progress: Progress | None = None,
) -> MappedFacts:
    """Run what the tables hold on the samples and gather what is known of the mapping.

    Parameters
    ----------
    unmapped : what the network answers as it was before mapping, to the same samples.

    Raises
    ------
    DataError
        Where the mapping is of a network that takes other samples.
    """
    network = mapping.as_network()
    if (
        mapping.record.input_shape
        and samples.x.shape[-len(mapping.record.input_shape) :] != mapping.record.input_shape
    ):
        raise DataError(
            "the mapping", f"samples of shape {mapping.record.input_shape}", "a mapping of this network"
        )
    evaluation = classify(network, samples, options, progress)
    report = mapping_report(mapping, chip, evaluation.counts, evaluation.moments)
    return MappedFacts(
        report,
        _cores(mapping, report),
        _mesh(mapping),
        _run(mapping, network, evaluation, samples),
        _agreement(unmapped, evaluation),
        joined_layers(mapping, network.graph, evaluation),
        tuple(cost_facts(estimate, evaluation.moments / evaluation.samples) for estimate in report.estimates),
        evaluation.warnings,
    )


def _agreement(unmapped: Evaluation, mapped: Evaluation) -> OutputFidelity:
    """Of the output that answers; of several the one of the lowest agreement."""
    names = [unmapped.chosen] if unmapped.chosen else list(unmapped.outputs)
    found = [_compared(name, unmapped, mapped) for name in names]
    return min(found, key=lambda output: output.agreement)


def _compared(name: str, unmapped: Evaluation, mapped: Evaluation) -> OutputFidelity:
    kind = unmapped.kind(name)
    if name in mapped.about:
        return compare_outputs(name, mapped.values(output=name), unmapped.values(output=name), kind)
    # a mapping of the first version does not say what 1 in its accumulators stands for: only answers can be
    # compared
    ours, theirs = (e.accumulated(output=name) for e in (mapped, unmapped))
    return replace(compare_outputs(name, ours, theirs, kind), error=None)


def _run(mapping: ChipMapping, network: Network, evaluation: Evaluation, samples: Samples) -> RunFacts:
    # the host's own gathering of the output is part of the graph, but of no core
    on_cores = {name: count for name, count in evaluation.counts.items() if name in mapping.core_of}
    return run_facts(f"mapped onto {mapping.chip}", network, replace(evaluation, counts=on_cores), samples.y)


def _cores(mapping: ChipMapping, report: MappingReport) -> tuple[CoreFacts, ...]:
    places = np.array([(c.chip, c.x, c.y, c.slot) for c in report.cores]).reshape(-1, 4)
    columns, rows = mesh_position(mapping.layout, places)
    return tuple(
        CoreFacts(index, int(columns[index]), int(rows[index]), core, _uses(core, report.limits))
        for index, core in enumerate(report.cores)
    )


def _uses(core: CoreReport, limits: Mapping[str, int]) -> tuple[Use, ...]:
    memory = Use("memory, bytes", core.use.memory_bits / 8, limits["memory_bits"] / 8)
    counted = {
        field: Use(name, getattr(core.use, field), limits[field]) for field, name in _RESOURCES.items()
    }
    return (counted["neurons"], memory, counted["axons_in"], counted["axons_out"], counted["delay"])


def _mesh(mapping: ChipMapping) -> MeshFacts:
    loads, layout = routes_of(mapping).loads, mapping.layout
    links = tuple(
        LinkFacts(
            (int(x), int(y)), (int(x) + _STEPS[int(d)][0], int(y) + _STEPS[int(d)][1]), float(loads[d, y, x])
        )
        for d, y, x in np.argwhere(loads > 0)
    )
    sizes = (loads.shape[2], loads.shape[1], layout.columns, layout.rows, layout.cores_per_tile)
    return MeshFacts(*sizes, links, measured_on(mapping))
